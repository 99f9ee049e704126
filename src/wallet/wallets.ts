/** Wallets as people see them: opening, money in, balance and statement. */
import type { Sql } from '../db/database.ts';
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

export type TransactionType = 'USAGE' | 'TOPUP' | 'REFUND' | 'ADJUSTMENT' | 'BONUS';

export interface Transaction {
  /** `tx_` and 32 hexadecimal digits. */
  readonly id: string;
  /** Signed: negative is money out of the wallet. */
  readonly amount: Nano;
  readonly type: TransactionType;
  /** Id of the model of a charge; null for everything else. */
  readonly model: string | null;
  /** The note of a credit; empty for a charge, whose `model` says what it was for. */
  readonly description: string;
  readonly status: 'success';
  readonly createdAt: Date;
}

export interface Statement {
  readonly balance: Nano;
  readonly transactions: readonly Transaction[];
}

/** The wallet of a user, made when there is none. Returns its id. */
export async function openWallet(sql: Sql, userId: string): Promise<number> {
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
  sql: Sql,
  walletId: number,
  amount: Nano,
  entry: { readonly kind: CreditKind; readonly note: string; readonly id?: string },
): Promise<{ balance: Nano }> {
  if (amount <= 0) throw new MoneyError('only an amount above zero can be credited');
  const { kind, note, id = timeOrderedId() } = entry;
  const [row] = await sql<{ balance: Nano }[]>`
    SELECT ledger_credit(${id}, ${kind}, ${sources[kind]}, ${walletId}, ${amount}, ${note}) AS balance`;
  if (!row) throw new Error('the credit was not answered');
  return row;
}

/** Transactions that a statement shows at most. */
const statementLength = 1000;

/** Balance and the latest transactions, newest first, as of one moment. */
export async function walletStatement(
  sql: Sql,
  walletId: number,
  limit = statementLength,
): Promise<Statement> {
  const rows = await sql<StatementRow[]>`
    SELECT a.balance, t.id, t.kind, t.debit, t.amount, t.created_at, coalesce(t.note, r.model) AS note
    FROM ledger_accounts a
    LEFT JOIN LATERAL (
      SELECT * FROM (
        (SELECT * FROM transfers WHERE debit = a.id ORDER BY id DESC LIMIT ${limit})
        UNION ALL
        (SELECT * FROM transfers WHERE credit = a.id AND kind NOT IN ('charge', 'loss') ORDER BY id DESC LIMIT ${limit})
      ) either ORDER BY created_at DESC, id DESC LIMIT ${limit}
    ) t ON true
    LEFT JOIN receipts r ON r.id = t.id AND t.kind = 'charge'
    WHERE a.id = ${walletId}
    ORDER BY t.created_at DESC, t.id DESC`;
  const [first] = rows;
  if (!first) throw new Error(`there is no wallet ${walletId}`);
  return {
    balance: first.balance,
    transactions: rows.filter(hasTransfer).map(transaction(walletId)),
  };
}

interface TransferRow {
  readonly id: string;
  readonly kind: 'charge' | CreditKind;
  readonly debit: number;
  readonly amount: number;
  readonly created_at: Date;
  readonly note: string | null;
}
type StatementRow = { readonly balance: Nano } & (TransferRow | { readonly id: null });

function hasTransfer(row: StatementRow): row is { readonly balance: Nano } & TransferRow {
  return row.id !== null;
}

const types: Readonly<Record<TransferRow['kind'], TransactionType>> = {
  charge: 'USAGE',
  topup: 'TOPUP',
  refund: 'REFUND',
  adjustment: 'ADJUSTMENT',
  bonus: 'BONUS',
};

function transaction(walletId: number): (row: TransferRow) => Transaction {
  return ({ id, kind, debit, amount, note, created_at }) => ({
    id: `tx_${id.replaceAll('-', '')}`,
    // as: the column is nano-USD
    amount: (debit === walletId ? -amount : amount) as Nano,
    type: types[kind],
    model: kind === 'charge' ? note : null,
    description: kind === 'charge' ? '' : (note ?? ''),
    status: 'success',
    createdAt: created_at,
  });
}
