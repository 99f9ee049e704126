/** Vouchers and promotions: made in batches, redeemed as often as their batch says, whoever tries how often at once. */
import { returnAttempt, takeAttempt } from '../accounts/attempts.ts';
import type { Sql, Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { isUuid, timeOrderedId } from '../ids.ts';
import { formatUsd, type Nano } from '../wallet/money.ts';
import { creditWallet, openWallet } from '../wallet/wallets.ts';
import type { Paisa } from './method.ts';
import type { Payment } from './payment.ts';
import { formatTaka } from './taka.ts';
import { codeHash, newCode, readCode } from './voucher_code.ts';

export interface VoucherOrder {
  /** How many codes. */
  readonly codes: number;
  /** What one redemption gives. */
  readonly value: Nano;
  /** How often each code may be redeemed, by as many accounts. */
  readonly uses: number;
  /** Whether an account may redeem one code of the batch only. */
  readonly once: boolean;
  /** For accounts of at most so many days; null for all. */
  readonly newerThanDays: number | null;
  /** For accounts that brought at least so much in one payment; null for all. */
  readonly leastPayment: Paisa | null;
  readonly expiresAt: Date | null;
  readonly note: string;
}

export interface VoucherBatch extends VoucherOrder {
  readonly id: string;
  readonly who: string;
  readonly createdAt: Date;
  readonly disabledAt: Date | null;
  /** Redemptions of all its codes. */
  readonly redeemed: number;
  /** What they gave. */
  readonly credited: Nano;
}

export interface VoucherCode {
  readonly number: number;
  readonly lastFour: string;
  readonly used: number;
  readonly disabledAt: Date | null;
}

export const mostCodes = 10_000;
export const mostUses = 1_000_000;

/**
 * Makes codes. Their text is returned this once and kept nowhere.
 * @param who makes them, for the record
 */
export async function createVouchers(
  sql: Sql,
  who: string,
  order: VoucherOrder,
): Promise<{ readonly batch: VoucherBatch; readonly codes: readonly string[] }> {
  const { codes: count, value, uses, once, newerThanDays, leastPayment, expiresAt, note } = order;
  if (expiresAt && expiresAt.getTime() <= Date.now())
    throw new ApiError('invalid_request', {
      param: 'expires',
      message: 'The vouchers would have expired already.',
    });
  const codes = Array.from({ length: count }, newCode);
  const id = timeOrderedId();
  const hashes = codes.map((code) => codeHash(readCode(code) ?? '').toString('hex'));
  const ends = codes.map((code) => code.slice(-4));
  await sql.begin(async (transaction) => {
    await transaction`
      INSERT INTO voucher_batches (id, value, codes, uses, once, newer_than_days, least_payment, expires_at, note, who)
      VALUES (${id}, ${value}, ${count}, ${uses}, ${once}, ${newerThanDays}, ${leastPayment}, ${expiresAt}, ${note}, ${who})`;
    await transaction`
      INSERT INTO voucher_codes (hash, batch, number, last_four)
      SELECT decode(hash, 'hex'), ${id}, number, last_four
      FROM unnest(${hashes}::text[], ${ends}::text[]) WITH ORDINALITY fresh (hash, last_four, number)`;
  });
  const batch = await findBatch(sql, id);
  if (!batch) throw new Error(`batch ${id} vanished`);
  return { batch, codes };
}

function batches(sql: Statements, id: string | null): Promise<VoucherBatch[]> {
  return sql<VoucherBatch[]>`
    SELECT b.id, b.codes, b.value, b.uses, b.once, b.newer_than_days AS "newerThanDays", b.least_payment AS "leastPayment",
      b.expires_at AS "expiresAt", b.note, b.who, b.created_at AS "createdAt", b.disabled_at AS "disabledAt",
      count(r.id)::int AS redeemed, coalesce(sum(r.value), 0)::bigint AS credited
    FROM voucher_batches b LEFT JOIN voucher_redemptions r ON r.batch = b.id
    WHERE ${id}::uuid IS NULL OR b.id = ${id} GROUP BY b.id ORDER BY b.id DESC LIMIT 200`;
}

/** The latest first. */
export function listBatches(sql: Statements): Promise<VoucherBatch[]> {
  return batches(sql, null);
}

async function findBatch(sql: Statements, id: string): Promise<VoucherBatch | null> {
  return (await batches(sql, id))[0] ?? null;
}

/** A batch with its codes in the order of their numbers. @throws ApiError not_found */
export async function showBatch(
  sql: Statements,
  id: string,
): Promise<{ readonly batch: VoucherBatch; readonly codes: readonly VoucherCode[] }> {
  const batch = isUuid(id) ? await findBatch(sql, id) : null;
  if (!batch) throw noSuchBatch(id);
  const codes = await sql<VoucherCode[]>`
    SELECT number, last_four AS "lastFour", used, disabled_at AS "disabledAt" FROM voucher_codes WHERE batch = ${id} ORDER BY number`;
  return { batch, codes };
}

function noSuchBatch(id: string): ApiError {
  return new ApiError('not_found', { message: `There is no batch of vouchers ${id}.` });
}

/**
 * Switches a batch off, or one code of it; what was redeemed stays credited. Again changes nothing.
 * @param number of the code; null for all of them
 * @throws ApiError not_found
 */
export async function disableVouchers(
  sql: Sql,
  who: string,
  { batch, number }: { readonly batch: string; readonly number: number | null },
): Promise<void> {
  if (!isUuid(batch)) throw noSuchBatch(batch);
  const rows =
    number === null
      ? await sql`
          UPDATE voucher_batches SET disabled_at = coalesce(disabled_at, now()), disabled_by = coalesce(disabled_by, ${who})
          WHERE id = ${batch} RETURNING id`
      : await sql`
          UPDATE voucher_codes SET disabled_at = coalesce(disabled_at, now()), disabled_by = coalesce(disabled_by, ${who})
          WHERE batch = ${batch} AND number = ${number} RETURNING number`;
  if (rows.length > 0) return;
  if (number === null) throw noSuchBatch(batch);
  throw new ApiError('not_found', { message: `There is no voucher ${number} in batch ${batch}.` });
}

export interface Redemption {
  /** Of the transaction in the wallet. */
  readonly id: string;
  readonly value: Nano;
  readonly balance: Nano;
}

/** As `voucher_take` returns it. */
interface Taken {
  readonly verdict:
    | 'taken'
    | 'unknown'
    | 'repeated'
    | 'disabled'
    | 'used'
    | 'expired'
    | 'account'
    | 'payment';
  readonly value: Nano | null;
  readonly batch: string | null;
  readonly leastPayment: Paisa | null;
}

/**
 * Puts the value of a code into the wallet of an account, once. The caller counts the attempts.
 * @param typed as the user typed it
 * @throws ApiError voucher_unknown for what is no code of ours, voucher_refused with the reason for one that is
 */
export async function redeemVoucher(sql: Sql, userId: string, typed: string): Promise<Redemption> {
  const letters = readCode(typed);
  if (!letters)
    throw new ApiError('voucher_unknown', {
      param: 'code',
      message: 'This is no voucher code: a letter is missing or wrong. Look at it again.',
    });
  return sql.begin(async (transaction) => {
    const wallet = await openWallet(transaction, userId);
    const id = timeOrderedId();
    const [taken] = await transaction<Taken[]>`
      SELECT verdict, value, batch, least_payment AS "leastPayment"
      FROM voucher_take(${id}, ${codeHash(letters)}, ${userId}, ${wallet})`;
    if (!taken) throw new Error('the redemption was not answered');
    const { verdict, value, batch } = taken;
    if (verdict !== 'taken' || value === null || batch === null) throw refusal(taken);
    const note = `Voucher …${letters.slice(-4)}`;
    const { balance } = await creditWallet(transaction, wallet, value, { kind: 'bonus', id, note });
    return { id, value, balance };
  });
}

/**
 * A voucher that its account could not have redeemed without this payment, for people; null for none. In a transaction that
 * holds the account.
 * @param gone paisa of the payment that will have gone back
 */
export async function voucherOn(
  sql: Statements,
  { id, userId, amount, refunded }: Payment,
  gone: Paisa,
): Promise<string | null> {
  const [row] = await sql<{ value: Nano; number: number; batch: string }[]>`
    SELECT b.value, c.number, b.id AS batch
    FROM voucher_redemptions r JOIN voucher_codes c ON c.hash = r.code JOIN voucher_batches b ON b.id = r.batch
    WHERE r.user_id = ${userId} AND b.least_payment > ${amount - gone} AND b.least_payment <= ${amount - refunded}
      AND NOT EXISTS (SELECT 1 FROM payments o WHERE o.user_id = r.user_id AND o.id <> ${id} AND o.credited_at IS NOT NULL
        AND o.amount - o.refunded >= b.least_payment)
    ORDER BY r.id LIMIT 1`;
  return row ? `Voucher ${row.number} of batch ${row.batch}, of $${formatUsd(row.value)},` : null;
}

/** Of codes that were refused; what was credited is not counted. */
const wrongCodes = { most: 10, everyMs: 3_600_000 };

/** The same, as often as an account may try. @throws ApiError too_many_attempts, and as `redeemVoucher` does */
export async function redeemCounted(sql: Sql, userId: string, typed: string): Promise<Redemption> {
  await takeAttempt(sql, 'vouchers of', userId, wrongCodes);
  const redeemed = await redeemVoucher(sql, userId, typed);
  await returnAttempt(sql, 'vouchers of', userId, wrongCodes);
  return redeemed;
}

function refusal({ verdict, leastPayment }: Taken): ApiError {
  const sentences: Readonly<Record<Taken['verdict'], string>> = {
    taken: '',
    unknown: 'There is no such voucher.',
    repeated: 'This account has redeemed this voucher, or another one of the same offer, already.',
    disabled: 'This voucher is no longer valid.',
    used: 'This voucher has been redeemed already.',
    expired: 'This voucher has expired.',
    account: 'This voucher is for new accounts.',
    payment: `This voucher is for accounts that have topped up at least ৳${leastPayment === null ? '' : formatTaka(leastPayment)} at once.`,
  };
  return new ApiError(verdict === 'unknown' ? 'voucher_unknown' : 'voucher_refused', {
    param: 'code',
    message: sentences[verdict],
    details: { reason: verdict },
  });
}

/** One line on who may redeem, for lists and sheets; empty for everybody. */
export function conditionsOf({ newerThanDays, leastPayment, uses, once }: VoucherOrder): string {
  return [
    uses > 1 ? `${uses} uses each` : '',
    once ? 'one an account' : '',
    newerThanDays === null ? '' : `accounts of at most ${newerThanDays} days`,
    leastPayment === null ? '' : `after a top-up of ৳${formatTaka(leastPayment)}`,
  ]
    .filter(Boolean)
    .join(', ');
}

/** `12 × $5` */
export function sizeOf({ codes, value }: VoucherOrder): string {
  return `${codes} × $${formatUsd(value)}`;
}
