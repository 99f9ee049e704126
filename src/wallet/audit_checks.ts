/** What must be true of the books, as data: each query returns the rows that lie, so an empty answer is the proof. */

import type { Check, Scope, Within } from './check.ts';
import { saleChecks } from './sale_checks.ts';

/** How the seal of a row is made, by table. */
const sealed = {
  transfers: 'transfer_seal(x.id, x.kind, x.debit, x.credit, x.amount, x.note, x.created_at)',
  receipts: `receipt_seal(x.id, x.wallet, x.key_id, x.model, x.provider, x.outcome, x.input_tokens, x.output_tokens, x.cost, x.charged,
    x.held, x.created_at, x.detail)`,
  ledger_accounts: 'ledger_account_seal(x.id, x.kind, x.name, x.user_id, x.created_at)',
  holds: `hold_seal(x.id, x.wallet, x.instance, x.amount, x.key_id, x.model, x.checkpoint, x.checkpoint_input, x.checkpoint_output,
    x.created_at, x.basis)`,
  key_limits: 'key_limit_seal(x)',
  price_versions: 'price_version_seal(x.id, x.content, x.created_at)',
  receipt_keys: 'receipt_key_seal(x.id, x.public_key, x.created_at)',
} as const;

function seal(name: string, scope: Scope, table: keyof typeof sealed, id = 'id'): Check {
  return {
    name,
    scope,
    rows: (within) => `
      SELECT x.${id}::text AS id, format('the row does not fit its seal %s', encode(x.seal, 'hex')) AS detail
      FROM ${table} x WHERE ${within('x.id')} AND x.seal IS DISTINCT FROM ${sealed[table]}`,
  };
}

/** @param accounts a table of all that the transfers within may name */
function withoutAccounts(within: Within, accounts: string): string {
  return `
    SELECT t.id::text, format('%s from %s to %s', t.kind, t.debit, t.credit) AS detail FROM transfers t
    LEFT JOIN ${accounts} d ON d.id = t.debit LEFT JOIN ${accounts} c ON c.id = t.credit
    WHERE ${within('t.id')} AND (d.id IS NULL OR c.id IS NULL OR t.amount <= 0)`;
}

/** @param accounts a table of all that the transfers within may name */
function withOtherAccounts(within: Within, accounts: string): string {
  return `
    SELECT t.id::text, format('%s from %s to %s', t.kind, t.debit, t.credit) AS detail FROM transfers t
    JOIN ${accounts} d ON d.id = t.debit JOIN ${accounts} c ON c.id = t.credit
    WHERE ${within('t.id')} AND CASE t.kind
      WHEN 'charge' THEN d.kind <> 'wallet' OR c.name IS DISTINCT FROM 'revenue'
      WHEN 'loss' THEN d.name IS DISTINCT FROM 'operator_loss' OR c.name IS DISTINCT FROM 'revenue'
      WHEN 'refund' THEN (d.kind, c.kind) <> ('platform', 'wallet') AND NOT (d.kind = 'wallet' AND starts_with(c.name, 'clearing:'))
      WHEN 'bonus' THEN (d.kind, c.kind) <> ('platform', 'wallet') AND NOT (d.kind = 'wallet' AND c.name = 'promotion')
      WHEN 'adjustment' THEN (d.kind, c.kind) <> ('platform', 'wallet') AND NOT (d.kind = 'wallet' AND c.name = 'adjustment')
      ELSE d.kind <> 'platform' OR c.kind <> 'wallet' END`;
}

/** Looks each account up once: of all that there are, a step needs few. */
function namedAccounts(within: Within): string {
  return `WITH named AS MATERIALIZED (
    SELECT id, kind, name FROM ledger_accounts WHERE id = ANY (ARRAY(
      SELECT debit FROM transfers WHERE ${within('id')} UNION SELECT credit FROM transfers WHERE ${within('id')}
    ))
  )`;
}

