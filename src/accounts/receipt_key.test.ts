/** One key signs the receipts of an installation, whoever asks for it first; the public halves of earlier ones stay. */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Ledgers } from '../../test/ledgers.ts';
import { loadConfig } from '../config.ts';
import { publicReceiptKeys, type ReceiptKey, receiptKey } from './receipt_key.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

const withSecret = (letter: string) => loadConfig({ AKAI_SECRET: letter.repeat(32) }, []);

function isGood({ publicKey }: ReceiptKey, text: string, value: string): boolean {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey };
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  return verify(null, Buffer.from(text), key, Buffer.from(value, 'base64url'));
}

test('processes that ask at the same moment, and later ones, have the same key', async () => {
  const { sql } = ledgers.database;
  const config = withSecret('a');
  const keys = await Promise.all(Array.from({ length: 8 }, () => receiptKey(sql, config)));
  const [first] = keys;
  assert.ok(first);
  assert.equal(new Set(keys.map(({ id }) => id)).size, 1);
  const again = await receiptKey(sql, config);
  assert.ok(isGood(first, 'text', again.sign('text')));
  assert.ok(!isGood(first, 'text', again.sign('another')));
  const rows = await publicReceiptKeys(sql);
  assert.deepEqual(
    rows.map(({ id, publicKey }) => [id, publicKey]),
    [[first.id, first.publicKey]],
  );
});

test('another secret has another key, and the earlier one stays known', async () => {
  const { sql } = ledgers.database;
  const one = await receiptKey(sql, withSecret('a'));
  const other = await receiptKey(sql, withSecret('b'));
  assert.notEqual(other.id, one.id);
  const known = (await publicReceiptKeys(sql)).map(({ id }) => id);
  assert.deepEqual(known, [one.id, other.id]);
});
