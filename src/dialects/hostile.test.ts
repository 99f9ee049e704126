/** What a client or a provider can send to take a gateway's time or memory, or an answer for nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChatTarget, type Dialect, Unreadable, Unsupported } from './dialect.ts';
import { dialects } from './dialects.ts';
import { EventSplitter, StreamError } from './stream.ts';

const target: ChatTarget = {
  upstreamModel: 'claude-haiku-4-5',
  tokenLimitField: 'max_tokens',
  cap: 5,
  maxOutputTokens: 100,
  constraints: [],
};
const bodyOf = (parsed: object) => ({ text: JSON.stringify(parsed), parsed: { ...parsed } });
/** A hundred times what it takes, a third of what it took. */
const generousMs = 10_000;

test('a conversation of 100,000 messages is written in the time that its length takes', () => {
  for (const role of ['user', 'assistant', 'system']) {
    const messages = Array.from({ length: 100_000 }, () => ({ role, content: 'x' }));
    for (const dialect of [dialects.anthropic, dialects.gemini, dialects.bedrock]) {
      const began = performance.now();
      dialect.writeChat(bodyOf({ messages }), target);
      assert.ok(performance.now() - began < generousMs, role);
    }
  }
});

test('turns of one role become one, however many parts they have', () => {
  const content = Array.from({ length: 150_000 }, () => ({ type: 'text', text: 'x' }));
  const messages = [
    { role: 'system', content },
    { role: 'user', content },
    { role: 'user', content },
  ];
  for (const dialect of [dialects.anthropic, dialects.gemini, dialects.bedrock])
    assert.ok(dialect.writeChat(bodyOf({ messages }), target).length > 450_000);
});

test('documents of one name have names of their own at Bedrock, however many there are', () => {
  const file_data = 'data:application/pdf;base64,JVBERi0=';
  const names = ['a.pdf', 'a.pdf', 'a 2.pdf', 'a.pdf', '…', ...Array<string>(50_000).fill('b.pdf')];
  const content = names.map((filename) => ({ type: 'file', file: { filename, file_data } }));
  const began = performance.now();
  const body = bodyOf({ messages: [{ role: 'user', content }] });
  const written = JSON.parse(dialects.bedrock.writeChat(body, target));
  const given = written.messages[0].content.map(
    ({ document }: { document: { name: string } }) => document.name,
  );
  assert.deepEqual(given.slice(0, 6), ['a', 'a 2', 'a 2 2', 'a 3', 'document', 'b']);
  assert.equal(new Set(given).size, names.length);
  assert.ok(performance.now() - began < generousMs);
});

test('an event of 20 MB that comes in packets is joined once, wherever its line ends are', () => {
  const splitter = new EventSplitter(64_000_000);
  const packet = Buffer.alloc(10_000, 'x');
  const began = performance.now();
  splitter.push(Buffer.from('data: '));
  for (let sent = 0; sent < 2000; sent += 1) assert.deepEqual(splitter.push(packet), []);
  assert.deepEqual(splitter.push(Buffer.from('\r')), []);
  const [event] = splitter.push(Buffer.from('\n\r\ndata: b'));
  assert.equal(event?.length, 20_000_006);
  assert.deepEqual(splitter.push(Buffer.from('c\n\n')), ['data: bc']);
  assert.ok(performance.now() - began < generousMs);
});

test('a half of a line end is not lost between packets', () => {
  const splitter = new EventSplitter(100);
  assert.deepEqual(splitter.push(Buffer.from('data: a\r')), []);
  assert.deepEqual(splitter.push(Buffer.from('data: b\r\r\n')), ['data: a\ndata: b']);
});

test('a block of Claude may say that it is the four-billionth', () => {
  const events = [
    { type: 'message_start', message: { id: 'm', type: 'message', usage: { input_tokens: 3 } } },
    { type: 'content_block_start', index: 4294967294, content_block: { type: 'text', text: 'hi' } },
    { type: 'content_block_delta', index: -1, delta: { type: 'text_delta', text: 'lost' } },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 3 } },
    { type: 'message_stop' },
  ].map((event) => `data: ${JSON.stringify(event)}\n\n`);
  const answer = JSON.parse(dialects.anthropic.readWhole(events.join(''), bodyOf({})));
  assert.equal(answer.choices[0].message.content, 'hi');
});

