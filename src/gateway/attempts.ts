/** Trying one offer after the other, until one has begun to answer. After the first byte there is no other. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from '../catalogue/catalogue.ts';
import { Unreadable, Unsupported, Wasted } from '../dialects/dialect.ts';
import { ApiError } from '../errors.ts';
import { ClientLeft } from './body.ts';
import type { OpenHold } from './open_hold.ts';
import type { Outlet } from './outlet.ts';
import type { ProviderKey } from './provider_keys.ts';
import { ofOwnKey, Refusal, refusalOf } from './refusal.ts';
import type { Target } from './target.ts';
import { AnswerTooLarge, UpstreamBroken, type UpstreamCall, type Upstreams } from './upstream.ts';

/** A failed try, as the receipt tells it. */
export interface Attempt {
  readonly provider: string;
  /** HTTP status; 0 where there was none. */
  readonly status: number;
  readonly reason: string;
}

export interface Answered<T> {
  readonly target: Target;
  readonly answer: T;
  readonly attempts: readonly Attempt[];
  /** `performance.now()` when this offer was asked. */
  readonly askedAt: number;
}

interface Tries {
  readonly gateway: { readonly upstreams: Upstreams };
  readonly exchange: Outlet;
  readonly hold: OpenHold;
  readonly route: { readonly targets: readonly Target[] };
  readonly request: { readonly stream: boolean };
}

/**
 * The first offer that answers.
 * @param write the request for an offer
 * @param read takes the answer; its UpstreamBroken makes the next offer be tried
 * @throws ApiError what the client is told when none does; ClientLeft; the hold's refusal
 */
export async function firstAnswer<T>(
  { gateway, exchange, hold, route, request }: Tries,
  write: (target: Target) => string,
  read: (call: UpstreamCall, target: Target, askedAt: number) => Promise<T>,
): Promise<Answered<T>> {
  const failures = new Failures();
  const { attempts } = failures;
  hold.attempts = attempts;
  let { targets } = route;
  for (let round = 1; targets.length > 0; round += 1) {
    for (const target of inTurn(targets)) {
      const body = failures.rulesOut(target) ? null : written(write, target);
      if (typeof body !== 'string') {
        target.health.dropped();
        if (body) failures.cannot(target, body);
        continue;
      }
      const tried: ProviderKey[] = [];
      let next: ProviderKey | null = target.keys.next(performance.now());
      if (next === null) failures.mayNotAsk(target);
      while (next) {
        const key: ProviderKey = next;
        const call = gateway.upstreams.send(target, key, body, request.stream);
        const askedAt = performance.now();
        exchange.whenLeft(() => call.abort());
        hold.whenRefused(() => call.abort());
        try {
          await call.started;
          if (call.status !== 200) throw await refusalOf(call, target, body);
          const answer = await read(call, target, askedAt);
          const now = performance.now();
          exchange.answeredAt = now;
          // What is answered in one piece takes as long as it is.
          target.health.succeeded(now, request.stream ? now - askedAt : null);
          target.keys.worked(key);
          return { target, answer, attempts, askedAt };
        } catch (error) {
          call.abort();
          if (hold.refused || exchange.left) target.health.dropped();
          if (hold.refused) throw hold.refused;
          if (exchange.left) throw new ClientLeft();
          next = failures.nextKey(target, key, tried, call, error);
          tried.push(key);
        }
      }
    }
    targets = await failures.next(route.targets, round);
    if (hold.refused) throw hold.refused;
    if (exchange.left) throw new ClientLeft();
  }
  throw failures.told();
}

/** How often all offers are asked at most, how long after the first they may be asked again, and the pause before the second time; ms. */
const mostRounds = 5;
const againForMs = 10_000;
const firstPauseMs = 20;
/** A provider that wants to be left alone for no longer is waited for, where all others fail; ms. */
const shortWaitMs = 2000;

/** Those that should be left alone for a while come last: they are asked where nobody else could answer. */
function* inTurn(targets: readonly Target[]): Generator<Target> {
  const later: Target[] = [];
  for (const target of targets)
    if (target.health.begin(performance.now())) yield target;
    else later.push(target);
  yield* later;
}

/** The request for an offer; an Unsupported where it asks for what that cannot do. */
function written(write: (target: Target) => string, target: Target): string | Unsupported {
  try {
    return write(target);
  } catch (error) {
    if (error instanceof Unsupported) return error;
    // The stack has an end, and JSON may be nested as deeply as a body is long.
    if (error instanceof RangeError)
      return new Unsupported('The request is nested too deeply for this provider.', 'messages');
    throw error;
  }
}

/** What went wrong so far: what follows from it, for offers and keys, and for the client if all fail. */
class Failures {
  readonly attempts: Attempt[] = [];
  #retryAfterMs: number | null = null;
  #unsupported: Unsupported | null = null;
  /** What the provider has against a key that the account brought: its owner can mend it. */
  #own: ApiError | null = null;
  /** The request itself was refused: no other provider of this model would do better, but another model may. */
  #final: { readonly model: Model; readonly error: ApiError } | null = null;

  readonly #startedAt = performance.now();
  /** Failed in a way that may pass. */
  readonly #passing = new Set<Target>();

