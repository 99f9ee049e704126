/**
 * Who reads which answer from the store, in this process: bounded, and with one question to the database for all that wait for
 * the same.
 */
import type { AnswerStore, Owner, Page } from '../answers/store.ts';
import { ApiError } from '../errors.ts';

/** Clients of this process that read one answer, and those of one account, at most. */
const mostOfAnswer = 20;
const mostOfAccount = 50;
const fullMs = 1000;
/** How often the store is asked for more; ms. */
const pollMs = 100;
/** The same where nothing comes, and this process writes it, so that it hears of what comes; ms. */
const slowestPollMs = 1000;

export class Followers {
  readonly #store: AnswerStore;
  readonly #touchMs: number;
  readonly #topics = new Map<string, Topic>();
  readonly #accounts = new Map<string, number>();

  /** @param touchMs how often an answer that is being read says so */
  constructor(store: AnswerStore, touchMs: number) {
    this.#store = store;
    this.#touchMs = touchMs;
  }

  /** @throws ApiError too_many_requests_in_flight */
  join(id: string, { account, keyId }: Owner): { place: Topic; leave: () => void } {
    // A key that may not read an answer takes no place from one that may.
    const name = `${id} ${keyId}`;
    const topic = this.#topics.get(name) ?? new Topic(this.#store, id, keyId, this.#touchMs);
    const ofAccount = this.#accounts.get(account) ?? 0;
    if (topic.followers >= mostOfAnswer || ofAccount >= mostOfAccount)
      throw new ApiError('too_many_requests_in_flight', { retryAfterMs: fullMs });
    topic.followers += 1;
    this.#topics.set(name, topic);
    this.#accounts.set(account, ofAccount + 1);
    const leave = (): void => {
      topic.followers -= 1;
      if (topic.followers === 0) {
        topic.stop();
        this.#topics.delete(name);
      }
      const left = (this.#accounts.get(account) ?? 1) - 1;
      if (left === 0) this.#accounts.delete(account);
      else this.#accounts.set(account, left);
    };
    return { place: topic, leave };
  }
}

/** One answer that is being read. */
export class Topic {
  followers = 0;
  /** Rises whenever there may be more. */
  seen = 0;
  readonly #store: AnswerStore;
  readonly #id: string;
  readonly #keyId: string;
  readonly #touchMs: number;
  readonly #asked = new Map<number, Promise<Page | null>>();
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | null = null;
  #delayMs = pollMs;
  #isListening = false;
  #tip = 0;
  #touchedAt = Number.NEGATIVE_INFINITY;

  constructor(store: AnswerStore, id: string, keyId: string, touchMs: number) {
    this.#store = store;
    this.#id = id;
    this.#keyId = keyId;
    this.#touchMs = touchMs;
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#isListening) this.#store.whenWritten(this.#id, null);
  }

  /** What comes behind event `after`: who asks for the same at once shares the answer. @throws what the driver throws */
  read(after: number): Promise<Page | null> {
    const asked = this.#asked.get(after);
    if (asked) return asked;
    const page = this.#read(after).finally(() => {
      if (this.#asked.get(after) === page) this.#asked.delete(after);
    });
    this.#asked.set(after, page);
    return page;
  }

  isFull(page: Page): boolean {
    return this.#store.isFull(page);
  }

  /** Says, for all of them and not too often, that it is being read. @throws what the driver throws */
  async touch(): Promise<void> {
    const now = performance.now();
    if (now - this.#touchedAt <= this.#touchMs) return;
    this.#touchedAt = now;
    await this.#store.touch(this.#id).catch((error: unknown) => {
      this.#touchedAt = Number.NEGATIVE_INFINITY;
      throw error;
    });
  }

  /** Calls `wake` once there may be more than when `seen` was what it says. Returns what takes that back. */
  wait(wake: () => void, seen: number): () => void {
    if (seen !== this.seen) {
      wake();
      return () => {};
    }
    this.#waiting.add(wake);
    this.#timer ??= setTimeout(() => this.#wakeAll(), this.#delayMs);
    return () => this.#waiting.delete(wake);
  }

  async #read(after: number): Promise<Page | null> {
    const page = await this.#store.read(this.#id, this.#keyId, after);
    if (page && page.tip > this.#tip) {
      this.#tip = page.tip;
      this.#delayMs = pollMs;
    }
    return page;
  }

  #wakeAll(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.seen += 1;
    // Those that are under way may have been asked too early.
    this.#asked.clear();
    // What this process writes wakes it before its time; of others it hears only by asking.
    const isLocal = this.#store.isWriting(this.#id);
    this.#delayMs = isLocal ? Math.min(slowestPollMs, 2 * this.#delayMs) : pollMs;
    if (isLocal && !this.#isListening) this.#store.whenWritten(this.#id, () => this.#wakeAll());
    this.#isListening ||= isLocal;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
