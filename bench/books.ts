/**
 * How long it takes to prove books of a given length: `node bin/with-node bench/books.ts [receipts]`.
 * Fills a database of its own with honest books of sixty days and 10,000 wallets, audits them, then scans them in steps.
 */

import { audit, findLies } from '../src/wallet/audit.ts';
import { checks } from '../src/wallet/audit_checks.ts';
import { AuditScan } from '../src/wallet/audit_scan.ts';
import { Ledgers } from '../test/ledgers.ts';

const days = 60;
const wallets = 10_000;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  const result = await work();
  say(`${((performance.now() - begin) / 1000).toFixed(2).padStart(8)} s  ${what}`);
  return result;
}

/** Written past the ledger's functions, one statement a table, with the seals that they would make. */
function fillStatements(receipts: number): readonly string[] {
  const moment = `now() - interval '1 hour' - (${receipts} - i) * interval '${(days * 86_400) / receipts} seconds'`;
  const detail = `{"finishReason":"stop","reportedBy":"provider","upstreamModel":"gpt-4o-mini-2024-07-18","priceVersion":"openai/gpt-4o-mini-0123456789abcdef","tokens":{"input":812,"cachedInput":128,"output":245},"prices":{"input":150000,"cachedInput":75000,"output":600000},"firstByteMs":412,"durationMs":2711}`;
  return [
    `SELECT ledger_make_partitions(now() - interval '${days + 31} days', 3)`,
    'ALTER TABLE day_totals_mark DISABLE TRIGGER USER',
    `INSERT INTO ledger_accounts (id, kind, user_id, balance, created_at, seal)
      SELECT id, 'wallet', u, 0, m, ledger_account_seal(id, 'wallet', NULL, u, m)
      FROM (SELECT 100000 + i AS id, md5(i::text)::uuid AS u, now() - interval '${days + 1} days' AS m FROM generate_series(1, ${wallets}) i) x`,
    `INSERT INTO transfers (id, kind, debit, credit, amount, created_at, seal)
      SELECT id, 'topup', 5, wallet, 1000000000, m, transfer_seal(id, 'topup', 5, wallet, 1000000000, NULL, m)
      FROM (SELECT gen_random_uuid() AS g, a.id AS wallet, a.created_at AS m,
        (substr(ledger_first_id(a.created_at)::text, 1, 18) || substr(gen_random_uuid()::text, 19))::uuid AS id
        FROM ledger_accounts a WHERE kind = 'wallet') x`,
    `INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail, seal)
      SELECT id, wallet, key_id, 'openai/gpt-4o-mini', 'openai', 'settled', 940, 245, charged, charged, 400000, m, d,
        receipt_seal(id, wallet, key_id, 'openai/gpt-4o-mini', 'openai', 'settled', 940, 245, charged, charged, 400000, m, d)
      FROM (SELECT (substr(ledger_first_id(m)::text, 1, 18) || substr(md5(i::text), 1, 4) || '-' || substr(md5(i::text), 5, 12))::uuid AS id,
        wallet, md5('key' || wallet)::uuid AS key_id, charged, m, d
        FROM (SELECT i, ${moment} AS m, 100001 + (i::bigint * 7919) % ${wallets} AS wallet, 1000 + i % 5000 AS charged, '${detail}'::json AS d
          FROM generate_series(1, ${receipts}) i) y) x`,
    `INSERT INTO transfers (id, kind, debit, credit, amount, created_at, seal)
      SELECT id, 'charge', wallet, 1, charged, created_at, transfer_seal(id, 'charge', wallet, 1, charged, NULL, created_at) FROM receipts`,
    `UPDATE ledger_accounts a SET balance = 1000000000 - r.charged, ended = r.ended
      FROM (SELECT wallet, sum(charged) AS charged, count(*) AS ended FROM receipts GROUP BY wallet) r WHERE a.id = r.wallet`,
    `UPDATE ledger_accounts SET balance = 1000000000 WHERE kind = 'wallet' AND balance = 0`,
    `SELECT ledger_add_days('-infinity', now() - interval '30 minutes')`,
    `UPDATE day_totals_mark SET counted_to = now() - interval '30 minutes', next_to = NULL`,
    'VACUUM ANALYZE',
  ];
}

async function main(): Promise<void> {
  const receipts = Number(process.argv[2] ?? 1_000_000);
  await using ledgers = await Ledgers.open();
  const { sql } = ledgers.database;
  await timed(`to fill ${receipts} receipts`, async () => {
    for (const statement of fillStatements(receipts)) await ledgers.owner.unsafe(statement);
  });
  await timed('to audit the whole, the disk cold or not', () => audit(sql));
  const report = await timed('again', () => audit(sql));
  say(JSON.stringify(report));
  for (const check of checks)
    await timed(check.name, () =>
      sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (snapshot) => {
        await snapshot.unsafe("SET LOCAL work_mem = '128MB'");
        return findLies(snapshot, [check], null);
      }),
    );
  const scan = new AuditScan(ledgers.database.connect({ max: 1, name: 'scan' }), {
    rows: Number.MAX_SAFE_INTEGER,
    stepRows: 50_000,
    pauses: 0,
    claimMs: 0,
  });
  for (const what of ['first pass of the scan, in steps, without pauses', 'second pass']) {
    const run = await timed(what, () => scan.run());
    say(JSON.stringify({ ...run, findings: run?.findings.slice(0, 5) }));
  }
}

await main();