  /** Waits, then says who may be asked once more: where there is a choice, those whose trouble may have passed. */
  async next(targets: readonly Target[], round: number): Promise<readonly Target[]> {
    const isOver = performance.now() - this.#startedAt > againForMs;
    if (targets.length < 2 || round >= mostRounds || isOver || this.#passing.size === 0) return [];
    const again = targets.filter((target) => this.#passing.has(target));
    const now = performance.now();
    const waits = again
      .map(({ health }) => health.limitedFor(now))
      .sort((one, other) => one - other);
    await sleep(Math.max(firstPauseMs * 2 ** (round - 1), waits[0] ?? 0));
    const later = performance.now();
    const available = again.filter(({ health }) => health.isAvailable(later));
    // A breaker says who is asked last, not that nobody is.
    return available.length > 0
      ? available
      : again.filter(({ health }) => health.limitedFor(later) === 0);
  }

  rulesOut({ model }: Target): boolean {
    return this.#final?.model === model;
  }

  cannot({ offer }: Target, unsupported: Unsupported): void {
    this.#unsupported = unsupported;
    this.attempts.push({ provider: offer.provider, status: 0, reason: unsupported.message });
  }

  /** Its keys have asked as often as the operator lets them, for now. */
  mayNotAsk(target: Target): void {
    const { offer, health, keys } = target;
    const now = performance.now();
    const waitMs = keys.waitMs(now);
    this.attempts.push({ provider: offer.provider, status: 0, reason: atLimit });
    this.#retryAfterMs ??= waitMs;
    health.limited(now + waitMs);
    if (waitMs <= shortWaitMs) this.#passing.add(target);
  }

  /**
   * Takes a failed call in, and says with which key to ask the same offer once more; null for none.
   * @param tried keys before this one
   * @throws the error, where it is not the provider's
   */
  nextKey(
    target: Target,
    key: ProviderKey,
    tried: readonly ProviderKey[],
    call: UpstreamCall,
    error: unknown,
  ): ProviderKey | null {
    const { health } = target;
    const now = performance.now();
    const isTheirs =
      error instanceof Refusal || error instanceof UpstreamBroken || error instanceof Unreadable;
    if (!isTheirs) health.dropped();
    this.attempts.push(attemptOf(target, call, error));
    if (!isTheirs) throw error;
    if (error instanceof Refusal) return this.#refused(target, key, tried, error, now);
    // A pooled connection may have been closed by the provider at the moment we took it: that says nothing about the provider.
    if (call.status === 0 && wasReset(error) && !tried.includes(key)) return key;
    health.failed(now, reasonOf(error));
    // What was generated and cannot be used has been paid for, and would be again.
    if (!(error instanceof Wasted || error instanceof AnswerTooLarge)) this.#passing.add(target);
    return null;
  }

  #refused(
    target: Target,
    key: ProviderKey,
    tried: readonly ProviderKey[],
    refusal: Refusal,
    now: number,
  ): ProviderKey | null {
    const { health, keys, model, own } = target;
    const { kind, status, message, final, retryAfterMs } = refusal;
    this.#passing.delete(target);
    if (final) {
      this.#final = { model, error: final };
      health.succeeded(now, null);
      return null;
    }
    if (own && kind !== 'other') {
      const error = ofOwnKey(own.key, refusal);
      own.key.refused(error.message);
      this.#own ??= error;
      return null;
    }
    this.#retryAfterMs ??= retryAfterMs;
    if (retryAfterMs !== null) keys.rest(key, now + retryAfterMs);
    if (kind === 'key') keys.bench(key, now, message);
    const other = kind === 'other' ? null : keys.another(now, [...tried, key]);
    if (other) return other;
    const isShort = retryAfterMs !== null && retryAfterMs <= shortWaitMs;
    if (isShort || (kind === 'other' && status >= 500)) this.#passing.add(target);
    if (retryAfterMs === null) health.failed(now, message);
    else health.limited(now + retryAfterMs);
    return null;
  }

  /** What the client is told where nobody answered. */
  told(): ApiError {
    if (this.#final) return this.#final.error;
    if (this.#own) return this.#own;
    const { attempts } = this;
    const unsupported = this.#unsupported;
    // Where others were tried and failed, what this one cannot do is not the client's trouble.
    if (unsupported && attempts.every(({ reason }) => reason === unsupported.message)) {
      const { message, param } = unsupported;
      return new ApiError('invalid_request', { message, param });
    }
    if (this.#retryAfterMs !== null)
      return new ApiError('provider_rate_limited', { retryAfterMs: this.#retryAfterMs });
    return new ApiError('no_provider', { cause: attempts });
  }
}

const atLimit = 'the keys for it are at the limits that the operator has set';

function attemptOf({ offer }: Target, call: UpstreamCall, error: unknown): Attempt {
  return { provider: offer.provider, status: call.status, reason: reasonOf(error) };
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200);
}

/** The connection closed under the request, before a byte came back. */
function wasReset(error: unknown): boolean {
  const cause = error instanceof UpstreamBroken ? error.cause : null;
  const code = cause instanceof Error && 'code' in cause ? cause.code : '';
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}
