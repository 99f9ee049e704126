import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editMembers } from './members.ts';

const names = ['id', 'model', 'usage', 'a', 'b', 'x"y', 'é', 'constructor', 'toString'] as const;
const value = fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' });
const edit = fc.oneof(fc.constant(null), value);

test('editing the text equals editing the object, whatever the white space', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...names), value),
      fc.dictionary(fc.constantFrom(...names), edit),
      fc.constantFrom(undefined, 1, '\t'),
      (object, edits, space) => {
        const text = JSON.stringify(object, null, space);
        const parsed: Record<string, unknown> = JSON.parse(text);
        const texts = Object.fromEntries(
          Object.entries(edits).map(([k, v]) => [k, v === null ? null : JSON.stringify(v)]),
        );
        const expected: Record<string, unknown> = { ...parsed };
        for (const [name, replacement] of Object.entries(edits)) {
          if (replacement === null) delete expected[name];
          else expected[name] = JSON.parse(JSON.stringify(replacement));
        }
        assert.deepEqual(JSON.parse(editMembers(text, parsed, texts)), expected);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a key given twice, plainly or in escapes, reaches the upstream once', () => {
  for (const text of [
    '{"model":"dear","model":"cheap"}',
    '{"mod\\u0065l":"dear","model":"cheap"}',
    '{"model":"dear","mod\\u0065l":"cheap"}',
  ]) {
    const out = editMembers(text, JSON.parse(text), { model: '"upstream"' });
    assert.equal(out, '{"model":"upstream"}');
  }
});

test('what is not edited stays as it was written, to the byte', () => {
  const text = '{ "n" : 1.50e0, "model":"a", "messages":[{"content":"\\u0985 \\"}{"}] }';
  const out = editMembers(text, JSON.parse(text), { model: '"b"', usage: null });
  assert.equal(out, text.replace('"a"', '"b"').trimEnd());
});

test('a function edits the old text, and adds nothing where there was none', () => {
  const edits = { usage: (old: string) => `[${old}]` };
  assert.equal(editMembers('{"usage":1}', { usage: 1 }, edits), '{"usage":[1]}');
  assert.equal(editMembers('{"a":1}', { a: 1 }, edits), '{"a":1}');
});

test('an object that is written anew is ASCII, whatever the text was taken for', () => {
  const text = '{"id":"a","id":"b","content":"Ģ Ċ 🇧🇩"}';
  const bytes = Buffer.from(text).toString('latin1');
  const out = editMembers(bytes, JSON.parse(text), { id: '"ours"' });
  assert.match(out, /^[\x20-\x7e]*$/);
  assert.deepEqual(JSON.parse(out), { id: 'ours', content: 'Ģ Ċ 🇧🇩' });
});
