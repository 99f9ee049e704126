/** What was put into a wallet, what was used of it, and what is left. */
import type { Sql } from '../db/database.ts';
import type { Nano } from './money.ts';

export interface Credits {
  /** Everything that was put in; nano-USD, as all of these. */
  readonly credited: Nano;
  /** Charges less refunds: what is missing of the credits in the balance. */
  readonly used: Nano;
  readonly balance: Nano;
  /** What open requests hold of the balance. */
  readonly held: Nano;
}

/**
 * As of one moment. Reads what came in, of which there is little, and never the charges.
 * @throws Error where there is no such wallet
 */
export async function creditsOf(sql: Sql, walletId: number): Promise<Credits> {
  const [row] = await sql<Credits[]>`
    SELECT c.credited, c.credited - a.balance AS used, a.balance, a.held
    FROM ledger_accounts a, LATERAL (
      SELECT coalesce(sum(amount), 0)::bigint AS credited FROM transfers
      WHERE credit = a.id AND kind NOT IN ('charge', 'loss') AND kind <> 'refund'
    ) c
    WHERE a.id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return row;
}
