/** What the hostile upstream can do, as data: each is a Behaviour for `behave` or `queue`, or makes one. */

import { gzipSync } from 'node:zlib';
import type { Behaviour, Received, Step } from './hostile.ts';

export const usage = { prompt_tokens: 24, completion_tokens: 10, total_tokens: 34 };

/** Usages that no ledger should believe. */
export const wrongUsages: Readonly<Record<string, unknown>> = {
  negative: { prompt_tokens: -5, completion_tokens: -10, total_tokens: -15 },
  absurd: { prompt_tokens: 1e15, completion_tokens: 9e18, total_tokens: 9.001e18 },
  infinite: { prompt_tokens: 1, completion_tokens: '1e999', total_tokens: 1 },
  strings: { prompt_tokens: '24', completion_tokens: '10', total_tokens: '34' },
  fractions: { prompt_tokens: 24.5, completion_tokens: 0.1, total_tokens: 24.6 },
  missingFields: {},
  onlyTotal: { total_tokens: 34 },
  nulls: { prompt_tokens: null, completion_tokens: null, total_tokens: null },
  null: null,
  array: [24, 10],
  text: 'many',
  moreCachedThanPrompt: { ...usage, prompt_tokens_details: { cached_tokens: 9999 } },
  moreReasoningThanCompletion: { ...usage, completion_tokens_details: { reasoning_tokens: 9999 } },
  unknownFields: { ...usage, video_tokens: 7_000, prompt_tokens_details: { smell_tokens: 3_000 } },
};

type Headers = Readonly<Record<string, string | undefined>>;

interface Head {
  readonly status?: number;
  /** `undefined` leaves one out. */
  readonly headers?: Headers;
}

function head(status: number, headers: Headers): string {
  const lines = Object.entries(headers).map(([name, value]) =>
    value === undefined ? '' : `${name}: ${value}\r\n`,
  );
  return `HTTP/1.1 ${status} Status\r\n${lines.join('')}\r\n`;
}

/** A whole answer with a fitting content-length. */
export function whole(body: string | Buffer, { status = 200, headers = {} }: Head = {}): Buffer {
  const bytes = Buffer.from(body);
  const all = { 'content-type': 'application/json', 'content-length': `${bytes.length}` };
  return Buffer.concat([Buffer.from(head(status, { ...all, ...headers })), bytes]);
}

/** The JSON of a good completion; members of `more` replace or join it. */
export function completion(text = 'The capital is Dhaka.', more: object = {}): string {
  const message = { role: 'assistant', content: text, refusal: null };
  const choice = { index: 0, message, logprobs: null, finish_reason: 'stop' };
  const body = { id: 'chatcmpl-up', object: 'chat.completion', created: 1763900000 };
  return JSON.stringify({ ...body, model: 'up-model', choices: [choice], usage, ...more });
}

interface JsonOptions extends Head {
  readonly text?: string;
  readonly usage?: unknown;
  /** Before the first byte. */
  readonly delayMs?: number;
  readonly gzip?: boolean;
}

/** A good JSON answer. `usage: undefined` leaves usage out. */
export function json(options: JsonOptions = {}): Step[] {
  const more = 'usage' in options ? { usage: options.usage } : {};
  const body = completion(options.text, more);
  const headers = { 'content-encoding': options.gzip ? 'gzip' : undefined, ...options.headers };
  const bytes = whole(options.gzip ? gzipSync(body) : body, { ...options, headers });
  return [{ waitMs: options.delayMs ?? 0 }, bytes];
}

/** One chunk of a stream as JSON text. */
export function chunk(delta: object, finish: string | null = null, more: object = {}): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
  const body = { id: 'chatcmpl-up', object: 'chat.completion.chunk', created: 1763900000 };
  return JSON.stringify({ ...body, model: 'up-model', choices, ...more });
}

export interface StreamOptions extends Head {
  /** Content of each chunk; a number makes that many of "word ". */
  readonly chunks?: readonly string[] | number;
  /** `last`: a chunk of its own without choices, as OpenAI. `every`: cumulative, on each chunk. */
  readonly usage?: 'last' | 'finish' | 'every' | 'none';
  readonly usageValue?: unknown;
  readonly done?: boolean;
  readonly finish?: boolean;
  readonly newline?: '\n' | '\r\n';
  /** A comment before every event. */
  readonly comment?: string;
  readonly eventsPerWrite?: number;
  /** Between writes. */
  readonly paceMs?: number;
  /** Cuts the bytes on the wire, framing included, into writes of this many. */
  readonly splitBytes?: number;
  readonly delayMs?: number;
  /** Between head and first event. */
  readonly firstEventDelayMs?: number;
  readonly gzip?: boolean;
  /** Breaks off with this after so many events. */
  readonly breakAfter?: number;
  readonly breakWith?: readonly Step[];
}

