/** Prices as exact integers: read from the catalogue's text, raised by the operator's margin, ready for each request. */

import { type PriceChangeEntry, type PriceEntry, sources } from './entry.ts';

/** Pico-USD (10^-12 USD) a token. `null`: not priced apart, so it costs what `input` or `output` costs. */
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
  /** Replace `input` and `output` for images and sound. */
  readonly imageInput: number | null;
  readonly imageOutput: number | null;
  readonly audioInput: number | null;
  readonly audioOutput: number | null;
  /** Pico-USD for each request. */
  readonly request: number | null;
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

/** Where prices were read, for people, and on which day. */
export interface Provenance {
  readonly source: string;
  readonly asOf: string;
}

/** Prices from a moment on. */
export interface Period {
  /** Ms since 1970; minus infinity for the first. */
  readonly from: number;
  readonly prices: Prices;
  readonly provenance: Provenance;
}

/** What each token of a class costs in the end, and each request; pico-USD. Its names are those of a receipt's lines. */
export interface AppliedPrices {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly cacheWrite1h: number;
  readonly imageInput: number;
  readonly audioInput: number;
  readonly output: number;
  readonly reasoning: number;
  readonly imageOutput: number;
  readonly audioOutput: number;
  readonly request: number;
}

/** The prices of requests with more than so many tokens of prompt, worked out once so that a request only multiplies. */
export interface PriceLevel {
  readonly aboveInputTokens: number;
  readonly unit: UnitPrices;
  readonly applied: AppliedPrices;
  /** The dearest input and output of this level and those below it: what a token can cost at most. */
  readonly most: { readonly input: number; readonly output: number; readonly request: number };
  /** The prices of an answer of plain input and output as JSON: most receipts need no others. */
  readonly plainText: string;
}

function exactDecimal(text: string, decimals: number, what: string): number {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text);
  const fraction = match?.[2] ?? '';
  if (!match || fraction.length > decimals) throw new RangeError(`"${text}" is not ${what}.`);
  const pico = Number(`${match[1]}${fraction.padEnd(decimals, '0')}`);
  if (!Number.isSafeInteger(pico)) throw new RangeError(`The price "${text}" is too large.`);
  return pico;
}

/**
 * USD per million tokens → pico-USD per token, exact.
 * @throws RangeError for text that is not a plain decimal, has more than six decimals, or is beyond exact integers
 */
export function parsePrice(perMillion: string): number {
  return exactDecimal(perMillion, 6, 'a price in USD per million with at most six decimals');
}

/** USD a request → pico-USD, exact. @throws RangeError as `parsePrice`, with twelve decimals */
function parseFee(usd: string): number {
  return exactDecimal(usd, 12, 'a price in USD a request with at most twelve decimals');
}

/** Pico-USD as a decimal string in USD without exponent or trailing zeros: 150000 → "0.00000015". */
export function formatPrice(pico: number | bigint): string {
  const digits = String(pico).padStart(13, '0');
  const point = digits.length - 12;
  let end = digits.length;
  while (end > point && digits[end - 1] === '0') end -= 1;
  const whole = digits.slice(0, point);
  return end === point ? whole : `${whole}.${digits.slice(point, end)}`;
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
    imageInput: optional(entry.imageInput),
    imageOutput: optional(entry.imageOutput),
    audioInput: optional(entry.audioInput),
    audioOutput: optional(entry.audioOutput),
    request: entry.request === undefined ? null : parseFee(entry.request),
  };
}

/** @throws RangeError for a price that is missing or not exact, and for tiers out of order */
export function offerPrices(offer: Pick<PriceChangeEntry, 'prices' | 'tiers'>): Prices {
  const tiers = (offer.tiers ?? []).map((tier) => ({
    aboveInputTokens: tier.aboveInputTokens,
    prices: unitPrices(tier),
  }));
  let last = 0;
  for (const { aboveInputTokens } of tiers) {
    if (!(Number.isSafeInteger(aboveInputTokens) && aboveInputTokens > last))
      throw new RangeError('Tiers must ascend.');
    last = aboveInputTokens;
  }
  return { ...unitPrices(offer.prices), tiers };
}

/** The first moment of a day in Dhaka, which is six hours ahead of UTC all year; ms since 1970. @throws RangeError */
export function dayInDhaka(day: string): number {
  const moment = Date.parse(`${day}T00:00:00+06:00`);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || Number.isNaN(moment))
    throw new RangeError(`"${day}" is not a day such as 2026-12-01.`);
  return moment;
}

