/** TrxIDs that payers hand in. Anybody may claim anything: a claim credits nothing and reserves nothing, a person looks at it. */
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { type Desk, payerHash } from './desk.ts';
import type { ManualClaim } from './manual.ts';
import { maskedNumber } from './msisdn.ts';
import { note, type Payment, type PaymentState, paymentColumns } from './payment.ts';

/** A payment may be claimed so often, for slips of the pen; an account may have so many claims that wait. */
const mostClaims = 3;
const mostWaiting = 3;

export interface HandedIn {
  readonly trxId: string;
  /** Where the money was sent to; null where it is not by hand. */
  readonly sentTo: string | null;
  /** Number of the payer, whole or its last digits; null where it is not given. */
  readonly sender: string | null;
}

/** Compares ids over methods: `BKASH:CK250NROQ5` and `CK250NROQ5` are the same transfer. */
export function bareTrxId(trxId: string): string {
  return trxId.slice(trxId.lastIndexOf(':') + 1).toUpperCase();
}

/** The payment that a transfer was credited to; null for none. @param except a payment that does not count */
export async function ownerOf(
  sql: Statements,
  trxId: string,
  except: string | null = null,
): Promise<Payment | null> {
  const bare = bareTrxId(trxId);
  const [row] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p
    WHERE split_part(p.trx_id, ':', -1) = ${bare} AND p.id IS DISTINCT FROM ${except}::uuid
    ORDER BY p.id LIMIT 1`;
  return row ?? null;
}

const claimable: readonly PaymentState[] = [
  'pending',
  'failed',
  'cancelled',
  'expired',
  'needs_review',
];

/**
 * Takes what a payer by hand hands in, for an admin to look at.
 * @throws ApiError not_found for a payment that is not the account's own or not by hand; payment_conflict with the reason
 */
export async function handIn(
  desk: Desk,
  userId: string,
  paymentId: string,
  { wallet, trxId, sender }: ManualClaim,
): Promise<Payment> {
  return desk.sql.begin(async (sql) => {
    // One at a time for an account, so that its claims are counted; rows that name the account may be written meanwhile.
    await sql`SELECT 1 FROM users WHERE id = ${userId} FOR NO KEY UPDATE`;
    const [payment] = await sql<Payment[]>`
      SELECT ${paymentColumns(sql)} FROM payments p
      WHERE id = ${paymentId} AND user_id = ${userId} AND method = 'manual' FOR UPDATE`;
    if (!payment) throw new ApiError('not_found', { message: 'There is no such payment.' });
    const reason = `An admin looks for transaction ${bareTrxId(trxId)} in the wallet that it was sent to.`;
    return claimFor(sql, desk, payment, { trxId, sentTo: wallet, sender }, reason);
  });
}

/**
 * Attaches a claim to a payment and gives it to a person. In a transaction that holds the account.
 * @throws ApiError payment_conflict with the reason
 */
export async function claimFor(
  sql: Statements,
  desk: Desk,
  payment: Payment,
  { trxId, sentTo, sender }: HandedIn,
  reason: string,
): Promise<Payment> {
  const refuse = (message: string): never => {
    throw new ApiError('payment_conflict', { message });
  };
  if (!claimable.includes(payment.state))
    refuse('This payment is confirmed already, or was never opened.');
  if (await ownerOf(sql, trxId, payment.id))
    refuse('This transaction belongs to another payment already.');
  const [use] = await sql<{ own: number; waiting: number; known: boolean }[]>`
    SELECT (SELECT count(*) FROM payment_claims WHERE payment = ${payment.id})::int AS own,
      EXISTS (SELECT 1 FROM payment_claims WHERE payment = ${payment.id} AND trx_id = ${trxId}) AS known,
      (SELECT count(DISTINCT p.id) FROM payments p JOIN payment_claims c ON c.payment = p.id
        WHERE p.user_id = ${payment.userId} AND p.state = 'needs_review' AND p.id <> ${payment.id})::int AS waiting`;
  if (use?.known && payment.state === 'needs_review') return payment;
  if (!use?.known && (use?.own ?? 0) >= mostClaims)
    refuse('Too many transactions were handed in for this payment. Write to support.');
  if ((use?.waiting ?? 0) >= mostWaiting)
    refuse('Too many of your payments wait to be looked at. Wait until some are done.');
  const whole = sender?.length === 11 ? sender : null;
  await sql`
    INSERT INTO payment_claims (payment, trx_id, sent_to, payer_shown, payer_hash)
    VALUES (${payment.id}, ${trxId}, ${sentTo}, ${whole ? maskedNumber(whole) : sender}, ${whole && payerHash(desk, whole)})
    ON CONFLICT DO NOTHING`;
  await note(sql, payment.id, {
    kind: 'claimed',
    actor: 'user',
    sentence: `You handed in transaction ${bareTrxId(trxId)}.`,
    detail: { trxId, sentTo },
  });
  return giveToPerson(sql, desk, payment, reason, 'user');
}

/** A payment that nobody but a person can decide about. */
export async function giveToPerson(
  sql: Statements,
  desk: Desk,
  payment: Payment,
  reason: string,
  actor: string,
): Promise<Payment> {
  const [row] = await sql<Payment[]>`
    UPDATE payments p SET state = 'needs_review', reason = ${reason}, ask_at = NULL
    WHERE id = ${payment.id} AND state = ${payment.state} RETURNING ${paymentColumns(sql)}`;
  if (!row)
    throw new ApiError('payment_conflict', {
      message: 'The payment changed meanwhile: look again.',
    });
  await note(sql, payment.id, {
    kind: 'state',
    actor,
    sentence: reason,
    detail: { from: payment.state, to: 'needs_review' },
  });
  await desk.changed(sql, row);
  return row;
}