const ofTransfers: readonly Check[] = [
  {
    name: 'a transfer joins two accounts that exist',
    scope: 'requests',
    rows: (within) => withoutAccounts(within, 'ledger_accounts'),
    rowsOfPart: (within) => namedAccounts(within) + withoutAccounts(within, 'named'),
  },
  {
    name: 'a transfer’s accounts are those of its kind',
    scope: 'requests',
    rows: (within) => withOtherAccounts(within, 'ledger_accounts'),
    rowsOfPart: (within) => namedAccounts(within) + withOtherAccounts(within, 'named'),
  },
  seal('a transfer is as it was written', 'requests', 'transfers'),
];

const ofReceipts: readonly Check[] = [
  {
    name: 'a receipt’s charge is its transfer',
    scope: 'requests',
    rows: (within) => `
      SELECT r.id::text, format('receipt charges %s to wallet %s, transfer says %s from %s', r.charged, r.wallet, t.amount, t.debit) AS detail
      FROM receipts r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'charge' AND ${within('t.id')}
      WHERE ${within('r.id')} AND (r.charged <> coalesce(t.amount, 0) OR t.debit <> r.wallet)`,
  },
  {
    name: 'a charge has its receipt',
    scope: 'requests',
    rows: (within) => `
      SELECT t.id::text, format('%s of %s without a receipt', t.kind, t.amount) AS detail FROM transfers t
      WHERE ${within('t.id')} AND t.kind = 'charge'
        AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.id = t.id AND ${within('r.id')})`,
  },
  {
    name: 'what a receipt costs is charged or lost',
    scope: 'requests',
    rows: (within) => `
      SELECT r.id::text, format('cost %s, charged %s, lost %s', r.cost, r.charged, coalesce(t.amount, 0)) AS detail
      FROM receipts r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'loss' AND ${within('t.id')}
      WHERE ${within('r.id')} AND r.cost <> r.charged + coalesce(t.amount, 0)`,
  },
  seal('a receipt is as it was written', 'requests', 'receipts'),
];

/** As in `unordered` of the sale checks, what is looked up one by one stands in subqueries that are no joins. */
const ofRefunds: Check = {
  name: 'a request was given back what its refund says, once',
  scope: 'requests',
  rows: (within) => `
    SELECT x.id::text AS id, format('the row does not fit its seal %s', encode(x.row_seal, 'hex')) AS detail
    FROM request_refunds x WHERE ${within('x.id')} AND x.row_seal IS DISTINCT FROM row_seal(x)
    UNION ALL
    SELECT x.id::text, format('refund of %s to wallet %s; the books say %s to %s', x.amount, x.wallet, t.amount, t.credit)
    FROM request_refunds x LEFT JOIN transfers t ON t.id = x.id AND t.kind = 'refund' AND t.debit = 1 AND ${within('t.id')}
    WHERE ${within('x.id')} AND (t.amount, t.credit) IS DISTINCT FROM (x.amount, x.wallet)
    UNION ALL
    SELECT x.id::text, format('refund of %s that the receipt does not bear out', x.amount) FROM request_refunds x
    WHERE ${within('x.id')} AND (SELECT (r.wallet, r.key_id, ledger_day(r.created_at)) IS DISTINCT FROM (x.wallet, x.key_id, x.day)
      OR r.charged < x.amount FROM receipts r WHERE r.id = x.request)
    UNION ALL
    SELECT t.id::text, format('%s back to wallet %s: %s, which is not known', t.amount, t.credit, t.note) FROM transfers t
    WHERE ${within('t.id')} AND t.kind = 'refund' AND t.debit = 1 AND t.note ~ '^req_[0-9a-f]{32} was (not finished: req_[0-9a-f]{32} ran instead|answered with an error)$'
      AND NOT EXISTS (SELECT 1 FROM request_refunds x WHERE x.id = t.id AND ${within('x.id')})`,
};

