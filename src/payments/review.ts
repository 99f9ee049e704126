/**
 * What a person decides about a payment. Nobody types money into being: what a provider can be asked is asked again, and
 * what came in by hand is credited by the amount that an admin saw in the wallet; large ones by two admins.
 */
import { isUniqueViolation } from '../db/connection.ts';
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { learnProviderId } from './claimed_id.ts';
import { bareTrxId, ownerOf } from './claims.ts';
import { correct } from './correct.ts';
import { type Desk, methodOf } from './desk.ts';
import { approvalsNeeded, manualWallets, reviewedTruth } from './manual.ts';
import type { Paisa, Truth } from './method.ts';
import {
  factsOf,
  findPayment,
  isOwn,
  note,
  type Payment,
  paymentColumns,
  paymentOf,
} from './payment.ts';
import { currentRules } from './rules.ts';
import { credit, settle, writeVerified } from './settle.ts';
import { formatTaka, paisa } from './taka.ts';
import { mismatches } from './verdict.ts';

export interface Acceptance {
  readonly paymentId: string;
  /** What came in, as the admin saw it. */
  readonly received: Paisa;
  /** Of the transfer; null for the only one that was claimed, or the one that the provider names. */
  readonly trxId: string | null;
  /** When it came in, where the provider does not say; null for now. */
  readonly receivedAt: Date | null;
  /** Address of the admin. */
  readonly who: string;
}

/** `approvals` below `needed`: another admin has to accept it, too. */
export interface Accepted {
  readonly payment: Payment;
  readonly approvals: number;
  readonly needed: number;
}

function conflict(message: string): ApiError {
  return new ApiError('payment_conflict', { message });
}

/** @throws ApiError not_found */
export async function existing(sql: Statements, id: string): Promise<Payment> {
  const payment = await findPayment(sql, id);
  if (!payment) throw new ApiError('not_found', { message: 'There is no such payment.' });
  return payment;
}

/** A payment by hand may be decided about before anything is claimed, and what was rejected may be taken up again. */
function mayDecide({ state, method, rejectedAt }: Payment): boolean {
  if (state === 'needs_review') return true;
  if (state === 'failed' && rejectedAt) return true;
  return method === 'manual' && ['pending', 'expired', 'failed', 'cancelled'].includes(state);
}

/** Asks the provider now, whatever the schedule says. @param who address of the admin, or `user` */
export async function checkNow(desk: Desk, id: string, who: string): Promise<Payment> {
  await existing(desk.sql, id);
  return settle(desk, id, { actor: who });
}

/**
 * Credits what came in for a payment. Another amount than was quoted is credited by a payment of its own in the place of this one.
 * @throws ApiError not_found; payment_conflict saying what stands against it
 */
export async function acceptPayment(desk: Desk, given: Acceptance): Promise<Accepted> {
  const payment = await existing(desk.sql, given.paymentId);
  if (!mayDecide(payment))
    throw conflict(`This payment is ${payment.state}: there is nothing to decide.`);
  const { truth, isBound } = await foundOut(desk, payment, given);
  if (truth.amount !== given.received)
    throw conflict(
      `The provider says ${truth.amount === null ? 'no amount' : `৳${formatTaka(truth.amount)}`}, not ৳${formatTaka(given.received)}.`,
    );
  const owner = truth.trxId ? await ownerOf(desk.sql, truth.trxId, payment.id) : null;
  if (owner) throw conflict(`The transaction belongs to payment ${owner.id} already.`);
  if (!isBound && (await isOwn(desk.sql, payment.id, given.who)))
    throw conflict('Another admin has to decide about your own payment.');
  const { content } = await currentRules(desk.sql);
  const twoFrom = paisa(content.limits.twoAdminsFrom * 100);
  const needed = isBound ? 1 : approvalsNeeded(given.received, twoFrom);
  const outcome = await desk.sql
    .begin((sql) => decide(sql, desk, { payment, truth, given, needed }))
    .catch((error: unknown) => {
      if (!isUniqueViolation(error)) throw error;
      throw conflict('The transaction belongs to another payment already.');
    });
  if (!outcome.verified) return { payment, approvals: outcome.approvals, needed };
  return { payment: await credit(desk, outcome.verified), approvals: outcome.approvals, needed };
}

