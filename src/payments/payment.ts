/** A payment as it stands in the database, and its timeline. */

import type { Statements } from '../db/database.ts';
import type { Nano } from '../wallet/money.ts';
import { tokenHash } from './identifiers.ts';
import type { MethodId, Paisa, PaymentFacts, PaymentMethod } from './method.ts';
import { storable } from './provider_http.ts';

export const paymentStates = [
  'created',
  'pending',
  'verified',
  'credited',
  'failed',
  'cancelled',
  'expired',
  'needs_review',
  'refunded',
] as const;

export type PaymentState = (typeof paymentStates)[number];

export interface Payment {
  readonly id: string;
  readonly userId: string;
  readonly wallet: number;
  readonly method: MethodId;
  readonly environment: 'sandbox' | 'live';
  readonly amount: Paisa;
  readonly fee: Paisa;
  /** Taka a US dollar × 10⁶. */
  readonly rate: number;
  readonly credit: Nano;
  readonly bonus: Nano;
  readonly rules: number | null;
  readonly quotedUntil: Date;
  readonly cause: 'user' | 'automatic';
  /** Id of the payment in whose place this one stands, because another amount came in. */
  readonly corrects: string | null;
  readonly invoice: string;
  readonly createdAt: Date;
  readonly state: PaymentState;
  readonly reason: string | null;
  readonly providerId: string | null;
  readonly nonce: string | null;
  readonly redirectUrl: string | null;
  readonly expiresAt: Date;
  readonly captureAskedAt: Date | null;
  readonly trxId: string | null;
  readonly payerShown: string | null;
  readonly paidAt: Date | null;
  readonly verifiedAt: Date | null;
  readonly transferId: string | null;
  readonly heldUntil: Date | null;
  readonly creditedAt: Date | null;
  /** Paisa that went back, or are on their way. */
  readonly refunded: Paisa;
  readonly late: boolean;
  /** A person has said no; only a person may say otherwise. */
  readonly rejectedAt: Date | null;
  readonly askAt: Date | null;
  /** How often the provider was asked. */
  readonly asked: number;
}

/** The columns of a Payment, for SELECT and RETURNING; the table is named p. */
export function paymentColumns(sql: Statements) {
  return sql`p.id, p.user_id AS "userId", p.wallet, p.method, p.environment, p.amount, p.fee, p.rate, p.credit, p.bonus, p.rules,
    p.quoted_until AS "quotedUntil", p.cause, p.corrects, p.invoice, p.created_at AS "createdAt", p.state, p.reason, p.provider_id AS "providerId",
    p.nonce, p.redirect_url AS "redirectUrl", p.expires_at AS "expiresAt", p.capture_asked_at AS "captureAskedAt", p.trx_id AS "trxId",
    p.payer_shown AS "payerShown", p.paid_at AS "paidAt", p.verified_at AS "verifiedAt", p.transfer_id AS "transferId",
    p.held_until AS "heldUntil", p.credited_at AS "creditedAt", p.refunded, p.late, p.rejected_at AS "rejectedAt", p.ask_at AS "askAt", p.asked`;
}

export async function findPayment(sql: Statements, id: string): Promise<Payment | null> {
  const [row] = await sql<
    Payment[]
  >`SELECT ${paymentColumns(sql)} FROM payments p WHERE p.id = ${id}`;
  return row ?? null;
}

/** The payment with this secret in its addresses; null where there is none. */
export async function paymentByToken(sql: Statements, token: string): Promise<Payment | null> {
  const [row] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p WHERE p.token_hash = ${tokenHash(token)}`;
  return row ?? null;
}

/** The latest payments of a user, newest first. @param before id of the last one that was seen */
export async function paymentsOf(
  sql: Statements,
  userId: string,
  limit: number,
  before: string | null,
): Promise<Payment[]> {
  return sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p
    WHERE p.user_id = ${userId} ${before === null ? sql`` : sql`AND p.id < ${before}`}
    ORDER BY p.id DESC LIMIT ${limit}`;
}

