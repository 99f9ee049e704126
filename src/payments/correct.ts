/** A payment in the place of another, because another amount came in: what a payment is for never changes. */
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { timeOrderedId } from '../ids.ts';
import type { Desk } from './desk.ts';
import { newInvoice, newToken } from './identifiers.ts';
import type { Paisa } from './method.ts';
import { note, type Payment, paymentColumns } from './payment.ts';
import { priceOf } from './quote.ts';
import { rulesNamed } from './rules.ts';
import { formatTaka } from './taka.ts';

/**
 * Ends a payment and makes a pending one of what came in, at the rate and by the rules of the first one.
 * In a transaction that holds the first one's row, and that verifies the new one.
 * @throws ApiError payment_conflict for an amount that gives no credit
 */
export async function correct(
  sql: Statements,
  desk: Desk,
  first: Payment,
  received: Paisa,
  who: string,
): Promise<Payment> {
  const { fee, credit, bonus } = await creditFor(sql, first, received);
  if (credit === 0)
    throw new ApiError('payment_conflict', { message: 'This amount gives no credit.' });
  const id = timeOrderedId();
  await sql`
    INSERT INTO payments (id, user_id, wallet, method, environment, amount, fee, rate, credit, bonus, rules, quoted_until, cause,
      corrects, invoice, token_hash, seal, expires_at)
    VALUES (${id}, ${first.userId}, ${first.wallet}, ${first.method}, ${desk.mode}, ${received}, ${fee}, ${first.rate}, ${credit},
      ${bonus}, ${first.rules}, ${first.quotedUntil}, ${first.cause}, ${first.id}, ${newInvoice()}, ${newToken().hash}, '', ${first.expiresAt})`;
  const [made] = await sql<Payment[]>`
    UPDATE payments p SET state = 'pending' WHERE id = ${id} RETURNING ${paymentColumns(sql)}`;
  if (!made) throw new Error(`payment ${id} was not made`);
  const reason = `৳${formatTaka(received)} came in instead of ৳${formatTaka(first.amount)}: that is credited by another payment.`;
  // What was given up goes to its end by way of a person, as the states have it.
  await sql`UPDATE payments SET state = 'needs_review' WHERE id = ${first.id} AND state IN ('cancelled', 'expired')`;
  await sql`
    UPDATE payments SET state = 'failed', reason = ${reason}, rejected_at = clock_timestamp(), ask_at = NULL WHERE id = ${first.id}`;
  await note(sql, first.id, {
    kind: 'review',
    actor: who,
    sentence: reason,
    detail: { payment: id },
  });
  const sentence = `It stands in the place of a payment of ৳${formatTaka(first.amount)}.`;
  await note(sql, id, { kind: 'created', actor: who, sentence, detail: { payment: first.id } });
  return made;
}

/** What another amount gives, by the rules and at the rate of the payment. */
export async function creditFor(
  sql: Statements,
  { rules, method, rate }: Payment,
  received: Paisa,
): Promise<ReturnType<typeof priceOf>> {
  return priceOf(await rulesNamed(sql, rules), method, rate, received);
}
