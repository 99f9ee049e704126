/** Taka as whole paisa: reading and writing of amounts. Providers send "500", "500.00" and 500 for the same. */
import type { Paisa } from './method.ts';

export class TakaError extends Error {}

/** @throws TakaError when the amount is not a whole number of paisa that a double holds exactly */
export function paisa(amount: number): Paisa {
  if (!Number.isSafeInteger(amount))
    throw new TakaError(`${amount} is not a whole number of paisa`);
  return amount as Paisa; // as: checked above, the only door into the type
}

/**
 * Reads a decimal amount of taka such as "500", "500.5" or "500.00"; further decimals must be zeros.
 * @throws TakaError for anything else
 */
export function parseTaka(text: string): Paisa {
  const match = /^(\d{1,11})(?:\.(\d{1,2})0*)?$/.exec(text.trim());
  if (!match) throw new TakaError(`"${text}" is not an amount of taka with up to two decimals`);
  const [, whole = '', fraction = ''] = match;
  return paisa(Number(whole) * 100 + Number(fraction.padEnd(2, '0')));
}

/** What a provider's JSON says of an amount, text or number; null where that is no amount of whole paisa. */
export function takaIn(value: unknown): Paisa | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  try {
    return parseTaka(String(value));
  } catch (error) {
    if (error instanceof TakaError) return null;
    throw error;
  }
}

/** Always with two decimals, as providers want it: 50000 → "500.00". */
export function formatTaka(amount: Paisa): string {
  const digits = String(Math.abs(amount)).padStart(3, '0');
  return `${amount < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** @param rate taka a US dollar × 10⁶, as quotes have it; with two decimals at least: 122500000 → "122.50" */
export function formatRate(rate: number): string {
  const digits = String(rate).padStart(7, '0');
  return `${digits.slice(0, -6)}.${digits.slice(-6).replace(/0{1,4}$/, '')}`;
}
