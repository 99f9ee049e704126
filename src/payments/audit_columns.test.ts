/** Any one value of payments and vouchers that something has changed is found, and its row named: every column of every table, by and by. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { unseenChanges } from '../../test/changed_columns.ts';
import { saleTables } from '../../test/honest_books.ts';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { openFindings } from '../wallet/audit.ts';
import { AuditScan } from '../wallet/audit_scan.ts';
import { creditByHand } from '../wallet/by_hand.ts';
import { nano } from '../wallet/money.ts';
import { openWallet } from '../wallet/wallets.ts';
import { concludeAgreement, openAgreement } from './agreements.ts';
import { setAutoTopup } from './auto_topup.ts';
import type { Payment } from './payment.ts';
import { refundPayment } from './refund.ts';
import { setRules } from './rules.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';
import { recordReceipt, resolveReceipt, unmatchedReceipts } from './unmatched.ts';
import { createVouchers, redeemVoucher } from './vouchers.ts';

const scene = await openPaymentsScene();
const { desk, provider } = scene;
const { sql } = desk;
after(() => scene[Symbol.asyncDispose]());

const who = 'admin@example.com';

async function credited(): Promise<Payment> {
  const payment = await scene.begin(await scene.user());
  provider.authorise(payment);
  return settle(desk, payment.id, success);
}

async function writeRefunds(): Promise<void> {
  const part = { amount: paisa(10_000), reason: 'asked for', who };
  const { id } = await credited();
  await refundPayment(desk, { paymentId: id, ...part });
  await refundPayment(desk, { paymentId: id, ...part, amount: null });
  provider.refundSays = 'refused';
  await refundPayment(desk, { paymentId: (await credited()).id, ...part });
}

async function writeReceipts(): Promise<void> {
  for (const trxId of ['STRANGER01', 'STRANGER02']) {
    const receipt = { trxId, amount: paisa(5000), payer: null, paidAt: new Date() };
    const evidence = { operation: 'webhook', httpStatus: null, ms: 1, code: null, body: {} };
    await recordReceipt(desk, 'bkash', { receipt, evidence });
  }
  const [first] = await unmatchedReceipts(sql, { resolved: false, most: 1 });
  await resolveReceipt(desk, first?.id ?? '', { note: 'sent back', paymentId: null, who });
}

async function writeVouchers(): Promise<void> {
  const { codes } = await createVouchers(sql, 'operator', {
    codes: 2,
    value: nano(5),
    uses: 2,
    once: false,
    newerThanDays: null,
    leastPayment: null,
    expiresAt: null,
    note: 'test',
  });
  for (let users = 0; users < 2; users++)
    await redeemVoucher(sql, await scene.user(), codes[0] ?? '');
}

async function writeAutoTopup(): Promise<void> {
  const user = await scene.user();
  const { agreements } = provider.method;
  assert.ok(agreements);
  let callback = '';
  const { open } = agreements;
  Object.assign(agreements, {
    open: (...given: Parameters<typeof open>) => {
      callback = given[2].callback;
      return open(...given);
    },
  });
  const payer = { name: 'Rahim', email: 'r@example.com', address: null, mobile: false };
  await openAgreement(desk, user, 'bkash', payer);
  await concludeAgreement(desk, 'bkash', callback.split('/').at(-1) ?? '');
  const amount = paisa(50_000);
  const threshold = nano(2_000_000_000);
  await setAutoTopup(desk, user, { threshold, amount, perDay: 3, perMonth: amount });
}

before(async () => {
  await setRules(sql, 'test', { bonuses: [{ from: 500, percent: '7' }] });
  const waiting = await scene.begin(await scene.user());
  await sql`
    INSERT INTO payment_claims (payment, trx_id, sent_to) VALUES (${waiting.id}, 'CLAIMED001', 'bkash')`;
  await writeRefunds();
  await writeReceipts();
  await writeVouchers();
  await writeAutoTopup();
  const walletId = await openWallet(sql, await scene.user());
  await creditByHand(sql, { walletId, amount: nano(5), note: 'test', requestKey: 'slip 1' });
  assert.deepEqual(await scene.lies(), []);
});

/** What names a row in a finding. */
function nameOf(table: string): string {
  const ids: Readonly<Record<string, string>> = {
    payment_claims: "payment || ' ' || trx_id",
    voucher_codes: "batch || ' ' || number",
    auto_topups: 'user_id',
    wallet_requests: 'request_key',
  };
  return `'${table} ' || ${ids[table] ?? 'id'}`;
}

