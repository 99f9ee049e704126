/**
 * The one way in which a payment is settled, for browsers that come back, webhooks, the schedule and admins alike:
 * ask the provider, write down what it says, compare, verify, credit. Each step is committed before the next, may be
 * taken by any process, and taken twice changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isUniqueViolation, type Statements } from '../db/connection.ts';
import { timeOrderedId } from '../ids.ts';
import { isPassing } from '../wallet/failure.ts';
import { creditWallet } from '../wallet/wallets.ts';
import { openNonce } from './agreements.ts';
import { canBeAskedAbout, learnProviderId, noteClaimedId } from './claimed_id.ts';
import { type Desk, methodOf, payerHash } from './desk.ts';
import { accountDoubt, heldUntil, payerDoubt, rateDoubt } from './limits.ts';
import type { Claim, PaymentMethod, Truth } from './method.ts';
import { maskedNumber } from './msisdn.ts';
import {
  factsOf,
  lateQuestion,
  nextQuestion,
  note,
  type Payment,
  type PaymentState,
  paymentColumns,
  paymentOf,
} from './payment.ts';
import { currentRules, type PaymentRules } from './rules.ts';
import { type Verdict, verdictOn } from './verdict.ts';

export interface Occasion {
  /** `browser`, `provider`, `server`, `user`, or the address of an admin. */
  readonly actor: string;
  readonly claim?: Claim | null;
  /** What the provider has said of it already, where it was found in another way; then it is not asked. */
  readonly truth?: Truth;
}

/** Longer than a provider may take for a capture and a question after it; ms. */
const settlingMs = 75_000;
const over: readonly PaymentState[] = ['credited', 'refunded'];
/** Given up by what a browser said, and so taken up again by it. */
const capturable: readonly PaymentState[] = ['created', 'pending', 'cancelled', 'failed'];
/** How long a browser waits for its turn, and how often it tries; ms. */
const patienceMs = 5000;
const turnPollMs = 200;
const givenUp: readonly PaymentState[] = ['failed', 'cancelled', 'expired'];

/**
 * Finds out what became of a payment and does what follows.
 * Returns the payment as it is then; where another process is at it, as it is now.
 */
export async function settle(desk: Desk, id: string, occasion: Occasion): Promise<Payment> {
  const before = await paymentOf(desk.sql, id);
  if (over.includes(before.state) || before.rejectedAt) return before;
  if (before.state === 'verified') return credit(desk, id);
  const method = methodOf(desk, before.method);
  const claim = believable(before, occasion.claim ?? null);
  if (method.capture && claim?.claims === 'paid') await noteAgreement(desk, id, occasion.actor);
  // Before the turn is taken: who has it may have looked for an id already, and found none.
  const brought = before.providerId === null ? (claim?.providerId ?? null) : null;
  if (brought !== null) await noteClaimedId(desk, before, brought, occasion.actor);
  // Somebody sits before a browser and wants to know; all others come again by themselves.
  const turn = await begin(desk, id, occasion.actor === 'browser' ? patienceMs : 0);
  if (!turn) return paymentOf(desk.sql, id);
  const { payment } = turn;
  try {
    const known = await learnProviderId(desk, payment, null, occasion.actor);
    const truth = occasion.truth
      ? await heard(desk, known, occasion.actor, occasion.truth)
      : await truthOf(desk, method, known, { ...occasion, claim });
    const now = await paymentOf(desk.sql, id);
    const verdict = verdictOn(now, method, truth, claim?.claims ?? null, Date.now());
    if (verdict.state === 'verified')
      return await verifyAndCredit(desk, now, truth, occasion.actor);
    return await become(desk, now, verdict, method, occasion.actor);
  } finally {
    // Whose turn took too long does not end that of another.
    await desk.sql`
      UPDATE payments SET settling_until = NULL WHERE id = ${id} AND settling_until::text = ${turn.until}`.catch(
      (error: unknown) => {
        if (!isPassing(error)) throw error;
      },
    );
  }
}

/** A claim with another payment's id, or without the nonce of its own, is none. */
function believable({ providerId, nonce }: Payment, claim: Claim | null): Claim | null {
  if (!claim) return null;
  const isForeign =
    (claim.providerId !== null && providerId !== null && claim.providerId !== providerId) ||
    (claim.nonce !== null && nonce !== null && claim.nonce !== nonce);
  return isForeign ? null : claim;
}

/**
 * Without a capture no money moves, and the browser that says that the payer has agreed comes once. So it is written down:
 * should this process die now, or another have the turn, then who asks next captures.
 */
async function noteAgreement({ sql }: Desk, id: string, actor: string): Promise<void> {
  await sql`
    INSERT INTO payment_events (payment, kind, actor, sentence)
    SELECT ${id}, 'agreed', ${actor}, 'You came back from the page of the provider.'
    WHERE NOT EXISTS (SELECT FROM payment_events WHERE payment = ${id} AND kind = 'agreed')`;
}

