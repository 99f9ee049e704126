/** Whoever gets hold of the application's connection cannot touch the books; nor can its owner by an ordinary statement. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import type { Sql } from '../db/database.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
  // Rows in every table, so that something would be changed.
  const { ledger } = await ledgers.start();
  const wallet = await ledgers.wallet(1000);
  const over = holdOf(wallet, 100);
  await ledger.hold(over);
  await ledger.settle(settlementOf(over, 200));
  await ledger.hold(holdOf(wallet, 100));
  await ledgers.owner`
    INSERT INTO request_refunds (id, request, wallet, day, amount) VALUES (gen_random_uuid(), ${over.id}, ${wallet}, now(), 1)`;
});
after(() => ledgers[Symbol.asyncDispose]());

const tables = [
  'transfers',
  'receipts',
  'holds',
  'ledger_accounts',
  'instances',
  'request_refunds',
];
/** Any of a table’s columns will do. */
const changes = ['UPDATE % SET id = id', 'DELETE FROM %', 'TRUNCATE % CASCADE'];

async function picture(): Promise<unknown> {
  const all: unknown[] = [];
  for (const table of tables)
    all.push(
      (
        await ledgers.owner`SELECT to_jsonb(t) - 'lease_until' AS row FROM ${ledgers.owner(table)} t ORDER BY 1`
      ).slice(),
    );
  return all;
}

async function refused(sql: Sql, statement: string, message: RegExp): Promise<void> {
  await assert.rejects(sql.unsafe(statement), { code: '42501', message }, statement);
}

test('the application reads all tables of the ledger and writes none', async () => {
  const { sql } = ledgers.database;
  const before = await picture();
  for (const table of tables) {
    const rows = await sql`SELECT * FROM ${sql(table)}`;
    assert.ok(rows.length > 0, `${table} is empty, so that this test would prove little`);
    const forbidden = new RegExp(`permission denied for table ${table}`);
    for (const change of changes) await refused(sql, change.replace('%', table), forbidden);
    await refused(sql, `INSERT INTO ${table} SELECT * FROM ${table}`, forbidden);
    await refused(sql, `SELECT * FROM ${table} FOR UPDATE`, forbidden);
  }
  assert.deepEqual(await picture(), before);
});

test('the application cannot take the guards away, nor call what the guarded functions call', async () => {
  const { sql } = ledgers.database;
  await refused(sql, 'ALTER TABLE transfers DISABLE TRIGGER ALL', /must be owner/);
  await refused(sql, 'DROP TRIGGER append_only ON receipts', /must be owner/);
  await refused(sql, 'DROP TABLE holds', /must be owner/);
  await refused(sql, 'SET session_replication_role = replica', /permission denied/);
  const settle = `SELECT ledger_settle(ARRAY[gen_random_uuid()], '{1}', '{1}', '{settled}', '{x}', '{1}', '{1}', '{}', false)`;
  await refused(sql, settle, /permission denied for function ledger_settle/);
  const hold = `SELECT ledger_hold_one(gen_random_uuid(), gen_random_uuid(), 1000, 1, 1, NULL, 'm', false, 0, 0)`;
  await refused(sql, hold, /permission denied for function ledger_hold_one/);
  await refused(sql, 'CREATE FUNCTION f() RETURNS int RETURN 1', /denied for schema public/);
});

test('the owner cannot change or delete transfers and receipts', async () => {
  const before = await picture();
  for (const table of ['transfers', 'receipts'])
    for (const change of changes) {
      const statement = change.replace('%', table);
      await refused(ledgers.owner, statement, new RegExp(`table ${table} is append-only`));
      // Not even where there is nothing to change.
      if (!statement.startsWith('TRUNCATE'))
        await refused(ledgers.owner, `${statement} WHERE false`, /is append-only/);
    }
  assert.deepEqual(await picture(), before);
});

test('the functions of the ledger take no money out of nothing', async () => {
  const { sql } = ledgers.database;
  const wallet = await ledgers.wallet(1000);
  const id = crypto.randomUUID();
  for (const amount of [0, -1])
    await assert.rejects(
      sql`SELECT ledger_credit(${id}, 'topup', 'clearing', ${wallet}, ${nano(amount)}, 'x')`,
      { code: '23514' },
    );
  // Only a wallet is credited, and a platform account never.
  await assert.rejects(sql`SELECT ledger_credit(${id}, 'topup', 'clearing', 1, 5, 'x')`, {
    code: 'P0002',
  });
  const { ledger } = await ledgers.start();
  const hold = holdOf(wallet, 100);
  await ledger.hold(hold);
  const wrong = [settlementOf(hold, -5), settlementOf(hold, 5, { chargeable: 10 })];
  for (const settlement of wrong) await assert.rejects(ledger.settle(settlement), /refused/);
  await assert.rejects(ledger.hold(holdOf(wallet, -100)), /refused/);
  assert.deepEqual(await ledgers.read(wallet), { balance: 1000, held: 100 });
});
