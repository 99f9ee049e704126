/** Proves the books: every check returns the rows that lie, so an empty answer is the proof. */
import type { Sql } from '../db/database.ts';

export interface Finding {
  readonly check: string;
  readonly id: string;
  readonly detail: string;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  readonly wallets: number;
  readonly transfers: number;
  readonly receipts: number;
  readonly holds: number;
}

/** Each query yields `id` and `detail` of the rows that contradict it. */
const checks: Readonly<Record<string, string>> = {
  'a wallet’s balance is the sum of its transfers': `
    SELECT a.id::text, format('balance %s, transfers sum to %s', a.balance, coalesce(t.total, 0)) AS detail
    FROM ledger_accounts a LEFT JOIN (
      SELECT account, sum(amount) AS total FROM (
        SELECT credit AS account, amount FROM transfers UNION ALL SELECT debit, -amount FROM transfers
      ) legs GROUP BY account
    ) t ON t.account = a.id
    WHERE a.kind = 'wallet' AND a.balance <> coalesce(t.total, 0)`,
  'a wallet holds what its open requests hold': `
    SELECT a.id::text, format('held %s, open holds sum to %s', a.held, coalesce(h.total, 0)) AS detail
    FROM ledger_accounts a LEFT JOIN (SELECT wallet, sum(amount) AS total FROM holds GROUP BY wallet) h ON h.wallet = a.id
    WHERE a.held <> coalesce(h.total, 0)`,
  'a wallet is never below zero': `
    SELECT id::text, format('balance %s, held %s', balance, held) AS detail FROM ledger_accounts
    WHERE kind = 'wallet' AND (balance < 0 OR held < 0 OR held > balance)`,
  'a transfer joins two accounts that exist': `
    SELECT t.id::text, format('%s from %s to %s', t.kind, t.debit, t.credit) AS detail FROM transfers t
    WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = t.debit)
       OR NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = t.credit)
       OR t.amount <= 0`,
  'a transfer’s accounts are those of its kind': `
    SELECT t.id::text, format('%s from %s to %s', t.kind, t.debit, t.credit) AS detail FROM transfers t
    JOIN ledger_accounts d ON d.id = t.debit JOIN ledger_accounts c ON c.id = t.credit
    WHERE CASE t.kind
      WHEN 'charge' THEN d.kind <> 'wallet' OR c.name IS DISTINCT FROM 'revenue'
      WHEN 'loss' THEN d.name IS DISTINCT FROM 'operator_loss' OR c.name IS DISTINCT FROM 'revenue'
      ELSE d.kind <> 'platform' OR c.kind <> 'wallet' END`,
  'a receipt’s charge is its transfer': `
    SELECT r.id::text, format('receipt charges %s to wallet %s, transfer says %s from %s', r.charged, r.wallet, t.amount, t.debit) AS detail
    FROM receipts r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'charge'
    WHERE r.charged <> coalesce(t.amount, 0) OR t.debit <> r.wallet`,
  'a charge has its receipt': `
    SELECT t.id::text, format('%s of %s without a receipt', t.kind, t.amount) AS detail
    FROM transfers t WHERE t.kind = 'charge' AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.id = t.id)`,
  'what a receipt costs is charged or lost': `
    SELECT r.id::text, format('cost %s, charged %s, lost %s', r.cost, r.charged, coalesce(t.amount, 0)) AS detail
    FROM receipts r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'loss'
    WHERE r.cost <> r.charged + coalesce(t.amount, 0)`,
  'a request is open or ended, not both': `
    SELECT h.id::text, 'has a hold and a receipt' AS detail FROM holds h JOIN receipts r ON r.id = h.id`,
  'a hold belongs to a wallet': `
    SELECT h.id::text, format('wallet %s', h.wallet) AS detail FROM holds h
    WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = h.wallet AND a.kind = 'wallet')`,
};

/** Runs every check on one snapshot of the database. */
export async function audit(sql: Sql): Promise<AuditReport> {
  return sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (snapshot) => {
    const findings: Finding[] = [];
    for (const [check, query] of Object.entries(checks)) {
      const rows = await snapshot.unsafe<{ id: string; detail: string }[]>(query);
      for (const { id, detail } of rows) findings.push({ check, id, detail });
    }
    const [counts] = await snapshot<
      { wallets: number; transfers: number; receipts: number; holds: number }[]
    >`
      SELECT (SELECT count(*) FROM ledger_accounts WHERE kind = 'wallet') AS wallets,
        (SELECT count(*) FROM transfers) AS transfers,
        (SELECT count(*) FROM receipts) AS receipts,
        (SELECT count(*) FROM holds) AS holds`;
    if (!counts) throw new Error('the books could not be counted');
    return { ok: findings.length === 0, findings, ...counts };
  });
}
