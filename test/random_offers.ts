/** Offers at random prices, and what a usage of them costs: worked out from the catalogue's text alone, in integers of any size. */
import assert from 'node:assert/strict';
import type { PriceEntry } from '../src/catalogue/entry.ts';
import { type DatedOffer, type Offer, offersAt } from '../src/catalogue/offers.ts';
import { offerPeriods } from '../src/catalogue/prices.ts';
import type { Random } from './crash/random.ts';

/** USD per million tokens, from a millionth to thousands, some of them free. */
function randomPrice(random: Random): string {
  if (random.chance(0.05)) return '0';
  const whole = random.pick([0, 0, 0, 1, 15, 150, 9999]);
  const fraction = String(random.integer(0, 999_999)).padStart(6, '0');
  return `${whole}.${fraction}`;
}

const optional = [
  'cachedInput',
  'cacheWrite',
  'cacheWrite1h',
  'reasoning',
  'imageInput',
  'imageOutput',
  'audioInput',
  'audioOutput',
] as const;

function randomPrices(random: Random): PriceEntry {
  const apart = optional
    .filter(() => random.chance(0.5))
    .map((name) => [name, randomPrice(random)]);
  const fee = random.chance(0.2)
    ? { request: random.pick(['0', '0.01', '0.000000000001', '12.345']) }
    : {};
  return {
    input: randomPrice(random),
    output: randomPrice(random),
    ...Object.fromEntries(apart),
    ...fee,
  };
}

export interface Sold {
  readonly offer: Offer;
  /** What the user pays, by the prompt length above which it holds: pico-USD by class. */
  readonly levels: readonly { readonly above: number; readonly prices: Map<string, bigint> }[];
  readonly priceList: unknown;
}

export function randomOffer(random: Random, model = 'acme/one'): Sold {
  const thresholds = [1000, 20_000, 200_000].filter(() => random.chance(0.3));
  const prices = randomPrices(random);
  const tiers = thresholds.map((above) => ({ above, prices: randomPrices(random) }));
  const margin = random.pick([0, 0, 1, 50_000, 125_000, 333_333, 10_000_000]);
  const dated: DatedOffer = {
    model,
    provider: 'acme',
    upstreamModel: 'one',
    contextLength: 1_000_000,
    maxOutputTokens: 100_000,
    constraints: [],
    dialect: null,
    periods: offerPeriods({
      source: 'vendor',
      asOf: '2026-11-23',
      prices,
      tiers: tiers.map((tier) => ({ aboveInputTokens: tier.above, ...tier.prices })),
    }),
  };
  const [offer] = offersAt([dated], 0, { of: () => margin });
  assert.ok(offer);
  const { userPrices: priceList } = JSON.parse(offer.priceContent);
  const levels = [{ above: -1, prices }, ...tiers].map((level) => ({
    above: level.above,
    prices: userPrices(level.prices, BigInt(margin)),
  }));
  return { offer, levels, priceList };
}

/** Which price of the catalogue a class costs, and whose it costs without one. */
export const priceOf: Readonly<Record<string, readonly (keyof PriceEntry)[]>> = {
  input: ['input'],
  cacheRead: ['cachedInput', 'input'],
  cacheWrite: ['cacheWrite', 'input'],
  cacheWrite1h: ['cacheWrite1h', 'cacheWrite', 'input'],
  imageInput: ['imageInput', 'input'],
  audioInput: ['audioInput', 'input'],
  output: ['output'],
  reasoning: ['reasoning', 'output'],
  imageOutput: ['imageOutput', 'output'],
  audioOutput: ['audioOutput', 'output'],
  request: ['request'],
};
const inputs = ['input', 'cacheRead', 'cacheWrite', 'cacheWrite1h', 'imageInput', 'audioInput'];

const million = 1_000_000n;
const roundUp = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;

/** Decimal text × 10^places. */
function scaled(text: string, places: number): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(places, '0'));
}

/** From the catalogue's text and the margin (millionths) alone. */
function userPrices(entry: PriceEntry, margin: bigint): Map<string, bigint> {
  return new Map(
    Object.entries(priceOf).map(([name, sources]) => {
      const source = sources.find((price) => entry[price] !== undefined);
      const base = scaled((source && entry[source]) ?? '0', name === 'request' ? 12 : 6);
      return [name, roundUp(base * (million + margin), million)];
    }),
  );
}

/** Nano-USD of tokens by class. */
export function expectedCost({ levels }: Sold, classes: Readonly<Record<string, number>>): bigint {
  const prompt = inputs.reduce((sum, name) => sum + (classes[name] ?? 0), 0);
  const level = levels.findLast(({ above }) => prompt > above);
  assert.ok(level);
  let pico = level.prices.get('request') ?? 0n;
  for (const [name, count] of Object.entries(classes))
    pico += BigInt(count) * (level.prices.get(name) ?? 0n);
  return roundUp(pico, 1000n);
}