/** @param charges a query of accounts and of what they were charged, below zero */
function unlikeBalances(within: Within, charges: string): string {
  // A charge or loss credits a platform account; that it does is a check of its own.
  return `
    SELECT a.id::text, format('balance %s, transfers sum to %s', a.balance, coalesce(t.total, 0)) AS detail
    FROM ledger_accounts a LEFT JOIN (
      SELECT account, sum(amount) AS total FROM (
        SELECT credit AS account, amount FROM transfers WHERE kind NOT IN ('charge', 'loss') AND ${within('credit')}
        UNION ALL SELECT debit, -amount FROM transfers WHERE kind NOT IN ('charge', 'loss') AND ${within('debit')}
        UNION ALL SELECT wallet, amount FROM archived_totals WHERE ${within('wallet')}
        UNION ALL ${charges}
      ) legs GROUP BY account
    ) t ON t.account = a.id
    WHERE ${within('a.id')} AND a.balance <> CASE a.kind WHEN 'wallet' THEN coalesce(t.total, 0) ELSE 0 END`;
}

const ofWallets: readonly Check[] = [
  {
    name: 'a wallet’s balance is the sum of its transfers',
    scope: 'wallets',
    rows: (within) =>
      unlikeBalances(
        within,
        `SELECT debit, -amount FROM transfers WHERE kind = 'charge' AND ${within('debit')}`,
      ),
    // That receipts and transfers charge the same is a check of its own.
    rowsOfPart: (within) =>
      unlikeBalances(within, `SELECT wallet, -charged FROM receipts WHERE ${within('wallet')}`),
  },
  {
    name: 'a wallet holds what its open requests hold',
    scope: 'wallets',
    rows: (within) => `
      SELECT a.id::text, format('held %s, open holds sum to %s', a.held, coalesce(h.total, 0)) AS detail
      FROM ledger_accounts a LEFT JOIN (SELECT wallet, sum(amount) AS total FROM holds GROUP BY wallet) h ON h.wallet = a.id
      WHERE ${within('a.id')} AND a.held <> coalesce(h.total, 0)`,
  },
  {
    name: 'a wallet is never below zero',
    scope: 'wallets',
    rows: (within) => `
      SELECT id::text, format('balance %s, held %s', balance, held) AS detail FROM ledger_accounts
      WHERE ${within('id')} AND kind = 'wallet' AND (balance < 0 OR held < 0 OR held > balance)`,
  },
  {
    name: 'a wallet knows whether keys of it are counted and have limits',
    scope: 'wallets',
    rows: (within) => `
      SELECT a.id::text, format('counted %s, limited %s', a.keys_counted, a.keys_limited) AS detail
      FROM ledger_accounts a LEFT JOIN (
        SELECT wallet, bool_or(least(total_limit, daily_limit, weekly_limit, monthly_limit) IS NOT NULL) AS limited
        FROM key_limits WHERE ${within('wallet')} GROUP BY wallet
      ) k ON k.wallet = a.id
      WHERE ${within('a.id')} AND (a.keys_counted <> (k.wallet IS NOT NULL) OR a.keys_limited <> coalesce(k.limited, false))`,
  },
  {
    name: 'a wallet has as many receipts as it counted',
    scope: 'wallets',
    rows: (within) => `
      SELECT coalesce(a.id, r.wallet)::text AS id, format('counted %s, there are %s', a.ended, coalesce(r.ended, 0)) AS detail
      FROM (SELECT id, ended FROM ledger_accounts WHERE ${within('id')}) a FULL JOIN (
        SELECT wallet, sum(lines) AS ended FROM (
          SELECT wallet, count(*) AS lines FROM receipts WHERE ${within('wallet')} GROUP BY wallet
          UNION ALL SELECT wallet, lines FROM archived_totals WHERE kind = 'charge' AND ${within('wallet')}
        ) lines GROUP BY wallet
      ) r ON r.wallet = a.id
      WHERE coalesce(a.ended, 0) <> coalesce(r.ended, 0)`,
  },
  seal('an account is as it was opened', 'wallets', 'ledger_accounts'),
];

const keysCounted: Check = {
  name: 'a key has used what its receipts charged, less what was given back',
  scope: 'whole',
  rows: () => `
    SELECT k.key_id::text AS id, format('used %s, receipts and refunds sum to %s', k.total_used, coalesce(r.charged, 0)) AS detail
    FROM key_limits k LEFT JOIN (
      SELECT key_id, sum(charged) AS charged FROM (
        SELECT key_id, charged FROM receipts WHERE key_id IN (SELECT key_id FROM key_limits)
        UNION ALL SELECT key_id, -amount FROM archived_totals WHERE kind = 'charge'
        UNION ALL SELECT key_id, -amount FROM request_refunds
      ) lines GROUP BY key_id
    ) r ON r.key_id = k.key_id
    WHERE k.counted AND k.total_used <> coalesce(r.charged, 0)`,
};

