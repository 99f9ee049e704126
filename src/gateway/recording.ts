/**
 * An answer that is kept while it is given: it goes to the store, and to the client that asked for it as long as that one is
 * there. Everybody else, and that client when it comes back, reads it from the store (`follow.ts`).
 *
 * The end is stored before it is sent: what a client has had to its end can be had again.
 */
import type { AnswerStore, Head, News } from '../answers/store.ts';
import type { ApiError } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import { streamAddress } from './follow.ts';
import type { Outlet } from './outlet.ts';

export interface RecordingSettings {
  /** How long an answer goes on that nobody reads; ms. */
  readonly unattendedMs: number;
  /** Bytes of one answer that wait for a database that is away, at most; then it is kept no longer. */
  readonly answerBytes: number;
}

/** A stream is stored in pieces of so long; ms. */
const pieceMs = 100;
/** How long the end of an answer waits for a database that is away before it is sent all the same; ms. */
const endPatienceMs = 5000;

export class Recording implements Outlet {
  readonly id: string;
  readonly plainId: string;
  readonly startedAt: number;
  answeredAt = 0;
  left = false;
  isCancelled = false;
  hasBegun = false;
  readonly #store: AnswerStore;
  readonly #settings: RecordingSettings;
  #client: Exchange | null;
  #isKept = true;
  #isEnded = false;
  #isAbandoned = false;
  #onLeave: (() => void) | null = null;
  #onDrained: (() => void) | null = null;
  #head: Head | null = null;
  /** Text that is not stored yet, and the number of its last event. */
  #unstored = '';
  #last = 0;
  #isStoring = false;
  #timer: NodeJS.Timeout | null = null;
  #unattended: NodeJS.Timeout | null = null;
  /** Resolves when the end has been stored and sent. */
  #closing: Promise<void> = Promise.resolve();

  /** @param client who asked: the answer is of its request */
  constructor(store: AnswerStore, client: Exchange, settings: RecordingSettings) {
    this.#store = store;
    this.#settings = settings;
    this.#client = client;
    this.id = client.id;
    this.plainId = client.plainId;
    this.startedAt = client.startedAt;
    store.whenCancelled(this.id, () => this.#cancel());
    client.whenDrained(() => this.#onDrained?.());
    client.whenLeft(() => this.#clientLeft());
  }

  get isFull(): boolean {
    return this.#client?.isFull ?? false;
  }

  whenLeft(action: () => void): void {
    this.#onLeave = action;
    if (this.left) action();
  }

  whenDrained(action: () => void): void {
    this.#onDrained = action;
  }

  head(headers: readonly string[]): void {
    this.hasBegun = true;
    this.#head = { headers };
    this.#client?.head([...headers, ...streamAddress(this.id)]);
    this.#storeSoon();
  }

  json(body: string, headers: readonly string[]): void {
    const bytes = Buffer.from(body);
    if (bytes.length > this.#settings.answerBytes) this.#isKept = false;
    const all = ['content-type', 'application/json', 'content-length', String(bytes.length)];
    this.#head = { headers: [...all, ...headers] };
    this.#last = 1;
    this.#unstored = bytes.toString('latin1');
    this.#close('done', false, () => this.#client?.json(bytes, headers));
  }

  write(text: string): boolean {
    const numbered = this.#numbered(text);
    this.#unstored += numbered;
    this.#storeSoon();
    return this.#client?.write(numbered) ?? true;
  }

  end(text: string, isFree = false): void {
    const numbered = this.#numbered(text);
    this.#unstored += numbered;
    const state = this.#isAbandoned ? 'lost' : 'done';
    this.#close(state, isFree, () => this.#client?.end(numbered));
  }

  /** The answer is an error: whoever waits for it hears the same, and the key may be used again. */
  fail({ code, message, param, retryAfterMs }: ApiError): void {
    if (this.#isEnded) return;
    this.#head = { error: { code, message, param, retryAfterMs } };
    this.#close('failed', true, () => {});
  }

  /** It cannot be finished: the same request, should it come again, runs anew. */
  abandon(): void {
    if (!this.#isEnded) this.#close('lost', false, () => {});
  }

  /** The server stops: what is on its way is charged as far as it was delivered, and given back should the request come again. */
  stop(): void {
    this.#isAbandoned = true;
    this.leave();
  }

  keepAlive(): void {
    this.#client?.keepAlive();
  }

  cut(): void {
    this.#client?.cut();
  }

  /** Nobody waits any longer. */
  leave(): void {
    if (this.left || this.#isEnded) return;
    this.left = true;
    this.#onLeave?.();
  }

  /** Resolves when everything is stored and sent. */
  get closed(): Promise<void> {
    return this.#closing;
  }

  /** Each event gets a number, by which a client says how far it has come. */
  #numbered(text: string): string {
    let numbered = '';
    for (let from = 0; ; ) {
      const end = text.indexOf('\n\n', from) + 2;
      if (end < 2) return numbered;
      this.#last += 1;
      numbered += `id: ${this.#last}\n${text.slice(from, end)}`;
      from = end;
    }
  }

  #cancel(): void {
    this.isCancelled = true;
    this.leave();
  }

  #clientLeft(): void {
    this.#client = null;
    if (this.#isEnded) return;
    // A client that read too slowly holds nothing back any more.
    this.#onDrained?.();
    if (this.#isKept) this.#waitForReaders(this.#settings.unattendedMs);
    else this.leave();
  }

  /** Goes on for a while; a client that reads from the store meanwhile makes it go on as long again. */
  #waitForReaders(ms: number): void {
    if (this.#unattended) return;
    this.#unattended = setTimeout(() => {
      this.#unattended = null;
      this.#store.isFollowed(this.id, ms).then(
        (isFollowed) => {
          if (isFollowed) this.#waitForReaders(ms);
          else this.leave();
        },
        () => this.leave(),
      );
    }, ms);
  }

  #storeSoon(): void {
    if (!this.#isKept || this.#isEnded) return;
    if (this.#unstored.length > this.#settings.answerBytes) this.#drop();
    else if (!this.#isStoring) this.#timer ??= setTimeout(() => this.#storePiece(), pieceMs);
  }

  #storePiece(): void {
    this.#timer = null;
    this.#isStoring = true;
    this.#write(null, false)
      .catch(() => this.#drop())
      .finally(() => {
        this.#isStoring = false;
        if (this.#unstored !== '') this.#storeSoon();
      });
  }

  /** Stores what is there. */
  async #write(state: News['state'], free: boolean): Promise<void> {
    const text = this.#isKept ? this.#unstored : '';
    const head = this.#head;
    const drop = !this.#isKept;
    const news = { id: this.id, last: this.#last, text, head, state, free, drop };
    this.#head = null;
    this.#unstored = '';
    const verdict = await this.#store.write(news);
    if (verdict === 'dropped' || verdict === 'gone') this.#drop();
    else if (verdict === 'cancelled') this.#cancel();
  }

  /** It is kept no longer: a client that leaves ends it, as any other stream. */
  #drop(): void {
    this.#isKept = false;
    this.#unstored = '';
    if (!this.#client) this.leave();
  }

  #close(state: 'done' | 'failed' | 'lost', isFree: boolean, send: () => void): void {
    this.#isEnded = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#unattended) clearTimeout(this.#unattended);
    const stored = this.#write(state, isFree)
      .catch(() => {})
      .finally(() => this.#store.forget(this.id));
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, endPatienceMs);
    this.#closing = Promise.race([stored, patience.promise]).then(() => {
      clearTimeout(timer);
      send();
    });
  }
}
