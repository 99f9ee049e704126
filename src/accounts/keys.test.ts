import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashKey, keyLooksRight, mintKey } from './keys.ts';

const minted = fc.constant(null).map(() => mintKey());
const base62 = fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz');

test('a minted key has the documented shape and passes', () => {
  fc.assert(
    fc.property(minted, (key) => {
      assert.match(key, /^sk-or-[0-9A-Za-z]{32}$/);
      assert.ok(keyLooksRight(key));
    }),
  );
});

test('any one wrong character is refused', () => {
  fc.assert(
    fc.property(minted, fc.nat(37), base62, (key, place, character) => {
      fc.pre(key[place] !== character);
      assert.ok(!keyLooksRight(key.slice(0, place) + character + key.slice(place + 1)));
    }),
    { numRuns: 1000 },
  );
});

test('every pair of swapped neighbours is refused', () => {
  fc.assert(
    fc.property(minted, (key) => {
      for (let place = 0; place + 1 < key.length; place += 1) {
        const swapped =
          key.slice(0, place) + key.charAt(place + 1) + key.charAt(place) + key.slice(place + 2);
        if (swapped !== key) assert.ok(!keyLooksRight(swapped), swapped);
      }
    }),
  );
});

test('a key that lost, gained or changed anything else is refused, and nothing throws', () => {
  const key = mintKey();
  for (const wrong of [
    '',
    'sk-or-',
    key.slice(0, -1),
    `${key}0`,
    ` ${key}`,
    `${key}\n`,
    key.toUpperCase(),
    'sk-or-ééé',
  ])
    assert.ok(!keyLooksRight(wrong), JSON.stringify(wrong));
  fc.assert(fc.property(fc.string(), (text) => assert.ok(!keyLooksRight(`sk-or-${text}`))));
});

test('every character of the alphabet is drawn, each about as often', () => {
  const counts = new Map<string, number>();
  const keys = 2000;
  for (let index = 0; index < keys; index += 1)
    for (const character of mintKey().slice(6, 32))
      counts.set(character, (counts.get(character) ?? 0) + 1);
  const expected = (keys * 26) / 62;
  assert.equal(counts.size, 62);
  // Six standard deviations; taking bytes modulo 62 would put eight of the characters at 1.21 times the rest.
  for (const [character, count] of counts)
    assert.ok(Math.abs(count - expected) < 6 * Math.sqrt(expected), `${character}: ${count}`);
});

test('the stored hash is the SHA-256 of the whole text', () => {
  assert.equal(
    hashKey('abc').toString('hex'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});
