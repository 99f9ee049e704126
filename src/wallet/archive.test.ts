/** Archives: a month leaves the tables whole, and the books are right before and after. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Ledgers } from '../../test/ledgers.ts';
import { archiveMonth, monthsBefore } from './archive.ts';
import { audit } from './audit.ts';
import { countDays } from './day_totals.ts';
import { dayPage, statementPage } from './statement.ts';
import { wholeStatement } from './statement_query.ts';

const ledgers = await Ledgers.open();
const { owner } = ledgers;
const { sql } = ledgers.database;
const folder = mkdtempSync(join(tmpdir(), 'akai-archive-'));
after(async () => {
  await ledgers[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** The month so many months ago, such as 2026-01. */
function monthAgo(months: number): string {
  const date = new Date();
  date.setUTCDate(15);
  date.setUTCMonth(date.getUTCMonth() - months);
  return date.toISOString().slice(0, 7);
}

/** A top-up and `count` charges of a wallet in each of the last six months, the last hour of the month included. */
async function past(wallet: number, count: number): Promise<void> {
  await owner`SELECT ledger_make_partitions(now() - interval '7 months', 1)`;
  for (let ago = 6; ago >= 1; ago -= 1) {
    const start = `${monthAgo(ago)}-01T00:00:00Z`;
    await owner`
      WITH made AS (
        SELECT (left(ledger_first_id(at)::text, 13) || '-7' || substr(gen_random_uuid()::text, 16))::uuid AS id, at, 10 + n AS charged
        FROM generate_series(1, ${count}::int) n,
          LATERAL (SELECT ${start}::timestamptz + CASE WHEN n = 1 THEN interval '1 month' - interval '1 minute' ELSE n * interval '1 day' END AS at) m
      ), charge AS (
        INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail, seal)
        SELECT id, ${wallet}, NULL, 'openai/gpt-4o', 'openai', 'settled', 1, 2, charged + 1, charged, 100, at + interval '2 minutes', '{"a": 1}',
          receipt_seal(id, ${wallet}, NULL, 'openai/gpt-4o', 'openai', 'settled', 1, 2, charged + 1, charged, 100, at + interval '2 minutes', '{"a": 1}')
        FROM made
      ), moved AS (
        SELECT id, 'charge'::transfer_kind AS kind, ${wallet}::bigint AS debit, 1::bigint AS credit, charged::bigint AS amount, at + interval '2 minutes' AS at FROM made
        UNION ALL SELECT id, 'loss', 2, 1, 1, at + interval '2 minutes' FROM made
        UNION ALL SELECT (left(ledger_first_id(${start})::text, 13) || '-7' || substr(gen_random_uuid()::text, 16))::uuid, 'topup', 3, ${wallet}, 100000, ${start}::timestamptz
      ), written AS (
        INSERT INTO transfers (id, kind, debit, credit, amount, created_at, seal)
        SELECT id, kind, debit, credit, amount, at, transfer_seal(id, kind, debit, credit, amount, NULL, at) FROM moved
      )
      UPDATE ledger_accounts SET balance = balance + 100000 - (SELECT sum(charged) FROM made), ended = ended + ${count}
      WHERE id = ${wallet}`;
  }
  await owner`UPDATE day_totals_mark SET counted_to = now() - interval '8 months'`;
  await countAll();
}

async function countAll(): Promise<void> {
  await owner`UPDATE day_totals_mark SET next_to = now() - interval '1 second', waiting = '{}', seen_at = now()`;
  while (await countDays(sql, 1000));
}

async function ok(): Promise<void> {
  const { findings } = await audit(sql);
  assert.deepEqual(findings, []);
}

test('a month goes to files; totals, balances and other money stay, and the audit is content', async () => {
  const wallet = await ledgers.wallet(0);
  await past(wallet, 20);
  await ok();
  const days = { ...wholeStatement, group: 'day', limit: 1000 } as const;
  const before = await dayPage(sql, wallet, days);
  const month = monthAgo(5);
  assert.ok((await monthsBefore(sql, monthAgo(4))).includes(month));
  const archived = await archiveMonth(sql, month, folder);
  assert.deepEqual(
    archived.files.map(({ rows }) => rows),
    [20, 40],
  );
  assert.ok(!(await monthsBefore(sql, monthAgo(4))).includes(month));
  await ok();
  const [left] = await owner<{ receipts: number; topups: number; recorded: number }[]>`
    SELECT (SELECT count(*) FROM receipts) AS receipts, (SELECT count(*) FROM transfers WHERE kind = 'topup') AS topups,
      (SELECT sum(rows)::int FROM ledger_archives) AS recorded`;
  assert.deepEqual({ ...left }, { receipts: 100, topups: 6, recorded: 60 });
  assert.deepEqual(await dayPage(sql, wallet, days), before);
  const { lines } = await statementPage(sql, wallet, { ...wholeStatement, limit: 1000 });
  assert.equal(lines.length, 106);
  // Forgotten and counted anew, totals are the same: what is archived is in them.
  await owner`SELECT ledger_recount_days(${`${month}-10`})`;
  assert.deepEqual(await dayPage(sql, wallet, days), before);
  const [file] = archived.files;
  const rows = gunzipSync(readFileSync(file?.path ?? ''))
    .toString()
    .trim()
    .split('\n');
  assert.equal(rows.length, 20);
  assert.match(
    rows[0] ?? '',
    /^\{"id":"[0-9a-f-]{36}","wallet":\d+,.*"detail":\{"a": 1\},"seal":"\\\\x[0-9a-f]{16}"\}$/,
  );
  await assert.rejects(archiveMonth(sql, month, folder), /no partitions/);
});

test('a month that is young, miscounted, or not what was written stays where it is', async () => {
  await assert.rejects(archiveMonth(sql, monthAgo(2), folder), /over for two more/);
  const month = monthAgo(4);
  await countAll();
  const [mark] = await owner<{ at: string }[]>`SELECT counted_to::text AS at FROM day_totals_mark`;
  assert.ok(mark);
  await owner`UPDATE day_totals_mark SET counted_to = now() - interval '6 months'`;
  await assert.rejects(archiveMonth(sql, month, folder), /not counted yet/);
  await owner`UPDATE day_totals_mark SET counted_to = ${mark.at}::text::timestamptz`;
  await owner`UPDATE day_totals SET amount = amount - 1 WHERE day = ${`${month}-15`}`;
  await assert.rejects(archiveMonth(sql, month, folder), /not what its lines add up to/);
  await owner`UPDATE day_totals SET amount = amount + 1 WHERE day = ${`${month}-15`}`;
  const none = [`\\x${'00'.repeat(32)}`, `\\x${'00'.repeat(32)}`];
  await assert.rejects(
    sql`SELECT ledger_archive(${`${month}-01`}, ARRAY[20, 40], ARRAY[1, 1], ARRAY[0, 0], ARRAY['a', 'b'], ${none}::text[]::bytea[])`,
    /the file of \w+ has/,
  );
  const [row] = await owner<{ rows: number }[]>`SELECT count(*) AS rows FROM ledger_archives`;
  assert.equal(row?.rows, 2);
  await ok();
});
