/** Rate limits: a token bucket for each key and each account, and a bound of requests in flight. In memory of this process. */
import { ApiError } from '../errors.ts';

export interface LimitSettings {
  /** Requests a minute for each key; 0 switches every limit off. */
  readonly keyRpm: number;
  readonly accountRpm: number;
  /** Requests of one account in flight. */
  readonly accountConcurrency: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** To be called when the request is over; only the first call counts. */
export type Leave = () => void;

const minute = 60_000;
const sweepMs = 5 * minute;
const unlimited: Leave = () => {};

export class Limits {
  readonly #settings: LimitSettings;
  readonly #keys = new Map<string, Bucket>();
  readonly #accounts = new Map<string, Bucket>();
  readonly #inFlight = new Map<string, number>();
  #sweptAt = performance.now();

  constructor(settings: LimitSettings) {
    this.#settings = settings;
  }

  /** Requests a minute for each key; 0 for no limit. */
  get keyRpm(): number {
    return this.#settings.keyRpm;
  }

  /**
   * Lets a request in, or not.
   * @param announce gets OpenAI's `x-ratelimit-*` headers (name, value, name, value), also for a refusal
   * @throws ApiError rate_limit_exceeded or too_many_requests_in_flight, both with the time to wait
   */
  admit(keyId: string, accountId: string, announce: (headers: readonly string[]) => void): Leave {
    const { keyRpm, accountRpm, accountConcurrency } = this.#settings;
    if (keyRpm === 0) return unlimited;
    const now = performance.now();
    if (now - this.#sweptAt > sweepMs) this.#sweep(now);
    const key = refill(this.#keys, keyId, keyRpm, now);
    const account = refill(this.#accounts, accountId, accountRpm, now);
    const waitMs = Math.max(waitFor(key, keyRpm), waitFor(account, accountRpm));
    const inFlight = this.#inFlight.get(accountId) ?? 0;
    const isAdmitted = waitMs === 0 && inFlight < accountConcurrency;
    if (isAdmitted) {
      key.tokens -= 1;
      account.tokens -= 1;
    }
    // Of the two, the one that is reached first.
    const isKeyTighter = key.tokens <= account.tokens;
    announce(isKeyTighter ? headersOf(key, keyRpm) : headersOf(account, accountRpm));
    if (waitMs > 0) throw new ApiError('rate_limit_exceeded', { retryAfterMs: waitMs });
    if (!isAdmitted) throw new ApiError('too_many_requests_in_flight', { retryAfterMs: 1000 });
    this.#inFlight.set(accountId, inFlight + 1);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      const left = (this.#inFlight.get(accountId) ?? 1) - 1;
      if (left === 0) this.#inFlight.delete(accountId);
      else this.#inFlight.set(accountId, left);
    };
  }

  /** A bucket untouched for a minute is full, and a full bucket need not be remembered. */
  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const buckets of [this.#keys, this.#accounts])
      for (const [id, bucket] of buckets) if (now - bucket.at > minute) buckets.delete(id);
  }
}

function refill(buckets: Map<string, Bucket>, id: string, rpm: number, now: number): Bucket {
  let bucket = buckets.get(id);
  if (!bucket) {
    bucket = { tokens: rpm, at: now };
    buckets.set(id, bucket);
  }
  bucket.tokens = Math.min(rpm, bucket.tokens + ((now - bucket.at) * rpm) / minute);
  bucket.at = now;
  return bucket;
}

function waitFor(bucket: Bucket, rpm: number): number {
  return bucket.tokens >= 1 ? 0 : ((1 - bucket.tokens) * minute) / rpm;
}

function headersOf(bucket: Bucket, rpm: number): readonly string[] {
  return [
    'x-ratelimit-limit-requests',
    String(rpm),
    'x-ratelimit-remaining-requests',
    String(Math.floor(bucket.tokens)),
    'x-ratelimit-reset-requests',
    duration(((rpm - bucket.tokens) * minute) / rpm),
  ];
}

/** A span as OpenAI writes it: "20ms", "1.5s", "6m0s". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 100) / 10;
  if (seconds < 60) return `${seconds}s`;
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}m${whole % 60}s`;
}
