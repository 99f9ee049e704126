/** An audit that never complains proves nothing: each of its checks is shown a row that lies. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import type { Sql } from '../db/database.ts';
import { timeOrderedId } from '../ids.ts';
import { type AuditReport, audit } from './audit.ts';
import { nano } from './money.ts';
import { creditWallet } from './wallets.ts';

let ledgers: Ledgers;
/** Rows of the honest books, by what they are; `lost` cost more than it was charged. */
const wallets = { payer: 0, other: 0 };
const requests = { charged: '', lost: '', open: '', recovered: '', free: '' };

before(async () => {
  ledgers = await Ledgers.open();
  wallets.payer = await ledgers.wallet(10_000);
  wallets.other = await ledgers.wallet(500);
  await creditWallet(ledgers.database.sql, wallets.payer, nano(50), {
    kind: 'bonus',
    note: 'hello',
  });
  await creditWallet(ledgers.database.sql, wallets.payer, nano(7), {
    kind: 'refund',
    note: 'sorry',
  });
  const { ledger, lease } = await ledgers.start();
  const dead = await ledgers.start();
  const hold = async (of = ledger): Promise<{ id: string; walletId: number }> => {
    const asked = holdOf(wallets.payer, 1000);
    await of.hold(asked);
    return asked;
  };
  const [charged, lost, open, recovered, free] = [
    await hold(),
    await hold(),
    await hold(),
    await hold(dead.ledger),
    await hold(),
  ];
  await ledger.settle(settlementOf(charged, 300));
  await ledger.settle(settlementOf(lost, 1200, { chargeable: 1000 }));
  await ledger.settle(settlementOf(free, 0));
  await dead.ledger.checkpoint(recovered.id, nano(40), 1, 1);
  await dead.expire(1000);
  assert.equal(await lease.recover(), 1);
  await ledger.bookLoss(timeOrderedId(), nano(20), 'refused late');
  Object.assign(requests, { charged: charged.id, lost: lost.id, open: open.id });
  Object.assign(requests, { recovered: recovered.id, free: free.id });
});
after(() => ledgers[Symbol.asyncDispose]());

/** What the audit would say of the transaction’s own, uncommitted books; and how many questions it asks. */
async function auditWithin(transaction: Pick<Sql, 'unsafe'>): Promise<[AuditReport, number]> {
  let questions = 0;
  const counted = new Proxy(transaction, {
    get: (target, name) => {
      if (name === 'unsafe') questions += 1;
      return Reflect.get(target, name);
    },
  });
  const stand = { begin: (_: string, work: (sql: unknown) => unknown) => work(counted) };
  // as: audit uses nothing of it but begin
  const report = await audit(stand as unknown as Sql);
  return [report, questions];
}

class RollBack extends Error {}

/** Runs the statements against all constraints and triggers, audits, and takes them back. */
async function auditOf(...lies: string[]): Promise<[AuditReport, number]> {
  let result: [AuditReport, number] | undefined;
  const done = ledgers.owner.begin(async (sql) => {
    const checks = await sql<{ tab: string; name: string }[]>`
      SELECT conrelid::regclass::text AS tab, conname AS name FROM pg_constraint
      WHERE contype = 'c' AND conrelid::regclass::text = ANY (${tables}::text[])`;
    for (const { tab, name } of checks)
      await sql`ALTER TABLE ${sql(tab)} DROP CONSTRAINT ${sql(name)}`;
    for (const table of tables) await sql`ALTER TABLE ${sql(table)} DISABLE TRIGGER USER`;
    for (const lie of lies) {
      const { count } = await sql.unsafe(lie);
      assert.equal(count, 1, `${lie} falsified ${count} rows`);
    }
    result = await auditWithin(sql);
    throw new RollBack();
  });
  await assert.rejects(done, RollBack);
  assert.ok(result);
  return result;
}

const tables = ['ledger_accounts', 'transfers', 'receipts', 'holds'];
const stranger = '0199a000-0000-7000-8000-000000000001';
const nobody = 999_999;

type Lie = readonly [says: string, id: string | number, ...statements: string[]];

function receipt(change: string, id: string): string {
  return `UPDATE receipts SET ${change} WHERE id = '${id}'`;
}

function transfer(change: string, id: string, kind = 'charge'): string {
  return `UPDATE transfers SET ${change} WHERE id = '${id}' AND kind = '${kind}'`;
}

