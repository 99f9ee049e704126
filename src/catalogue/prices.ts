/** Prices as exact integers. */

import type { OfferEntry, PriceEntry } from './entry.ts';

/** Pico-USD (10^-12 USD) a token. `null`: not priced apart, so it costs what `input` (or, for reasoning, `output`) costs. */
export interface UnitPrices {
  readonly input: number;
  readonly output: number;
  /** Replaces `input` for the part of the prompt read from the provider's cache. */
  readonly cachedInput: number | null;
  /** Replaces `input` for the part written to a cache that lives five minutes (or the provider's only kind). */
  readonly cacheWrite: number | null;
  /** The same for one hour. */
  readonly cacheWrite1h: number | null;
  /** Replaces `output` for reasoning tokens. */
  readonly reasoning: number | null;
}

/** Above `aboveInputTokens` tokens of prompt the whole request costs `prices`. */
interface Tier {
  readonly aboveInputTokens: number;
  readonly prices: UnitPrices;
}

export interface Prices extends UnitPrices {
  /** Ascending; empty for most. */
  readonly tiers: readonly Tier[];
}

/**
 * USD per million tokens → pico-USD per token, exact.
 * @throws RangeError for text that is not a plain decimal, has more than six decimals, or is beyond exact integers
 */
export function parsePrice(perMillion: string): number {
  const match = /^(\d+)(?:\.(\d{1,6}))?$/.exec(perMillion);
  if (!match)
    throw new RangeError(
      `"${perMillion}" is not a price in USD per million with at most six decimals.`,
    );
  const pico = Number(`${match[1]}${(match[2] ?? '').padEnd(6, '0')}`);
  if (!Number.isSafeInteger(pico)) throw new RangeError(`The price "${perMillion}" is too large.`);
  return pico;
}

/** Pico-USD as a decimal string in USD without exponent or trailing zeros: 150000 → "0.00000015". */
export function formatPrice(pico: number): string {
  const digits = String(pico).padStart(13, '0');
  const fraction = digits.slice(-12).replace(/0+$/, '');
  return digits.slice(0, -12) + (fraction && `.${fraction}`);
}

function unitPrices(entry: PriceEntry): UnitPrices {
  const optional = (price: string | undefined) => (price === undefined ? null : parsePrice(price));
  return {
    input: parsePrice(entry.input),
    output: parsePrice(entry.output),
    cachedInput: optional(entry.cachedInput),
    cacheWrite: optional(entry.cacheWrite),
    cacheWrite1h: optional(entry.cacheWrite1h),
    reasoning: optional(entry.reasoning),
  };
}

/** @throws RangeError for a price that is missing or not exact, and for tiers out of order */
export function offerPrices(offer: Pick<OfferEntry, 'prices' | 'tiers'>): Prices {
  const tiers = (offer.tiers ?? []).map((tier) => ({
    aboveInputTokens: tier.aboveInputTokens,
    prices: unitPrices(tier),
  }));
  let last = 0;
  for (const { aboveInputTokens } of tiers) {
    if (!(aboveInputTokens > last)) throw new RangeError('Tiers must ascend.');
    last = aboveInputTokens;
  }
  return { ...unitPrices(offer.prices), tiers };
}

/** The prices of a request with this many tokens of prompt, cached ones included. */
export function pricesFor(prices: Prices, inputTokens: number): UnitPrices {
  return prices.tiers.findLast((tier) => inputTokens > tier.aboveInputTokens)?.prices ?? prices;
}
