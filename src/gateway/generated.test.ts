/** What counts as generated: everything that a client can read, known or not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generatedBytes } from './generated.ts';
import { ChatEvents } from './sse.ts';

function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

test('any member but the role counts, unless there is nothing in it', () => {
  const known = ['refusal', 'reasoning', 'reasoning_details', 'images', 'audio', 'annotations'];
  const name = fc.oneof(fc.constantFrom(...known), fc.string());
  const special = new Set(['role', '__proto__', 'content', 'tool_calls', 'function_call']);
  const named = name.filter((each) => !special.has(each));
  fc.assert(
    fc.property(named, fc.jsonValue(), (member, value) => {
      const counted = generatedBytes({ delta: { role: 'assistant', [member]: value } });
      assert.equal(counted > 0, !isNothing(value));
      assert.equal(generatedBytes({ message: { [member]: value } }), counted);
    }),
    { numRuns: 1000 },
  );
});

test('text counts by its bytes, calls and parts by their strings, the rest by its JSON text', () => {
  const call = { index: 0, id: 'call_1', type: 'function' };
  const cases: readonly [member: object, bytes: number][] = [
    [{ role: 'assistant', content: '' }, 0],
    [{ content: null, refusal: null, tool_calls: [], annotations: [] }, 0],
    [{ content: 'ঢাকা' }, 12],
    [{ content: 'a', reasoning: 'bc', reasoning_content: 'def', refusal: 'ghij' }, 10],
    [{ tool_calls: [{ ...call, function: { name: 'f', arguments: '{}' } }] }, 3],
    [{ tool_calls: [{ ...call, custom: { name: 'f', input: 'xyz' } }] }, 4],
    [{ tool_calls: [call] }, 0],
    [{ function_call: { name: 'f', arguments: '{"a":1}' } }, 8],
    [{ content: [{ type: 'text', text: 'abc' }, 'de'] }, 5],
    [{ content: [{ type: 'image_url', image_url: { url: 'data:,x' } }] }, 7],
    [{ reasoning_details: [{ text: 'ab' }] }, '[{"text":"ab"}]'.length],
    [{ reasoning: 'ab', reasoning_details: [{ type: 'reasoning.text', text: 'ab' }] }, 2],
    [{ reasoning_details: [{ type: 'reasoning.text', signature: 'c2ln' }] }, 0],
    [{ content: 'a', reasoning_details: [{ type: 'reasoning.encrypted', data: 'c2ln' }] }, 1],
    [{ tool_calls: [{ function: { name: 'f' }, extra_content: { google: { x: 'c2ln' } } }] }, 1],
    [{ score: 0 }, 1],
  ];
  for (const [member, bytes] of cases) {
    assert.equal(generatedBytes({ delta: member }), bytes, JSON.stringify(member));
    assert.equal(generatedBytes({ message: member }), bytes, JSON.stringify(member));
  }
  assert.equal(generatedBytes({ index: 0, finish_reason: 'stop' }), 0);
  assert.equal(generatedBytes({ index: 0, text: 'abc' }), 3);
  assert.equal(generatedBytes(null), 0);
});

test('an event like the one before it counts as much as if it were the first', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }));
  const beside = fc.constantFrom<object>(
    {},
    { refusal: 'no' },
    { reasoning_details: [{ text: 'ab' }] },
    { foo: { content: 'x' } },
    { role: 'assistant', images: ['y'] },
  );
  fc.assert(
    fc.property(beside, fc.array(text, { minLength: 2, maxLength: 12 }), (more, texts) => {
      const chat = new ChatEvents('"ours"', '"a/b"');
      for (const content of texts) {
        const choices = [{ index: 0, delta: { content, ...more }, finish_reason: null }];
        const event = `data: ${JSON.stringify({ id: 'x', created: 1, model: 'm', choices })}`;
        const { generatedBytes: counted } = chat.read(Buffer.from(event).toString('latin1'));
        const [choice] = JSON.parse(Buffer.from(event).toString().slice(6)).choices;
        assert.equal(counted, generatedBytes(choice));
      }
    }),
    { numRuns: 500 },
  );
});