async function hasAgreed({ sql }: Desk, id: string): Promise<boolean> {
  const rows =
    await sql`SELECT 1 FROM payment_events WHERE payment = ${id} AND kind = 'agreed' LIMIT 1`;
  return rows.length > 0;
}

interface Turn {
  readonly payment: Payment;
  /** As the database writes it, exactly. */
  readonly until: string;
}

/**
 * Takes the turn; null when another process has it, or there is nothing left to do.
 * @param patience how long it is waited for; ms
 */
async function begin({ sql }: Desk, id: string, patience: number): Promise<Turn | null> {
  const until = performance.now() + patience;
  for (;;) {
    const [row] = await sql<(Payment & { turn: string })[]>`
      UPDATE payments p SET settling_until = clock_timestamp() + ${settlingMs} * interval '1 ms'
      WHERE id = ${id} AND (settling_until IS NULL OR settling_until < clock_timestamp())
        AND state NOT IN ('verified', 'credited', 'refunded') AND rejected_at IS NULL
      RETURNING ${paymentColumns(sql)}, settling_until::text AS turn`;
    if (row) {
      const { turn: until, ...payment } = row;
      return { payment, until };
    }
    const { state, rejectedAt } = await paymentOf(sql, id);
    if (rejectedAt || state === 'verified' || over.includes(state)) return null;
    if (performance.now() > until) return null;
    await sleep(turnPollMs);
  }
}

/** Captures where the payer has agreed and nobody has captured yet; asks otherwise. What was heard is written down at once. */
async function truthOf(
  desk: Desk,
  method: PaymentMethod,
  payment: Payment,
  { actor, claim }: Occasion,
): Promise<Truth> {
  // What was never opened nobody can have agreed to.
  const isOpened = payment.providerId !== null;
  const mayBeCaptured =
    method.capture !== undefined && isOpened && capturable.includes(payment.state);
  const agreed = mayBeCaptured && (claim?.claims === 'paid' || (await hasAgreed(desk, payment.id)));
  const first = agreed
    ? null
    : await heard(desk, payment, actor, await method.ask(factsOf(payment)));
  if (first && first.state !== 'authorised') return first;
  if (method.capture && mayBeCaptured && (await mayCapture(desk, payment.id))) {
    const nonce = openNonce(desk, payment);
    const facts = { ...factsOf(payment), nonce, captureAsked: true };
    const captured = await heard(desk, payment, actor, await method.capture(facts));
    if (captured.state !== 'unknown') return captured;
  }
  return first && !method.capture
    ? first
    : heard(desk, payment, actor, await method.ask(factsOf(payment)));
}

/**
 * Whether this is the one capture of the payment: it is said in the database before it is asked for. In the place of one by
 * agreement that was given up, another may have been captured.
 */
async function mayCapture({ sql }: Desk, id: string): Promise<boolean> {
  const rows = await sql`
    UPDATE payments SET capture_asked_at = clock_timestamp()
    WHERE id = ${id} AND capture_asked_at IS NULL AND (cause = 'user' OR state IN ('created', 'pending')) RETURNING id`;
  return rows.length > 0;
}

async function heard({ sql }: Desk, { id }: Payment, actor: string, truth: Truth): Promise<Truth> {
  const { evidence, state, trxId, amount, reason } = truth;
  const detail = { ...evidence, state, trxId, amount, reason };
  await note(sql, id, { kind: evidence.operation, actor, sentence: null, detail });
  return truth;
}

const sentences: Readonly<Partial<Record<PaymentState, string>>> = {
  pending: 'Waiting for the payment.',
  failed: 'The payment failed.',
  cancelled: 'The payment was cancelled.',
  expired: 'The payment was not made in time.',
  needs_review: 'The payment needs to be looked at by a person.',
};

/** Changes the state where it changes, and says when to ask again. */
export async function become(
  desk: Desk,
  payment: Payment,
  { state, reason, unlessCaptured = false }: Verdict,
  method: PaymentMethod,
  actor: string,
): Promise<Payment> {
  const askAt = await questionAfter(desk, method, { ...payment, asked: payment.asked + 1 }, state);
  return desk.sql.begin(async (sql) => {
    const [row] = await sql<Payment[]>`
      UPDATE payments p SET state = ${state}, reason = ${reason}, asked = asked + 1, ask_at = ${askAt}
      WHERE id = ${payment.id} AND state = ${payment.state} AND NOT (${unlessCaptured} AND capture_asked_at IS NOT NULL)
      RETURNING ${paymentColumns(sql)}`;
    // Somebody else was faster: what they did counts.
    if (!row) return paymentOf(sql, payment.id);
    if (state !== payment.state) {
      const sentence = [sentences[state], reason].filter(Boolean).join(' ');
      await note(sql, payment.id, {
        kind: 'state',
        actor,
        sentence,
        detail: { from: payment.state, to: state },
      });
      await desk.changed(sql, row);
    }
    return row;
  });
}

async function questionAfter(
  desk: Desk,
  method: PaymentMethod,
  payment: Payment,
  state: PaymentState,
): Promise<Date | null> {
  if (state === 'created' || state === 'pending') return nextQuestion(method, payment);
  if (!givenUp.includes(state) || payment.rejectedAt) return null;
  return (await canBeAskedAbout(desk, payment)) ? lateQuestion(method, payment) : null;
}

