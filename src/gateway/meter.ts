/** What a request may cost, does cost, and probably costs: tokens × prices, by class. */
import type { Offer } from '../catalogue/offers.ts';
import { type AppliedPrices, levelFor, type PriceLevel } from '../catalogue/prices.ts';
import { promptTokens, type Usage } from '../dialects/usage.ts';
import { costOf, type Nano, nano, roundUp } from '../wallet/money.ts';

/** Bytes of delivered text that count as one token where the provider reports none: what English and code average. */
const bytesPerToken = 4;

export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken);
}

/**
 * The cost of a usage at an offer's prices, rounded up once to the nano-USD; and the prices that applied to it.
 * @throws MoneyError
 */
export function priceUsage(
  usage: Usage,
  offer: Offer,
): { cost: Nano; prices: AppliedPrices; level: PriceLevel } {
  const level = levelFor(offer.levels, promptTokens(usage));
  const { applied } = level;
  const visible = usage.output - usage.reasoning - usage.imageOutput - usage.audioOutput;
  const pico =
    usage.input * applied.input +
    usage.cacheRead * applied.cacheRead +
    usage.cacheWrite * applied.cacheWrite +
    usage.cacheWrite1h * applied.cacheWrite1h +
    usage.imageInput * applied.imageInput +
    usage.audioInput * applied.audioInput +
    visible * applied.output +
    usage.reasoning * applied.reasoning +
    usage.imageOutput * applied.imageOutput +
    usage.audioOutput * applied.audioOutput +
    applied.request;
  // Every summand is whole and none negative: a sum that is exact had only exact parts.
  const cost = Number.isSafeInteger(pico) ? roundUp(pico) : costOf(costLines(usage, applied));
  return { cost, prices: applied, level };
}

/** Each class that has tokens: how many, at how many pico-USD. Their sum is the cost. */
function costLines(usage: Usage, prices: AppliedPrices): [tokens: number, price: number][] {
  return classesOf(usage).map(([name, tokens]) => [tokens, prices[name]]);
}

/** Tokens by class, each counted once, under the names of their prices. */
function classesOf(usage: Usage): [name: keyof AppliedPrices, tokens: number][] {
  const { output, reasoning, imageOutput, audioOutput } = usage;
  return [
    ['input', usage.input],
    ['cacheRead', usage.cacheRead],
    ['cacheWrite', usage.cacheWrite],
    ['cacheWrite1h', usage.cacheWrite1h],
    ['imageInput', usage.imageInput],
    ['audioInput', usage.audioInput],
    ['output', output - reasoning - imageOutput - audioOutput],
    ['reasoning', reasoning],
    ['imageOutput', imageOutput],
    ['audioOutput', audioOutput],
    ['request', 1],
  ];
}

/**
 * The lines of a receipt as JSON: tokens by class, and pico-USD for each of them. Input and output always; other classes where
 * there were any. Text put together by hand: each paid request writes one.
 */
export function receiptLines(usage: Usage, level: PriceLevel): { tokens: string; prices: string } {
  const { applied } = level;
  if (isPlain(usage) && applied.request === 0)
    return {
      tokens: `{"input":${usage.input},"output":${usage.output}}`,
      prices: level.plainText,
    };
  let tokens = '';
  let prices = '';
  for (const [name, count] of classesOf(usage)) {
    const isFree = count === 0 || (name === 'request' && applied.request === 0);
    if (isFree && name !== 'input' && name !== 'output') continue;
    tokens += `${tokens === '' ? '{' : ','}"${name}":${count}`;
    prices += `${prices === '' ? '{' : ','}"${name}":${applied[name]}`;
  }
  return { tokens: `${tokens}}`, prices: `${prices}}` };
}

/** Pico-USD: a token of the prompt, one of whatever is generated, and the fee for the request. */
export interface CheckpointPrices {
  readonly input: number;
  readonly output: number;
  readonly request: number;
}

