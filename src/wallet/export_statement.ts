/** A statement from its first page to its last, without ever having more than one of them in memory. */
import type { Sql } from '../db/database.ts';
import { dayPage, type Page, statementPage } from './statement.ts';
import { csvHeader, csvRow, dayEntry, type Entry, lineEntry } from './statement_form.ts';
import type { StatementQuery } from './statement_query.ts';

/** One page, and its lines ready to be written. */
export async function entriesOf(
  sql: Sql,
  walletId: number,
  query: StatementQuery,
): Promise<{ readonly page: Page<unknown>; readonly entries: readonly Entry[] }> {
  const { group } = query;
  if (group === 'request') {
    const page = await statementPage(sql, walletId, query);
    return { page, entries: page.lines.map(lineEntry) };
  }
  const page = await dayPage(sql, walletId, { ...query, group });
  return { page, entries: page.lines.map(dayEntry) };
}

/** Few enough that other requests of the process do not notice when a page is read and written. */
const rowsAtOnce = 1000;

/** CSV, header first, a page at a time. `limit` bounds the rows of all of it. */
export async function* statementCsv(
  sql: Sql,
  walletId: number,
  query: StatementQuery,
): AsyncGenerator<string> {
  let { cursor } = query;
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  let text = csvHeader;
  do {
    const limit = Math.min(left, rowsAtOnce);
    const { page, entries } = await entriesOf(sql, walletId, { ...query, limit, cursor });
    yield text + entries.map(csvRow).join('');
    text = '';
    left -= entries.length;
    cursor = page.next;
  } while (cursor && left > 0);
}
