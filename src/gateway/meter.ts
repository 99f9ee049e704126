/** What a request may cost, does cost, and probably costs: tokens × prices, by class. */
import type { Offer } from '../catalogue/catalogue.ts';
import { pricesFor } from '../catalogue/prices.ts';
import { promptTokens, type Usage } from '../dialects/usage.ts';
import { costOf, type Nano } from '../wallet/money.ts';

/** Bytes of delivered text that count as one token where the provider reports none: what English and code average. */
const bytesPerToken = 4;

export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken);
}

/** Prices of one request, by token class, as its receipt shows them; pico-USD a token. */
export interface AppliedPrices {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly cacheWrite1h: number;
  readonly output: number;
  readonly reasoning: number;
}

/** A class without a price of its own costs what its kind costs: cached input as input, reasoning as output. */
function appliedPrices(offer: Offer, inputTokens: number): AppliedPrices {
  const unit = pricesFor(offer.prices, inputTokens);
  return {
    input: unit.input,
    cacheRead: unit.cachedInput ?? unit.input,
    cacheWrite: unit.cacheWrite ?? unit.input,
    cacheWrite1h: unit.cacheWrite1h ?? unit.cacheWrite ?? unit.input,
    output: unit.output,
    reasoning: unit.reasoning ?? unit.output,
  };
}

/** The cost of a usage at an offer's prices, rounded up once to the nano-USD. @throws MoneyError */
export function priceUsage(usage: Usage, offer: Offer): { cost: Nano; prices: AppliedPrices } {
  const prices = appliedPrices(offer, promptTokens(usage));
  const cost = costOf([
    [usage.input, prices.input],
    [usage.cacheRead, prices.cacheRead],
    [usage.cacheWrite, prices.cacheWrite],
    [usage.cacheWrite1h, prices.cacheWrite1h],
    [usage.output - usage.reasoning, prices.output],
    [usage.reasoning, prices.reasoning],
  ]);
  return { cost, prices };
}

/** The dearest that these tokens can cost, whichever class the provider puts them in. */
export interface Bound {
  readonly input: Nano;
  /** Pico-USD for each token of output. */
  readonly outputPrice: number;
}

/** Over every offer that may be tried: the hold must pay for whichever answers. */
export function boundOf(offers: readonly Offer[], inputTokens: number): Bound {
  let inputPrice = 0;
  let outputPrice = 0;
  for (const offer of offers) {
    const prices = appliedPrices(offer, inputTokens);
    inputPrice = Math.max(
      inputPrice,
      prices.input,
      prices.cacheRead,
      prices.cacheWrite,
      prices.cacheWrite1h,
    );
    outputPrice = Math.max(outputPrice, prices.output, prices.reasoning);
  }
  return { input: costOf([[inputTokens, inputPrice]]), outputPrice };
}

/**
 * What a provider reports, unless it cannot be: tokens for a prompt, and for a text that is there.
 * @param generatedBytes bytes of text that it has answered
 */
export function credible(usage: Usage | null, generatedBytes: number): Usage | null {
  if (!usage || promptTokens(usage) === 0) return null;
  return usage.output === 0 && generatedBytes > 0 ? null : usage;
}

/** Usage of what was delivered, for answers whose provider reported none. */
export function estimateUsage(inputTokens: number, deliveredBytes: number): Usage {
  const output = estimateTokens(deliveredBytes);
  const none = { cacheRead: 0, cacheWrite: 0, cacheWrite1h: 0, reasoning: 0 };
  return { input: inputTokens, output, ...none, flags: [] };
}
