/** What things cost, counted from the catalogue's prices without the gateway's own arithmetic. */
import { findModel } from '../../src/catalogue/catalogue.ts';
import type { SaidUsage } from './orders.ts';

interface UnitPrices {
  readonly input: bigint;
  readonly cached: bigint;
  readonly output: bigint;
}

/** Pico-USD a token. */
function unitPrices(modelId: string): UnitPrices {
  const offer = findModel(modelId)?.offers.find(({ provider }) => provider === 'openai');
  if (!offer) throw new Error(`OpenAI does not offer ${modelId}`);
  const { input, output, cachedInput } = offer.prices;
  return { input: BigInt(input), cached: BigInt(cachedInput ?? input), output: BigInt(output) };
}

const roundedUp = (pico: bigint): number => Number((pico + 999n) / 1000n);

/** Nano-USD of a usage, rounded up once. */
export function costOfUsage(model: string, { prompt, cached, completion }: SaidUsage): number {
  const price = unitPrices(model);
  const fresh = BigInt(prompt - cached) * price.input;
  return roundedUp(fresh + BigInt(cached) * price.cached + BigInt(completion) * price.output);
}

const bytesPerToken = 4;

export const estimate = (bytes: number): number => Math.ceil(bytes / bytesPerToken);
