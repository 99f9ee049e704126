/** Wallets as people see them: opening, money in, balance. */
import type { Sql, Statements } from '../db/database.ts';
import { timeOrderedId } from '../ids.ts';
import { MoneyError, type Nano } from './money.ts';

export type CreditKind = 'topup' | 'bonus' | 'adjustment' | 'refund';

/** Where money comes from, by kind. */
const sources: Readonly<Record<CreditKind, string>> = {
  topup: 'clearing',
  bonus: 'promotion',
  adjustment: 'adjustment',
  refund: 'revenue',
};

/** The wallet of a user, made when there is none. Returns its id. */
export async function openWallet(sql: Statements, userId: string): Promise<number> {
  const [row] = await sql<{ id: number }[]>`SELECT ledger_open_wallet(${userId}) AS id`;
  if (!row) throw new Error('no wallet was opened');
  return row.id;
}

/**
 * Puts money into a wallet, once: the same `id` again changes nothing.
 * @param amount nano-USD, above zero
 * @param entry an `id` of the caller's own must be time-ordered too: the statement takes the latest by id
 * @throws MoneyError for an amount that is not; the driver's unique_violation for a known id with other content
 */
export async function creditWallet(
  sql: Statements,
  walletId: number,
  amount: Nano,
  entry: {
    readonly kind: CreditKind;
    readonly note: string;
    readonly id?: string;
    /** Name of the account that it comes from, where it is not the usual one of its kind. */
    readonly from?: string;
  },
): Promise<{ balance: Nano }> {
  if (amount <= 0) throw new MoneyError('only an amount above zero can be credited');
  const { kind, note, id = timeOrderedId(), from = sources[kind] } = entry;
  const [row] = await sql<{ balance: Nano }[]>`
    SELECT ledger_credit(${id}, ${kind}, ${from}, ${walletId}, ${amount}, ${note}) AS balance`;
  if (!row) throw new Error('the credit was not answered');
  return row;
}

/**
 * Takes money out of a wallet, as far as no request holds it, once: the same `id` again changes nothing.
 * @param amount nano-USD, above zero
 * @param entry `to` names the account that it goes to
 * @returns null where the wallet has not enough
 * @throws MoneyError for an amount that is not; the driver's unique_violation for a known id with other content
 */
export async function debitWallet(
  sql: Statements,
  walletId: number,
  amount: Nano,
  entry: {
    readonly kind: 'refund' | 'bonus' | 'adjustment';
    readonly note: string;
    readonly id: string;
    readonly to: string;
  },
): Promise<{ balance: Nano } | null> {
  if (amount <= 0) throw new MoneyError('only an amount above zero can be taken');
  const { kind, note, id, to } = entry;
  const [row] = await sql<{ balance: Nano | null }[]>`
    SELECT ledger_debit(${id}, ${kind}, ${walletId}, ${to}, ${amount}, ${note}) AS balance`;
  return row && row.balance !== null ? { balance: row.balance } : null;
}

/** Settled balance in nano-USD, as the wallet shows it. @throws Error where there is no wallet */
export async function walletBalance(sql: Statements, walletId: number): Promise<Nano> {
  const [row] = await sql<{ balance: Nano }[]>`
    SELECT balance FROM ledger_accounts WHERE id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return row.balance;
}

/** Settled balances in nano-USD by the ids of users; one without a wallet is left out. */
export async function balancesOf(
  sql: Sql,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, Nano>> {
  const rows = await sql<{ userId: string; balance: Nano }[]>`
    SELECT user_id AS "userId", balance FROM ledger_accounts
    WHERE user_id IN (SELECT given.value::uuid FROM jsonb_array_elements_text(${sql.json([...userIds])}) AS given (value))`;
  return new Map(rows.map(({ userId, balance }) => [userId, balance]));
}
