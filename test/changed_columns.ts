/** Changes one value of the books at a time, in whichever column, and tells which changes no audit names. */
import assert from 'node:assert/strict';
import { auditsOfLies } from './honest_books.ts';
import type { Ledgers } from './ledgers.ts';

/** Another value of the same type, by the type's name: expressions of SQL on `?`, the column. */
const changes: Readonly<Record<string, readonly string[]>> = {
  int8: ['coalesce(?, 0) + 1000003', '-coalesce(?, 7) - 1', 'coalesce(?, 0) # (1::bigint << 40)'],
  int4: ['coalesce(?, 0) + 1009', '-coalesce(?, 0) - 1'],
  uuid: [`'0199a000-0000-7000-8000-00000000abcd'`, `md5(coalesce(?::text, ''))::uuid`],
  text: [`coalesce(?, '') || ' '`, `CASE WHEN ? IS NULL THEN '' ELSE 'x' || ? END`],
  bool: ['NOT ?'],
  date: ['? + 400', '? - 400'],
  timestamptz: [
    `coalesce(?, 'epoch') + interval '1 microsecond'`,
    `coalesce(?, 'epoch') - interval '1 year'`,
  ],
  bytea: [String.raw`coalesce(?, '') || '\x00'`, `''`],
  json: [`(?::text || ' ')::json`],
  jsonb: ['jsonb_build_array(?)', `? || '{"another": true}'`],
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

interface Row {
  readonly place: string;
  readonly name: string;
}

interface Lie {
  readonly says: string;
  /** Of the row. */
  readonly name: string;
  /** Whether the name is what is falsified. */
  readonly renames: boolean;
  readonly statement: string;
}

/**
 * @param nameOf an expression of SQL for what names a row of a table in a finding
 * @param kinds how many rows of a table are changed, and the last one
 * @returns a sentence and the statement of each change that was not found
 */
export async function unseenChanges(
  { owner }: Pick<Ledgers, 'owner'>,
  tables: readonly string[],
  nameOf: (table: string) => string,
  kinds = 3,
): Promise<string[]> {
  const all = await owner<Column[]>`
    SELECT table_name AS "table", column_name AS "column", udt_name AS type
    FROM information_schema.columns WHERE table_name = ANY (${[...tables]}::text[]) ORDER BY 1, ordinal_position`;
  const honest = new Set<string>();
  const lies: Lie[] = [];
  for (const table of tables) {
    const rows = await owner.unsafe<Row[]>(`
      SELECT format('tableoid = %s AND ctid = ''%s''', tableoid::oid, ctid) AS place, (${nameOf(table)})::text AS name
      FROM ${table} ORDER BY 2`);
    assert.ok(rows.length > 0, `${table} has no row`);
    for (const { name } of rows) honest.add(name);
    // Rows of different kinds: of a table's many, the first, the last and some between.
    const every = Math.max(1, Math.ceil(rows.length / kinds));
    const some = rows.filter((_, index) => index % every === 0 || index === rows.length - 1);
    const columns = all.filter((column) => column.table === table);
    assert.ok(columns.length > 0, table);
    for (const column of columns) lies.push(...liesOf(column, some, nameOf(table)));
  }
  assert.ok(lies.length > 150, `${lies.length} lies`);
  const reports = await auditsOfLies(
    { owner },
    lies.map(({ statement }) => [statement]),
  );
  return lies
    .filter((lie, index) => !names(reports[index]?.findings ?? [], lie, honest))
    .map(({ says, statement }) => `${says}: ${statement}`);
}

function liesOf({ table, column, type }: Column, rows: readonly Row[], naming: string): Lie[] {
  const ways = changes[type];
  assert.ok(ways, `nobody knows how to change ${table}.${column}, which is ${type}`);
  return rows.map(({ place, name }, index) => {
    const way = ways[index % ways.length] ?? '';
    const statement = `UPDATE ${table} SET ${column} = ${way.replaceAll('?', column)} WHERE ${place}`;
    const renames = new RegExp(`\\b${column}\\b`).test(naming);
    return { says: `${table}.${column} of ${name}`, name, renames, statement };
  });
}

/** By its name; or by its new one, where that is what was changed. */
function names(
  findings: readonly { id: string }[],
  { name, renames }: Lie,
  honest: ReadonlySet<string>,
): boolean {
  return findings.some(({ id }) => id === name || (renames && !honest.has(id)));
}
