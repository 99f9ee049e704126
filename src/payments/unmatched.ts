/** Money that a provider says came in and that fits no payment: written down once, credited never, looked at by an admin. */
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { timeOrderedId } from '../ids.ts';
import { bareTrxId, giveToPerson, ownerOf } from './claims.ts';
import type { Desk } from './desk.ts';
import type { Hint, MethodId, Paisa } from './method.ts';
import { maskedNumber } from './msisdn.ts';
import { note, type Payment, paymentColumns } from './payment.ts';

export interface UnmatchedReceipt {
  readonly id: string;
  readonly method: MethodId;
  readonly trxId: string;
  readonly amount: Paisa;
  readonly payerShown: string | null;
  readonly paidAt: Date | null;
  /** How we know, such as `webhook`. */
  readonly source: string;
  readonly createdAt: Date;
  readonly resolvedAt: Date | null;
  readonly resolution: string | null;
  readonly who: string | null;
}

const columns = (sql: Statements) => sql`
  u.id, u.method, u.trx_id AS "trxId", u.amount, u.payer_shown AS "payerShown", u.paid_at AS "paidAt", u.source,
  u.created_at AS "createdAt", u.resolved_at AS "resolvedAt", u.resolution, u.who`;

/** Writes down what a webhook told of, where no payment has that transaction. Returns whether that was new. */
export async function recordReceipt(
  { sql, mode }: Desk,
  method: MethodId,
  { receipt, evidence }: Pick<Hint, 'receipt' | 'evidence'>,
): Promise<boolean> {
  if (!receipt || (await ownerOf(sql, receipt.trxId))) return false;
  const { trxId, amount, payer, paidAt } = receipt;
  // as: the driver's JSON type knows no readonly members
  const detail = sql.json(evidence as unknown as Parameters<typeof sql.json>[0]);
  const rows = await sql`
    INSERT INTO unmatched_receipts (id, method, environment, trx_id, amount, payer_shown, paid_at, source, detail)
    VALUES (${timeOrderedId()}, ${method}, ${mode}, ${trxId}, ${amount}, ${payer && maskedNumber(payer)}, ${paidAt}, 'webhook', ${detail})
    ON CONFLICT DO NOTHING RETURNING id`;
  return rows.length > 0;
}

/** What nobody has looked at yet, the oldest first: money that a payment was credited for meanwhile is not among it. */
export async function unmatchedReceipts(
  sql: Statements,
  { resolved, most }: { readonly resolved: boolean; readonly most: number },
): Promise<UnmatchedReceipt[]> {
  return sql<UnmatchedReceipt[]>`
    SELECT ${columns(sql)} FROM unmatched_receipts u
    WHERE (u.resolved_at IS NOT NULL) = ${resolved}
      AND NOT EXISTS (SELECT 1 FROM payments p WHERE split_part(p.trx_id, ':', -1) = split_part(u.trx_id, ':', -1))
    ORDER BY u.id LIMIT ${most}`;
}

/**
 * Ends the matter of a receipt with a note, or gives it to a payment, which a person then decides about.
 * @throws ApiError not_found, payment_conflict, invalid_request without a note
 */
export async function resolveReceipt(
  desk: Desk,
  id: string,
  given: { readonly note: string; readonly paymentId: string | null; readonly who: string },
): Promise<UnmatchedReceipt> {
  const text = given.note.trim();
  if (text === '' && given.paymentId === null)
    throw new ApiError('invalid_request', { param: 'note', message: 'Say what became of it.' });
  return desk.sql.begin(async (sql) => {
    const resolution = [given.paymentId && `Given to payment ${given.paymentId}.`, text]
      .filter(Boolean)
      .join(' ');
    const [row] = await sql<UnmatchedReceipt[]>`
      UPDATE unmatched_receipts u SET resolved_at = clock_timestamp(), resolution = ${resolution}, who = ${given.who}
      WHERE id = ${id} AND resolved_at IS NULL RETURNING ${columns(sql)}`;
    if (!row) throw new ApiError('not_found', { message: 'There is no such open receipt.' });
    if (given.paymentId !== null) await assign(sql, desk, row, given.paymentId, given.who);
    return row;
  });
}

const assignable: readonly Payment['state'][] = [
  'created',
  'pending',
  'failed',
  'cancelled',
  'expired',
  'needs_review',
];

async function assign(
  sql: Statements,
  desk: Desk,
  { trxId, method, payerShown }: UnmatchedReceipt,
  paymentId: string,
  who: string,
): Promise<void> {
  const [payment] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p WHERE id = ${paymentId} AND method = ${method} FOR UPDATE`;
  if (!payment)
    throw new ApiError('not_found', { message: `There is no such payment by ${method}.` });
  if (!assignable.includes(payment.state))
    throw new ApiError('payment_conflict', { message: `This payment is ${payment.state}.` });
  await sql`
    INSERT INTO payment_claims (payment, trx_id, payer_shown) VALUES (${paymentId}, ${trxId}, ${payerShown})
    ON CONFLICT DO NOTHING`;
  await note(sql, paymentId, {
    kind: 'claimed',
    actor: who,
    sentence: null,
    detail: { trxId, source: 'unmatched' },
  });
  const reason = `Transaction ${bareTrxId(trxId)} may be of this payment: a person looks at it.`;
  await giveToPerson(sql, desk, payment, reason, who);
}