interface Decision {
  readonly payment: Payment;
  readonly truth: Truth;
  readonly given: Acceptance;
  readonly needed: number;
}

/** @returns `verified`: the payment that is credited next; null where another admin is needed */
async function decide(
  sql: Statements,
  desk: Desk,
  { payment, truth, given: { who, received }, needed }: Decision,
): Promise<{ readonly verified: string | null; readonly approvals: number }> {
  const [now] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p WHERE id = ${payment.id} FOR UPDATE`;
  if (!now || !mayDecide(now)) throw conflict('Somebody else has decided meanwhile.');
  const [follower] = await sql<{ id: string }[]>`
    SELECT id FROM payments WHERE corrects = ${payment.id}`;
  if (follower) throw conflict(`Payment ${follower.id} was credited in its place.`);
  const detail = { received, trxId: truth.trxId };
  if (needed > 1) {
    const approvers = await approversOf(sql, payment.id, detail);
    if (!approvers.some((other) => other !== who)) {
      if (approvers.includes(who))
        throw conflict('You have approved this already: another admin has to approve it, too.');
      await note(sql, payment.id, { kind: 'approved', actor: who, sentence: null, detail });
      return { verified: null, approvals: 1 };
    }
  }
  await note(sql, payment.id, {
    kind: 'review',
    actor: who,
    sentence: `A person found the payment of ৳${formatTaka(received)}.`,
    detail: { ...truth.evidence, ...detail, accepted: true },
  });
  const paid = received === payment.amount ? now : await correct(sql, desk, now, received, who);
  const wrote = await writeVerified(
    sql,
    desk,
    paid,
    { ...truth, invoice: paid.invoice },
    { actor: who, until: null },
  );
  if (!wrote) throw conflict('Somebody else has decided meanwhile.');
  if (payment.method === 'manual')
    await sql`
      UPDATE payments p SET payer_shown = c.payer_shown, payer_hash = c.payer_hash FROM payment_claims c
      WHERE p.id = ${paid.id} AND c.payment = ${payment.id} AND c.trx_id = ${truth.trxId}`;
  return { verified: paid.id, approvals: needed };
}

/** Who approved the same amount of the same transaction since it was last rejected. */
async function approversOf(
  sql: Statements,
  id: string,
  { received, trxId }: { readonly received: Paisa; readonly trxId: string | null },
): Promise<string[]> {
  const rows = await sql<{ actor: string }[]>`
    SELECT DISTINCT actor FROM payment_events
    WHERE payment = ${id} AND kind = 'approved' AND (detail ->> 'received')::bigint = ${received} AND detail ->> 'trxId' = ${trxId}
      AND id > coalesce((SELECT max(id) FROM payment_events
        WHERE payment = ${id} AND kind = 'review' AND detail ->> 'accepted' = 'false'), 0)`;
  return rows.map(({ actor }) => actor);
}

interface Found {
  readonly truth: Truth;
  /** The provider itself says that it was paid for this payment. */
  readonly isBound: boolean;
}

async function foundOut(desk: Desk, payment: Payment, given: Acceptance): Promise<Found> {
  const claimed = await desk.sql<{ trxId: string }[]>`
    SELECT trx_id AS "trxId" FROM payment_claims WHERE payment = ${payment.id} ORDER BY created_at`;
  const [only] = claimed;
  const named = given.trxId?.trim().toUpperCase() ?? null;
  const fitting = named && claimed.find(({ trxId }) => bareTrxId(trxId) === bareTrxId(named));
  const trxId =
    (fitting || null)?.trxId ?? named ?? (claimed.length === 1 ? (only?.trxId ?? null) : null);
  if (payment.method === 'manual')
    return { truth: seenByAdmin(payment, given, trxId), isBound: false };
  return askedAnew(desk, payment, given.who, trxId);
}

function seenByAdmin(payment: Payment, given: Acceptance, trxId: string | null): Truth {
  const [prefix] = trxId?.toLowerCase().split(':') ?? [];
  const wallet = manualWallets.find((each) => each === prefix);
  if (!trxId || !wallet)
    throw new ApiError('invalid_request', {
      param: 'trxId',
      message: 'Say which transaction it was, such as BKASH:CK250NROQ5.',
    });
  const { received, receivedAt } = given;
  const claim = { wallet, trxId, sender: null };
  return reviewedTruth(factsOf(payment), { claim, received, receivedAt: receivedAt ?? new Date() });
}

async function askedAnew(
  desk: Desk,
  payment: Payment,
  who: string,
  trxId: string | null,
): Promise<Found> {
  const method = methodOf(desk, payment.method);
  const known = await learnProviderId(desk, payment, null, who);
  const truth = await method.ask(factsOf(known));
  if (truth.state === 'paid') {
    // The amount is compared with what the admin says; all else must fit.
    const wrong = mismatches({ ...known, amount: truth.amount ?? known.amount }, truth);
    if (wrong.length > 0) throw conflict(`It cannot be credited: ${wrong.join('; ')}.`);
    return { truth, isBound: true };
  }
  if (!trxId || !method.search)
    throw conflict(
      `${method.name} does not call it paid${truth.reason ? `: ${truth.reason}` : ''}.`,
    );
  const found = await method.search(bareTrxId(trxId));
  const { state, reason, foreign, invoice, currency } = found;
  if (state !== 'paid' || found.trxId !== bareTrxId(trxId))
    throw conflict(reason ?? `${method.name} knows no such transaction.`);
  if (
    foreign ||
    (invoice !== null && invoice !== payment.invoice) ||
    (currency !== null && currency !== 'BDT')
  )
    throw conflict(foreign ?? 'The transaction was paid for something else.');
  return { truth: found, isBound: invoice === payment.invoice };
}

/**
 * Says no to a payment, for good until a person says otherwise.
 * @throws ApiError not_found, payment_conflict, invalid_request without a reason
 */
export async function rejectPayment(
  desk: Desk,
  {
    paymentId,
    reason,
    who,
  }: { readonly paymentId: string; readonly reason: string; readonly who: string },
): Promise<Payment> {
  const why = reason.trim();
  if (why === '')
    throw new ApiError('invalid_request', {
      param: 'reason',
      message: 'Say why: its owner reads it.',
    });
  const { state, method, heldUntil } = await existing(desk.sql, paymentId);
  const isHeld = state === 'verified' && heldUntil !== null;
  if (state !== 'needs_review' && !isHeld && !(method === 'manual' && state === 'pending'))
    throw conflict(`This payment is ${state}: there is nothing to reject.`);
  return desk.sql.begin(async (sql) => {
    // What waits for its credit is stopped by way of a review; one that is due is credited.
    if (isHeld)
      await sql`
        UPDATE payments SET state = 'needs_review' WHERE id = ${paymentId} AND state = 'verified' AND held_until > clock_timestamp()`;
    const [row] = await sql<Payment[]>`
      UPDATE payments p SET state = 'failed', reason = ${why}, rejected_at = clock_timestamp(), ask_at = NULL
      WHERE id = ${paymentId} AND state = ${isHeld ? 'needs_review' : state} RETURNING ${paymentColumns(sql)}`;
    if (!row) throw conflict('Somebody else has decided meanwhile.');
    await note(sql, paymentId, {
      kind: 'review',
      actor: who,
      sentence: `The payment was not accepted: ${why}`,
      detail: { accepted: false },
    });
    await desk.changed(sql, row);
    return row;
  });
}

/**
 * Tells a payment its id at the provider, which is kept only where the provider says that it is of this payment; then settles it.
 * @throws ApiError not_found, payment_conflict
 */
export async function attachProviderId(
  desk: Desk,
  {
    paymentId,
    providerId,
    who,
  }: { readonly paymentId: string; readonly providerId: string; readonly who: string },
): Promise<Payment> {
  const payment = await existing(desk.sql, paymentId);
  const { name } = methodOf(desk, payment.method);
  const learnt = await learnProviderId(desk, payment, providerId.trim(), who);
  if (learnt.providerId !== providerId.trim())
    throw conflict(`${name} does not say that ${providerId.trim()} is of this payment.`);
  await settle(desk, paymentId, { actor: who });
  return paymentOf(desk.sql, paymentId);
}
