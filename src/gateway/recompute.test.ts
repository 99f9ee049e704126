/**
 * 100,000 random receipts: what the gateway charges, what the verifier makes of the receipt, and what this file works out from
 * the catalogue's text and the provider's numbers, all in integers of any size, are the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/crash/random.ts';
import type { PriceEntry } from '../catalogue/entry.ts';
import { type DatedOffer, type Offer, offersAt } from '../catalogue/offers.ts';
import { offerPeriods } from '../catalogue/prices.ts';
import { readUsage } from '../dialects/openai.ts';
import { promptTokens } from '../dialects/usage.ts';
import { timeOrderedId } from '../ids.ts';
import { nano } from '../wallet/money.ts';
import { publicReceipt } from '../wallet/receipt_form.ts';
import { wrongSums } from '../wallet/verify_receipt.ts';
import { explanation } from './explanation.ts';
import { boundOf, priceUsage } from './meter.ts';

const receipts = 100_000;
const receiptsOfAnOffer = 50;
const seed = Date.now() % 1_000_000;
const random = new Random(seed);

/** USD per million tokens, from a millionth to thousands, some of them free. */
function randomPrice(): string {
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

function randomPrices(): PriceEntry {
  const apart = optional.filter(() => random.chance(0.5)).map((name) => [name, randomPrice()]);
  const fee = random.chance(0.2)
    ? { request: random.pick(['0', '0.01', '0.000000000001', '12.345']) }
    : {};
  return { input: randomPrice(), output: randomPrice(), ...Object.fromEntries(apart), ...fee };
}

interface Sold {
  readonly offer: Offer;
  /** What the user pays, by the prompt length above which it holds: pico-USD by class. */
  readonly levels: readonly { readonly above: number; readonly prices: Map<string, bigint> }[];
  readonly priceList: unknown;
}

function randomOffer(): Sold {
  const thresholds = [1000, 20_000, 200_000].filter(() => random.chance(0.3));
  const prices = randomPrices();
  const tiers = thresholds.map((above) => ({ above, prices: randomPrices() }));
  const margin = random.pick([0, 0, 1, 50_000, 125_000, 333_333, 10_000_000]);
  const dated: DatedOffer = {
    model: 'acme/one',
    provider: 'acme',
    upstreamModel: 'one',
    contextLength: 1_000_000,
    maxOutputTokens: 100_000,
    constraints: [],
    periods: offerPeriods({
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

/** What a provider says, and how many tokens of each class it thereby means. */
interface Said {
  readonly json: object;
  readonly cacheCounted: 'inside' | 'outside';
  readonly completionExcludesReasoning: boolean;
  readonly classes: Readonly<Record<string, number>>;
}

const upTo = (most: number): number => (random.chance(0.4) ? 0 : random.integer(0, most));

function randomUsage(): Said {
  const size = random.pick([10, 1000, 100_000, 1_000_000]);
  const classes = {
    input: random.integer(1, size),
    cacheRead: upTo(size),
    cacheWrite: upTo(size),
    cacheWrite1h: upTo(size),
    imageInput: upTo(size),
    audioInput: upTo(size),
    output: random.integer(0, size),
    reasoning: upTo(size),
    imageOutput: upTo(size),
    audioOutput: upTo(size),
  };
  const { input, cacheRead, cacheWrite, cacheWrite1h, imageInput, audioInput } = classes;
  const { output, reasoning, imageOutput, audioOutput } = classes;
  const cacheCounted = random.pick(['inside', 'outside'] as const);
  const completionExcludesReasoning = random.chance(0.3);
  const cached = cacheRead + cacheWrite + cacheWrite1h;
  const fresh = input + imageInput + audioInput;
  const visible = output + imageOutput + audioOutput;
  const prompt = cacheCounted === 'inside' ? fresh + cached : fresh;
  const json = {
    prompt_tokens: prompt,
    completion_tokens: completionExcludesReasoning ? visible : visible + reasoning,
    total_tokens: prompt + visible + reasoning,
    prompt_tokens_details: {
      cached_tokens: cacheRead,
      cache_write_tokens: cacheWrite + cacheWrite1h,
      image_tokens: imageInput,
      audio_tokens: audioInput,
      cache_creation: { ephemeral_1h_input_tokens: cacheWrite1h },
    },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      image_tokens: imageOutput,
      audio_tokens: audioOutput,
    },
  };
  return { json, cacheCounted, completionExcludesReasoning, classes };
}

/** Which price of the catalogue a class costs, and whose it costs without one. */
const priceOf: Readonly<Record<string, readonly (keyof PriceEntry)[]>> = {
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

/** Nano-USD. */
function expectedCost({ levels }: Sold, { classes }: Said): bigint {
  const prompt = inputs.reduce((sum, name) => sum + (classes[name] ?? 0), 0);
  const level = levels.findLast(({ above }) => prompt > above);
  assert.ok(level);
  let pico = level.prices.get('request') ?? 0n;
  for (const [name, count] of Object.entries(classes))
    pico += BigInt(count) * (level.prices.get(name) ?? 0n);
  return roundUp(pico, 1000n);
}

test(`${receipts.toLocaleString('en')} random receipts, recomputed twice (seed ${seed})`, () => {
  let sold = randomOffer();
  let tiered = 0;
  const seen = new Set<string>();
  for (let i = 0; i < receipts; i += 1) {
    if (i % receiptsOfAnOffer === 0) sold = randomOffer();
    const said = randomUsage();
    const context = () =>
      `seed ${seed}, receipt ${i}: ${JSON.stringify({ prices: sold.priceList, said })}`;
    const usage = readUsage(said.json, said);
    if (!usage) assert.fail(context());
    const { cost, level } = priceUsage(usage, sold.offer);
    if (BigInt(cost) !== expectedCost(sold, said)) assert.fail(context());
    const bound = boundOf([sold.offer], promptTokens(usage));
    const most = Number(bound.input) + Math.ceil((usage.output * bound.outputPrice) / 1000);
    if (cost > most) assert.fail(context());
    const charged = nano(random.chance(0.2) ? Math.floor(cost / 2) : cost);
    const detail = explanation({ startedAt: 0, answeredAt: 0 }, sold, [], usage, level, {
      asked: sold.offer.model,
      finishReason: 'stop',
      reason: null,
      reportedBy: 'provider',
    });
    const shown = publicReceipt({
      id: timeOrderedId(),
      keyId: null,
      model: 'acme/one',
      provider: 'acme',
      outcome: 'settled',
      inputTokens: promptTokens(usage),
      outputTokens: usage.output,
      cost,
      charged,
      held: nano(charged + random.integer(0, 1000)),
      refunded: nano(random.chance(0.1) ? charged : 0),
      refundNote: null,
      settledAt: new Date(),
      detail: JSON.parse(detail),
      priceList: sold.priceList,
    });
    const faults = wrongSums(shown);
    if (faults.length > 0) assert.fail(`${faults.join()} ${context()}`);
    if (level.aboveInputTokens > 0) tiered += 1;
    for (const line of shown.lines) seen.add(line.class);
  }
  assert.ok(tiered > receipts / 20, 'hardly any receipt was of a tier');
  assert.deepEqual([...seen].sort(), Object.keys(priceOf).sort());
});
