/**
 * How long it takes to find one row that lies among a million: `node bin/with-node bench/books.ts [requests]`. About two minutes.
 * Fills a database of its own with honest books of sixty days and 10,000 wallets, falsifies one column of one row at random, and
 * has it found by `akai audit` and by a pass of the scheduled scan. Writes BOOKS.md.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { Sql } from '../src/db/database.ts';
import { audit, type Finding } from '../src/wallet/audit.ts';
import { AuditScan } from '../src/wallet/audit_scan.ts';
import { pauses, stepRows } from '../src/wallet/audit_schedule.ts';
import { Ledgers } from '../test/ledgers.ts';
import { cpuOf } from './processes.ts';
import { table } from './report.ts';

const days = 60;
const wallets = 10_000;
/** Each is a receipt and a transfer: a million rows. */
const usualRequests = 500_000;
/** What a million rows may take: the command altogether, the scan of a processor; seconds. */
const mostSeconds = 60;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<[T, number]> {
  const begin = performance.now();
  const result = await work();
  const seconds = (performance.now() - begin) / 1000;
  say(`${seconds.toFixed(1).padStart(7)} s  ${what}`);
  return [result, seconds];
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
    // Day by day, as they are counted while they pass.
    `DO $$ BEGIN FOR day IN 0..${days} LOOP
      PERFORM ledger_add_days(CASE day WHEN 0 THEN '-infinity' ELSE now() - make_interval(days => ${days} + 1 - day, mins => 30) END,
        now() - make_interval(days => ${days} - day, mins => 30));
    END LOOP; END $$`,
    `UPDATE day_totals_mark SET counted_to = now() - interval '30 minutes', next_to = NULL`,
    'VACUUM ANALYZE',
  ];
}

/** How a column is made to lie, so that no constraint minds. */
const lies = {
  receipts: [
    'model = model || $$x$$',
    'provider = NULL',
    'key_id = gen_random_uuid()',
    `outcome = 'estimated'`,
    'input_tokens = input_tokens + 1',
    'output_tokens = output_tokens + 1',
    'cost = cost + 1',
    'held = held + 1',
    `created_at = created_at + interval '1 microsecond'`,
    `detail = replace(detail::text, '412', '413')::json`,
  ],
  transfers: [
    'amount = amount + 1',
    'debit = debit + 1',
    'credit = 2',
    `note = 'x'`,
    `created_at = created_at + interval '1 microsecond'`,
  ],
} as const;

interface Lie {
  readonly id: string;
  readonly what: string;
}

/** Falsifies one column of one row between a quarter and three quarters of the way, past triggers. */
async function falsify(owner: Sql, receipts: number): Promise<Lie> {
  const table = randomInt(2) === 0 ? 'receipts' : 'transfers';
  const change = lies[table][randomInt(lies[table].length)];
  const place = Math.floor(receipts / 4) + randomInt(Math.ceil(receipts / 2));
  const [row] = await owner<
    { id: string }[]
  >`SELECT id FROM receipts ORDER BY id OFFSET ${place} LIMIT 1`;
  assert.ok(row && change);
  await owner.begin(async (sql) => {
    await sql`SET LOCAL session_replication_role = replica`;
    const { count } = await sql.unsafe(`UPDATE ${table} SET ${change} WHERE id = '${row.id}'`);
    assert.equal(count, 1);
  });
  return { id: row.id, what: `${table}: ${change}` };
}

function assertNamed(
  by: string,
  findings: readonly Finding[],
  { id, what }: Lie,
  seconds: number,
): void {
  assert.ok(
    findings.some((finding) => finding.id === id && finding.check.includes('as it was written')),
    `${by} did not name ${id} (${what}): ${JSON.stringify(findings.slice(0, 5))}`,
  );
  assert.ok(seconds < mostSeconds, `${by} took ${seconds} s`);
}

interface Figures {
  readonly lie: Lie;
  readonly requests: number;
  /** Receipts and transfers. */
  readonly rows: number;
  /** Seconds, as are those below. */
  readonly fill: number;
  readonly command: number;
  readonly scan: number;
  /** PostgreSQL's, of a processor. */
  readonly scanWork: number;
}

function reportOf({ lie, requests, rows, fill, command, scan, scanWork }: Figures): string {
  const stretched = scanWork * (1 + pauses);
  const target = `below ${mostSeconds}`;
  const figures = [
    ['`akai audit`: everything, as of one instant', command.toFixed(1), target],
    ['a whole pass of the scheduled scan: time of one processor', scanWork.toFixed(1), target],
    ['the same by the clock, without its pauses', scan.toFixed(1), ''],
  ];
  return `# One row that lies among ${rows.toLocaleString('en')}

Written by \`node bin/with-node bench/books.ts ${requests}\`: ${requests.toLocaleString('en')} requests of ${days} days and ${wallets.toLocaleString('en')} wallets, a receipt and a transfer each, and a
top-up of each wallet; the embedded PostgreSQL with its usual settings, on two processors. One column of one row in the middle,
chosen at random, was changed past all triggers: this time \`${lie.what}\`. Both named the row by its id.

${table(['', 'seconds', 'target'], figures)}

- The service reads in steps of ${stepRows.toLocaleString('en')} rows, pauses ${pauses} times as long as each took, and so spreads such a pass over ${Math.round(stretched)} s of a quiet machine. The next begins
  \`AUDIT_INTERVAL_MS\`, a minute, later: a row is named at latest ${Math.round(2 * stretched + 60)} s after it began to lie.
- The load of the machine, which others used as well, was ${loadavg()
    .map((load) => load.toFixed(1))
    .join(', ')} over the last 1, 5 and 15 minutes. It took ${fill.toFixed(0)} s to fill the
  books.
`;
}

async function main(): Promise<void> {
  const requests = Number(process.argv[2] ?? usualRequests);
  await using ledgers = await Ledgers.open();
  const { owner, database } = ledgers;
  const [, fill] = await timed(`to fill ${requests} requests`, async () => {
    for (const statement of fillStatements(requests)) await owner.unsafe(statement);
  });
  const lie = await falsify(owner, requests);
  say(`           ${lie.what} of ${lie.id}`);
  const [report, command] = await timed('akai audit', () => audit(database.sql));
  assertNamed('the audit', report.findings, lie, command);
  const sql = database.connect({ max: 1, name: 'scan' });
  const [backend] = await sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  assert.ok(backend);
  const everything = { rows: Number.MAX_SAFE_INTEGER, stepRows, pauses: 0, claimMs: 0 };
  const [run, scan] = await timed('a pass of the scan, without pauses', () =>
    new AuditScan(sql, everything).run(),
  );
  const scanWork = cpuOf(backend.pid) / 1e6;
  // Of a processor: by the clock it is whatever the rest of the machine leaves to one process.
  assertNamed('the scan', run?.findings ?? [], lie, scanWork);
  const rows = report.receipts + report.transfers;
  const text = reportOf({ lie, requests, rows, fill, command, scan, scanWork });
  say(`\n${text}`);
  if (requests >= usualRequests) writeFileSync(join(import.meta.dirname, 'BOOKS.md'), text);
}

await main();
