/**
 * bKash's codes, what each means for a payment, and what we tell its payer. Two numberings are published; where they differ, and
 * where a code says that something has happened already, the code decides nothing and bKash is asked.
 */

interface Meaning {
  /** failed: nothing has moved, which is asked for all the same · unknown: only a question can tell */
  readonly state: 'failed' | 'unknown';
  /** A sentence for people. */
  readonly says: string;
}

const ours =
  'bKash did not accept our request, and nothing was taken. We have to mend this: please pay in another way.';
const asking =
  'bKash is still working on this payment. We ask it how it ended: please do not pay again.';
const permission =
  'The permission for automatic payments is not valid any more. Please give a new one.';

const rows: readonly (readonly [codes: readonly number[], Meaning['state'], says: string])[] = [
  [[2003, 2020, 2024, 2053, 2056, 2062, 2068, 2069, 2116, 2117, 2119], 'unknown', asking],
  [
    [503, 9999],
    'unknown',
    'bKash is not available at the moment. Please try again later, or pay in another way.',
  ],
  [[2060], 'unknown', 'The payment has not been confirmed in bKash yet.'],
  [
    [2023],
    'failed',
    'There is not enough money in the bKash account. Nothing was taken: add money to it, or choose a smaller amount.',
  ],
  [
    [2029],
    'failed',
    'bKash refuses a second payment of the same amount so soon after the first. Nothing was taken: please wait 5 minutes, or choose another amount.',
  ],
  [
    [2009, 2057, 2058],
    'failed',
    'This number is no bKash account that can pay. Please use a personal bKash account.',
  ],
  [[2010, 2016], 'failed', 'The verification code was wrong. Please start again.'],
  [[2011, 2014], 'failed', 'The PIN was wrong. Please start again.'],
  [
    [2013, 2017, 2059],
    'failed',
    'There were too many verification codes. Please wait a while, then start again.',
  ],
  [
    [2015],
    'failed',
    'The PIN was wrong too many times. bKash may have locked the account: please ask bKash, or pay in another way.',
  ],
  [[2018, 2019], 'failed', 'The time to confirm the payment was over. Please start again.'],
  [
    [2037, 2038, 2043, 2046],
    'failed',
    'bKash does not let this account pay. Please ask bKash, or pay in another way.',
  ],
  [[2050, 2051, 2052, 2054, 2055], 'failed', permission],
  [
    [
      2001, 2002, 2004, 2005, 2006, 2007, 2008, 2012, 2021, 2022, 2025, 2027, 2030, 2031, 2032,
      2036, 2039, 2040, 2041, 2044, 2045, 2047, 2048, 2049, 2061, 2063, 2064, 2065, 2066, 2067,
      2118,
    ],
    'failed',
    ours,
  ],
];

const meanings: ReadonlyMap<string, Meaning> = new Map(
  rows.flatMap(([codes, state, says]) =>
    codes.map((code): [string, Meaning] => [String(code), { state, says }]),
  ),
);

/** A code that nobody has described decides nothing. */
export function meaningOf(code: string): Meaning {
  return meanings.get(code) ?? { state: 'unknown', says: asking };
}

/** Codes with which a refund was certainly not made. Any other may stand for one that was made before. */
const refundRefusals: ReadonlyMap<string, string> = new Map([
  ['2001', ours],
  ['2002', 'bKash does not know the payment.'],
  ['2025', ours],
  ['2026', 'The refund is more than what is left of the payment.'],
  ['2033', 'bKash does not know the payment.'],
  ['2035', 'Our bKash account may not give refunds.'],
  ['2042', 'Our bKash account may not give refunds.'],
  ['2065', ours],
  ['2071', 'The time in which bKash gives refunds of this payment is over.'],
  ['2072', 'The refund is more than what is left of the payment.'],
  ['2073', ours],
  ['2075', ours],
  ['2076', ours],
  ['2077', 'bKash does not know the payment.'],
  ['2078', ours],
  ['2127', 'bKash has not completed the payment.'],
  ['3045', 'bKash does not know the payment.'],
]);

/** Why a refund was certainly not made, for people; null where that is not certain. */
export function refundRefusal(code: string): string | null {
  return refundRefusals.get(code) ?? null;
}
