/**
 * "Paid but not credited?": the payer says which transaction it was, and the provider is asked. A TrxID alone credits nothing,
 * as anybody may have seen it: either the provider binds it to a payment of the account, or a person decides.
 */
import { hasAttempt } from '../accounts/attempts.ts';
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { bareTrxId, claimFor, ownerOf } from './claims.ts';
import { type Desk, methodNamed } from './desk.ts';
import type { PaymentMethod, Truth } from './method.ts';
import { note, type Payment, paymentColumns } from './payment.ts';
import { settle } from './settle.ts';

export interface RescueCall {
  readonly userId: string;
  /** As the user spells it. */
  readonly method: string;
  readonly trxId: string;
  /** null: any of the account's. */
  readonly paymentId: string | null;
}

export interface Rescued {
  /** credited: it is in the wallet · waiting: it is paid, and credited later · review: a person looks at it · refused: the sentence says why */
  readonly outcome: 'credited' | 'waiting' | 'review' | 'refused';
  readonly sentence: string;
  /** The payment that it is about; null where it is about none of the account's. */
  readonly payment: Payment | null;
}

const tries = { most: 10, everyMs: 3_600_000 };
/** Of the latest payments of an account, so many are asked about. */
const mostPayments = 5;

/**
 * @throws ApiError invalid_request for what is no TrxID; rate_limit_exceeded; not_found for a payment that is not the account's own
 */
export async function rescue(desk: Desk, call: RescueCall): Promise<Rescued> {
  const method = methodNamed(desk, call.method);
  const trxId = bareTrxId(call.trxId.replace(/[\s\u200b-\u200d\ufeff]+/g, ''));
  if (!/^[A-Z0-9]{6,20}$/.test(trxId))
    throw new ApiError('invalid_request', {
      param: 'trxId',
      message: 'Enter the TrxID from the message that your wallet sent, such as CK250NROQ5.',
    });
  // Counted by the account, which need have no payment at all: who guesses TrxIDs has begun none.
  if (!(await hasAttempt(desk.sql, 'rescue by', call.userId, tries)))
    throw new ApiError('rate_limit_exceeded', {
      message: 'Too many transactions were asked about. Try again later, or write to support.',
      retryAfterMs: tries.everyMs / tries.most,
    });
  const candidates = await candidatesOf(desk, method, call);
  const rescued = await tryAll(desk, method, trxId, call, candidates);
  await noteTry(
    desk,
    trxId,
    rescued,
    call.paymentId === null ? null : (candidates[0] ?? null),
    candidates,
  );
  return rescued;
}

