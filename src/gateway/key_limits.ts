/** What the operator allows a provider's key: requests a minute, and requests at a time. Counted by each process for itself. */

export interface KeyLimit {
  /** Infinity for no limit. */
  readonly perMinute: number;
  readonly atOnce: number;
}

const unlimited: KeyLimit = {
  perMinute: Number.POSITIVE_INFINITY,
  atOnce: Number.POSITIVE_INFINITY,
};
const minute = 60_000;
/** How soon to look again whether one of the requests under way is over; ms. */
const soonMs = 100;

/**
 * Limits by provider, in the order of its keys, such as `groq=600/20,60;openai=5000`.
 * @throws RangeError for what is none
 */
export function parseKeyLimits(text: string): ReadonlyMap<string, readonly KeyLimit[]> {
  const entries = text.split(';').map((entry) => entry.trim());
  return new Map(
    entries
      .filter((entry) => entry !== '')
      .map((entry) => {
        const [, provider = '', limits = ''] = /^([\w-]+)\s*=(.*)$/.exec(entry) ?? [];
        if (provider === '') throw new RangeError(`"${entry}" is not PROVIDER=LIMITS`);
        return [provider, limits.split(',').map((limit) => parseLimit(limit.trim()))];
      }),
  );
}

/** `600/20`, `600`, `/20`, or nothing for no limit. @throws RangeError */
function parseLimit(text: string): KeyLimit {
  const [, perMinute, atOnce] = /^(\d{1,7})?(?:\/(\d{1,7}))?$/.exec(text) ?? [];
  const limit = {
    perMinute: perMinute === undefined ? unlimited.perMinute : Number(perMinute),
    atOnce: atOnce === undefined ? unlimited.atOnce : Number(atOnce),
  };
  const isWrong = text !== '' && perMinute === undefined && atOnce === undefined;
  if (isWrong || limit.perMinute === 0 || limit.atOnce === 0)
    throw new RangeError(`"${text}" is no limit: requests a minute, and behind a slash at a time`);
  return limit;
}

/** What a key has left. Times are `performance.now()`. */
export class KeyMeter {
  readonly #limit: KeyLimit;
  #left: number;
  #at = 0;

  constructor(limit: KeyLimit) {
    this.#limit = limit;
    this.#left = limit.perMinute;
  }

  /** Ms until the key may ask; 0 for now. @param inFlight requests under way with it */
  waitMs(now: number, inFlight: number): number {
    const { perMinute, atOnce } = this.#limit;
    const left = this.#leftAt(now);
    const wait = left >= 1 ? 0 : ((1 - left) * minute) / perMinute;
    return inFlight < atOnce ? wait : Math.max(wait, soonMs);
  }

  /** One request more. */
  take(now: number): void {
    this.#left = this.#leftAt(now) - 1;
    this.#at = now;
  }

  #leftAt(now: number): number {
    const { perMinute } = this.#limit;
    if (perMinute === Number.POSITIVE_INFINITY) return perMinute;
    return Math.min(perMinute, this.#left + ((now - this.#at) * perMinute) / minute);
  }
}

/** A meter for each of so many keys, where there are limits; one limit alone is that of each. @throws RangeError for another number of them */
export function metersOf(
  limits: readonly KeyLimit[] | undefined,
  keys: number,
): readonly (KeyMeter | null)[] {
  if (limits === undefined) return Array.from({ length: keys }, () => null);
  if (limits.length !== 1 && limits.length !== keys)
    throw new RangeError(`there are ${limits.length} limits for ${keys} keys`);
  return Array.from({ length: keys }, (_, at) => {
    const { perMinute, atOnce } = limits[at] ?? limits[0] ?? unlimited;
    const isLimited = Math.min(perMinute, atOnce) < Number.POSITIVE_INFINITY;
    return isLimited ? new KeyMeter({ perMinute, atOnce }) : null;
  });
}
