/** Limits of what a key may spend, and what it has spent: total, and in the days, weeks and months of Dhaka. The database keeps to them. */
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { exactUsd, type Nano, nano } from './money.ts';

/** In the order in which the database numbers them. */
export const keyLimits = ['total', 'daily', 'weekly', 'monthly'] as const;
export type KeyLimit = (typeof keyLimits)[number];

/** Nano-USD; null for no limit. */
export type KeyLimits = Readonly<Record<KeyLimit, Nano | null>>;

/** What the limits of a key leave it, with nothing held, and which of them leaves least. */
export interface KeyRoom {
  readonly limit: KeyLimit;
  /** Nano-USD; below zero where a limit was lowered. */
  readonly left: number;
}

export interface KeyFunds extends KeyRoom {
  /** The same beside what open requests hold; nano-USD. */
  readonly free: number;
}

export interface KeyUse {
  readonly limits: KeyLimits;
  /** Nano-USD charged: ever, and since the last reset of each limit. */
  readonly used: Readonly<Record<KeyLimit, Nano>>;
  /** What open requests hold of the limits; 0 for a key without. */
  readonly held: Nano;
}

/** A request that a limit of its key does not allow. */
export class KeyLimitError extends ApiError {
  readonly room: KeyRoom;
  readonly isBusy: boolean;

  /** @param isBusy other requests of the key hold what the limit leaves @param hint a sentence on what would do */
  constructor(room: KeyRoom, isBusy: boolean, more: { hint?: string; tokens?: number } = {}) {
    const { limit, left } = room;
    const resetsAt = resetOf(limit, Date.now());
    const until = resetsAt ? `, which starts anew at ${resetsAt.toISOString()}` : '';
    const reason = isBusy
      ? `other requests hold what the ${limit} limit of this API key leaves`
      : `this request does not fit into what the ${limit} limit of this API key leaves`;
    super('insufficient_credits', {
      message: `Insufficient credits: ${reason}${until}.${more.hint ? ` ${more.hint}` : ''}`,
      details: {
        limit_source: 'key',
        limit,
        limit_remaining: exactUsd(nano(Math.max(0, left))),
        limit_resets_at: resetsAt,
        ...(more.tokens === undefined ? {} : { affordable_max_tokens: more.tokens }),
      },
    });
    this.room = room;
    this.isBusy = isBusy;
  }
}

const hourMs = 3_600_000;
const dhakaAheadMs = 6 * hourMs;

/** When a limit starts anew, after `now` (ms since the epoch); null for the total, which never does. Weeks begin on Monday. */
export function resetOf(limit: KeyLimit, now: number): Date | null {
  if (limit === 'total') return null;
  const dhaka = new Date(now + dhakaAheadMs);
  const [year, month, day] = [dhaka.getUTCFullYear(), dhaka.getUTCMonth(), dhaka.getUTCDate()];
  const untilMonday = ((7 - dhaka.getUTCDay()) % 7) + 1;
  const midnight =
    limit === 'monthly'
      ? Date.UTC(year, month + 1, 1)
      : Date.UTC(year, month, day + (limit === 'daily' ? 1 : untilMonday));
  return new Date(midnight - dhakaAheadMs);
}

/** A moment as clocks in Dhaka show it: "2026-11-24T00:00:00+06:00". */
export function inDhaka(moment: Date): string {
  const local = new Date(moment.getTime() + dhakaAheadMs).toISOString();
  return `${local.slice(0, 19)}+06:00`;
}

/**
 * Sees to it that the database counts what a key spends. The first time for a key adds up its totals of days and
 * the receipts that no total has yet, without locking anything meanwhile.
 */
async function count(sql: Sql, keyId: string, walletId: number): Promise<void> {
  // Each call is a transaction of its own: what the first begins is there for other processes before the second sums up.
  for (let call = 0; call < 3; call += 1) {
    const [row] = await sql<{ done: boolean }[]>`
      SELECT ledger_count_key(${keyId}, ${walletId}) AS done`;
    if (row?.done) return;
  }
  throw new Error(`key ${keyId} could not be counted`);
}