test('a call that Gemini gets wrong at the end of an answer does not make the answer free', () => {
  const usageMetadata = { promptTokenCount: 5, candidatesTokenCount: 9, totalTokenCount: 14 };
  const said = { candidates: [{ content: { parts: [{ text: 'a long answer' }] } }], usageMetadata };
  const failed = { candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL' }], usageMetadata };
  const chunksOf = (events: readonly object[]) => {
    const reader = dialects.gemini.readStream(1_000_000, bodyOf({}));
    const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
    return reader.push(Buffer.from(text)).map((chunk) => JSON.parse(chunk.slice(6)));
  };
  const chunks = chunksOf([said, failed]);
  assert.equal(chunks.at(-2).usage.completion_tokens, 9);
  assert.equal(chunks.at(-1).error.message, 'MALFORMED_FUNCTION_CALL');
  // Where nothing was said yet, an offer behind it may answer.
  assert.deepEqual(
    chunksOf([failed]).map((chunk) => chunk.usage),
    [undefined],
  );
});

test('what is refused is quoted in a few words', () => {
  const messages = [{ role: 'x'.repeat(1_000_000), content: 'a' }];
  for (const dialect of [dialects.anthropic, dialects.gemini, dialects.bedrock])
    assert.throws(
      () => dialect.writeChat(bodyOf({ messages }), target),
      (error) => error instanceof Unsupported && error.message.length < 400,
    );
});

test('Google is not sent for what only we may read there', () => {
  for (const host of ['generativelanguage.googleapis.com', 'GoogleAPIs.com.', 'youtu.be.']) {
    const image_url = { url: `https://${host}/v1beta/files/a` };
    const messages = [{ role: 'user', content: [{ type: 'image_url', image_url }] }];
    assert.throws(() => dialects.gemini.writeChat(bodyOf({ messages }), target), Unsupported);
  }
});

/** What may stand anywhere in an answer. */
const odd: readonly unknown[] = [
  null,
  0,
  -1,
  1e300,
  '',
  'constructor',
  '__proto__',
  [],
  [null],
  {},
];
/** What answers are made of, with a hole for each of them. */
const forms: readonly ((hole: unknown) => unknown)[] = [
  (hole) => hole,
  (error) => ({ type: 'error', error }),
  (candidates) => ({ candidates }),
  (parts) => ({ candidates: [{ content: { parts }, finishReason: 'STOP' }] }),
  (text) => ({ candidates: [{ content: { parts: [{ text, thoughtSignature: text }] } }] }),
  (functionCall) => ({ candidates: [{ content: { parts: [{ functionCall }] } }] }),
  (index) => ({ candidates: [{ index, finishReason: index }] }),
  (tokenCount) => ({
    usageMetadata: {
      promptTokenCount: tokenCount,
      promptTokensDetails: [tokenCount, { modality: tokenCount, tokenCount }],
    },
    candidates: [{ finishReason: 'STOP' }],
  }),
  (blockReason) => ({ promptFeedback: { blockReason } }),
  (content) => ({ type: 'message', content, usage: content, stop_reason: content }),
  (text) => ({
    type: 'message',
    content: [
      { type: 'text', text },
      { type: 'thinking', text },
    ],
  }),
  (input) => ({ type: 'message', content: [{ type: 'tool_use', input, name: input, id: input }] }),
  (message) => ({ type: 'message_start', message }),
  (index) => ({ type: 'content_block_start', index, content_block: index }),
  (delta) => ({ type: 'content_block_delta', index: 0, delta }),
  (text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
  (delta) => ({ type: 'message_delta', delta, usage: delta }),
];

test('whatever a provider says is read, or named as unreadable', () => {
  const start = { type: 'message_start', message: { id: 'm', usage: { input_tokens: 1 } } };
  const known = (error: unknown): boolean =>
    error instanceof Unreadable || error instanceof StreamError;
  const stream = (dialect: Dialect, answer: string): void => {
    const reader = dialect.readStream(1_000_000, bodyOf({}));
    for (const data of [JSON.stringify(start), answer, answer])
      reader.push(Buffer.from(`data: ${data}\n\n`));
    reader.end();
  };
  const readers = [
    (dialect: Dialect, answer: string) => dialect.readWhole(answer, bodyOf({})),
    stream,
  ];
  const answers = forms.flatMap((form) => odd.map((hole) => JSON.stringify(form(hole))));
  for (const dialect of Object.values(dialects))
    for (const read of readers)
      for (const answer of answers)
        try {
          read(dialect, answer);
        } catch (error) {
          if (!known(error)) assert.fail(`${answer}: ${error instanceof Error && error.stack}`);
        }
});
