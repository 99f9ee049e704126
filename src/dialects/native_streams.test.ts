/** Forms of their own: every reason for which they end, whole and streamed, and that no piece of a stream waits for the next. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Unreadable, Wasted } from './dialect.ts';
import { dialects } from './dialects.ts';
import { framed } from './event_stream.ts';
import { type Fields, fields } from './members.ts';

const body = { text: '{}', parsed: {} };
const text = 'ঢাকা';

type Reasons = Readonly<Record<string, string | null>>;

/** An answer with a text, and how a dialect has it on the wire. */
interface Form {
  whole(reason: string): Fields;
  /** The last but one brings the text, the last the reason. */
  events(reason: string): readonly Buffer[];
  /** In OpenAI's words; null for a failure. */
  readonly reasons: Reasons;
}

function event(data: Fields, name?: string): Buffer {
  const head = name === undefined ? '' : `event: ${name}\n`;
  return Buffer.from(`${head}data: ${JSON.stringify(data)}\n\n`);
}

function frame(name: string, data: Fields): Buffer {
  const headers = {
    ':event-type': name,
    ':content-type': 'application/json',
    ':message-type': 'event',
  };
  return framed({ headers, payload: JSON.stringify(data) });
}

const claude: Form = {
  whole: (stop_reason) => ({
    id: 'm',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [{ type: 'text', text }],
    stop_reason,
    usage: { input_tokens: 1, output_tokens: 1 },
  }),
  events: (stop_reason) => {
    const usage = { input_tokens: 1, output_tokens: 1 };
    const message = { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage };
    const events: Fields[] = [
      { type: 'message_start', message },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
      { type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ];
    return events.map((data) => event(data, String(data.type)));
  },
  reasons: {
    end_turn: 'stop',
    stop_sequence: 'stop',
    pause_turn: 'stop',
    max_tokens: 'length',
    model_context_window_exceeded: 'length',
    // Without a call there is none to answer.
    tool_use: 'stop',
    refusal: 'content_filter',
    unheard_of: 'stop',
  },
};

const converse: Form = {
  whole: (stopReason) => ({
    output: { message: { role: 'assistant', content: [{ text }] } },
    stopReason,
    usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
  }),
  events: (stopReason) => [
    frame('messageStart', { role: 'assistant' }),
    frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } }),
    frame('messageStop', { stopReason }),
    frame('metadata', { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }),
  ],
  reasons: {
    end_turn: 'stop',
    stop_sequence: 'stop',
    max_tokens: 'length',
    model_context_window_exceeded: 'length',
    tool_use: 'stop',
    content_filtered: 'content_filter',
    guardrail_intervened: 'content_filter',
    malformed_model_output: null,
    malformed_tool_use: null,
  },
};

const generateContent: Form = {
  whole: (finishReason) => ({
    candidates: [{ index: 0, content: { role: 'model', parts: [{ text }] }, finishReason }],
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
  }),
  events: (finishReason) => [
    event({ candidates: [{ index: 0, content: { role: 'model', parts: [{ text }] } }] }),
    event({
      candidates: [{ index: 0, finishReason }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    }),
  ],
  reasons: {
    STOP: 'stop',
    MAX_TOKENS: 'length',
    CONTINUATION: 'length',
    SAFETY: 'content_filter',
    RECITATION: 'content_filter',
    BLOCKLIST: 'content_filter',
    PROHIBITED_CONTENT: 'content_filter',
    SPII: 'content_filter',
    IMAGE_SAFETY: 'content_filter',
    IMAGE_PROHIBITED_CONTENT: 'content_filter',
    IMAGE_RECITATION: 'content_filter',
    LANGUAGE: 'stop',
    OTHER: 'stop',
    NO_IMAGE: 'stop',
    IMAGE_OTHER: 'stop',
    FINISH_REASON_UNSPECIFIED: 'stop',
    MALFORMED_FUNCTION_CALL: null,
    UNEXPECTED_TOOL_CALL: null,
    TOO_MANY_TOOL_CALLS: null,
    MALFORMED_RESPONSE: null,
  },
};

const forms = {
  anthropic: claude,
  vertexAnthropic: claude,
  bedrock: converse,
  gemini: generateContent,
  vertex: generateContent,
} as const;

function chunksIn(events: readonly string[]): Fields[] {
  return events.flatMap((each) =>
    each.startsWith('data: {')
      ? [fields(JSON.parse(Buffer.from(each.slice(6), 'latin1').toString()))]
      : [],
  );
}

function choicesIn(chunks: readonly Fields[]): Fields[] {
  return chunks.flatMap(({ choices }) => (Array.isArray(choices) ? choices.map(fields) : []));
}

function finishOf(choices: readonly Fields[]): unknown {
  return choices.findLast(({ finish_reason }) => finish_reason)?.finish_reason;
}

for (const [name, { whole, events, reasons }] of Object.entries(forms)) {
  const dialect = Object.entries(dialects).find(([id]) => id === name)?.[1];
  assert.ok(dialect);
  describe(`an answer of ${name}`, () => {
    for (const [reason, wanted] of Object.entries(reasons))
      test(`that ends for ${reason}`, () => {
        const read = () => dialect.readWhole(JSON.stringify(whole(reason)), body);
        const reader = dialect.readStream(100_000, body);
        const pieces = events(reason).flatMap((bytes) => reader.push(bytes));
        const chunks = chunksIn([...pieces, ...reader.end()]);
        if (wanted === null) {
          assert.throws(read, Wasted);
          assert.ok(chunks.at(-1)?.error, 'the client is told that it has failed');
          assert.equal(finishOf(choicesIn(chunks)), undefined);
          return;
        }
        const { choices } = fields(JSON.parse(read()));
        assert.equal(finishOf(Array.isArray(choices) ? choices.map(fields) : []), wanted);
        assert.equal(finishOf(choicesIn(chunks)), wanted);
      });

    test('is none where nothing was generated: it may be asked for again', () => {
      for (const text of ['', '<html>', '{}', '[]', '{"error":{"message":"busy"}}'])
        assert.throws(
          () => dialect.readWhole(text, body),
          (error) => error instanceof Unreadable && !(error instanceof Wasted),
          text,
        );
    });

    test('is passed on piece by piece', () => {
      const [reason = ''] = Object.keys(reasons);
      const reader = dialect.readStream(100_000, body);
      let said = '';
      for (const bytes of events(reason)) {
        const isText = bytes.includes(text);
        said += choicesIn(chunksIn(reader.push(bytes)))
          .map(({ delta }) => fields(delta).content ?? '')
          .join('');
        if (isText) assert.equal(said, text, 'a piece waits for the next');
      }
      assert.equal(said, text);
    });
  });
}