/** The events of a stream, each without its blank line. */
function events(options: StreamOptions = {}): string[] {
  const { chunks = 5, usage: place = 'last', usageValue = usage } = options;
  const texts = typeof chunks === 'number' ? Array<string>(chunks).fill('word ') : chunks;
  const cumulative = (so: number) =>
    place === 'every'
      ? { usage: { prompt_tokens: 24, completion_tokens: so, total_tokens: 24 + so } }
      : {};
  const atFinish = place === 'finish' || place === 'every' ? { usage: usageValue } : {};
  const bodies = [
    chunk({ role: 'assistant', content: '', refusal: null }, null, cumulative(0)),
    ...texts.map((content, index) => chunk({ content }, null, cumulative(index + 1))),
    ...(options.finish === false ? [] : [chunk({}, 'stop', atFinish)]),
    ...(place === 'last'
      ? [JSON.stringify({ ...JSON.parse(chunk({})), choices: [], usage: usageValue })]
      : []),
    ...(options.done === false ? [] : ['[DONE]']),
  ];
  return bodies.map((body) => `data: ${body}`);
}

const frame = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

/** Any events as a chunked SSE answer. An event is written as it stands, with a blank line after it. */
export function* sse(lines: Iterable<string>, options: StreamOptions = {}): Generator<Step> {
  const { newline = '\n', eventsPerWrite = 1, splitBytes = 0, paceMs = 0 } = options;
  const encoding = options.gzip ? 'gzip' : undefined;
  const kind = { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' };
  yield { waitMs: options.delayMs ?? 0 };
  yield head(options.status ?? 200, { ...kind, 'content-encoding': encoding, ...options.headers });
  yield { waitMs: options.firstEventDelayMs ?? 0 };
  function* write(text: string): Generator<Step> {
    const bytes = frame(options.gzip ? gzipSync(text) : Buffer.from(text));
    const size = splitBytes || bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      yield bytes.subarray(at, at + size);
      // Without a pause the kernel would join small writes into one read at the other end.
      if (splitBytes || paceMs) yield { waitMs: paceMs };
    }
  }
  let pending = '';
  let count = 0;
  for (const line of lines) {
    if (count === options.breakAfter) break;
    count += 1;
    pending += `${options.comment ? `: ${options.comment}${newline}${newline}` : ''}${line}${newline}${newline}`;
    if (count % eventsPerWrite === 0) {
      yield* write(pending);
      pending = '';
    }
  }
  if (pending) yield* write(pending);
  if (options.breakAfter !== undefined) yield* options.breakWith ?? ['RESET'];
  else yield '0\r\n\r\n';
}

/** A good stream, or one with the given peculiarities. A function, so that it can be played any number of times. */
export function stream(options: StreamOptions = {}): Behaviour {
  return () => sse(events(options), options);
}

/** A good answer in the form that the request asks for. */
export function good(options: JsonOptions & StreamOptions = {}): Behaviour {
  return ({ body }: Received) => {
    if (body?.stream !== true) return json({ delayMs: options.delayMs, text: options.text });
    const asked = JSON.stringify(body.stream_options ?? {}).includes('"include_usage":true');
    return sse(events({ usage: asked ? 'last' : 'none', ...options }), options);
  };
}

interface ErrorOptions extends Head {
  readonly form?: 'openai' | 'string' | 'flat' | 'detail' | 'html' | 'empty';
  readonly message?: string;
  readonly code?: string | null;
  readonly param?: string | null;
  readonly retryAfter?: string;
}

/** An error answer of any status in any of the forms that providers use. */
export function failure(status: number, options: ErrorOptions = {}): Step[] {
  const { form = 'openai', message = `upstream says ${status}`, code = null } = options;
  const type = status >= 500 ? 'server_error' : 'invalid_request_error';
  const bodies = {
    openai: { error: { message, type, param: options.param ?? null, code } },
    string: { code: code ?? 'some code', error: message },
    flat: { object: 'error', message, type, param: null, code },
    detail: { detail: message },
  };
  const text =
    form === 'html'
      ? `<html><head><title>${status}</title></head><body>${message}</body></html>`
      : form === 'empty'
        ? ''
        : JSON.stringify(bodies[form]);
  const kind = form === 'html' ? 'text/html' : 'application/json';
  const headers = { 'content-type': kind, 'retry-after': options.retryAfter, ...options.headers };
  return [whole(text, { status, headers })];
}

function* endless(text: string): Generator<string> {
  yield `data: ${chunk({ role: 'assistant', content: '' })}`;
  for (;;) yield `data: ${chunk({ content: text })}`;
}

/** Never stops; bounded by the client's patience and backpressure only. */
export function endlessStream({ paceMs = 1, text = 'word ' } = {}): Behaviour {
  return () => sse(endless(text), { paceMs });
}