/** Sets all four limits of a key; null takes one away. What was spent before counts. */
export async function limitKey(
  sql: Sql,
  keyId: string,
  walletId: number,
  { total, daily, weekly, monthly }: KeyLimits,
): Promise<void> {
  await count(sql, keyId, walletId);
  await sql`SELECT ledger_limit_key(${keyId}, ${walletId}, ${total}, ${daily}, ${weekly}, ${monthly})`;
}

/** Limits and use of a key at this moment. */
export async function keyUse(sql: Sql, keyId: string, walletId: number): Promise<KeyUse> {
  const known = await readUse(sql, keyId);
  if (known) return known;
  await count(sql, keyId, walletId);
  const use = await readUse(sql, keyId);
  if (!use) throw new Error(`key ${keyId} is not counted`);
  return use;
}

/** What the limits of a key leave it at this moment; null for a key without. */
export async function keyFunds(sql: Sql, keyId: string): Promise<KeyFunds | null> {
  // Whoever sets a limit has had the key counted before.
  const use = await readUse(sql, keyId);
  if (!use) return null;
  let least: KeyFunds | null = null;
  for (const limit of keyLimits) {
    const amount = use.limits[limit];
    if (amount === null) continue;
    const left = amount - use.used[limit];
    if (!least || left < least.left) least = { limit, left, free: left - use.held };
  }
  return least;
}

async function readUse(sql: Sql, keyId: string): Promise<KeyUse | null> {
  const [row] = await sql<KeyUse[]>`
    SELECT
      json_build_object('total', total_limit, 'daily', daily_limit, 'weekly', weekly_limit, 'monthly', monthly_limit) AS limits,
      json_build_object('total', total_used, 'daily', ledger_used('day', day, today, day_used),
        'weekly', ledger_used('week', day, today, week_used), 'monthly', ledger_used('month', day, today, month_used)) AS used,
      held
    FROM key_limits, LATERAL (SELECT greatest(day, ledger_day(clock_timestamp())) AS today) now
    WHERE key_id = ${keyId} AND counted`;
  return row ?? null;
}

/** Limits that are to change; nano-USD, null takes one away. */
export type LimitChanges = Partial<Record<KeyLimit, Nano | null>>;

/** Changes the limits that are named and keeps the others. */
export async function changeLimits(
  sql: Sql,
  key: { readonly id: string; readonly walletId: number },
  changes: LimitChanges,
): Promise<KeyUse> {
  const { limits } = await keyUse(sql, key.id, key.walletId);
  await limitKey(sql, key.id, key.walletId, { ...limits, ...changes });
  return keyUse(sql, key.id, key.walletId);
}

type Exact = Readonly<Record<KeyLimit, unknown>>;

function exactly({ total, daily, weekly, monthly }: KeyLimits): Exact {
  const exact = (amount: Nano | null): unknown => (amount === null ? null : exactUsd(amount));
  return {
    total: exact(total),
    daily: exact(daily),
    weekly: exact(weekly),
    monthly: exact(monthly),
  };
}

/** For JSON.stringify: USD, exact. */
export function useJson({ limits, used }: KeyUse): { limits: Exact; used: Exact } {
  return { limits: exactly(limits), used: exactly(used) };
}

/** Keys with what they may spend and have spent. */
export function withUse<Key extends { readonly id: string; readonly walletId: number }>(
  sql: Sql,
  records: readonly Key[],
): Promise<(readonly [Key, KeyUse])[]> {
  return Promise.all(
    records.map(async (record) => [record, await keyUse(sql, record.id, record.walletId)] as const),
  );
}

/** Whether any limit is set, and not only taken away. */
export function isLimited(changes: LimitChanges): boolean {
  return Object.values(changes).some((limit) => limit !== null);
}
