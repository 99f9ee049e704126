/** What a wallet has, and what of it no request holds. */
import type { Statements } from '../db/database.ts';
import type { Nano } from './money.ts';

export interface Funds {
  readonly balance: Nano;
  readonly free: Nano;
}

/** As of one moment. @throws Error where there is no such wallet */
export async function fundsOf(sql: Statements, walletId: number): Promise<Funds> {
  const [row] = await sql<Funds[]>`
    SELECT balance, balance - held AS free FROM ledger_accounts WHERE id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return row;
}