/** The payments that it may be about, the latest first. */
async function candidatesOf(
  { sql }: Desk,
  method: PaymentMethod,
  { userId, paymentId }: RescueCall,
): Promise<readonly Payment[]> {
  const payments = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p
    WHERE user_id = ${userId} AND method = ${method.id} AND (${paymentId}::uuid IS NULL OR id = ${paymentId}::uuid)
    ORDER BY id DESC LIMIT ${mostPayments}`;
  if (payments.length === 0 && paymentId !== null)
    throw new ApiError('not_found', { message: 'There is no such payment.' });
  return payments;
}

/** In the timeline of the payment that it is about; where it is about none, only the operator reads of it, at the latest one. */
async function noteTry(
  { sql }: Desk,
  trxId: string,
  { payment, sentence, outcome }: Rescued,
  named: Payment | null,
  [latest]: readonly Payment[],
): Promise<void> {
  const about = payment ?? named;
  const detail = { trxId, outcome, said: sentence };
  if (about) {
    const asked = `You asked about transaction ${trxId}.`;
    await note(sql, about.id, {
      kind: 'rescue',
      actor: 'user',
      sentence: asked,
      detail: { trxId },
    });
    await note(sql, about.id, { kind: 'rescue', actor: 'server', sentence, detail });
  } else if (latest)
    await note(sql, latest.id, { kind: 'rescue', actor: 'user', sentence: null, detail });
}

async function tryAll(
  desk: Desk,
  method: PaymentMethod,
  trxId: string,
  call: RescueCall,
  candidates: readonly Payment[],
): Promise<Rescued> {
  const owned = await told(desk, trxId, call.userId);
  if (owned) return owned;
  if (candidates.length === 0)
    return refused(`You have begun no payment by ${method.name}: begin one, and pay on its page.`);
  const asked: Payment[] = [];
  for (const candidate of candidates) {
    asked.push(await settle(desk, candidate.id, { actor: 'user' }));
  }
  const found = await told(desk, trxId, call.userId);
  if (found) return found;
  const open = asked.filter(({ state, rejectedAt }) => unpaid.has(state) && !rejectedAt);
  const [latest] = open;
  if (!latest)
    return refused(
      `None of your payments by ${method.name} is without credit, and this transaction belongs to none of them.`,
    );
  if (method.search) return searched(desk, method, trxId, call, open);
  if (latest.providerId !== null && method.id !== 'manual')
    return refused(
      `${method.name} does not call your payment of ${dayOf(latest)} paid${latest.reason ? `: ${latest.reason}` : '.'} If it was paid, it will be credited as soon as ${method.name} says so.`,
      latest,
    );
  // Nobody can be asked by what we know: the operator can look at the provider's own pages.
  return forPerson(desk, latest, trxId, `A person looks for transaction ${trxId}.`);
}

const unpaid: ReadonlySet<Payment['state']> = new Set([
  'pending',
  'failed',
  'cancelled',
  'expired',
  'needs_review',
]);

function refused(sentence: string, payment: Payment | null = null): Rescued {
  return { outcome: 'refused', sentence, payment };
}

function dayOf({ createdAt }: Payment): string {
  return createdAt.toISOString().slice(0, 10);
}

/** What there is to say of a transaction that a payment has; null where none has it. */
async function told({ sql }: Desk, trxId: string, userId: string): Promise<Rescued | null> {
  const payment = await ownerOf(sql, trxId);
  if (!payment) return null;
  if (payment.userId !== userId) return refused('This transaction belongs to another payment.');
  const { creditedAt, heldUntil, state, rejectedAt, reason } = payment;
  if (rejectedAt) return refused(`This payment was not accepted: ${reason}`, payment);
  if (state === 'refunded')
    return { outcome: 'refused', sentence: 'This payment was credited and refunded.', payment };
  if (creditedAt) {
    const sentence = `This transaction was credited at ${creditedAt.toISOString()}.`;
    return { outcome: 'credited', sentence, payment };
  }
  const at = heldUntil ? `at ${heldUntil.toISOString()}` : 'in a moment';
  return { outcome: 'waiting', sentence: `The payment is confirmed, and credited ${at}.`, payment };
}

async function searched(
  desk: Desk,
  method: PaymentMethod,
  trxId: string,
  { paymentId }: RescueCall,
  open: readonly Payment[],
): Promise<Rescued> {
  const truth = (await method.search?.(trxId)) ?? null;
  // What fits none of the payments is about none of them, unless the payer named one.
  const named = paymentId === null ? null : (open[0] ?? null);
  if (truth?.state !== 'paid') return refused(whyNotFound(method, truth), named);
  if (truth.trxId !== trxId) return refused(`${method.name} named another transaction.`, named);
  if (truth.foreign) return refused(truth.foreign, named);
  const bound = open.find(({ invoice }) => invoice === truth.invoice);
  if (truth.invoice !== null && !bound)
    return refused('This transaction was paid for another invoice.', named);
  if (bound) {
    const settled = await settle(desk, bound.id, { actor: 'user', truth });
    const owned = await told(desk, trxId, settled.userId);
    return (
      owned ?? {
        outcome: 'review',
        sentence: settled.reason ?? 'A person looks at it.',
        payment: settled,
      }
    );
  }
  const fitting = open.find(({ amount }) => amount === truth.amount);
  if (!fitting)
    return refused('None of your payments that wait has the amount of this transaction.', named);
  const reason = `${method.name} knows transaction ${trxId}, but not which payment it is for: a person looks at it.`;
  return forPerson(desk, fitting, trxId, reason);
}

function whyNotFound({ name }: PaymentMethod, truth: Truth | null): string {
  if (truth?.absent) return `${name} knows no such transaction.`;
  if (!truth || truth.state === 'unknown')
    return `${name} does not answer at the moment. Try again in a few minutes.`;
  return `${name} says that this transaction is not completed.`;
}

async function forPerson(
  desk: Desk,
  payment: Payment,
  trxId: string,
  reason: string,
): Promise<Rescued> {
  try {
    const claimed = await desk.sql.begin(async (sql: Statements) => {
      await sql`SELECT 1 FROM users WHERE id = ${payment.userId} FOR NO KEY UPDATE`;
      const [now] = await sql<Payment[]>`
        SELECT ${paymentColumns(sql)} FROM payments p WHERE id = ${payment.id} FOR UPDATE`;
      if (!now) throw new Error(`payment ${payment.id} vanished`);
      return claimFor(sql, desk, now, { trxId, sentTo: null, sender: null }, reason);
    });
    return { outcome: 'review', sentence: reason, payment: claimed };
  } catch (error) {
    if (error instanceof ApiError && error.code === 'payment_conflict')
      return refused(error.message, payment);
    throw error;
  }
}
