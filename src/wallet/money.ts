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
  if (!Number.isSafeInteger(pico)) return exactCost(lines);
  const rest = pico % 1000;
  return nano((pico - rest) / 1000 + (rest > 0 ? 1 : 0));
}

/** The same beyond 2⁵³ pico-USD (about $9,000), where doubles stop being exact. */
function exactCost(lines: readonly (readonly [number, number])[]): Nano {
  const pico = lines.reduce((sum, [tokens, price]) => sum + BigInt(tokens) * BigInt(price), 0n);
  return nano(Number((pico + 999n) / 1000n));
}
