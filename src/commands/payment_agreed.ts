/** Asking the operator whether another amount than was ordered is meant, with what would be credited for it. */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { ApiError } from '../errors.ts';
import { creditFor } from '../payments/correct.ts';
import type { Desk } from '../payments/desk.ts';
import type { Paisa } from '../payments/method.ts';
import { existing } from '../payments/review.ts';
import { formatTaka } from '../payments/taka.ts';
import { formatUsd } from '../wallet/money.ts';

interface Answers {
  /** `--yes`: it is meant. */
  readonly isYes: boolean;
  /** `--json`: a program reads along, which cannot be asked. */
  readonly isJson: boolean;
}

/** @throws ApiError invalid_request where it was not agreed to; not_found */
export async function agreedAmount(
  desk: Desk,
  paymentId: string,
  received: Paisa,
  { isYes, isJson }: Answers,
): Promise<void> {
  const payment = await existing(desk.sql, paymentId);
  if (isYes || received === payment.amount) return;
  const { credit, bonus } = await creditFor(desk.sql, payment, received);
  const what = [
    `৳${formatTaka(payment.amount)} were ordered, for $${formatUsd(payment.credit)}.`,
    `For ৳${formatTaka(received)} another payment in its place gives $${formatUsd(credit)}${bonus > 0 ? ` and a bonus of $${formatUsd(bonus)}` : ''}.`,
  ].join(' ');
  if (!isJson && (await saysYes(`${what} Is that meant? [y/N] `))) return;
  throw new ApiError('invalid_request', {
    param: 'yes',
    message: `${what} Nothing was done: say --yes if that is meant.`,
  });
}

/** The end of the input is a no. */
async function saysYes(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await Promise.race([
      lines.question(question),
      once(lines, 'close').then(() => ''),
    ]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
