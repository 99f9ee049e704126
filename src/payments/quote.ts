/** From taka to credit: what a payment of so much gives, before anybody pays. Exact, and rounded down once. */
import { ApiError } from '../errors.ts';
import { type Nano, nano } from '../wallet/money.ts';
import type { MethodId, Paisa } from './method.ts';
import { type Bounded, boundsOf } from './offered.ts';
import type { PaymentRules } from './rules.ts';
import { formatTaka, paisa, parseTaka } from './taka.ts';

export interface Quote {
  /** What is paid. */
  readonly amount: Paisa;
  readonly fee: Paisa;
  /** Taka a US dollar × 10⁶, the operator's margin included. */
  readonly rate: number;
  readonly credit: Nano;
  readonly bonus: Nano;
}

/** What the user asks for: taka to pay, or dollars of credit to get. */
export type Wish = { readonly paisa: Paisa } | { readonly nano: Nano };

/** "122.5" → 122_500_000 */
function millionths(decimal: string): bigint {
  const [whole = '', fraction = ''] = decimal.split('.');
  return BigInt(whole) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
}

const wholePercent = 100_000_000n;

/**
 * Taka a dollar × 10⁶ that users pay, rounded up.
 * @param market taka a dollar, a decimal
 * @param margin percent, a decimal
 */
export function userRate(market: string, margin: string): number {
  const scaled = millionths(market) * (wholePercent + millionths(margin));
  const rate = Number((scaled + wholePercent - 1n) / wholePercent);
  if (!(rate > 0 && Number.isSafeInteger(rate))) throw new RangeError(`${market} is no rate`);
  return rate;
}

/** Percent of an amount in whole units, rounded up. */
function share(amount: number, percent: string): bigint {
  return (BigInt(amount) * millionths(percent) + wholePercent - 1n) / wholePercent;
}

type MethodRules = PaymentRules['methods'][MethodId];

function feeOf(amount: Paisa, { percent, fixed }: MethodRules['fee']): Paisa {
  return paisa(Number(share(amount, percent)) + parseTaka(fixed));
}

/** Credit for so many paisa, in nano-USD, rounded down: paisa ÷ 100 ÷ (rate ÷ 10⁶) × 10⁹. */
function creditOf(net: number, rate: number): Nano {
  return nano(Number((BigInt(net) * 10_000_000_000_000n) / BigInt(rate)));
}

function bonusOf(amount: Paisa, credit: Nano, tiers: PaymentRules['bonuses']): Nano {
  const reached = tiers
    .filter(({ from }) => amount >= from * 100)
    .sort((a, b) => b.from - a.from)[0];
  return reached
    ? nano(Number((BigInt(credit) * millionths(reached.percent)) / wholePercent))
    : nano(0);
}

/**
 * @param rate from `userRate`
 * @throws ApiError invalid_request for an amount outside the bounds, or one that the fee eats up
 */
export function quoteFor(rules: PaymentRules, method: Bounded, rate: number, wish: Wish): Quote {
  const { least, most } = boundsOf(rules, method);
  const amount =
    'paisa' in wish ? wish.paisa : amountFor(wish.nano, rate, rules.methods[method.id].fee, most);
  if (amount < least || amount > most)
    throw new ApiError('invalid_request', {
      param: 'paisa' in wish ? 'taka' : 'usd',
      message: `A payment must be from ৳${least / 100} to ৳${most / 100}; this one would be ৳${formatTaka(amount)}.`,
    });
  return priceOf(rules, method.id, rate, amount);
}

/** Whether a quote, given by these rules, answers this wish: for dollars, with the least taka that give them. */
export function isQuoteFor(
  rules: PaymentRules,
  { method, amount, credit, rate }: Quote & { readonly method: MethodId },
  wish: Wish,
): boolean {
  if ('paisa' in wish) return amount === wish.paisa;
  const { fee } = rules.methods[method];
  return credit >= wish.nano && !givesAtLeast(wish.nano, rate, fee, paisa(amount - 1));
}

/**
 * What an amount gives, whatever the bounds: for money that is there.
 * @throws ApiError invalid_request for an amount that the fee eats up
 */
export function priceOf(rules: PaymentRules, method: MethodId, rate: number, amount: Paisa): Quote {
  const fee = feeOf(amount, rules.methods[method].fee);
  if (fee >= amount)
    throw new ApiError('invalid_request', {
      param: 'taka',
      message: `The fee of ৳${formatTaka(fee)} would leave nothing of ৳${formatTaka(amount)}.`,
    });
  const credit = creditOf(amount - fee, rate);
  return { amount, fee, rate, credit, bonus: bonusOf(amount, credit, rules.bonuses) };
}

function givesAtLeast(wished: Nano, rate: number, fee: MethodRules['fee'], amount: Paisa): boolean {
  const net = amount - feeOf(amount, fee);
  return net > 0 && creditOf(net, rate) >= wished;
}

/** The least whole number of paisa whose credit, after the fee, is at least what is wished for. */
function amountFor(wished: Nano, rate: number, fee: MethodRules['fee'], most: Paisa): Paisa {
  if (wished <= 0)
    throw new ApiError('invalid_request', { param: 'usd', message: 'Say an amount above zero.' });
  const gives = (amount: number): boolean => givesAtLeast(wished, rate, fee, paisa(amount));
  let low = 0;
  let high: number = most;
  if (!gives(high))
    throw new ApiError('invalid_request', {
      param: 'usd',
      message: `A payment of at most ৳${most / 100} does not give that much.`,
    });
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (gives(middle)) high = middle;
    else low = middle;
  }
  return paisa(high);
}