test('one changed value of a payment or voucher, in whichever column, is found, and its row named', async () => {
  assert.deepEqual(await unseenChanges(scene, saleTables, nameOf, 1), []);
});

/** Past triggers. */
async function falsify(table: string, change: string): Promise<void> {
  await scene.owner.begin(async (transaction) => {
    await transaction`ALTER TABLE ${transaction(table)} DISABLE TRIGGER USER`;
    const { count } = await transaction.unsafe(`UPDATE ${table} SET ${change}`);
    assert.equal(count, 1, change);
    await transaction`ALTER TABLE ${transaction(table)} ENABLE TRIGGER USER`;
  });
}

test('a lie in an old row is found by the full audit at once, by the scan within a pass, which reads each row once', async () => {
  for (let payments = 0; payments < 8; payments++) await credited();
  for (let batches = 0; batches < 3; batches++) await writeVouchers();
  const scan = new AuditScan(sql, { rows: 16, stepRows: 16, pauses: 0, claimMs: 0 });
  const positions = async (): Promise<Map<string, string>> => {
    const rows = await sql<{ scope: string; position: string }[]>`
      SELECT scope, position FROM audit_scans WHERE scope IN ('payments', 'vouchers')`;
    return new Map(rows.map(({ scope, position }) => [scope, position]));
  };
  const open = async (): Promise<string[]> => (await openFindings(sql)).map(({ id }) => id);
  const lies = [
    ['payments', 'payments', 'id', 'asked = asked + 1', 'asked = asked - 1'],
    ['payments', 'payment_events', 'payment', `actor = 'y' || actor`, 'actor = substr(actor, 2)'],
    ['vouchers', 'voucher_codes', 'hash', 'used = used + 1', 'used = used - 1'],
  ] as const;
  for (const [scope, table, part, lie, truth] of lies) {
    await until('a pass is over', async () => {
      await scan.run();
      return (await positions()).get(scope) === '';
    });
    await scan.run();
    const at = (await positions()).get(scope) ?? '';
    assert.notEqual(at, '', `a run reads all ${scope}`);
    const [first] = await sql.unsafe<{ place: string }[]>(
      `SELECT ctid::text AS place FROM ${table} WHERE ${part}::text <= $1 ORDER BY ${part} LIMIT 1`,
      [at],
    );
    const row = `WHERE ctid = '${first?.place}'`;
    await falsify(table, `${lie} ${row}`);
    assert.ok((await scene.lies()).length > 0, table);
    assert.deepEqual((await scan.run())?.findings, [], `${table}: read again`);
    const isOver = async (): Promise<boolean> => (await positions()).get(scope) === '';
    while (!(await isOver())) await scan.run();
    assert.deepEqual(await open(), [], `${table}: found in the pass in which it was read before`);
    do await scan.run();
    while (!(await isOver()) && (await open()).length === 0);
    assert.equal((await open()).length > 0, true, `${table}: not found within a pass`);
    const [moved] = await sql.unsafe<{ place: string }[]>(
      `SELECT ctid::text AS place FROM ${table} x WHERE row_seal <> row_seal(x)`,
    );
    await falsify(table, `${truth} WHERE ctid = '${moved?.place}'`);
    await until(`${table} is in order`, async () => {
      await scan.run();
      return (await open()).length === 0;
    });
    assert.deepEqual(await scene.lies(), []);
  }
});
