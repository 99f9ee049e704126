/** Reading an answer from the store, while another request, perhaps in another process, still writes it. */
import type { AnswerStore, Head, Page } from '../answers/store.ts';
import { ApiError, type ErrorCode, errors } from '../errors.ts';
import { isPassing } from '../wallet/failure.ts';
import type { Exchange } from './exchange.ts';

export interface Wanted {
  /** The request that the answer is of. */
  readonly id: string;
  readonly account: string;
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

/** How often the store is asked for more; ms. */
const pollMs = 100;
const outageMs = 30_000;

/**
 * Gives the client the answer to its end.
 * @returns lost: nobody will finish it; missing: it is not there. The client has not had its end, perhaps nothing of it
 * @throws ApiError what stands in the place of the answer, while nothing has been sent
 */
export async function follow(
  store: AnswerStore,
  client: Exchange,
  wanted: Wanted,
  settings: FollowSettings,
): Promise<'ended' | 'lost' | 'missing'> {
  const reader = new Reader(client, settings);
  let { after } = wanted;
  let touchedAt = Number.NEGATIVE_INFINITY;
  while (!client.left) {
    const page = await patiently(client, () => store.read(wanted.id, wanted.account, after));
    if (!page) return 'missing';
    if (!page.kept) throw new ApiError('answer_too_large');
    const isLost = page.state === 'lost' || !page.alive;
    if (isLost && page.parts.length === 0) return 'lost';
    begin(client, wanted, page.head);
    for (const { last, text } of page.parts) {
      await reader.send(beyond(text, after));
      after = last;
    }
    if (store.isFull(page)) continue;
    if (page.state === 'done') {
      client.end('');
      return 'ended';
    }
    if (isLost) return 'lost';
    if (performance.now() - touchedAt > settings.touchMs) {
      touchedAt = performance.now();
      await patiently(client, () => store.touch(wanted.id));
    }
    reader.keepAlive();
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return 'ended';
}

/** @throws ApiError the error that the answer is */
function begin(client: Exchange, { id, headers }: Wanted, head: Page['head']): void {
  if (!head || client.hasBegun) return;
  const name = `req_${id.replaceAll('-', '')}`;
  client.answerOf(name);
  if ('error' in head) throw errorOf(head);
  // An answer in one piece is had whole by its repeat, and cannot be read on from anywhere.
  const isStream = head.headers.some((header) => header.startsWith('text/event-stream'));
  const address = isStream ? ['x-stream-url', `/v1/streams/${name}`] : [];
  client.head([...head.headers, ...headers, ...address]);
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
      if (!isPassing(cause)) throw cause;
      if (client.left || performance.now() > until)
        throw new ApiError('database_unavailable', { cause, retryAfterMs: 2000 });
      await new Promise((resolve) => setTimeout(resolve, pollMs));
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

  keepAlive(): void {
    const now = performance.now();
    if (!this.#client.hasBegun || now - this.#sentAt < this.#settings.keepAliveMs) return;
    this.#sentAt = now;
    this.#client.keepAlive();
  }
}
