import { strict as assert } from 'node:assert';
import { after, beforeEach, describe, test } from 'node:test';
import {
  addresses,
  type BkashScene,
  BkashStage,
  payAt,
  payer,
  paymentOf,
} from '../../test/bkash_scene.ts';
import type { SandboxBkash } from '../sandbox/bkash.ts';
import type { RefundOrder } from './method.ts';
import { paisa } from './taka.ts';

const stage = new BkashStage();
let standIn: SandboxBkash;
let method: BkashScene['method'];
let paid: BkashScene['paid'];

after(() => stage[Symbol.asyncDispose]());

let count = 0;
const order = (amount: number, others: readonly string[] = []): RefundOrder => ({
  reference: `REFUND${(count += 1)}`,
  amount: paisa(amount),
  reason: 'the customer <asked>',
  others,
});

for (const generation of ['v1', 'v2'] as const)
  describe(`refunds and agreements of bKash ${generation}`, () => {
    beforeEach(async () => {
      ({ standIn, method, paid } = await stage.scene(generation));
    });

    test('refunds: in parts, told apart, refused beyond what is left, unknown where nobody says', async () => {
      const payment = await paid(50_000);
      const first = order(20_000);
      const given = await method.refund(payment, first);
      assert.equal(given.state, 'refunded');
      assert.deepEqual(
        [(await method.refundStatus(payment, first)).state, standIn.book.total()],
        ['refunded', 30_000],
      );
      const early = await method.refund(payment, order(20_000));
      assert.equal(early.state, 'unknown');
      const more = await method.refund(payment, order(40_000));
      assert.deepEqual([more.state, more.evidence.code], ['refused', '2072']);
      const lost = order(10_000);
      standIn.faults.add('refund', 'lost');
      assert.equal((await method.refund(payment, lost)).state, 'unknown');
      const status = await method.refundStatus(payment, lost);
      assert.equal(status.state, 'refunded');
      standIn.switches.refundDuplicateMs = 0;
      const same = order(10_000, [status.providerRefundId ?? '']);
      standIn.faults.add('refund', 'silent');
      assert.equal((await method.refund(payment, same)).state, 'unknown');
      assert.equal((await method.refundStatus(payment, same)).state, 'unknown');
      assert.equal((await method.refund(payment, same)).state, 'refunded');
      assert.equal((await method.refundStatus(payment, same)).state, 'refunded');
      assert.equal((await method.refundStatus(payment, order(10_000))).state, 'unknown');
      const wrong = { ...payment, trxId: 'CK250NROQ5' };
      assert.equal((await method.refund(wrong, order(100))).state, 'refused');
      assert.equal(standIn.book.total(), 10_000);
    });

    test('refunds end with their window', async () => {
      const payment = await paid();
      const old = { ...payment, paidAt: new Date(Date.now() - 61 * 86_400_000) };
      assert.equal((await method.refund(old, order(100))).state, 'refused');
      standIn.switches.refundDays = 0;
      standIn.switches.aheadMs = 1000;
      const { state, evidence } = await method.refund(payment, order(100));
      assert.deepEqual([state, evidence.code], ['refused', '2071']);
      assert.equal(standIn.book.total(), 50_000);
    });

    test('an agreement is made once, charged without its payer, and ended', async () => {
      const { open, conclude, charge, cancel } = method.agreements;
      const { providerId, redirectUrl } = await open('AGREE1', payer, addresses);
      assert.equal(await conclude(providerId ?? ''), null);
      assert.equal(method.claimOf((await payAt(redirectUrl)).searchParams).claims, 'paid');
      standIn.faults.add('execute', 'lost');
      const made = await conclude(providerId ?? '');
      assert.equal(made?.payer ?? '017******75', '017******75');
      assert.deepEqual((await conclude(providerId ?? ''))?.agreementId, made?.agreementId);
      const payment = paymentOf(30_000);
      const id = made?.agreementId ?? '';
      const charged = await charge(id, payment, payer, addresses);
      const taken = await method.capture({ ...payment, ...charged });
      assert.deepEqual([taken.state, taken.amount, taken.foreign], ['paid', 30_000, null]);
      assert.equal((await method.ask({ ...payment, ...charged })).state, 'paid');
      standIn.switches.agreementNeedsPin = true;
      const waiting = paymentOf(40_000);
      const asksPin = await charge(id, waiting, payer, addresses);
      assert.equal((await method.capture({ ...waiting, ...asksPin })).evidence.code, '2060');
      assert.equal(await cancel(id), true);
      assert.equal(await cancel(id), true);
      await assert.rejects(charge(id, paymentOf(100), payer, addresses), /not valid any more/);
      assert.equal(await cancel('AGREEMENT-OF-NOBODY'), false);
    });
  });