/**
 * The prices of a stream of which nobody knows yet what it consists of: all of its output costs what the dearer of text and
 * reasoning does. With the same as JSON, by the names of receipts.
 */
export function checkpointPrices({ applied, plainText }: PriceLevel): {
  prices: CheckpointPrices;
  text: string;
} {
  const { input, output, reasoning, request } = applied;
  const isPlainOutput = reasoning <= output;
  const prices = { input, output: isPlainOutput ? output : reasoning, request };
  if (isPlainOutput && request === 0) return { prices, text: plainText };
  const name = isPlainOutput ? 'output' : 'reasoning';
  const fee = request === 0 ? '' : `,"request":${request}`;
  return { prices, text: `{"input":${input},"${name}":${prices.output}${fee}}` };
}

/** Nothing but input and output. */
function isPlain(usage: Usage): boolean {
  const apart = usage.reasoning + usage.imageOutput + usage.audioOutput;
  return apart === 0 && promptTokens(usage) === usage.input;
}

/** Classes that were used, and that nobody has priced: charged like what they are part of, and flagged for the operator. */
export function unpricedClasses(usage: Usage, { unit }: PriceLevel): readonly string[] {
  if (isPlain(usage)) return [];
  const found: string[] = [];
  if (usage.cacheWrite > 0 && unit.cacheWrite === null) found.push('no price for cacheWrite');
  if (usage.cacheWrite1h > 0 && unit.cacheWrite1h === null) found.push('no price for cacheWrite1h');
  if (usage.audioInput > 0 && unit.audioInput === null) found.push('no price for audioInput');
  if (usage.audioOutput > 0 && unit.audioOutput === null) found.push('no price for audioOutput');
  if (usage.imageOutput > 0 && unit.imageOutput === null) found.push('no price for imageOutput');
  return found;
}

/** The dearest that these tokens can cost, whichever class the provider puts them in. */
export interface Bound {
  /** With the fee for the request. */
  readonly input: Nano;
  /** Pico-USD for each token of output. */
  readonly outputPrice: number;
}

/** Over every offer that may be tried: the hold must pay for whichever answers. */
export function boundOf(offers: readonly Offer[], inputTokens: number): Bound {
  let input = 0;
  let outputPrice = 0;
  for (const { levels } of offers) {
    const { most } = levelFor(levels, inputTokens);
    const pico = inputTokens * most.input + most.request;
    const cost = Number.isSafeInteger(pico)
      ? roundUp(pico)
      : costOf([
          [inputTokens, most.input],
          [1, most.request],
        ]);
    input = Math.max(input, cost);
    outputPrice = Math.max(outputPrice, most.output);
  }
  return { input: nano(input), outputPrice };
}

/**
 * What a provider reports, unless it cannot be: tokens for a prompt, and for a text that is there.
 * @param generatedBytes bytes of text that it has answered
 */
export function credible(usage: Usage | null, generatedBytes: number): Usage | null {
  if (!usage || promptTokens(usage) === 0) return null;
  return usage.output === 0 && generatedBytes > 0 ? null : usage;
}

/**
 * Nothing was generated, neither to be read nor, by what the provider reports, unseen: such an answer is not charged.
 * @param usage as reported, credible or not
 */
export function isEmpty(usage: Usage | null, generatedBytes: number): boolean {
  return generatedBytes === 0 && (usage === null || usage.output === 0);
}

/** Why an empty answer is free, for its receipt. */
export const emptyAnswer = 'the answer was empty';

/** Usage of what was delivered, for answers whose provider reported none. */
export function estimateUsage(inputTokens: number, deliveredBytes: number): Usage {
  const output = estimateTokens(deliveredBytes);
  return {
    input: inputTokens,
    cacheRead: 0,
    cacheWrite: 0,
    cacheWrite1h: 0,
    imageInput: 0,
    audioInput: 0,
    output,
    reasoning: 0,
    imageOutput: 0,
    audioOutput: 0,
    flags: [],
  };
}
