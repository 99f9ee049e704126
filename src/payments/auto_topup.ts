/**
 * Automatic top-ups: when a balance is below what its owner has set, a payment by their agreement, within their bounds. It is
 * begun and settled as any other payment; what fails three times in a row stops, and its owner is told.
 */
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { compose } from '../mail/compose.ts';
import { enqueueMail } from '../mail/outbox.ts';
import type { Nano } from '../wallet/money.ts';
import { openWallet } from '../wallet/wallets.ts';
import { agreementId, agreementOf, tendAgreements } from './agreements.ts';
import { createPayment, quoteOrder } from './create.ts';
import type { Desk } from './desk.ts';
import { autoTopupStopped } from './letters.ts';
import type { MethodId, Paisa } from './method.ts';
import type { Language } from './receipt.ts';
import { settle } from './settle.ts';

export interface AutoTopupRule {
  readonly threshold: Nano;
  readonly amount: Paisa;
  /** At most so many within 24 hours. */
  readonly perDay: number;
  /** At most so much within 30 days. */
  readonly perMonth: Paisa;
}

export interface AutoTopup extends AutoTopupRule {
  readonly stoppedAt: Date | null;
  readonly stoppedReason: string | null;
}

export async function autoTopupOf({ sql }: Desk, userId: string): Promise<AutoTopup | null> {
  const [row] = await sql<AutoTopup[]>`
    SELECT threshold, amount, per_day AS "perDay", per_month AS "perMonth", stopped_at AS "stoppedAt", stopped_reason AS "stoppedReason"
    FROM auto_topups WHERE user_id = ${userId}`;
  return row ?? null;
}

/**
 * Sets the rule of an account, and starts it where it had stopped; null ends it.
 * @throws ApiError agreement_missing; invalid_request for an amount that could not be paid
 */
export async function setAutoTopup(
  desk: Desk,
  userId: string,
  rule: AutoTopupRule | null,
): Promise<void> {
  const { sql } = desk;
  if (!rule) {
    await sql`DELETE FROM auto_topups WHERE user_id = ${userId}`;
    return;
  }
  const agreement = await agreementOf(desk, userId);
  if (agreement?.state !== 'active') throw new ApiError('agreement_missing');
  await quoteOrder(desk, agreement.method, { paisa: rule.amount });
  if (rule.perMonth < rule.amount)
    throw new ApiError('invalid_request', {
      param: 'mostTakaPerMonth',
      message: 'The most for a month is less than one top-up.',
    });
  await openWallet(sql, userId);
  await sql`
    INSERT INTO auto_topups (user_id, threshold, amount, per_day, per_month)
    VALUES (${userId}, ${rule.threshold}, ${rule.amount}, ${rule.perDay}, ${rule.perMonth})
    ON CONFLICT (user_id) DO UPDATE SET threshold = excluded.threshold, amount = excluded.amount, per_day = excluded.per_day,
      per_month = excluded.per_month, stopped_at = NULL, stopped_reason = NULL, next_at = now(), changed_at = now()`;
}

const mostFailures = 3;
/** Waits after the first failure, and after each more; ms. */
const retryMs = [600_000, 3_600_000];
/** After a payment that was not refused, and while another process may be at it; ms. */
const claimMs = 120_000;
const limitedMs = 3_600_000;

interface Due {
  readonly userId: string;
  readonly email: string;
  readonly language: Language;
  readonly amount: Paisa;
  readonly method: MethodId;
  readonly agreementId: string;
  readonly agreement: Buffer;
  readonly failures: number;
}

function dueRules(sql: Statements, userId: string | null): Promise<Due[]> {
  return sql<Due[]>`
    SELECT user_id AS "userId", email, language, amount, method, agreement_id AS "agreementId", agreement, failures
    FROM auto_topups_due(${userId}) LIMIT 20`;
}

/** Charges what is due, once, however many processes do this at once. */
export async function chargeDue(desk: Desk): Promise<void> {
  for (const due of await dueRules(desk.sql, null)) {
    const claimed = await desk.sql`
      UPDATE auto_topups SET next_at = now() + ${claimMs} * interval '1 ms'
      WHERE user_id = ${due.userId} AND next_at <= now() AND stopped_at IS NULL RETURNING user_id`;
    if (claimed.length === 0) continue;
    try {
      if (due.failures >= mostFailures) await stop(desk, due);
      else await charge(desk, due);
    } catch (error) {
      desk.log(`the automatic top-up of account ${due.userId} could not be made`, error);
    }
  }
}

async function charge(desk: Desk, due: Due): Promise<void> {
  const { userId, amount, method } = due;
  try {
    const payment = await createPayment(desk, {
      userId,
      method,
      wish: { paisa: amount },
      payer: { name: '', email: due.email, address: null, mobile: false },
      clientKey: null,
      automatic: {
        agreement: agreementId(desk, due.agreementId, due.agreement),
        // Once more under the lock of the account: what was begun meanwhile counts.
        stillDue: async (sql) => (await dueRules(sql, userId)).length > 0,
      },
    });
    const claim = { claims: 'paid', providerId: payment.providerId, nonce: null } as const;
    const { state } = await settle(desk, payment.id, { actor: 'server', claim });
    if (state === 'failed' || state === 'cancelled') await later(desk, due);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === 'payment_provider_failed') await later(desk, due);
    else if (error.code !== 'payment_conflict')
      await wait(desk, userId, error.retryAfterMs ?? limitedMs);
    desk.log(`the automatic top-up of account ${userId} was refused: ${error.message}`);
  }
}

/** After one more failure. */
async function later(desk: Desk, due: Due): Promise<void> {
  const waitMs = retryMs[due.failures];
  // The third in a row is the last.
  if (waitMs === undefined) await stop(desk, due);
  else await wait(desk, due.userId, waitMs);
}

async function wait({ sql }: Desk, userId: string, ms: number): Promise<void> {
  await sql`UPDATE auto_topups SET next_at = now() + ${ms} * interval '1 ms' WHERE user_id = ${userId}`;
}

async function stop(desk: Desk, { userId, email: to, language }: Due): Promise<void> {
  await desk.sql.begin(async (sql) => {
    const reason = 'Three payments in a row failed.';
    const [row] = await sql<{ key: string }[]>`
      UPDATE auto_topups SET stopped_at = now(), stopped_reason = ${reason} WHERE user_id = ${userId} AND stopped_at IS NULL
      RETURNING user_id || ' ' || extract(epoch FROM changed_at) AS key`;
    if (!row) return;
    const content = compose(language, autoTopupStopped(language), desk.mode === 'sandbox');
    await enqueueMail(sql, { to, language, key: `auto top-up stopped ${row.key}`, ...content });
  });
}

const usualEveryMs = 30_000;

/** Charges what is due every while. Returns what stops it and waits for what is under way. */
export function startAutoTopups(desk: Desk, everyMs = usualEveryMs): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  let running = Promise.resolve();
  const round = async (): Promise<void> => {
    try {
      await chargeDue(desk);
      await tendAgreements(desk);
    } catch (error) {
      if (!stopped) desk.log('automatic top-ups could not be looked at', error);
    }
    plan();
  };
  const plan = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = round();
    }, everyMs);
    timer.unref();
  };
  plan();
  return async () => {
    stopped = true;
    if (timer) clearTimeout(timer);
    await running;
  };
}
