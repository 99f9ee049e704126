/** Archives: a month leaves the tables whole, and the books are right before and after. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Ledgers } from '../../test/ledgers.ts';
import { countPast, monthAgo, writePast } from '../../test/past_months.ts';
import { archiveMonth, checkArchives, dropMonth, monthsBefore, writeMonth } from './archive.ts';
import { audit } from './audit.ts';
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

async function ok(): Promise<void> {
  const { findings } = await audit(sql);
  assert.deepEqual(findings, []);
}

test('a month goes to files; totals, balances and other money stay, and the audit is content', async () => {
  const wallet = await ledgers.wallet(0);
  await writePast(ledgers, wallet, 20);
  await ok();
  const days = { ...wholeStatement, group: 'day', limit: 1000 } as const;
  const before = await dayPage(sql, wallet, days);
  const month = monthAgo(5);
  assert.ok((await monthsBefore(sql, monthAgo(4))).includes(month));
  const archived = await archiveMonth(owner, month, folder);
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
  await assert.rejects(archiveMonth(owner, month, folder), /archived before/);
  await assert.rejects(archiveMonth(owner, monthAgo(9), folder), /no partitions/);
});

test('a month that is young, miscounted, or not what was written stays where it is', async () => {
  await assert.rejects(archiveMonth(owner, monthAgo(2), folder), /over for two more/);
  const month = monthAgo(4);
  await countPast(ledgers);
  const [mark] = await owner<{ at: string }[]>`SELECT counted_to::text AS at FROM day_totals_mark`;
  assert.ok(mark);
  await owner`UPDATE day_totals_mark SET counted_to = now() - interval '6 months'`;
  await assert.rejects(archiveMonth(owner, month, folder), /not counted yet/);
  await owner`UPDATE day_totals_mark SET counted_to = ${mark.at}::text::timestamptz`;
  await owner`UPDATE day_totals SET amount = amount - 1 WHERE day = ${`${month}-15`}`;
  await assert.rejects(archiveMonth(owner, month, folder), /not what its lines add up to/);
  await owner`UPDATE day_totals SET amount = amount + 1 WHERE day = ${`${month}-15`}`;
  const none = [`\\x${'00'.repeat(32)}`, `\\x${'00'.repeat(32)}`];
  await assert.rejects(
    owner`SELECT ledger_archive(${`${month}-01`}, ARRAY[20, 40], ARRAY[1, 1], ARRAY[0, 0], ARRAY['a', 'b'], ${none}::text[]::bytea[])`,
    /the file of \w+ has/,
  );
  const [row] = await owner<{ rows: number }[]>`SELECT count(*) AS rows FROM ledger_archives`;
  assert.equal(row?.rows, 2);
  await ok();
});

test('the application cannot take anything out of the books, whatever it says of files', async () => {
  const month = monthAgo(4);
  await assert.rejects(archiveMonth(sql, month, folder), {
    code: '42501',
    message: /permission denied for function ledger_archive/,
  });
  assert.ok((await monthsBefore(sql, monthAgo(3))).includes(month));
});

/** Changes one byte of a file, and takes it back once `work` is done. */
async function withByteChanged(path: string, at: number, work: () => Promise<void>): Promise<void> {
  const bytes = readFileSync(path);
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  writeFileSync(path, changed);
  await work();
  writeFileSync(path, bytes);
}

/** A byte that says on which system gzip ran, and one of what is compressed. */
const places = [9, 60];

test('a file that changed by one byte since it was written: its month stays', async () => {
  const month = monthAgo(4);
  const written = await writeMonth(owner, month, folder);
  for (const { path } of written)
    for (const place of places)
      await withByteChanged(path, place, async () => {
        await assert.rejects(dropMonth(owner, month, written));
        assert.ok((await monthsBefore(sql, monthAgo(3))).includes(month));
      });
  await ok();
  await dropMonth(owner, month, written);
  await ok();
});

test('a file that changed by one byte after its month was dropped is named', async () => {
  const problems = async (): Promise<string[]> =>
    (await checkArchives(sql, folder)).flatMap(({ path, problem }) => (problem ? [path] : []));
  const all = await checkArchives(sql, null);
  assert.equal(all.length, 4);
  assert.deepEqual(
    all.map(({ problem }) => problem),
    [null, null, null, null],
  );
  for (const { path } of all) {
    for (const place of places)
      await withByteChanged(path, place, async () => assert.deepEqual(await problems(), [path]));
    renameSync(path, `${path}.away`);
    assert.deepEqual(await problems(), [path]);
    renameSync(`${path}.away`, path);
  }
  assert.deepEqual(await problems(), []);
});
