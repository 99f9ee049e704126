/** Money as integers: balances and charges in nano-USD (10⁻⁹ USD), prices in pico-USD (10⁻¹²) a token. */

export type Nano = number & { readonly unit: 'nano-USD' };

export class MoneyError extends Error {}

const nanoPerUsd = 1_000_000_000;

/** @throws MoneyError when the amount is not a whole number of nano-USD that a double holds exactly */
export function nano(amount: number): Nano {
  if (!Number.isSafeInteger(amount))
    throw new MoneyError(`${amount} is not a whole nano-USD amount`);
  return amount as Nano; // as: checked above, the only door into the type
}

/**
 * Reads a decimal amount of USD such as "5", "0.50" or "-0.000001520".
 * @throws MoneyError for anything else, and for more than nine decimals
 */
export function parseUsd(text: string): Nano {
  const match = /^(-?)(\d{1,7})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!match) throw new MoneyError(`"${text}" is not an amount of USD with up to nine decimals`);
  const [, sign, whole = '', fraction = ''] = match;
  const amount = Number(whole) * nanoPerUsd + Number(fraction.padEnd(9, '0'));
  return nano(sign && amount ? -amount : amount);
}

/** Exact decimal USD without trailing zeros or exponent: 1_520_000 → "0.00152". */
export function formatUsd(amount: Nano): string {
  const digits = String(Math.abs(amount)).padStart(10, '0');
  const whole = digits.slice(0, -9);
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return `${amount < 0 ? '-' : ''}${whole}${fraction && `.${fraction}`}`;
}

declare global {
  interface JSON {
    /** In every Node from 21 on, but not yet in TypeScript's library. */
    rawJSON(text: string): unknown;
  }
}

/** For JSON.stringify: a number with every digit, which a double could not promise. */
export function exactUsd(amount: Nano): unknown {
  return JSON.rawJSON(formatUsd(amount));
}

/**
 * Cost of a usage: Σ tokens × pico-USD a token, rounded once, up to the nano-USD.
 * @param lines pairs of token count and price; both non-negative integers
 * @throws MoneyError for a count or price that is not
 */
export function costOf(lines: readonly (readonly [tokens: number, price: number])[]): Nano {
  let pico = 0;
  for (const [tokens, price] of lines) {
    if (!(Number.isSafeInteger(tokens) && Number.isSafeInteger(price) && tokens >= 0 && price >= 0))
      throw new MoneyError(`${tokens} tokens at ${price} pico-USD cannot be priced`);
    pico += tokens * price;
  }
  return Number.isSafeInteger(pico) ? roundUp(pico) : exactCost(lines);
}

/** Pico-USD up to the next nano-USD. @throws MoneyError for what is no whole amount, or below zero */
export function roundUp(pico: number): Nano {
  if (!(pico >= 0)) throw new MoneyError(`${pico} pico-USD is no cost`);
  const rest = pico % 1000;
  return nano((pico - rest) / 1000 + (rest > 0 ? 1 : 0));
}

/** The same beyond 2⁵³ pico-USD (about $9,000), where doubles stop being exact. */
function exactCost(lines: readonly (readonly [number, number])[]): Nano {
  const pico = lines.reduce((sum, [tokens, price]) => sum + BigInt(tokens) * BigInt(price), 0n);
  return nano(Number((pico + 999n) / 1000n));
}

/**
 * The most whole nano-USD within an amount of USD, whatever number of decimals it has: what a client allows must never
 * be rounded up.
 * @param amount a decimal string, or a number, which stands for its shortest decimal form
 * @throws MoneyError for anything else
 */
export function usdAtMost(amount: string | number): Nano {
  const text = typeof amount === 'number' ? plainDecimal(amount) : amount.trim();
  const [, kept = text] = /^(\d+\.\d{9})\d+$/.exec(text) ?? [];
  return parseUsd(kept);
}

/** 1e-7 → "0.0000001". */
function plainDecimal(value: number): string {
  const text = String(value);
  const match = /^(\d)(?:\.(\d+))?e-(\d+)$/.exec(text);
  if (!match) return text;
  const [, first = '', rest = '', exponent = ''] = match;
  return `0.${'0'.repeat(Number(exponent) - 1)}${first}${rest}`;
}

/**
 * An amount in another currency, for display: exact, then rounded up to nine decimals.
 * @param rate units of that currency for one USD, a decimal such as "122.00"
 * @throws MoneyError for a rate that is none
 */
export function convertUsd(amount: Nano, rate: string): string {
  const scaled = BigInt(parseUsd(rate)) * BigInt(amount);
  const unit = BigInt(nanoPerUsd);
  return formatUsd(nano(Number((scaled + unit - 1n) / unit)));
}
