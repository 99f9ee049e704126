/** Any one value of payments and vouchers that something has changed is found, and its row named: every column of every table. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { unseenChanges } from '../../test/changed_columns.ts';
import { saleTables } from '../../test/honest_books.ts';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import { nano } from '../wallet/money.ts';
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
  const claim = { claims: 'paid', providerId: null, nonce: null } as const;
  return settle(desk, payment.id, { actor: 'browser', claim });
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
  assert.deepEqual(await scene.lies(), []);
});

/** What names a row in a finding. */
function nameOf(table: string): string {
  const ids: Readonly<Record<string, string>> = {
    payment_claims: "payment || ' ' || trx_id",
    voucher_codes: "batch || ' ' || number",
    auto_topups: 'user_id',
  };
  return `'${table} ' || ${ids[table] ?? 'id'}`;
}

test('one changed value of a payment or voucher, in whichever column, is found, and its row named', async () => {
  assert.deepEqual(await unseenChanges(scene, saleTables, nameOf, 1), []);
});
