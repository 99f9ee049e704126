/** Databases of earlier releases: what is in them is right by the rules of today. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { connect } from '../src/db/connection.ts';
import { openDatabase } from '../src/db/database.ts';
import { timeOrderedId } from '../src/ids.ts';
import { audit } from '../src/wallet/audit.ts';
import { keyUse } from '../src/wallet/key_limits.ts';
import { nano } from '../src/wallet/money.ts';
import { publicReceipt } from '../src/wallet/receipt_form.ts';
import { findReceipt } from '../src/wallet/receipts.ts';
import { wrongSums } from '../src/wallet/verify_receipt.ts';
import { creditWallet, openWallet } from '../src/wallet/wallets.ts';
import { ScratchData } from './scratch_data.ts';

const migrations = join(import.meta.dirname, '../src/db/migrations');

/** A folder with the migrations before one. */
function before(data: ScratchData, name: string): URL {
  const folder = join(data.folder, 'migrations');
  mkdirSync(folder);
  const files = readdirSync(migrations).filter((file) => file.endsWith('.sql'));
  const last = files.findIndex((file) => file.endsWith(name));
  assert.ok(last > 0);
  for (const file of files.sort().slice(0, last))
    copyFileSync(join(migrations, file), join(folder, file));
  return pathToFileURL(`${folder}/`);
}

test('holds of before checkpoints told of prices are sealed anew, but for one that lied, and end as they would have', async () => {
  await using data = new ScratchData();
  const config = data.config();
  const quiet = () => {};
  const old = await openDatabase(config, 'serve', quiet, before(data, '_recovered.sql'));
  const wallet = await openWallet(old.sql, crypto.randomUUID());
  await creditWallet(old.sql, wallet, nano(10_000), { kind: 'topup', note: 'test' });
  const instance = crypto.randomUUID();
  await old.sql`SELECT ledger_lease(${instance}, '1 hour', false)`;
  const [begun, silent, forged] = [timeOrderedId(), timeOrderedId(), timeOrderedId()];
  const ids = [begun, silent, forged];
  const three = (value: number | boolean | string) => `{${ids.map(() => value).join()}}`;
  await old.sql`
    SELECT ledger_apply(${instance}, 0, 0, false, ${`{${wallet}}`}::bigint[], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '',
      ${`{${ids.join()}}`}::uuid[], ${three(wallet)}::bigint[], ${three(1000)}::bigint[], ${three(1000)}::bigint[],
      ${three('NULL')}::uuid[], ${three('acme/one')}::text[], ${three(false)}::boolean[], ${three(0)}::bigint[])`;
  const checkpoint = (sql: typeof old.sql, amount: number, tokens: number) =>
    sql`SELECT ledger_checkpoint(${[begun]}::uuid[], ${[amount]}::bigint[], '{5}', ${[tokens]}::int[], true)`;
  await checkpoint(old.sql, 300, 20);
  const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
  const owner = connect({ path }, { max: 1, name: 'test owner' });
  await owner`UPDATE holds SET model = 'acme/cheaper' WHERE id = ${forged}`;
  await owner.end();
  await old.close();

  const now = await openDatabase(config, 'serve', quiet);
  try {
    const lies = async () => (await audit(now.sql)).findings.map(({ check, id }) => [check, id]);
    const lie = ['a hold is as the ledger wrote it', forged];
    assert.deepEqual(await lies(), [lie]);
    // A process of the earlier release may go on beside.
    await checkpoint(now.sql, 400, 30);
    assert.deepEqual(await lies(), [lie]);
    await now.sql`SELECT ledger_lease(${instance}, '-1 hour', false)`;
    const [row] = await now.sql<{ count: number }[]>`SELECT ledger_recover('0 s') AS count`;
    assert.equal(row?.count, ids.length);
    const receipt = await findReceipt(now.sql, wallet, begun);
    assert.ok(receipt);
    const { outcome, charged, provider, outputTokens } = receipt;
    assert.deepEqual(
      { outcome, charged, provider, outputTokens },
      { outcome: 'recovered', charged: 400, provider: null, outputTokens: 30 },
    );
    assert.deepEqual(wrongSums(publicReceipt(receipt)), []);
    assert.equal((await findReceipt(now.sql, wallet, silent))?.outcome, 'released');
    assert.deepEqual(await lies(), []);
  } finally {
    await now.close();
  }
});

test('what was given back before keys had room for it again gives it to them', async () => {
  await using data = new ScratchData();
  const config = data.config();
  const quiet = () => {};
  const old = await openDatabase(config, 'serve', quiet, before(data, '_key_refunds.sql'));
  const { sql } = old;
  const wallet = await openWallet(sql, crypto.randomUUID());
  await creditWallet(sql, wallet, nano(10_000), { kind: 'topup', note: 'test' });
  const [instance, key] = [crypto.randomUUID(), crypto.randomUUID()];
  const [first, again] = [timeOrderedId(), timeOrderedId()];
  const ids = `{${first},${again}}`;
  const two = (value: string | number | boolean) => `{${value},${value}}`;
  await sql`SELECT ledger_lease(${instance}, '1 hour', false)`;
  assert.equal((await keyUse(sql, key, wallet)).used.total, 0);
  await sql`
    SELECT ledger_apply(${instance}, 0, 0, false, ${`{${wallet}}`}::bigint[], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '',
      ${ids}::uuid[], ${two(wallet)}::bigint[], ${two(1000)}::bigint[], ${two(1000)}::bigint[], ${two(key)}::uuid[],
      ${two('acme/one')}::text[], ${two(false)}::boolean[], ${two(0)}::bigint[])`;
  await sql`
    SELECT ledger_apply(${instance}, 0, 0, false, ${`{${wallet}}`}::bigint[], ${ids}::uuid[], '{300,200}', '{300,200}',
      '{settled,settled}', '{test,test}', '{1,1}', '{1,1}', ${'{}\n{}'}, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`;
  await sql`
    INSERT INTO superseded_requests (id, successor, key_id, key_hash, body_hash) VALUES (${first}, ${again}, ${key}, '', '')`;
  await sql`SELECT ledger_refund_superseded()`;
  assert.equal((await keyUse(sql, key, wallet)).used.total, 500);
  await old.close();

  const now = await openDatabase(config, 'serve', quiet);
  try {
    const all = { total: 300, daily: 300, weekly: 300, monthly: 300 };
    assert.deepEqual((await keyUse(now.sql, key, wallet)).used, all);
    assert.deepEqual((await audit(now.sql)).findings, []);
  } finally {
    await now.close();
  }
});
