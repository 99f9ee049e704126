/**
 * Money that goes back to its payer: taken out of the wallet first, then asked of the provider once, and given back to the
 * wallet only where the provider certainly did nothing. What nobody knows is kept until somebody does.
 */
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { timeOrderedId } from '../ids.ts';
import { type Nano, nano } from '../wallet/money.ts';
import { creditWallet, debitWallet } from '../wallet/wallets.ts';
import { type Desk, methodOf } from './desk.ts';
import { newRefundReference } from './identifiers.ts';
import type { PaidPayment, Paisa, RefundOrder, RefundTruth } from './method.ts';
import { factsOf, isOwn, note, type Payment, paymentColumns, paymentOf } from './payment.ts';
import { formatTaka, paisa } from './taka.ts';
import { voucherOn } from './vouchers.ts';

export type RefundState = 'reserved' | 'asked' | 'refunded' | 'refused' | 'needs_review';

export interface Refund {
  readonly id: string;
  readonly payment: string;
  readonly reference: string;
  readonly amount: Paisa;
  readonly credit: Nano;
  readonly bonus: Nano;
  readonly reason: string;
  /** Who ordered it. */
  readonly who: string;
  readonly state: RefundState;
  readonly providerRefundId: string | null;
  readonly note: string | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly askAt: Date | null;
}

export function refundColumns(sql: Statements) {
  return sql`r.id, r.payment, r.reference, r.amount, r.credit, r.bonus, r.reason, r.who, r.state,
    r.provider_refund_id AS "providerRefundId", r.note, r.created_at AS "createdAt", r.changed_at AS "changedAt", r.ask_at AS "askAt"`;
}

interface RefundWish {
  readonly paymentId: string;
  /** null: all that has not gone back yet. */
  readonly amount: Paisa | null;
  readonly reason: string;
  /** Whether vouchers that were for who topped up, and would not be without this payment, stay redeemed; else it is refused. */
  readonly keepVouchers?: boolean;
  /** Address of the admin. */
  readonly who: string;
}

/** A process that ordered a refund and has not asked by now is gone; ms. */
const abandonedMs = 120_000;

function conflict(message: string): ApiError {
  return new ApiError('payment_conflict', { message });
}

/**
 * Orders a refund and asks the provider for it. Where the method knows no refunds it waits for the operator, who sends the
 * money back by hand and confirms it by `settleRefund`.
 * @throws ApiError payment_conflict for more than was paid and not refunded, or than is unspent; invalid_request
 */
export async function refundPayment(desk: Desk, wish: RefundWish): Promise<Refund> {
  const reserved = await desk.sql.begin((sql) => reserve(sql, desk, wish));
  return pursueRefund(desk, reserved.id);
}

/** Exact, and rounded so that never less is taken from the wallet than the share of what goes back. */
function shareOf(whole: Nano, part: Paisa, amount: Paisa): bigint {
  return (BigInt(whole) * BigInt(part) + BigInt(amount) - 1n) / BigInt(amount);
}

