/** Keys in every form, and that nothing is believed that Nagad did not seal. */

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { makePairs, type SandboxPairs, sealAnswer } from '../sandbox/nagad_seal.ts';
import { SettingError } from '../setting.ts';
import { type NagadKeys, readKeys, seal, unseal } from './nagad_crypto.ts';

describe('keys', () => {
  let pairs: SandboxPairs;
  let keys: NagadKeys;
  before(async () => {
    pairs = await makePairs();
    keys = {
      publicKey: pairs.nagad.publicKey,
      privateKey: pairs.merchant.privateKey,
      hash: 'sha256',
    };
  });

  /** One key in every form that is met: bare base64, PEM, PEM on one line, PEM under the wrong name. */
  function armours(type: 'pkcs1' | 'pkcs8' | 'spki'): string[] {
    const key = type === 'spki' ? pairs.nagad.publicKey : pairs.merchant.privateKey;
    const pem = key.export({ format: 'pem', type }).toString();
    const bare = pem.replace(/-----.*-----|\n/g, '');
    const wrong = pem.replace(
      /(BEGIN|END) (RSA )?PRIVATE/g,
      (_, word, rsa) => `${word} ${rsa ? '' : 'RSA '}PRIVATE`,
    );
    return [bare, pem, pem.replaceAll('\n', '\\n'), pem.replaceAll('\n', ' '), wrong];
  }

  test('are read in every armour', () => {
    const texts = [...armours('pkcs8'), ...armours('pkcs1')];
    for (const publicKey of armours('spki'))
      for (const privateKey of texts) {
        const read = readKeys({ publicKey, privateKey }, 'sha256');
        assert.ok(read.publicKey.equals(pairs.nagad.publicKey));
        assert.ok(read.privateKey.equals(pairs.merchant.privateKey));
      }
  });

  test('that cannot be used are named in a sentence without a piece of them', () => {
    const [publicKey = ''] = armours('spki');
    const [privateKey = ''] = armours('pkcs8');
    const ownPublic = createPublicKey(pairs.merchant.privateKey)
      .export({ format: 'der', type: 'spki' })
      .toString('base64');
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
      .publicKey.export({ format: 'der', type: 'spki' })
      .toString('base64');
    const curve = generateKeyPairSync('ed25519')
      .privateKey.export({ format: 'der', type: 'pkcs8' })
      .toString('base64');
    const locked = pairs.merchant.privateKey
      .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString();
    const cases: readonly [publicKey: string, privateKey: string, sentence: RegExp][] = [
      ['not a key!', privateKey, /^NAGAD_PUBLIC_KEY is not base64/],
      [publicKey.slice(0, 200), privateKey, /^NAGAD_PUBLIC_KEY is not an RSA public key: a part/],
      [privateKey, privateKey, /^NAGAD_PUBLIC_KEY is a private key/],
      [short, privateKey, /^NAGAD_PUBLIC_KEY must be an RSA key of at least 2048 bits/],
      [ownPublic, privateKey, /^NAGAD_PUBLIC_KEY is the merchant's own public key/],
      [publicKey, publicKey, /^NAGAD_PRIVATE_KEY is a public key/],
      [publicKey, privateKey.slice(0, 400), /^NAGAD_PRIVATE_KEY is not an RSA private key/],
      [publicKey, curve, /^NAGAD_PRIVATE_KEY must be an RSA key/],
      [publicKey, locked, /^NAGAD_PRIVATE_KEY is protected by a password/],
    ];
    for (const [given, own, sentence] of cases)
      assert.throws(
        () => readKeys({ publicKey: given, privateKey: own }, 'sha256'),
        (error) => {
          assert.ok(error instanceof SettingError, String(error));
          assert.match(error.message, sentence);
          assert.doesNotMatch(error.message, /[\w+/]{24}/);
          return true;
        },
      );
  });

  test('prove an answer, and no answer that was changed anywhere', () => {
    const said = {
      paymentReferenceId: 'MDIx',
      challenge: 'c88a0a5ad38f7054fcbf',
      acceptDateTime: '20260214123032',
    };
    const answer = sealAnswer(said, pairs, 'sha256');
    assert.deepEqual(unseal(answer, keys), said);
    const name = fc.constantFrom<'sensitiveData' | 'signature'>('sensitiveData', 'signature');
    const bits = fc.tuple(name, fc.nat(255), fc.nat(7)).map(([member, byte, bit]) => {
      const bytes = Buffer.from(answer[member], 'base64');
      bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
      return { ...answer, [member]: bytes.toString('base64') };
    });
    const texts = fc
      .tuple(name, fc.nat(344), fc.nat(3), fc.string({ maxLength: 3 }))
      .map(([member, at, length, text]) => ({
        ...answer,
        [member]: answer[member].slice(0, at) + text + answer[member].slice(at + length),
      }));
    const others = fc
      .tuple(name, fc.oneof(fc.jsonValue(), fc.base64String()))
      .map(([member, value]) => ({ ...answer, [member]: value }));
    fc.assert(
      fc.property(fc.oneof(bits, texts, others), (changed) => {
        fc.pre(JSON.stringify(changed) !== JSON.stringify(answer));
        assert.equal(unseal(changed, keys), null);
      }),
      { numRuns: 400 },
    );
  });

  test('prove nothing of what others sealed, or of what is no object', async () => {
    // The merchant's public key is known to many: encrypting for it proves nothing.
    const other = await makePairs();
    const forged = sealAnswer(
      { challenge: 'x' },
      { merchant: pairs.merchant, nagad: other.nagad },
      'sha256',
    );
    assert.equal(unseal(forged, keys), null);
    const weak = sealAnswer({ challenge: 'x' }, pairs, 'sha1');
    assert.equal(unseal(weak, keys), null);
    for (const value of [[1], 'text', 5, null])
      assert.equal(unseal(sealAnswer(value, pairs, 'sha256'), keys), null);
    const [one, two] = [
      sealAnswer({ a: 1 }, pairs, 'sha256'),
      sealAnswer({ a: 2 }, pairs, 'sha256'),
    ];
    assert.equal(
      unseal({ sensitiveData: one.sensitiveData, signature: two.signature }, keys),
      null,
    );
    const noise = randomBytes(256).toString('base64');
    assert.equal(unseal({ sensitiveData: noise, signature: noise }, keys), null);
    assert.equal(unseal({}, keys), null);
    assert.notEqual(seal('{}', keys).encrypted, seal('{}', keys).encrypted);
  });
});
