/** How much may come in, from whom, how fast: the operator's limits against fraud. Before a payment they refuse, after it they ask a person. */

import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { type Desk, payerHash } from './desk.ts';
import type { Paisa, Truth } from './method.ts';
import type { Payment } from './payment.ts';
import { userRate } from './quote.ts';
import { marketRate } from './rate.ts';
import type { PaymentRules } from './rules.ts';
import { formatTaka, paisa } from './taka.ts';

const hourMs = 3_600_000;

interface Use {
  readonly open: number;
  readonly hour: number;
  /** Paisa that were paid or may still be. */
  readonly day: Paisa;
  readonly month: Paisa;
  readonly ageDays: number;
}

/** What an account has begun of late; null where there is no such account. @param except a payment that does not count */
async function useOf(sql: Statements, userId: string, except: string | null): Promise<Use | null> {
  const [use] = await sql<Use[]>`
    SELECT count(p.id) FILTER (WHERE p.state IN ('created', 'pending') AND p.expires_at > now())::int AS open,
      count(p.id) FILTER (WHERE p.created_at > now() - interval '1 hour')::int AS hour,
      coalesce(sum(p.amount) FILTER (WHERE p.created_at > now() - interval '1 day' AND counts.so), 0)::bigint AS day,
      coalesce(sum(p.amount) FILTER (WHERE counts.so), 0)::bigint AS month,
      (extract(epoch FROM now() - min(u.created_at)) / 86400)::float AS "ageDays"
    FROM users u LEFT JOIN payments p ON p.user_id = u.id AND p.created_at > now() - interval '30 days' AND p.id IS DISTINCT FROM ${except}::uuid
      LEFT JOIN LATERAL (SELECT p.state IN ('created', 'pending', 'verified', 'credited', 'needs_review') AS so) counts ON true
    WHERE u.id = ${userId}`;
  return use ?? null;
}

/**
 * Whether an account may begin a payment.
 * @throws ApiError payment_limit, saying which limit, and when to try again where that is known
 */
export async function checkLimits(
  sql: Statements,
  { limits }: PaymentRules,
  userId: string,
  amount: Paisa,
): Promise<void> {
  const use = await useOf(sql, userId, null);
  if (!use) throw new ApiError('not_found', { message: 'There is no such account.' });
  const refuse = (message: string, retryAfterMs?: number): never => {
    throw new ApiError('payment_limit', retryAfterMs ? { message, retryAfterMs } : { message });
  };
  if (use.open >= limits.open)
    refuse(
      use.open === 1
        ? 'One payment of this account is open: finish or cancel it first.'
        : `${use.open} payments of this account are open: finish or cancel one first.`,
    );
  if (use.hour >= limits.perHour)
    refuse('Too many payments were begun within an hour. Wait a while.', hourMs);
  const { isNew, daily } = dailyOf(use, limits);
  const fits = (used: Paisa, most: number): boolean => used + amount <= most * 100;
  const left = (used: Paisa, most: number): string =>
    formatTaka(paisa(Math.max(0, most * 100 - used)));
  if (!fits(use.day, daily)) {
    const who = isNew
      ? `An account may pay ৳${daily} a day in its first ${limits.newDays} days`
      : `An account may pay ৳${daily} within 24 hours`;
    refuse(`${who}; ৳${left(use.day, daily)} of that are left.`);
  }
  if (!fits(use.month, limits.accountMonth))
    refuse(
      `An account may pay ৳${limits.accountMonth} within 30 days; ৳${left(use.month, limits.accountMonth)} of that are left.`,
    );
}

/** Taka that an account may bring within 24 hours. */
function dailyOf(
  { ageDays }: Use,
  { newDays, newAccountDay, accountDay }: PaymentRules['limits'],
): { readonly isNew: boolean; readonly daily: number } {
  const isNew = ageDays < newDays;
  return { isNew, daily: isNew ? Math.min(newAccountDay, accountDay) : accountDay };
}

/**
 * Why a person should look at a payment that was given up and paid all the same: it was counted no more, so that others were
 * begun in its place. Null for no reason. In a transaction that holds the account.
 */
export async function accountDoubt(
  sql: Statements,
  { limits }: PaymentRules,
  { id, userId, amount }: Payment,
): Promise<string | null> {
  const use = await useOf(sql, userId, id);
  if (!use) return null;
  const { daily } = dailyOf(use, limits);
  if (use.day + amount > daily * 100)
    return `It was paid after it was given up, and the account brought more than ৳${daily} within 24 hours.`;
  if (use.month + amount > limits.accountMonth * 100)
    return `It was paid after it was given up, and the account brought more than ৳${limits.accountMonth} within 30 days.`;
  return null;
}

/** Until when a paid top-up of a new account waits; null for not at all. */
export async function heldUntil(
  sql: Statements,
  { limits: { heldTopups, heldMinutes } }: PaymentRules,
  { userId, id }: Payment,
): Promise<Date | null> {
  if (heldTopups === 0) return null;
  const [row] = await sql<{ earlier: number }[]>`
    SELECT count(*)::int AS earlier FROM payments WHERE user_id = ${userId} AND id <> ${id} AND credited_at IS NOT NULL`;
  return (row?.earlier ?? 0) < heldTopups ? new Date(Date.now() + heldMinutes * 60_000) : null;
}

/** Why a person should look at who paid; null for no reason. In a transaction, which then holds the payer's number, too. */
export async function payerDoubt(
  sql: Statements,
  desk: Desk,
  { limits }: PaymentRules,
  payment: Payment,
  { payer }: Truth,
): Promise<string | null> {
  if (!payer || payer.includes('*')) return null;
  const { payerDay, payersOfAccount, accountsOfPayer } = limits;
  const hash = payerHash(desk, payer);
  // Payments of one number for many accounts wait for each other here, so that each counts those before it.
  await sql`SELECT pg_advisory_xact_lock(hashtextextended(${`payer ${hash.toString('hex')}`}, 0))`;
  const [use] = await sql<{ day: number; payers: number; accounts: number }[]>`
    SELECT coalesce(sum(amount) FILTER (WHERE payer_hash = ${hash} AND verified_at > now() - interval '1 day'), 0)::bigint AS day,
      count(DISTINCT payer_hash) FILTER (WHERE user_id = ${payment.userId} AND payer_hash <> ${hash})::int AS payers,
      count(DISTINCT user_id) FILTER (WHERE payer_hash = ${hash} AND user_id <> ${payment.userId})::int AS accounts
    FROM payments WHERE (payer_hash = ${hash} OR user_id = ${payment.userId}) AND verified_at > now() - interval '30 days'`;
  if (!use) return null;
  if (use.accounts + 1 > accountsOfPayer)
    return `One number pays for ${use.accounts + 1} accounts.`;
  if (use.payers + 1 > payersOfAccount) return `${use.payers + 1} numbers pay for this account.`;
  if (use.day + payment.amount > payerDay * 100)
    return `One number paid more than ৳${payerDay} within 24 hours.`;
  return null;
}

/** Why a payment that comes after its quote is for a person; null where the rate has not moved far. */
export async function rateDoubt(
  desk: Desk,
  rules: PaymentRules,
  payment: Payment,
): Promise<string | null> {
  if (Date.now() <= payment.quotedUntil.getTime()) return null;
  const now = userRate(await marketRate(desk, rules), rules.rate.margin);
  const moved = (Math.abs(now - payment.rate) / payment.rate) * 100;
  if (moved <= Number(rules.latePercent)) return null;
  return `It came after its quote, and the rate has moved by ${Math.round(moved * 10) / 10} %.`;
}
