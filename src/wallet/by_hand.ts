/** Money that the operator puts into a wallet, or takes back out of it: once for each key that he gives, and never below what is free. */
import { isUniqueViolation } from '../db/connection.ts';
import type { Sql, Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { timeOrderedId } from '../ids.ts';
import { fundsOf } from './funds.ts';
import { formatUsd, type Nano } from './money.ts';
import { creditWallet, debitWallet } from './wallets.ts';

export interface ByHand {
  readonly walletId: number;
  /** Nano-USD, above zero. */
  readonly amount: Nano;
  /** Its owner reads it in the statement. */
  readonly note: string;
  /** The same again moves nothing again; null: each call moves. At most 255 characters. */
  readonly requestKey: string | null;
}

export interface Moved {
  readonly balance: Nano;
  /** It was done before, under the same key. */
  readonly again: boolean;
}

/** @throws ApiError idempotency_key_reused for a key of other money */
export function creditByHand(sql: Sql, order: ByHand): Promise<Moved> {
  return once(sql, order, 'topup', async (transaction, id) => {
    const { walletId, amount, note } = order;
    return (await creditWallet(transaction, walletId, amount, { kind: 'topup', note, id })).balance;
  });
}

/** As an adjustment. @throws ApiError insufficient_credits where less is free; idempotency_key_reused for a key of other money */
export function debitByHand(sql: Sql, order: ByHand): Promise<Moved> {
  const { walletId, amount, note } = order;
  return once(sql, order, 'adjustment', async (transaction, id) => {
    const entry = { kind: 'adjustment', note, id, to: 'adjustment' } as const;
    const taken = await debitWallet(transaction, walletId, amount, entry);
    if (taken) return taken.balance;
    const { balance, free } = await fundsOf(transaction, walletId);
    const held = balance === free ? '' : '; requests under way hold the rest';
    throw new ApiError('insufficient_credits', {
      message: `$${formatUsd(free)} of the balance of $${formatUsd(balance)} can be taken${held}.`,
    });
  });
}

/** The row of the key is written with the transfer, or not at all: what was refused may be tried again. */
async function once(
  sql: Sql,
  { requestKey: key }: ByHand,
  kind: 'topup' | 'adjustment',
  move: (transaction: Statements, id: string) => Promise<Nano>,
): Promise<Moved> {
  const own = timeOrderedId();
  const reused = (cause?: unknown): ApiError =>
    new ApiError('idempotency_key_reused', {
      cause,
      message: `The request key "${key}" was used for other money.`,
    });
  try {
    return await sql.begin(async (transaction) => {
      const [row] = key === null ? [] : await known(transaction, key, own, kind);
      if (row && row.kind !== kind) throw reused();
      const id = row?.transfer ?? own;
      return { balance: await move(transaction, id), again: id !== own };
    });
  } catch (error) {
    throw isUniqueViolation(error) ? reused(error) : error;
  }
}

/** Waits for another call with the same key, and then sees what that one wrote. */
async function known(sql: Statements, key: string, transfer: string, kind: string) {
  await sql`INSERT INTO wallet_requests (request_key, transfer, kind) VALUES (${key}, ${transfer}, ${kind})
    ON CONFLICT (request_key) DO NOTHING`;
  return sql<{ transfer: string; kind: string }[]>`
    SELECT transfer, kind FROM wallet_requests WHERE request_key = ${key}`;
}
