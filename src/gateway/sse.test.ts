import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventSplitter, StreamError } from '../dialects/stream.ts';
import { ChatEvents } from './sse.ts';

const upstreamHead = { id: 'up-1', object: 'chat.completion.chunk', created: 7, model: 'up-model' };

function chunk(delta: object, more: object = {}): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: null, ...more };
  return `data: ${JSON.stringify({ ...upstreamHead, choices: [choice], usage: null })}`;
}

function relay(
  bytes: Buffer,
  cuts: readonly number[],
): { events: string[]; out: string; generated: number } {
  const splitter = new EventSplitter(1_000_000);
  const chat = new ChatEvents('"ours"', '"a/b"');
  const events: string[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    events.push(...splitter.push(bytes.subarray(from, cut)));
    from = cut;
  }
  events.push(...splitter.end());
  const read = events.map((event) => chat.read(event));
  return {
    events,
    out: Buffer.from(read.map((event) => event.text).join(''), 'latin1').toString(),
    generated: read.reduce((sum, event) => sum + event.generatedBytes, 0),
  };
}

const delta = fc.oneof(
  fc.record({ content: fc.string({ unit: 'binary' }) }),
  fc.record({ content: fc.string() }),
  fc.record({ reasoning_content: fc.string({ unit: 'grapheme' }) }),
  fc.record({ role: fc.constant('assistant'), content: fc.constant('') }),
  fc.record({
    tool_calls: fc.constant([
      { index: 0, id: 'call_1', function: { name: 'f', arguments: '{"id":"up-1"' } },
    ]),
  }),
);

test('any split of the bytes gives the same events, with our id and model and every text unchanged', () => {
  fc.assert(
    fc.property(
      fc.array(delta, { minLength: 1, maxLength: 30 }),
      fc.constantFrom('\n\n', '\r\n\r\n', '\r\r'),
      fc.array(fc.nat(), { maxLength: 20 }),
      (deltas, blank, places) => {
        const blocks = [...deltas.map((d) => chunk(d)), ': comment', 'data: [DONE]'];
        const bytes = Buffer.from(blocks.map((block) => block + blank).join(''));
        const cuts = places.map((place) => place % bytes.length).sort((a, b) => a - b);
        const { out, generated } = relay(bytes, cuts);
        const sent = out
          .split('\n\n')
          .filter(Boolean)
          .map((block) => JSON.parse(block.slice(6)));
        assert.deepEqual(
          sent,
          deltas.map((d) => {
            const choice = {
              index: 0,
              delta: JSON.parse(JSON.stringify(d)),
              logprobs: null,
              finish_reason: null,
            };
            return { ...upstreamHead, id: 'ours', model: 'a/b', choices: [choice] };
          }),
        );
        const expected = deltas.flatMap((d) =>
          'content' in d
            ? [d.content]
            : 'reasoning_content' in d
              ? [d.reasoning_content]
              : d.tool_calls.flatMap((call) => [call.function.name, call.function.arguments]),
        );
        assert.equal(generated, Buffer.byteLength(Buffer.from(expected.join('').toWellFormed())));
      },
    ),
    { numRuns: 500 },
  );
});

test('usage is taken out wherever it stands, and reported', () => {
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  const chat = new ChatEvents('"ours"', '"a/b"');
  const own = chat.read(`data: ${JSON.stringify({ ...upstreamHead, choices: [], usage })}`);
  assert.deepEqual([own.text, own.usage], ['', usage]);
  const finish = { index: 0, delta: {}, finish_reason: 'stop' };
  const both = chat.read(`data: ${JSON.stringify({ ...upstreamHead, choices: [finish], usage })}`);
  assert.deepEqual([both.usage, both.finished, both.finishReason], [usage, 1, 'stop']);
  assert.deepEqual(JSON.parse(both.text.slice(6)), {
    ...upstreamHead,
    id: 'ours',
    model: 'a/b',
    choices: [finish],
  });
  const groq = { ...upstreamHead, choices: [finish], x_groq: { usage } };
  assert.deepEqual(chat.read(`data: ${JSON.stringify(groq)}`).usage, usage);
});

test('a text that looks like structure is not taken for it', () => {
  const chat = new ChatEvents('"ours"', '"a/b"');
  chat.read(chunk({ content: 'x' }));
  const sly = '"},"finish_reason":"stop"}],"usage":{"prompt_tokens":0},"x":[{"delta":{"content":"';
  const read = chat.read(chunk({ content: sly }));
  assert.equal(read.finished, 0);
  assert.equal(read.usage, null);
  assert.equal(read.generatedBytes, Buffer.byteLength(sly));
  assert.equal(JSON.parse(read.text.slice(6)).choices[0].delta.content, sly);
});

test('padding behind the text is passed on as it came, and is no text', () => {
  const padded = (content: string, obfuscation: string): string =>
    `${chunk({ content }).slice(0, -1)},${JSON.stringify({ obfuscation }).slice(1)}`;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string(), fc.string()), { minLength: 2, maxLength: 10 }),
      (pairs) => {
        const chat = new ChatEvents('"ours"', '"a/b"');
        chat.read(padded('x', 'y'));
        for (const [content, padding] of pairs) {
          const event = Buffer.from(padded(content, padding)).toString('latin1');
          const { text, generatedBytes } = chat.read(event);
          const sent = JSON.parse(Buffer.from(text, 'latin1').toString().slice(6));
          assert.deepEqual(
            [sent.id, sent.choices[0].delta.content, sent.obfuscation, sent.usage, generatedBytes],
            ['ours', content, padding, undefined, Buffer.byteLength(content)],
          );
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('reasoning that is told twice counts once, and what only looks so is read in full', () => {
  const twice = (reasoning: string, text: string): string =>
    chunk({ reasoning, reasoning_details: [{ type: 'reasoning.text', text, index: 0 }] });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.constantFrom(null, 'x', 'other', '"')), {
        minLength: 2,
        maxLength: 10,
      }),
      (pairs) => {
        const learned = new ChatEvents('"ours"', '"a/b"');
        learned.read(twice('x', 'x'));
        for (const [reasoning, other] of pairs) {
          const event = Buffer.from(twice(reasoning, other ?? reasoning)).toString('latin1');
          const read = learned.read(event);
          assert.deepEqual(read, new ChatEvents('"ours"', '"a/b"').read(event));
          assert.equal(read.generatedBytes, Buffer.byteLength(reasoning));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('two choices in one event are both seen', () => {
  const chat = new ChatEvents('"ours"', '"a/b"');
  chat.read(chunk({ content: 'x' }));
  const choices = [0, 1].map((index) => ({
    index,
    delta: { content: 'y' },
    logprobs: null,
    finish_reason: index ? 'stop' : null,
  }));
  const read = chat.read(`data: ${JSON.stringify({ ...upstreamHead, choices, usage: null })}`);
  assert.deepEqual([read.finished, read.generatedBytes], [1, 2]);
});

test('what is no event is named: too large, no JSON, an error object', () => {
  assert.throws(() => new EventSplitter(10).push(Buffer.from('data: 0123456789')), StreamError);
  const chat = new ChatEvents('"ours"', '"a/b"');
  assert.throws(() => chat.read('data: {"half":'), StreamError);
  assert.deepEqual(chat.read('data: {"error":{"message":"x"}}').error, { message: 'x' });
  assert.equal(chat.read('event: error\ndata: {"error":"x"}').error, 'x');
  assert.equal(chat.read(': keep-alive').text, '');
});
