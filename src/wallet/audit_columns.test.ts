/** Any one value of the books that something has changed is found, and its row named: every column of every table of money. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { unseenChanges } from '../../test/changed_columns.ts';
import { countAll, moneyTables, writeHonestBooks } from '../../test/honest_books.ts';
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

/** What names a row in a finding. */
function nameOf(table: string): string {
  if (table === 'key_limits') return 'key_id';
  if (table === 'ledger_archives') return `format('%s from %s', base, from_id)`;
  if (!table.endsWith('_totals')) return 'id';
  return `format('wallet %s, %s, %s, key %s, model %s', wallet, day, kind, key_id, model)`;
}

test('one changed value, in whichever column, is found, and its row named', async () => {
  assert.deepEqual(await unseenChanges(ledgers, moneyTables, nameOf), []);
});
