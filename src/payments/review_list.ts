/** What an admin needs to see of payments: the list, those that need a person, and the timeline. */
import type { Statements } from '../db/database.ts';
import type { MethodId, Paisa } from './method.ts';
import { type Payment, type PaymentState, paymentColumns } from './payment.ts';
import { type Refund, refundColumns } from './refund.ts';

/** A payment with whose it is. */
export interface ListedPayment extends Payment {
  readonly email: string;
}

export interface PaymentFilter {
  readonly state: PaymentState | null;
  readonly method: MethodId | null;
  /** Address of the account. */
  readonly email: string | null;
  /** Id of the transfer, with or without its wallet; invoice, or id at the provider. */
  readonly search: string | null;
  /** Payments that were begun before this one. */
  readonly before: string | null;
  readonly most: number;
}

/** The latest first. */
export async function listPayments(
  sql: Statements,
  { state, method, email, search, before, most }: PaymentFilter,
): Promise<ListedPayment[]> {
  return sql<ListedPayment[]>`
    SELECT ${paymentColumns(sql)}, u.email FROM payments p JOIN users u ON u.id = p.user_id
    WHERE (${state}::text IS NULL OR p.state = ${state}) AND (${method}::text IS NULL OR p.method = ${method})
      AND (${email}::text IS NULL OR u.email = lower(${email}::text))
      AND (${search}::text IS NULL OR p.invoice = upper(${search}::text) OR p.provider_id = ${search}
        OR split_part(p.trx_id, ':', -1) = split_part(upper(${search}::text), ':', -1)
        OR EXISTS (SELECT 1 FROM payment_claims c WHERE c.payment = p.id
          AND split_part(c.trx_id, ':', -1) = split_part(upper(${search}::text), ':', -1)))
      AND (${before}::uuid IS NULL OR p.id < ${before}::uuid)
    ORDER BY p.id DESC LIMIT ${most}`;
}

interface ReviewClaim {
  readonly trxId: string;
  readonly sentTo: string | null;
  readonly payerShown: string | null;
  readonly createdAt: string;
  /** Other payments that claim the same transfer. */
  readonly alsoClaimedBy: readonly string[];
  /** The payment that has it already. */
  readonly belongsTo: string | null;
  /** Payments and accounts that the same number has paid for. */
  readonly senderPayments: number;
  readonly senderAccounts: number;
}

export interface ReviewedPayment extends ListedPayment {
  readonly accountAgeDays: number;
  /** Of this account: credited, and not accepted. */
  readonly creditedBefore: number;
  readonly rejectedBefore: number;
  readonly claims: readonly ReviewClaim[];
  readonly approvals: readonly {
    readonly who: string;
    readonly received: Paisa;
    readonly trxId: string;
  }[];
}

/** Payments that need a person, the oldest first, with what tells honest ones from others. @param id one alone, whatever its state */
export async function paymentsToReview(
  sql: Statements,
  { most, id }: { readonly most: number; readonly id: string | null },
): Promise<ReviewedPayment[]> {
  return sql<ReviewedPayment[]>`
    SELECT ${paymentColumns(sql)}, u.email, (extract(epoch FROM now() - u.created_at) / 86400)::int AS "accountAgeDays",
      (SELECT count(*) FROM payments o WHERE o.user_id = p.user_id AND o.credited_at IS NOT NULL)::int AS "creditedBefore",
      (SELECT count(*) FROM payments o WHERE o.user_id = p.user_id AND o.rejected_at IS NOT NULL)::int AS "rejectedBefore",
      coalesce((SELECT jsonb_agg(jsonb_build_object('trxId', c.trx_id, 'sentTo', c.sent_to, 'payerShown', c.payer_shown,
          'createdAt', c.created_at,
          'alsoClaimedBy', (SELECT coalesce(jsonb_agg(o.payment), '[]') FROM payment_claims o
            WHERE o.payment <> c.payment AND split_part(o.trx_id, ':', -1) = split_part(c.trx_id, ':', -1)),
          'belongsTo', (SELECT o.id FROM payments o
            WHERE o.id <> p.id AND split_part(o.trx_id, ':', -1) = split_part(c.trx_id, ':', -1) LIMIT 1),
          'senderPayments', (SELECT count(*) FROM payments o WHERE o.payer_hash = c.payer_hash AND o.verified_at IS NOT NULL),
          'senderAccounts', (SELECT count(DISTINCT o.user_id) FROM payments o
            WHERE o.payer_hash = c.payer_hash AND o.verified_at IS NOT NULL)) ORDER BY c.created_at)
        FROM payment_claims c WHERE c.payment = p.id), '[]') AS claims,
      coalesce((SELECT jsonb_agg(jsonb_build_object('who', e.actor, 'received', e.detail -> 'received', 'trxId', e.detail -> 'trxId') ORDER BY e.id)
        FROM payment_events e WHERE e.payment = p.id AND e.kind = 'approved'), '[]') AS approvals
    FROM payments p JOIN users u ON u.id = p.user_id
    WHERE CASE WHEN ${id}::uuid IS NULL THEN p.state = 'needs_review' ELSE p.id = ${id}::uuid END
    ORDER BY p.id LIMIT ${most}`;
}

export interface TimelineEntry {
  readonly at: Date;
  readonly kind: string;
  readonly actor: string;
  readonly sentence: string | null;
  readonly detail: unknown;
}

/** All that ever happened to a payment, for the operator; its owner sees what `timelineOf` gives. */
export async function evidenceOf(sql: Statements, id: string): Promise<TimelineEntry[]> {
  return sql<TimelineEntry[]>`
    SELECT at, kind, actor, sentence, detail FROM payment_events WHERE payment = ${id} ORDER BY id`;
}

/** The latest first. @param open those only of which something is still to be found out */
export async function listRefunds(
  sql: Statements,
  {
    open,
    payment,
    most,
  }: { readonly open: boolean; readonly payment: string | null; readonly most: number },
): Promise<Refund[]> {
  return sql<Refund[]>`
    SELECT ${refundColumns(sql)} FROM payment_refunds r
    WHERE (NOT ${open} OR r.state NOT IN ('refunded', 'refused')) AND (${payment}::uuid IS NULL OR r.payment = ${payment}::uuid)
    ORDER BY r.id DESC LIMIT ${most}`;
}
