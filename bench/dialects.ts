/**
 * `npm run bench -- --dialects`: what one chunk of a stream costs by dialect, in one process without sockets: from the
 * provider's bytes to the bytes for the client. About five seconds.
 */
import { providers } from '../src/catalogue/catalogue.ts';
import type { Dialect } from '../src/dialects/dialect.ts';
import { dialects } from '../src/dialects/dialects.ts';
import { framed } from '../src/dialects/event_stream.ts';
import { ChatEvents } from '../src/gateway/sse.ts';

const chunks = 20_000;
const rounds = 7;
const words = ['Dhaka ', 'is the ', 'capital ', 'রাজধানী ', 'of ', 'Bangladesh. '];

type Kind = 'text' | 'reasoning';

interface Stream {
  head(kind: Kind): readonly object[];
  /** One chunk of text. */
  text(word: string): object;
  /** One chunk of reasoning. */
  reasoning(word: string): object;
}

function openaiChunk(delta: object): object {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: null }];
  return { id: 'c', object: 'chat.completion.chunk', created: 1763900000, model: 'm', choices };
}

function geminiChunk(part: object): object {
  const candidates = [{ content: { parts: [part], role: 'model' }, index: 0 }];
  const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: 3, totalTokenCount: 12 };
  return { candidates, usageMetadata, modelVersion: 'm', responseId: 'r' };
}

const openai: Stream = {
  head: () => [openaiChunk({ role: 'assistant', content: '' })],
  text: (content) => openaiChunk({ content }),
  reasoning: (reasoning) => openaiChunk({ reasoning }),
};

/** A compatible provider whose chunks have to be mended. */
const deepseek: Stream = {
  head: () => [openaiChunk({ role: 'assistant', content: null, reasoning_content: '' })],
  text: (content) => openaiChunk({ content, reasoning_content: null }),
  reasoning: (text) => openaiChunk({ content: null, reasoning_content: text }),
};

/** One whose reasoning comes in parts. */
const mistral: Stream = {
  ...openai,
  reasoning: (text) =>
    openaiChunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text }] }] }),
};

const gemini: Stream = {
  head: () => [],
  text: (text) => geminiChunk({ text }),
  reasoning: (text) => geminiChunk({ text, thought: true }),
};

const anthropic: Stream = {
  head: (kind) => [
    {
      type: 'message_start',
      message: { id: 'm', model: 'm', usage: { input_tokens: 9, output_tokens: 1 } },
    },
    {
      type: 'content_block_start',
      index: 0,
      content_block:
        kind === 'text' ? { type: 'text', text: '' } : { type: 'thinking', thinking: '' },
    },
  ],
  text: (text) => anthropicDelta({ type: 'text_delta', text }),
  reasoning: (thinking) => anthropicDelta({ type: 'thinking_delta', thinking }),
};

function anthropicDelta(delta: object): object {
  return { type: 'content_block_delta', index: 0, delta };
}

function bedrockDelta(delta: object): object {
  return { type: 'contentBlockDelta', contentBlockIndex: 0, delta, p: 'abcdefghij' };
}

const bedrock: Stream = {
  head: () => [{ type: 'messageStart', role: 'assistant' }],
  text: (text) => bedrockDelta({ text }),
  reasoning: (text) => bedrockDelta({ reasoningContent: { text } }),
};

/** How each dialect's provider streams, and two that nearly speak OpenAI's. */
const streams: Readonly<Record<string, Stream>> = {
  openai,
  anthropic,
  gemini,
  vertex: gemini,
  vertexAnthropic: anthropic,
  vertexOpenai: openai,
  bedrock,
  deepseek,
  mistral,
};
const spoken: Readonly<Record<string, Dialect>> = dialects;

function bytesOf(name: string, event: object): Buffer {
  if (name === 'bedrock') return frameOf(event);
  const named = 'type' in event ? `event: ${event.type}\n` : '';
  return Buffer.from(`${named}data: ${JSON.stringify(event)}\n\n`);
}

function frameOf(event: object): Buffer {
  const { type, ...payload } = { type: '', ...event };
  const headers = { ':event-type': type, ':message-type': 'event' };
  return framed({ headers, payload: JSON.stringify(payload) });
}

/** µs a chunk: the least disturbed of the rounds. */
function measure(name: string, stream: Stream, kind: Kind): number {
  const dialect = spoken[name] ?? providers.get(name)?.dialect;
  if (!dialect) throw new Error(`${name} is no dialect`);
  const request = { model: 'm', messages: [], stream: true };
  const head = stream.head(kind).map((event) => bytesOf(name, event));
  const body = Array.from({ length: chunks }, (_, index) =>
    bytesOf(name, stream[kind](words[index % words.length] ?? '')),
  );
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) {
    const text = JSON.stringify(request);
    const reader = dialect.readStream(1_000_000, { text, parsed: request });
    const events = new ChatEvents('"ours"', '"our/model"', reader);
    for (const bytes of head) reader.push(bytes);
    let delivered = 0;
    const begun = performance.now();
    for (const bytes of body)
      for (const event of reader.push(bytes)) delivered += events.read(event).generatedBytes;
    const spent = performance.now() - begun;
    if (delivered === 0) throw new Error(`${name}: the stream said nothing`);
    best = Math.min(best, (spent * 1000) / chunks);
  }
  return best;
}

/** @param say takes one line */
export function measureDialects(say: (line: string) => void): void {
  say('µs a chunk, from the bytes of the provider to those of the client:');
  for (const [name, stream] of Object.entries(streams)) {
    const text = measure(name, stream, 'text').toFixed(2);
    const reasoning = measure(name, stream, 'reasoning').toFixed(2);
    say(`${name.padEnd(15)} text ${text.padStart(6)}   reasoning ${reasoning.padStart(6)}`);
  }
}