/** By check: what is falsified, whose id must be found, how. */
function lies(): Readonly<Record<string, readonly Lie[]>> {
  const { payer, other } = wallets;
  const { charged, lost, open, recovered, free } = requests;
  const insert = (kind: string, debit: number, credit: number, amount = 5) =>
    `INSERT INTO transfers (id, kind, debit, credit, amount, seal) VALUES ('${stranger}', '${kind}', ${debit}, ${credit}, ${amount}, '')`;
  const account = (change: string, id = payer) =>
    `UPDATE ledger_accounts SET ${change} WHERE id = ${id}`;
  return {
    'a wallet’s balance is the sum of its transfers': [
      ['more than came in', payer, account('balance = balance + 1')],
      ['less than was left', payer, account('balance = balance - 1')],
      ['a credit that is gone', payer, `DELETE FROM transfers WHERE kind = 'bonus'`],
      ['money without any transfer', other, `DELETE FROM transfers WHERE credit = ${other}`],
      ['a transfer that was changed', payer, transfer('amount = amount - 1', charged)],
    ],
    'a wallet holds what its open requests hold': [
      ['more', payer, account('held = held + 1')],
      ['nothing', payer, account('held = 0')],
      ['although no request is open', other, account('held = 3', other)],
      ['a request that is gone', payer, `DELETE FROM holds WHERE id = '${open}'`],
      ['a platform account', 1, account('held = 3', 1)],
    ],
    'a wallet is never below zero': [
      ['balance', other, account('balance = -1', other)],
      ['held', other, account('held = -1', other)],
      ['more held than there is', other, account('held = balance + 1', other)],
    ],
    'a transfer joins two accounts that exist': [
      ['from nowhere', stranger, insert('topup', nobody, payer)],
      ['to nowhere', stranger, insert('charge', payer, nobody)],
      ['of nothing', stranger, insert('topup', 5, payer, 0)],
      ['of less than nothing', stranger, insert('topup', 5, payer, -5)],
    ],
    'a transfer’s accounts are those of its kind': [
      ['a charge of the platform', stranger, insert('charge', 3, 1)],
      ['a charge to another wallet', stranger, insert('charge', payer, other)],
      ['a charge to another account', stranger, insert('charge', payer, 3)],
      ['a loss of a wallet', stranger, insert('loss', payer, 1)],
      ['a loss to a wallet', stranger, insert('loss', 2, payer)],
      ['a top-up by another wallet', stranger, insert('topup', other, payer)],
      ['a bonus for the platform', stranger, insert('bonus', 3, 1)],
    ],
    'a receipt’s charge is its transfer': [
      ['less on the receipt', charged, receipt('charged = charged - 1, cost = cost - 1', charged)],
      ['nothing on it', recovered, receipt('charged = 0, cost = 0', recovered)],
      ['a charge that was never made', free, receipt('charged = 9, cost = 9', free)],
      ['no transfer', charged, `DELETE FROM transfers WHERE id = '${charged}'`],
      ['another wallet', charged, receipt(`wallet = ${other}`, charged)],
    ],
    'a charge has its receipt': [
      ['a charge from nowhere', stranger, insert('charge', payer, 1)],
      ['a receipt that is gone', charged, `DELETE FROM receipts WHERE id = '${charged}'`],
    ],
    'what a receipt costs is charged or lost': [
      ['more than both', charged, receipt('cost = cost + 1', charged)],
      ['less than both', lost, receipt('cost = cost - 1', lost)],
      ['a loss that is gone', lost, `DELETE FROM transfers WHERE id = '${lost}' AND kind = 'loss'`],
      ['a loss that was changed', lost, transfer('amount = amount + 1', lost, 'loss')],
    ],
    'a request is open or ended, not both': [
      ['a hold for a receipt', charged, `UPDATE holds SET id = '${charged}' WHERE id = '${open}'`],
    ],
    'a hold belongs to a wallet': [
      ['of nobody', open, `UPDATE holds SET wallet = ${nobody} WHERE id = '${open}'`],
      ['of the platform', open, `UPDATE holds SET wallet = 1 WHERE id = '${open}'`],
    ],
  };
}

test('honest books: no findings, everything counted', async () => {
  const counts = { wallets: 2, transfers: 9, receipts: 4, holds: 1 };
  const honest = { ok: true, findings: [], ...counts };
  assert.deepEqual({ ...(await audit(ledgers.database.sql)) }, honest);
  const [report] = await auditOf();
  assert.deepEqual({ ...report }, honest, 'nor without its constraints');
});

test('every check finds the row that lies', async () => {
  const books = lies();
  for (const [check, ways] of Object.entries(books))
    for (const [says, id, ...statements] of ways) {
      const [report] = await auditOf(...statements);
      assert.equal(report.ok, false, `${check}: ${says}`);
      const found = report.findings.find((one) => one.check === check && one.id === String(id));
      assert.ok(found, `${check}: ${says}: ${JSON.stringify(report.findings)}`);
      assert.ok(found.detail.length > 5);
    }
  const [, questions] = await auditOf();
  assert.equal(Object.keys(books).length, questions, 'a check that is shown nothing');
  assert.equal((await audit(ledgers.database.sql)).ok, true);
});