/** What its owner may know of what happened to a payment, in order. */
export async function timelineOf(
  sql: Statements,
  id: string,
): Promise<{ readonly at: Date; readonly sentence: string }[]> {
  return sql<{ at: Date; sentence: string }[]>`
    SELECT at, sentence FROM payment_events WHERE payment = ${id} AND sentence IS NOT NULL ORDER BY id`;
}

/** @throws Error where there is none */
export async function paymentOf(sql: Statements, id: string): Promise<Payment> {
  const payment = await findPayment(sql, id);
  if (!payment) throw new Error(`there is no payment ${id}`);
  return payment;
}

/** Whether an admin has an interest in a payment. @param who address of the admin */
export async function isOwn(sql: Statements, id: string, who: string): Promise<boolean> {
  const rows = await sql`
    SELECT 1 FROM payments p JOIN users u ON u.id = p.user_id WHERE p.id = ${id} AND lower(u.email) = lower(${who})`;
  return rows.length > 0;
}

export function factsOf(payment: Payment): PaymentFacts {
  const { id, invoice, amount, providerId, nonce, captureAskedAt, createdAt } = payment;
  return {
    id,
    invoice,
    amount,
    providerId,
    nonce,
    captureAsked: captureAskedAt !== null,
    createdAt,
  };
}

export interface PaymentEvent {
  /** `created`, `opened`, `returned`, `webhook`, `state`, `claimed`, `rescue`, `approved`, `review`, `refund`, `compared`, or a provider's operation. */
  readonly kind: string;
  /** `user`, `browser`, `provider`, `server`, or the address of an admin. */
  readonly actor: string;
  /** For the owner of the payment; null for what only the operator is told. */
  readonly sentence: string | null;
  /** Redacted. */
  readonly detail?: object;
}

/** Appends to the timeline. */
export async function note(sql: Statements, id: string, event: PaymentEvent): Promise<void> {
  const { kind, actor, sentence, detail = {} } = event;
  // Cutting a text of a provider to its length may have left half of a letter.
  const kept: unknown = JSON.parse(JSON.stringify(detail), (_name, member) =>
    typeof member === 'string' ? storable(member) : member,
  );
  // as: the driver's JSON type knows no readonly members
  const json = sql.json(kept as Parameters<typeof sql.json>[0]);
  await sql`
    INSERT INTO payment_events (payment, kind, actor, sentence, detail)
    VALUES (${id}, ${kind}, ${actor}, ${sentence}, ${json})`;
}

/** When an open payment is to be asked about next; where it cannot be asked, when its time is up. */
export function nextQuestion(
  { pollAfterMs }: PaymentMethod,
  { asked, expiresAt }: Pick<Payment, 'asked' | 'expiresAt'>,
): Date {
  const delay = pollAfterMs[Math.min(asked, pollAfterMs.length - 1)];
  const next = delay === undefined ? Number.POSITIVE_INFINITY : Date.now() + delay;
  const end = expiresAt.getTime();
  return new Date(end > Date.now() ? Math.min(next, end) : Math.min(next, Date.now() + lateMs));
}

/** Between questions about a payment that should be over; ms. */
const lateMs = 15 * 60_000;

/**
 * When a payment that was given up is asked about once more, in case that it was paid all the same: ever more seldom, until
 * it has been about for twice as long as it could be paid. Null for never.
 */
export function lateQuestion(
  { pollAfterMs, openForMs }: PaymentMethod,
  { createdAt }: Pick<Payment, 'createdAt'>,
): Date | null {
  if (pollAfterMs.length === 0) return null;
  const age = Date.now() - createdAt.getTime();
  const wait = Math.max(lateMs, age);
  return age + wait > 2 * openForMs ? null : new Date(Date.now() + wait);
}
