import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countTokens, tokenise } from './tokens.ts';

test('cuts text as documented', () => {
  assert.deepEqual(tokenise('Hello from Dhaka'), ['Hell', 'o', ' fro', 'm', ' Dha', 'ka']);
  assert.deepEqual(tokenise('ঢাকা'), ['ঢ', 'া', 'ক', 'া']);
  assert.deepEqual(tokenise('🇧🇩'), ['🇧', '🇩']);
  assert.deepEqual(tokenise(''), []);
});

test('loses nothing, splits no character, and stays within its bounds, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const tokens = tokenise(text);
      const bytes = Buffer.byteLength(text);
      assert.equal(tokens.join(''), text);
      assert.equal(countTokens(text), tokens.length);
      assert.ok(tokens.length <= bytes && tokens.length >= bytes / 4);
      for (const token of tokens) assert.equal(Buffer.from(token).toString(), token);
    }),
  );
});