/** Takes the money out of the wallet, so that it cannot be spent meanwhile. */
async function reserve(
  sql: Statements,
  desk: Desk,
  { paymentId, amount, reason, keepVouchers = false, who }: RefundWish,
): Promise<Refund> {
  // The account before its payments, as everywhere: meanwhile it redeems nothing.
  await sql`
    SELECT 1 FROM users WHERE id = (SELECT user_id FROM payments WHERE id = ${paymentId}) FOR NO KEY UPDATE`;
  const [payment] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p WHERE id = ${paymentId} FOR UPDATE`;
  if (!payment) throw new ApiError('not_found', { message: 'There is no such payment.' });
  const left = paisa(payment.amount - payment.refunded);
  const back = amount ?? left;
  if (payment.state !== 'credited') throw conflict('Only a credited payment can be refunded.');
  if (left === 0) throw conflict('All of this payment has gone back, or is on its way.');
  if (back < 1 || back > left)
    throw new ApiError('invalid_request', {
      param: 'amount',
      message: `Of this payment ৳${formatTaka(left)} can be refunded.`,
    });
  if (reason.trim() === '')
    throw new ApiError('invalid_request', { param: 'reason', message: 'Say why.' });
  const gone = paisa(payment.refunded + back);
  const voucher = keepVouchers ? null : await voucherOn(sql, payment, gone);
  if (voucher)
    throw conflict(
      `${voucher} was redeemed on the strength of this payment: take its value back from the wallet, or say that vouchers are kept.`,
    );
  const [taken] = await sql<{ credit: number; bonus: number }[]>`
    SELECT coalesce(sum(credit), 0)::bigint AS credit, coalesce(sum(bonus), 0)::bigint AS bonus
    FROM payment_refunds WHERE payment = ${paymentId} AND state <> 'refused'`;
  const share = (whole: Nano, before: number): Nano =>
    nano(Math.max(0, Number(shareOf(whole, gone, payment.amount)) - before));
  const credit = share(payment.credit, taken?.credit ?? 0);
  const bonus = share(payment.bonus, taken?.bonus ?? 0);
  const id = timeOrderedId();
  const [refund] = await sql<Refund[]>`
    INSERT INTO payment_refunds AS r (id, payment, reference, amount, credit, bonus, reason, who, ask_at)
    VALUES (${id}, ${paymentId}, ${newRefundReference()}, ${back}, ${credit}, ${bonus}, ${reason.trim()}, ${who},
      clock_timestamp() + ${abandonedMs} * interval '1 ms')
    RETURNING ${refundColumns(sql)}`;
  await take(sql, desk, payment, { id, credit, bonus });
  await sql`UPDATE payments SET refunded = ${gone} WHERE id = ${paymentId}`;
  await note(sql, paymentId, {
    kind: 'refund',
    actor: who,
    sentence: `A refund of ৳${formatTaka(back)} was ordered.`,
    detail: { refund: id, amount: back, credit, bonus, reason: reason.trim() },
  });
  if (!refund) throw new Error('the refund was not written');
  return refund;
}

async function take(
  sql: Statements,
  desk: Desk,
  payment: Payment,
  { id, credit, bonus }: { readonly id: string; readonly credit: Nano; readonly bonus: Nano },
): Promise<void> {
  const { name } = methodOf(desk, payment.method);
  const entries = [
    { kind: 'refund', amount: credit, to: `clearing:${payment.method}`, note: `Refund by ${name}` },
    { kind: 'bonus', amount: bonus, to: 'promotion', note: `Bonus of a refund by ${name}` },
  ] as const;
  for (const { amount, ...entry } of entries)
    if (amount > 0 && !(await debitWallet(sql, payment.wallet, amount, { ...entry, id })))
      throw conflict('Some of this credit is spent or held by requests: refund less.');
}

/** The refund as it stands. @throws ApiError not_found */
async function refundOf(sql: Statements, id: string): Promise<Refund> {
  const [refund] = await sql<Refund[]>`
    SELECT ${refundColumns(sql)} FROM payment_refunds r WHERE id = ${id}`;
  if (!refund) throw new ApiError('not_found', { message: 'There is no such refund.' });
  return refund;
}

/**
 * Goes on with a refund, whoever began it: asks the provider if nobody has, else what became of it.
 * May be called by any number of processes; the provider is asked to give money back once.
 */
export async function pursueRefund(desk: Desk, id: string): Promise<Refund> {
  const refund = await refundOf(desk.sql, id);
  if (refund.state === 'refunded' || refund.state === 'refused') return refund;
  const payment = await paymentOf(desk.sql, refund.payment);
  const method = methodOf(desk, payment.method);
  const [facts, order] = await argumentsOf(desk, payment, refund);
  if (refund.state === 'reserved') {
    // Said before it is asked for: who comes after a crash asks what became of it.
    const mine = await desk.sql`
      UPDATE payment_refunds SET state = 'asked', ask_at = clock_timestamp() + ${abandonedMs} * interval '1 ms'
      WHERE id = ${id} AND state = 'reserved' RETURNING id`;
    if (mine.length === 0) return refundOf(desk.sql, id);
    const truth = await said(desk, method.refund?.(facts, order));
    return conclude(desk, refund, truth ?? unknown(byHand(method.name, refund)), 'server');
  }
  const truth = await said(desk, method.refundStatus?.(facts, order));
  if (truth) return conclude(desk, refund, truth, 'server');
  if (refund.state === 'needs_review') return refund;
  return conclude(desk, refund, unknown(`${method.name} cannot be asked about it.`), 'server');
}

/** Whatever goes wrong in between, nothing is known then. */
async function said(
  desk: Desk,
  answer: Promise<RefundTruth> | undefined,
): Promise<RefundTruth | null> {
  try {
    return (await answer) ?? null;
  } catch (error) {
    desk.log('a refund failed', error);
    return unknown('The provider could not be asked.');
  }
}

function unknown(reason: string): RefundTruth {
  const evidence = { operation: 'refund', httpStatus: null, ms: 0, code: null, body: null };
  return { state: 'unknown', providerRefundId: null, reason, evidence };
}

function byHand(name: string, { amount }: Refund): string {
  return `Send ৳${formatTaka(amount)} back by hand, as ${name} is not asked for refunds; then say that it is done.`;
}

async function argumentsOf(
  { sql }: Desk,
  payment: Payment,
  refund: Refund,
): Promise<[PaidPayment, RefundOrder]> {
  const others = await sql<{ id: string }[]>`
    SELECT provider_refund_id AS id FROM payment_refunds
    WHERE payment = ${payment.id} AND id <> ${refund.id} AND provider_refund_id IS NOT NULL`;
  // The provider knows it under the payment that it was paid for.
  const known = payment.corrects ? await paymentOf(sql, payment.corrects) : payment;
  const { trxId, paidAt, verifiedAt } = payment;
  if (!trxId) throw new Error(`payment ${payment.id} has no transaction`);
  const order = { reference: refund.reference, amount: refund.amount, reason: refund.reason };
  return [
    { ...factsOf(known), trxId, paidAt: paidAt ?? verifiedAt ?? known.createdAt },
    { ...order, others: others.map(({ id }) => id) },
  ];
}

/** Asked ever more seldom, for as many days as anybody may wait; ms. */
const patienceMs = 14 * 86_400_000;

/** Writes down what became of a refund; where nothing moved, the wallet has its money back with it. */
async function conclude(
  desk: Desk,
  { id, payment: paymentId }: Refund,
  truth: RefundTruth,
  actor: string,
): Promise<Refund> {
  return desk.sql.begin(async (sql) => {
    const [payment] = await sql<Payment[]>`
      SELECT ${paymentColumns(sql)} FROM payments p WHERE id = ${paymentId} FOR UPDATE`;
    const refund = await refundOf(sql, id);
    if (!payment) throw new Error(`there is no payment ${paymentId}`);
    if (refund.state !== 'asked' && refund.state !== 'needs_review') {
      await noteContradiction(sql, desk, refund, truth);
      return refund;
    }
    const { state, reason, providerRefundId, evidence } = truth;
    const age = Date.now() - refund.createdAt.getTime();
    const isAsked = methodOf(desk, payment.method).refundStatus && age < patienceMs;
    const next = isAsked ? new Date(Date.now() + Math.max(60_000, age)) : null;
    const undo = state === 'refused' ? timeOrderedId() : null;
    const became = state === 'unknown' ? 'needs_review' : state;
    const [row] = await sql<Refund[]>`
      UPDATE payment_refunds r SET state = ${became}, undo_id = ${undo}, note = coalesce(${reason}, note),
        provider_refund_id = coalesce(${providerRefundId}, provider_refund_id), ask_at = ${state === 'unknown' ? next : null}
      WHERE id = ${id} RETURNING ${refundColumns(sql)}`;
    if (!row) throw new Error(`refund ${id} vanished`);
    if (undo) await giveBack(sql, desk, payment, row, undo);
    if (state === 'refunded') await closeWhenAllWentBack(sql, desk, payment);
    if (became !== refund.state || state !== 'unknown')
      await note(sql, paymentId, {
        kind: 'refund',
        actor,
        sentence: sentenceOf(row),
        detail: { ...evidence, refund: id, state: became, reason },
      });
    return row;
  });
}

/** An answer that comes after somebody has decided, and says otherwise: money went twice, or not at all. */
async function noteContradiction(
  sql: Statements,
  desk: Desk,
  { id, payment, state }: Refund,
  truth: RefundTruth,
): Promise<void> {
  if (truth.state === 'unknown' || truth.state === state) return;
  desk.log(`refund ${id} is ${state}, and its provider says that it is ${truth.state}`);
  const detail = { ...truth.evidence, refund: id, state, found: `the refund is ${truth.state}` };
  await note(sql, payment, { kind: 'compared', actor: 'server', sentence: null, detail });
}

function sentenceOf({ state, amount }: Refund): string {
  const taka = `৳${formatTaka(amount)}`;
  if (state === 'refunded') return `${taka} was sent back.`;
  if (state === 'refused') return `The refund of ${taka} was not possible; the credit is back.`;
  return `The refund of ${taka} is on its way; a person looks after it.`;
}

async function giveBack(
  sql: Statements,
  desk: Desk,
  payment: Payment,
  { amount, credit, bonus }: Refund,
  id: string,
): Promise<void> {
  const { name } = methodOf(desk, payment.method);
  await creditWallet(sql, payment.wallet, credit, {
    kind: 'refund',
    id,
    note: `Refund by ${name} was not possible`,
    from: `clearing:${payment.method}`,
  });
  if (bonus > 0)
    await creditWallet(sql, payment.wallet, bonus, {
      kind: 'bonus',
      id,
      note: `Bonus back, as the refund by ${name} was not possible`,
    });
  await sql`UPDATE payments SET refunded = refunded - ${amount} WHERE id = ${payment.id}`;
}

async function closeWhenAllWentBack(sql: Statements, desk: Desk, payment: Payment): Promise<void> {
  const [row] = await sql<Payment[]>`
    UPDATE payments p SET state = 'refunded'
    WHERE id = ${payment.id} AND state = 'credited' AND refunded = amount
      AND NOT EXISTS (SELECT 1 FROM payment_refunds r WHERE r.payment = p.id AND r.state NOT IN ('refunded', 'refused'))
    RETURNING ${paymentColumns(sql)}`;
  if (row) await desk.changed(sql, row);
}

/**
 * Ends a refund of which nobody knows what became of it, or that was made by hand: the operator says what is true.
 * @throws ApiError payment_conflict where it is known already, or may be under way; invalid_request without a note
 */
export async function settleRefund(
  desk: Desk,
  id: string,
  said: { readonly state: 'refunded' | 'refused'; readonly note: string; readonly who: string },
): Promise<Refund> {
  const refund = await refundOf(desk.sql, id);
  if (refund.state !== 'needs_review')
    throw conflict(
      refund.state === 'refunded' || refund.state === 'refused'
        ? `This refund is ${refund.state} already.`
        : 'The provider is being asked; try again in a few minutes.',
    );
  if (said.note.trim() === '')
    throw new ApiError('invalid_request', { param: 'note', message: 'Say how you know.' });
  if (await isOwn(desk.sql, refund.payment, said.who))
    throw conflict('Another admin has to decide about your own refund.');
  const truth = { ...unknown(said.note.trim()), state: said.state };
  return conclude(desk, refund, truth, said.who);
}
