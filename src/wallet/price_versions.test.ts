/** The application can add versions of prices and read them; it cannot change what one means. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Ledgers } from '../../test/ledgers.ts';
import { catalogue } from '../catalogue/catalogue.ts';
import { noMargin } from '../catalogue/margins.ts';
import { allVersions } from '../catalogue/offers.ts';
import { rememberPrices } from './price_versions.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

const versions = [...catalogue.models.values()].flatMap(({ dated }) =>
  allVersions(dated, noMargin, 50_000),
);

test('versions are written down once, however often and by however many they are told', async () => {
  const { sql } = ledgers.database;
  const added = await Promise.all([1, 2, 3].map(() => rememberPrices(sql, versions)));
  assert.equal(
    added.reduce((sum, count) => sum + count),
    versions.length,
  );
  assert.equal(await rememberPrices(sql, versions), 0);
  const rows = await sql<{ id: string; text: string }[]>`
    SELECT id, content::text AS text FROM price_versions`;
  const told = versions.map(({ priceVersion, priceContent }) => [priceVersion, priceContent]);
  assert.deepEqual(rows.map(({ id, text }) => [id, text]).sort(), told.sort());
});

test('nothing else can be done to them', async () => {
  const { sql } = ledgers.database;
  const [first] = versions;
  assert.ok(first);
  const forged = first.priceContent.replace('"marginMillionths":0', '"marginMillionths":1');
  await assert.rejects(rememberPrices(sql, [{ ...first, priceContent: forged }]), {
    code: '23514',
  });
  for (const table of ['price_versions', 'receipt_keys'])
    for (const change of [
      `INSERT INTO ${table} SELECT * FROM ${table}`,
      `UPDATE ${table} SET id = id`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
    ])
      await assert.rejects(sql.unsafe(change), /permission denied/, change);
});
