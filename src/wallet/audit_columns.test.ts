/** Any one value of the books that something has changed is found, and its row named: every column of every table of money. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { auditsOfLies, countAll, moneyTables, writeHonestBooks } from '../../test/honest_books.ts';
import { Ledgers } from '../../test/ledgers.ts';
import { monthAgo, writePast } from '../../test/past_months.ts';
import { archiveMonth } from './archive.ts';

let ledgers: Ledgers;
const folder = mkdtempSync(join(tmpdir(), 'akai-columns-'));
before(async () => {
  ledgers = await Ledgers.open();
  await writeHonestBooks(ledgers);
  // Without a month in the archives there would be no row that tells of one.
  await writePast(ledgers, await ledgers.wallet(0), 3);
  await archiveMonth(ledgers.owner, monthAgo(5), folder);
  await countAll(ledgers);
});
after(async () => {
  await ledgers[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Another value of the same type, by the type's name: expressions of SQL on `?`, the column. */
const changes: Readonly<Record<string, readonly string[]>> = {
  int8: ['coalesce(?, 0) + 1000003', '-coalesce(?, 7) - 1', 'coalesce(?, 0) # (1::bigint << 40)'],
  int4: ['? + 1', '-? - 1'],
  uuid: [`'0199a000-0000-7000-8000-00000000abcd'`, `md5(coalesce(?::text, ''))::uuid`],
  text: [`coalesce(?, '') || ' '`, `CASE WHEN ? IS NULL THEN '' ELSE 'x' || ? END`],
  bool: ['NOT ?'],
  date: ['? + 400', '? - 400'],
  timestamptz: [`? + interval '1 microsecond'`, `? - interval '1 year'`],
  bytea: [String.raw`? || '\x00'`, `''`],
  json: [`(?::text || ' ')::json`],
  ledger_account_kind: [
    `CASE ? WHEN 'wallet' THEN 'platform' ELSE 'wallet' END::ledger_account_kind`,
  ],
  transfer_kind: [`CASE ? WHEN 'adjustment' THEN 'topup' ELSE 'adjustment' END::transfer_kind`],
  request_outcome: [`CASE ? WHEN 'settled' THEN 'estimated' ELSE 'settled' END::request_outcome`],
};

interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
}

/** What names a row in a finding. */
function nameOf(table: string): string {
  if (table === 'key_limits') return 'key_id';
  if (table === 'ledger_archives') return `format('%s from %s', base, from_id)`;
  if (!table.endsWith('_totals')) return 'id';
  return `format('wallet %s, %s, %s, key %s, model %s', wallet, day, kind, key_id, model)`;
}

async function columns(): Promise<Column[]> {
  const tables = moneyTables.map((table) => table);
  return ledgers.owner<Column[]>`
    SELECT table_name AS "table", column_name AS "column", udt_name AS type
    FROM information_schema.columns WHERE table_name = ANY (${tables}::text[]) ORDER BY 1, ordinal_position`;
}

const honest = new Set<string>();

interface Row {
  readonly place: string;
  readonly name: string;
}

/** Rows of different kinds: of a table's many, the first, the last and some between. */
async function rows(table: string): Promise<Row[]> {
  const all = await ledgers.owner.unsafe<Row[]>(`
    SELECT format('tableoid = %s AND ctid = ''%s''', tableoid::oid, ctid) AS place, ${nameOf(table)}::text AS name
    FROM ${table} ORDER BY 2`);
  for (const { name } of all) honest.add(name);
  const every = Math.max(1, Math.ceil(all.length / 3));
  return all.filter((_, index) => index % every === 0 || index === all.length - 1);
}

interface Lie {
  readonly says: string;
  /** Of the row. */
  readonly name: string;
  /** Whether the name is what is falsified. */
  readonly renames: boolean;
  readonly statement: string;
}

test('one changed value, in whichever column, is found, and its row named', async () => {
  const all = await columns();
  for (const table of moneyTables)
    assert.ok(
      all.some((column) => column.table === table),
      table,
    );
  const lies: Lie[] = [];
  for (const { table, column, type } of all) {
    const ways = changes[type];
    assert.ok(ways, `nobody knows how to change ${table}.${column}, which is ${type}`);
    for (const [index, { place, name }] of (await rows(table)).entries()) {
      const way = ways[index % ways.length] ?? '';
      const statement = `UPDATE ${table} SET ${column} = ${way.replaceAll('?', column)} WHERE ${place}`;
      const renames = new RegExp(`\\b${column}\\b`).test(nameOf(table));
      lies.push({ says: `${table}.${column} of ${name}`, name, renames, statement });
    }
  }
  assert.ok(lies.length > 150, `${lies.length} lies`);
  const reports = await auditsOfLies(
    ledgers,
    lies.map(({ statement }) => [statement]),
  );
  const unseen = lies.filter((lie, index) => !names(reports[index]?.findings ?? [], lie));
  assert.deepEqual(
    unseen.map(({ says, statement }) => `${says}: ${statement}`),
    [],
  );
});

/** By its name; or by its new one, where that is what was changed. */
function names(findings: readonly { id: string }[], { name, renames }: Lie): boolean {
  return findings.some(({ id }) => id === name || (renames && !honest.has(id)));
}