const archivesCounted: Check = {
  name: 'the totals of archived requests are what went to the archives',
  scope: 'whole',
  rows: () => `
    SELECT 'archived_totals' AS id, format('%s lines of %s; archives took %s of %s', t.lines, t.charged, a.rows, a.charged) AS detail
    FROM (SELECT coalesce(sum(lines), 0) AS lines, -coalesce(sum(amount), 0) AS charged FROM archived_totals) t,
      (SELECT coalesce(sum(rows), 0) AS rows, coalesce(sum(charged), 0) AS charged FROM ledger_archives WHERE base = 'receipts') a
    WHERE (t.lines, t.charged) <> (a.rows, a.charged)`,
};

/** What these cost grows with the receipts, so that they belong to runs that read them all. */
export const longChecks: readonly Check[] = [keysCounted, archivesCounted];

const ofDays: Check = {
  name: 'a day’s total is the sum of its lines',
  scope: 'days',
  rows: () => wrongDays('-infinity', 'infinity'),
};

/** @param from first day, @param to last day, as PostgreSQL writes dates */
export function wrongDays(from: string, to: string): string {
  return `
    SELECT format('wallet %s, %s, %s, key %s, model %s', wallet, day, kind, key_id, model) AS id, detail
    FROM ledger_wrong_days('${from}'::date, '${to}'::date)`;
}

const ofTheRest: readonly Check[] = [
  {
    name: 'a request is open or ended, not both',
    scope: 'whole',
    rows: () => `
      SELECT h.id::text, 'has a hold and a receipt' AS detail FROM holds h JOIN receipts r ON r.id = h.id`,
  },
  {
    name: 'a hold belongs to a wallet',
    scope: 'whole',
    rows: () => `
      SELECT h.id::text, format('wallet %s', h.wallet) AS detail FROM holds h
      WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = h.wallet AND a.kind = 'wallet')`,
  },
  seal('a hold is as the ledger wrote it', 'whole', 'holds'),
  {
    name: 'a limited key holds what its open requests hold',
    scope: 'whole',
    rows: () => `
      SELECT k.key_id::text AS id, format('held %s, open holds sum to %s', k.held, coalesce(h.total, 0)) AS detail
      FROM key_limits k LEFT JOIN (SELECT key_id, sum(amount) AS total FROM holds GROUP BY key_id) h ON h.key_id = k.key_id
      WHERE k.held <> CASE WHEN least(k.total_limit, k.daily_limit, k.weekly_limit, k.monthly_limit) IS NULL THEN 0
        ELSE coalesce(h.total, 0) END`,
  },
  seal('the limits of a key are as they were set and counted', 'whole', 'key_limits', 'key_id'),
  seal('prices are as they were when they were charged', 'whole', 'price_versions'),
  seal('a receipt key is as it was made', 'whole', 'receipt_keys'),
  {
    name: 'a request key stands for money that was moved',
    scope: 'whole',
    rows: () => `
      SELECT w.request_key AS id, format('%s %s, which is not in the books', w.kind, w.transfer) AS detail FROM wallet_requests w
      WHERE NOT EXISTS (SELECT 1 FROM transfers t WHERE t.id = w.transfer AND t.kind::text = w.kind)`,
  },
  {
    name: 'what is known of an archive is as it was when it was made',
    scope: 'whole',
    rows: () => `
      SELECT format('%s from %s', x.base, x.from_id) AS id, format('the row does not fit its seal %s', encode(x.seal, 'hex')) AS detail
      FROM ledger_archives x WHERE x.seal IS DISTINCT FROM ledger_archive_seal(x)`,
  },
];

export const checks: readonly Check[] = [
  ...ofWallets,
  ...ofTransfers,
  ...ofReceipts,
  ofRefunds,
  ofDays,
  ...saleChecks,
  ...ofTheRest,
  ...longChecks,
];