/** After a good JSON answer one more answer, unasked, on the idle connection: it must never reach the next request. */
export function poisoned({
  afterMs = 20,
  text = 'POISON: an answer for somebody else',
} = {}): Step[] {
  return [...json(), { waitMs: afterMs }, whole(completion(text))];
}

const good200 = whole(completion());
const sseHead = head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' });
const first = `data: ${chunk({ role: 'assistant', content: '' })}\n\n`;
const bangla = ['বাংলা', 'দেশের ', 'রাজধানী ', 'ঢাকা', '। 🇧🇩'];

const named = <Name extends string>(table: Readonly<Record<Name, Behaviour>>) => table;

/** The rest, by name. */
export const behaviours = named({
  hangBeforeHeaders: ['HANG'],
  hangAfterHeaders: [sseHead, 'HANG'],
  hangMidStream: stream({ breakAfter: 3, breakWith: ['HANG'] }),
  hangMidJson: [good200.subarray(0, good200.length - 40), 'HANG'],
  resetBeforeHeaders: ['RESET'],
  resetAfterHeaders: [sseHead, { waitMs: 5 }, 'RESET'],
  resetMidStream: stream({ breakAfter: 3, breakWith: [{ waitMs: 5 }, 'RESET'] }),
  resetMidJson: [good200.subarray(0, good200.length - 40), { waitMs: 5 }, 'RESET'],
  endBeforeHeaders: ['END'],
  endMidStream: stream({ breakAfter: 3, breakWith: ['END'] }),
  /** The HTTP message is complete, its last event is not. */
  halfAChunkThenEnd: [sseHead, frame(Buffer.from(`${first}${first.slice(0, 60)}`)), '0\r\n\r\n'],
  /** Neither is the HTTP message. */
  halfAChunkThenCut: [sseHead, frame(Buffer.from(first)), '400\r\ndata: {"id', 'END'],
  noDone: stream({ done: false }),
  noFinish: stream({ finish: false, usage: 'none', done: false }),
  noUsage: stream({ usage: 'none' }),
  noUsageJson: json({ usage: undefined }),
  usageOnFinish: stream({ usage: 'finish' }),
  usageOnEvery: stream({ usage: 'every' }),
  malformedJson: [whole('{"id":"chatcmpl-up","choices":[{"index":0,')],
  malformedEvent: () => sse([first.trim(), 'data: {"id": oops}', ...events().slice(2)]),
  html200: [whole('<html>Welcome</html>', { headers: { 'content-type': 'text/html' } })],
  empty200: [whole('')],
  emptyStream: () => sse([]),
  onlyDone: () => sse(['data: [DONE]']),
  errorIn200: [whole('{"error":{"message":"upstream trouble","type":"server_error","code":null}}')],
  errorFirstInStream: () => sse(['data: {"error":{"message":"upstream trouble","code":500}}']),
  errorMidStream: () =>
    sse([...events().slice(0, 3), 'data: {"error":{"message":"upstream trouble","code":500}}']),
  hugeEvent: stream({ chunks: ['x'.repeat(8_000_000)] }),
  /** No line ever ends. */
  endlessEvent: function* (): Generator<Step> {
    yield sseHead;
    yield frame(Buffer.from('data: {"choices":[{"delta":{"content":"'));
    const filler = frame(Buffer.alloc(65_536, 'x'));
    for (;;) yield filler;
  },
  endlessJson: function* (): Generator<Step> {
    yield head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    const filler = frame(Buffer.alloc(65_536, ' '));
    for (;;) yield filler;
  },
  contentLengthTooLong: [whole(completion(), { headers: { 'content-length': '5000' } }), 'END'],
  /** What is beyond the length would be the next answer on this connection. */
  contentLengthTooShort: [whole(completion(), { headers: { 'content-length': '20' } })],
  poisonedAtOnce: [Buffer.concat([good200, whole(completion('POISON'))])],
  poisonedLater: poisoned(),
  splitEverywhere: stream({ chunks: bangla, splitBytes: 1 }),
  splitOddly: stream({ chunks: bangla, splitBytes: 7 }),
  crlf: stream({ newline: '\r\n' }),
  comments: stream({ comment: 'keep-alive' }),
  manyEventsAWrite: stream({ chunks: 20, eventsPerWrite: 50 }),
  gzipJson: json({ gzip: true }),
  closesAfterAnswer: [whole(completion(), { headers: { connection: 'close' } }), 'END'],
  redirect: [whole('', { status: 302, headers: { location: 'http://169.254.169.254/' } })],
  informational: ['HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n', ...json()],
  switching: [
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    'HANG',
  ],
  notHttp: ['SSH-2.0-OpenSSH_9.9\r\n', 'HANG'],
});
