/** Wherever a process ends, what was paid is credited once, what was sent back is debited once, and the books are right. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { concludeAgreement, openAgreement } from '../src/payments/agreements.ts';
import { chargeDue, setAutoTopup } from '../src/payments/auto_topup.ts';
import { createPayment } from '../src/payments/create.ts';
import type { Desk } from '../src/payments/desk.ts';
import { findPayment, type Payment } from '../src/payments/payment.ts';
import { reconcileOnce } from '../src/payments/reconcile.ts';
import { refundPayment } from '../src/payments/refund.ts';
import { settle } from '../src/payments/settle.ts';
import { paisa } from '../src/payments/taka.ts';
import { nano } from '../src/wallet/money.ts';
import { dyingDesk, Ended } from './dying_desk.ts';
import { openPaymentsScene, success } from './payments_scene.ts';

const scene = await openPaymentsScene();
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

async function begin(on: Desk, userId: string): Promise<Payment> {
  return createPayment(on, {
    userId,
    method: 'bkash',
    wish: { paisa: paisa(50_000) },
    payer: { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false },
    clientKey: null,
  });
}

const refund = (on: Desk, payment: Payment) =>
  refundPayment(on, {
    paymentId: payment.id,
    amount: paisa(20_000),
    reason: 'asked for',
    who: 'admin@example.com',
  });

async function paymentOfUser(userId: string): Promise<Payment | null> {
  const [row] = await owner<{ id: string }[]>`SELECT id FROM payments WHERE user_id = ${userId}`;
  return row ? findPayment(desk.sql, row.id) : null;
}

/** Some minutes pass, in which other processes look after what is due. @param comesBack whether a browser does */
async function minutesLater(userId: string, comesBack = true): Promise<void> {
  const clock = Date.now;
  Date.now = () => clock() + 200_000;
  try {
    for (let round = 0; round < 3; round += 1) {
      await owner`UPDATE payments SET ask_at = now(), settling_until = NULL WHERE user_id = ${userId} AND ask_at IS NOT NULL`;
      await owner`UPDATE payment_refunds r SET ask_at = now() FROM payments p
        WHERE p.id = r.payment AND p.user_id = ${userId} AND r.ask_at IS NOT NULL`;
      await reconcileOnce(desk);
    }
    if (!comesBack) return;
    // The payer's browser comes back, too, or once more.
    const payment = await paymentOfUser(userId);
    if (payment && payment.state !== 'created') await settle(desk, payment.id, success);
  } finally {
    Date.now = clock;
  }
}

/** What the provider has done is in the wallet, and nothing else is. */
async function fits(userId: string, where: string): Promise<void> {
  const payment = await paymentOfUser(userId);
  if (!payment) return;
  const account = provider.accounts.get(`TR${payment.invoice}`);
  const isPaid = account?.trxId != null;
  assert.equal(payment.creditedAt !== null, isPaid, `${where}: ${payment.state}`);
  assert.ok((account?.captures ?? 0) <= 1, where);
  assert.ok((account?.refunds.length ?? 0) <= 1, where);
  assert.equal(payment.refunded, account?.refunded ?? 0, where);
  const gone = Math.ceil((payment.credit * payment.refunded) / payment.amount);
  assert.equal(await scene.balance(payment), isPaid ? payment.credit - gone : 0, where);
}

/** @returns how many steps the whole of it has */
async function endEverywhere(
  what: string,
  act: (on: Desk, userId: string) => Promise<void>,
  before: (userId: string) => Promise<void> = async () => {},
): Promise<number> {
  for (let steps = 0; ; steps += 1) {
    const userId = await scene.user();
    await before(userId);
    const dying = dyingDesk(desk, steps);
    try {
      await act(dying.desk, userId);
    } catch (error) {
      if (!(error instanceof Ended || dying.isOver())) throw error;
    }
    if (!dying.isOver()) {
      await fits(userId, `${what}, to its end`);
      return steps;
    }
    await minutesLater(userId);
    await fits(userId, `${what}, ended after ${steps} steps`);
  }
}

test('a process that ends between any two steps of a payment neither loses nor doubles it', async (context) => {
  const steps = await endEverywhere('payment', async (on, userId) => {
    const payment = await begin(on, userId);
    provider.authorise(payment);
    await settle(on, payment.id, success);
  });
  context.diagnostic(`${steps} steps`);
  assert.ok(steps > 25);
  assert.deepEqual(await scene.lies(), []);
});

test('a process that ends between any two steps of a refund neither loses nor doubles it', async (context) => {
  const paid = async (userId: string): Promise<void> => {
    const payment = await begin(desk, userId);
    provider.authorise(payment);
    await settle(desk, payment.id, success);
  };
  const order = async (on: Desk, userId: string): Promise<void> => {
    const payment = await paymentOfUser(userId);
    assert.ok(payment);
    await refund(on, payment);
  };
  const steps = await endEverywhere('refund', order, paid);
  context.diagnostic(`${steps} steps`);
  assert.ok(steps > 15);
  assert.deepEqual(await scene.lies(), []);
});

test('a process that ends between any two steps of an automatic top-up leaves the account with one', async (context) => {
  const agreements = provider.method.agreements;
  assert.ok(agreements);
  let callback = '';
  const { open } = agreements;
  Object.assign(agreements, {
    open: (...given: Parameters<typeof open>) => {
      callback = given[2].callback;
      return open(...given);
    },
  });
  const payer = { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false };
  const rule = { threshold: nano(2e9), amount: paisa(50_000), perDay: 3, perMonth: paisa(500_000) };
  let isOver = true;
  let steps = -1;
  while (isOver) {
    steps += 1;
    const user = await scene.user();
    await openAgreement(desk, user, 'bkash', payer);
    await concludeAgreement(desk, 'bkash', callback.split('/').at(-1) ?? '');
    await setAutoTopup(desk, user, rule);
    const dying = dyingDesk(desk, steps);
    await chargeDue(dying.desk).catch((error: unknown) => {
      if (!(error instanceof Ended || dying.isOver())) throw error;
    });
    isOver = dying.isOver();
    const where = `ended after ${steps} steps`;
    await minutesLater(user, false);
    await owner`UPDATE auto_topups SET next_at = now()`;
    await chargeDue(desk);
    const made = await owner<{ invoice: string; credited: boolean; asked: boolean }[]>`
      SELECT invoice, credited_at IS NOT NULL AS credited, capture_asked_at IS NOT NULL AS asked FROM payments WHERE user_id = ${user}`;
    for (const { invoice, credited } of made) {
      const account = provider.accounts.get(`TR${invoice}`);
      assert.equal(credited, account?.trxId != null, where);
      assert.ok((account?.captures ?? 0) <= 1, where);
    }
    // Where nobody knows whether the money was asked for, it is not asked for again before the provider's day is over.
    const unknown = made.filter(({ credited, asked }) => asked && !credited).length;
    assert.equal(made.filter(({ credited }) => credited).length + unknown, 1, where);
    await owner`DELETE FROM auto_topups`;
  }
  context.diagnostic(`${steps} steps`);
  assert.ok(steps > 25);
  assert.deepEqual(await scene.lies(), []);
});
