/**
 * Requests whose answers are kept: with an Idempotency-Key, the same key and body get the same answer for one charge; a
 * stream that may be resumed is written to its end although its client is gone.
 */
import type { AnswerStore, Owner } from '../answers/store.ts';
import { ApiError } from '../errors.ts';
import { ClientLeft } from './body.ts';
import type { Exchange } from './exchange.ts';
import { type FollowSettings, follow, type Wanted } from './follow.ts';
import { Followers } from './followers.ts';
import type { Outlet } from './outlet.ts';
import { Recording, type RecordingSettings } from './recording.ts';

export interface KeptSettings extends FollowSettings, RecordingSettings {}

/** Whose answer, under which key, to which bytes. */
export interface KeptRequest {
  readonly owner: Owner;
  /** Idempotency-Key as it was sent; undefined for a stream that may be resumed. */
  readonly key: string | readonly string[] | undefined;
  readonly body: Buffer;
}

/** An answer that an earlier request has, or will have. */
export interface Repeated {
  readonly answer: string;
  readonly owner: Owner;
}

const printable = /^[\x20-\x7e]{1,255}$/;
const replayed = ['idempotency-replayed', 'true'] as const;
const stopPatienceMs = 5000;
/** When a repeat may come that waited for an answer whose process died; ms. */
const againMs = 1000;

export class KeptAnswers {
  readonly #store: AnswerStore;
  readonly #settings: KeptSettings;
  readonly #followers: Followers;
  readonly #open = new Map<Recording, Promise<void>>();

  constructor(store: AnswerStore, settings: KeptSettings) {
    this.#store = store;
    this.#settings = settings;
    this.#followers = new Followers(store, settings.touchMs);
  }

  /** Answers that are being written. */
  get running(): number {
    return this.#open.size;
  }

  /**
   * Answers by running the request, or says which earlier one with its key is, or was, answered in its place: for `repeat`, once
   * nothing holds the body any more.
   * @param run writes the answer into the outlet
   * @throws ApiError idempotency_key_reused, answer_too_large, and what `run` throws, while nothing has been answered
   */
  async answer(
    client: Exchange,
    { owner, key, body }: KeptRequest,
    run: (outlet: Outlet) => Promise<void>,
  ): Promise<Repeated | null> {
    const checked = key === undefined ? null : keyOf(key);
    const claim = await this.#store.claim(client.id, owner, checked, body);
    if (!claim.own) {
      if (!claim.same_body) throw new ApiError('idempotency_key_reused');
      if (!claim.is_kept) throw new ApiError('answer_too_large');
      return { answer: claim.answer, owner };
    }
    await this.#record(client, run);
    return null;
  }

  /** Gives a client an earlier answer from its beginning. @throws ApiError what stands in its place; shutting_down where it died */
  async repeat(client: Exchange, { answer, owner }: Repeated): Promise<void> {
    const wanted = { id: answer, owner, after: 0, headers: replayed };
    const ending = await this.#follow(client, wanted);
    if (ending === 'ended') return;
    // Whoever wrote it died. What was sent of it cannot be taken back, and the body is gone: only a new try can have it whole.
    if (client.hasBegun) return client.breakOff();
    throw new ApiError('shutting_down', {
      message: 'The server that wrote this answer is gone. Send the same request again.',
      retryAfterMs: againMs,
    });
  }

  /** Gives a client what it has not had of an answer. @throws ApiError not_found, answer_too_large, stream_interrupted */
  async resume(client: Exchange, id: string, owner: Owner, after: number): Promise<void> {
    const ending = await this.#follow(client, { id, owner, after, headers: [] });
    if (ending === 'ended') return;
    if (client.hasBegun) client.breakOff();
    else if (ending === 'missing') throw notFound();
    else throw new ApiError('stream_interrupted');
  }

  async #follow(client: Exchange, wanted: Wanted): ReturnType<typeof follow> {
    const { place, leave } = this.#followers.join(wanted.id, wanted.owner);
    try {
      return await follow(place, client, wanted, this.#settings);
    } finally {
      leave();
    }
  }

  /** Ends an answer for good, wherever it is written. False: it was over already. @throws ApiError not_found */
  async cancel(id: string, keyId: string): Promise<boolean> {
    const isCancelled = await this.#store.cancel(id, keyId);
    if (isCancelled === null) throw notFound();
    return isCancelled;
  }

  /** Ends what is still being written; resolves when it is settled, or after a while. */
  async stop(): Promise<void> {
    for (const recording of this.#open.keys()) recording.stop();
    const patience = new Promise((resolve) => setTimeout(resolve, stopPatienceMs).unref());
    await Promise.race([Promise.allSettled(this.#open.values()), patience]);
    this.#store.stop();
  }

  async #record(client: Exchange, run: (outlet: Outlet) => Promise<void>): Promise<void> {
    const recording = new Recording(this.#store, client, this.#settings);
    const running = write(recording, run);
    this.#open.set(recording, running);
    try {
      await running;
    } finally {
      this.#open.delete(recording);
    }
  }
}

/** @throws what `run` throws, once it is known to everybody who waits for the answer */
async function write(recording: Recording, run: (outlet: Outlet) => Promise<void>): Promise<void> {
  try {
    await run(recording);
  } catch (error) {
    const told =
      error instanceof ClientLeft ? new ApiError('stream_cancelled', { cause: error }) : error;
    // Of anything else it is not known what was charged: that is given back when the request comes again.
    if (told instanceof ApiError && !recording.hasBegun) recording.fail(told);
    else recording.abandon();
    throw told;
  } finally {
    await recording.closed;
  }
}

/** @throws ApiError invalid_request */
function keyOf(key: string | readonly string[]): string {
  if (typeof key === 'string' && printable.test(key)) return key;
  throw new ApiError('invalid_request', {
    param: 'Idempotency-Key',
    message: 'The header Idempotency-Key must have 1 to 255 printable ASCII characters.',
  });
}

function notFound(): ApiError {
  return new ApiError('not_found', { message: 'Stream not found: streams are kept for a day.' });
}
