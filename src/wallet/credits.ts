/** What was put into a wallet, what was used of it, and what is left. */
import type { Sql } from '../db/database.ts';
import type { Nano } from './money.ts';

export interface Credits {
  /** What was put in, less what was taken back or sent back; nano-USD, as all of these. */
  readonly credited: Nano;
  /** Charges less refunds: what is missing of the credits in the balance. */
  readonly used: Nano;
  readonly balance: Nano;
  /** What open requests hold of the balance. */
  readonly held: Nano;
}

/**
 * As of one moment. Reads what came in and went back, of which there is little, and never the charges.
 * @throws Error where there is no such wallet
 */
export async function creditsOf(sql: Sql, walletId: number): Promise<Credits> {
  const [row] = await sql<Credits[]>`
    SELECT c.credited, c.credited - a.balance AS used, a.balance, a.held
    FROM ledger_accounts a, LATERAL (
      SELECT coalesce(sum(moved), 0)::bigint AS credited FROM (
        SELECT amount AS moved FROM transfers WHERE credit = a.id AND kind NOT IN ('charge', 'loss')
          AND NOT (kind = 'refund' AND debit = (SELECT id FROM ledger_accounts WHERE name = 'revenue'))
        UNION ALL SELECT -amount FROM transfers WHERE debit = a.id AND kind NOT IN ('charge', 'loss')
      ) moves
    ) c
    WHERE a.id = ${walletId}`;
  if (!row) throw new Error(`there is no wallet ${walletId}`);
  return row;
}
