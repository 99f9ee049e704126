/** Reading an answer from the store, while another request, perhaps in another process, still writes it. */
import type { Head, Owner, Page } from '../answers/store.ts';
import { ApiError, type ErrorCode, errors } from '../errors.ts';
import { requestIdOf } from '../ids.ts';
import { isPassing } from '../wallet/failure.ts';
import type { Exchange } from './exchange.ts';
import type { Topic } from './followers.ts';

export interface Wanted {
  /** The request that the answer is of. */
  readonly id: string;
  readonly owner: Owner;
  /** Number of the last event that the client has; 0 for all of it. */
  readonly after: number;
  /** Headers on top of the answer's own: name, value, name, value. */
  readonly headers: readonly string[];
}

export interface FollowSettings {
  readonly keepAliveMs: number;
  readonly stalledClientMs: number;
  /** How often an answer that is being read says so; ms. */
  readonly touchMs: number;
}

/** How often a database that is away is asked again; ms. */
const retryMs = 100;
/** How long a client may be ahead of the store, which has each event a moment later than whoever asked first; ms. */
const aheadMs = 3000;
const outageMs = 30_000;

/**
 * Gives the client the answer to its end.
 * @returns lost: nobody will finish it; missing: it is not there. The client has not had its end, perhaps nothing of it
 * @throws ApiError what stands in the place of the answer, while nothing has been sent
 */
export async function follow(
  topic: Topic,
  client: Exchange,
  wanted: Wanted,
  settings: FollowSettings,
): Promise<'ended' | 'lost' | 'missing'> {
  const reader = new Reader(client, settings);
  const began = performance.now();
  let { after } = wanted;
  while (!client.left) {
    const { seen } = topic;
    const page = await patiently(client, () => topic.read(after));
    if (!page) return 'missing';
    if (!page.kept) throw new ApiError('answer_too_large');
    if (after > 0 && isWhole(page.head)) {
      // It has no events to be resumed at, and its length is announced.
      after = 0;
      continue;
    }
    const isLost = page.state === 'lost' || !page.alive;
    if (isLost && page.parts.length === 0) return 'lost';
    const isAhead = page.state === 'running' && after > page.tip && page.parts.length === 0;
    if (isAhead && performance.now() - began > aheadMs) throw notThere(page.tip);
    if (!isAhead) begin(client, wanted, page.head);
    for (const { last, text } of page.parts) {
      await reader.send(beyond(text, after));
      after = last;
    }
    if (topic.isFull(page)) continue;
    if (page.state === 'done') {
      client.end('');
      return 'ended';
    }
    if (isLost) return 'lost';
    await patiently(client, () => topic.touch());
    reader.keepAlive();
    await reader.wait(topic, seen);
  }
  return 'ended';
}

/** Whether it is an answer in one piece. */
function isWhole(head: Page['head']): boolean {
  return head !== null && 'headers' in head && head.headers.includes('content-length');
}

function notThere(tip: number): ApiError {
  return new ApiError('invalid_request', {
    param: 'Last-Event-ID',
    message: `Last-Event-ID is beyond the end of the stream, whose last event so far is ${tip}.`,
  });
}

/** The header (name, value) that says where a client which loses the stream finds it again. */
export function streamAddress(id: string): readonly string[] {
  return ['x-stream-url', `/v1/streams/${requestIdOf(id)}`];
}

/** @throws ApiError the error that the answer is */
function begin(client: Exchange, { id, headers }: Wanted, head: Page['head']): void {
  if (!head || client.hasBegun) return;
  client.answerOf(requestIdOf(id));
  if ('error' in head) throw errorOf(head);
  // An answer in one piece is had whole by its repeat, and cannot be read on from anywhere.
  const isStream = head.headers.some((header) => header.startsWith('text/event-stream'));
  client.head([...head.headers, ...headers, ...(isStream ? streamAddress(id) : [])]);
}

function errorOf({ error }: Extract<Head, { error: unknown }>): ApiError {
  const { code, message, param, retryAfterMs } = error;
  const named = { ...(param === null ? {} : { param }) };
  const timed = { ...(retryAfterMs === null ? {} : { retryAfterMs }) };
  return new ApiError(isCode(code) ? code : 'internal_error', { message, ...named, ...timed });
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(errors, code);
}

/** What comes behind event `after` in a piece. */
function beyond(text: string, after: number): string {
  const mark = `id: ${after + 1}\n`;
  if (text.startsWith(mark) || !text.startsWith('id: ')) return text;
  // No event holds a line that begins so but for its number.
  const at = text.indexOf(`\n${mark}`);
  return at === -1 ? text : text.slice(at + 1);
}

/** Once something has been sent, a database that is away for a moment is waited for. */
async function patiently<T>(client: Exchange, ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + (client.hasBegun ? outageMs : 0);
  for (;;) {
    try {
      return await ask();
    } catch (cause) {
      if (!isPassing(cause) || client.left || performance.now() > until) throw cause;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}

/** A client, as fast as it reads. */
class Reader {
  readonly #client: Exchange;
  readonly #settings: FollowSettings;
  #wake: () => void = () => {};
  #sentAt = performance.now();

  constructor(client: Exchange, settings: FollowSettings) {
    this.#client = client;
    this.#settings = settings;
    client.whenDrained(() => this.#wake());
    client.whenLeft(() => this.#wake());
  }

  async send(text: string): Promise<void> {
    this.#sentAt = performance.now();
    if (this.#client.left || this.#client.write(text)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(() => this.#client.cut(), this.#settings.stalledClientMs);
    await promise;
    clearTimeout(timer);
  }

  /** Until there may be more than when `seen` was, or the client leaves. */
  async wait(topic: Topic, seen: number): Promise<void> {
    if (this.#client.left) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const forget = topic.wait(resolve, seen);
    await promise;
    forget();
  }

  keepAlive(): void {
    const now = performance.now();
    if (!this.#client.hasBegun || now - this.#sentAt < this.#settings.keepAliveMs) return;
    this.#sentAt = now;
    this.#client.keepAlive();
  }
}