async function verifyAndCredit(
  desk: Desk,
  payment: Payment,
  truth: Truth,
  actor: string,
): Promise<Payment> {
  const method = methodOf(desk, payment.method);
  const { content: rules } = await currentRules(desk.sql);
  try {
    const doubt =
      (await rateDoubt(desk, rules, payment)) ?? (await verify(desk, rules, payment, truth, actor));
    if (doubt)
      return become(desk, payment, { state: 'needs_review', reason: doubt }, method, actor);
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    const reason = `The transaction ${truth.trxId} belongs to another payment already.`;
    return become(desk, payment, { state: 'needs_review', reason }, method, actor);
  }
  return credit(desk, payment.id);
}

/**
 * @returns why a person should look at it, and then nothing is written; null for no reason
 * @throws the driver's unique_violation when the transaction belongs to another payment
 */
async function verify(
  desk: Desk,
  rules: PaymentRules,
  payment: Payment,
  truth: Truth,
  actor: string,
): Promise<string | null> {
  return desk.sql.begin(async (sql) => {
    // One at a time for an account, so that its limits count what is verified beside this.
    await sql`SELECT 1 FROM users WHERE id = ${payment.userId} FOR NO KEY UPDATE`;
    const doubt =
      (givenUp.includes(payment.state) ? await accountDoubt(sql, rules, payment) : null) ??
      (await payerDoubt(sql, desk, rules, payment, truth));
    if (doubt) return doubt;
    const until = await heldUntil(sql, rules, payment);
    await writeVerified(sql, desk, payment, truth, { actor, until });
    return null;
  });
}

/**
 * Writes down that a payment is paid: from here on it will be credited, whatever process comes by.
 * Returns whether it was this call that did.
 * @param until credited no earlier; null for at once
 * @throws the driver's unique_violation when the transaction belongs to another payment
 */
export async function writeVerified(
  sql: Statements,
  desk: Desk,
  payment: Payment,
  truth: Truth,
  { actor, until }: { readonly actor: string; readonly until: Date | null },
): Promise<boolean> {
  const number = truth.payer;
  const isWhole = number !== null && !number.includes('*');
  const isLate =
    givenUp.includes(payment.state) ||
    (truth.paidAt?.getTime() ?? Date.now()) > payment.quotedUntil.getTime();
  const rows = await sql`
    UPDATE payments SET state = 'verified', reason = NULL, trx_id = ${truth.trxId}, paid_at = ${truth.paidAt},
      payer_shown = ${number && maskedNumber(number)}, payer_hash = ${isWhole ? payerHash(desk, number) : null},
      verified_at = clock_timestamp(), transfer_id = ${timeOrderedId()}, held_until = ${until}, late = ${isLate}, rejected_at = NULL,
      ask_at = coalesce(${until}, clock_timestamp())
    WHERE id = ${payment.id} AND state = ${payment.state} RETURNING id`;
  if (rows.length === 0) return false;
  const wait = until
    ? ` It will be credited at ${until.toISOString()}: first top-ups of an account wait.`
    : '';
  const sentence = `${methodOf(desk, payment.method).name} confirms the payment, transaction ${truth.trxId}.${wait}`;
  await note(sql, payment.id, {
    kind: 'state',
    actor,
    sentence,
    detail: { from: payment.state, to: 'verified' },
  });
  return true;
}

/** Puts the credit of a verified payment into its wallet, once, however often and by how many it is called. */
export async function credit(desk: Desk, id: string): Promise<Payment> {
  return desk.sql.begin(async (sql) => {
    const [payment] = await sql<
      Payment[]
    >`SELECT ${paymentColumns(sql)} FROM payments p WHERE id = ${id} FOR UPDATE`;
    if (!payment) throw new Error(`there is no payment ${id}`);
    const { state, heldUntil: until, transferId, wallet, credit: amount, bonus } = payment;
    if (state !== 'verified' || !transferId || (until && until.getTime() > Date.now()))
      return payment;
    const { name } = methodOf(desk, payment.method);
    const entry = {
      kind: 'topup',
      id: transferId,
      note: `Top-up via ${name}`,
      from: `clearing:${payment.method}`,
    } as const;
    await creditWallet(sql, wallet, amount, entry);
    if (bonus > 0)
      await creditWallet(sql, wallet, bonus, {
        kind: 'bonus',
        id: transferId,
        note: `Bonus for the top-up via ${name}`,
      });
    const [row] = await sql<Payment[]>`
      UPDATE payments p SET state = 'credited', credited_at = clock_timestamp(), ask_at = NULL WHERE id = ${id}
      RETURNING ${paymentColumns(sql)}`;
    if (!row) throw new Error(`payment ${id} vanished`);
    await note(sql, id, {
      kind: 'state',
      actor: 'server',
      sentence: 'Credited to the wallet.',
      detail: { from: state, to: 'credited' },
    });
    await desk.changed(sql, row);
    return row;
  });
}