/** All prices of an offer, first to last. @throws RangeError as `offerPrices`, and for days out of order */
export function offerPeriods(
  offer: Omit<PriceChangeEntry, 'from'> & {
    readonly changes?: readonly PriceChangeEntry[];
  },
): readonly Period[] {
  const first = Number.NEGATIVE_INFINITY;
  const periods = [{ from: first, prices: offerPrices(offer), provenance: provenanceOf(offer) }];
  for (const change of offer.changes ?? []) {
    const from = dayInDhaka(change.from);
    if (!(from > (periods.at(-1)?.from ?? from)))
      throw new RangeError('Days of price changes must ascend.');
    periods.push({ from, prices: offerPrices(change), provenance: provenanceOf(change) });
  }
  return periods;
}

function provenanceOf({ source, asOf }: Pick<PriceChangeEntry, 'source' | 'asOf'>): Provenance {
  return { source: sources[source], asOf };
}

/** Parts of a margin's whole: it is given in percent with up to four decimals. */
const wholeMargin = 1_000_000n;

/**
 * Prices with the operator's margin on top: each is rounded up, once, to the pico-USD a token.
 * @param margin in millionths: 125000 is 12.5 percent
 */
export function withMargin(prices: Prices, margin: number): Prices {
  return margin === 0 ? prices : scaled(prices, wholeMargin + BigInt(margin));
}

/**
 * What is asked of somebody who pays the provider: a part of the prices, each rounded up, once, to the pico-USD a token.
 * @param fee in millionths: 50000 is 5 percent
 */
export function feeOn(prices: Prices, fee: number): Prices {
  return scaled(prices, BigInt(fee));
}

/** @param factor in millionths */
function scaled(prices: Prices, factor: bigint): Prices {
  const raised = (pico: number): number => {
    const most = Number((BigInt(pico) * factor + wholeMargin - 1n) / wholeMargin);
    if (!Number.isSafeInteger(most)) throw new RangeError(`A percentage makes ${pico} too large.`);
    return most;
  };
  const orNull = (pico: number | null) => (pico === null ? null : raised(pico));
  const unit = (own: UnitPrices): UnitPrices => ({
    input: raised(own.input),
    output: raised(own.output),
    cachedInput: orNull(own.cachedInput),
    cacheWrite: orNull(own.cacheWrite),
    cacheWrite1h: orNull(own.cacheWrite1h),
    reasoning: orNull(own.reasoning),
    imageInput: orNull(own.imageInput),
    imageOutput: orNull(own.imageOutput),
    audioInput: orNull(own.audioInput),
    audioOutput: orNull(own.audioOutput),
    request: orNull(own.request),
  });
  const tiers = prices.tiers.map((tier) => ({ ...tier, prices: unit(tier.prices) }));
  return { ...unit(prices), tiers };
}

/** A class without a price of its own costs what its kind costs: cached input as input, reasoning as output. */
function applied(unit: UnitPrices): AppliedPrices {
  return {
    input: unit.input,
    cacheRead: unit.cachedInput ?? unit.input,
    cacheWrite: unit.cacheWrite ?? unit.input,
    cacheWrite1h: unit.cacheWrite1h ?? unit.cacheWrite ?? unit.input,
    imageInput: unit.imageInput ?? unit.input,
    audioInput: unit.audioInput ?? unit.input,
    output: unit.output,
    reasoning: unit.reasoning ?? unit.output,
    imageOutput: unit.imageOutput ?? unit.output,
    audioOutput: unit.audioOutput ?? unit.output,
    request: unit.request ?? 0,
  };
}

/** The levels of an offer, ascending; the first is for every request. */
export function priceLevels(prices: Prices): readonly PriceLevel[] {
  let most = { input: 0, output: 0, request: 0 };
  return [{ aboveInputTokens: -1, prices }, ...prices.tiers].map(
    ({ aboveInputTokens, prices: unit }) => {
      const own = applied(unit);
      const { input, cacheRead, cacheWrite, cacheWrite1h, imageInput, audioInput } = own;
      const { output, reasoning, imageOutput, audioOutput, request } = own;
      most = {
        input: Math.max(
          most.input,
          ...[input, cacheRead, cacheWrite, cacheWrite1h, imageInput, audioInput],
        ),
        output: Math.max(most.output, output, reasoning, imageOutput, audioOutput),
        request: Math.max(most.request, request),
      };
      const plainText = `{"input":${input},"output":${output}}`;
      return { aboveInputTokens, unit, applied: own, most, plainText };
    },
  );
}

/** The level of a request with this many tokens of prompt, cached ones included. */
export function levelFor(levels: readonly PriceLevel[], inputTokens: number): PriceLevel {
  for (let i = levels.length - 1; i > 0; i -= 1) {
    const level = levels[i];
    if (level && inputTokens > level.aboveInputTokens) return level;
  }
  const [first] = levels;
  if (!first) throw new RangeError('An offer has no prices.');
  return first;
}
