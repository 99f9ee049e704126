/** UddoktaPay through the whole of a payment: the id that only a browser or a webhook brings, and everything after it. */

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import { startSandboxUddoktapay } from '../sandbox/uddoktapay.ts';
import { usualFaults } from '../sandbox/uddoktapay_panel.ts';
import { learnProviderId } from './claimed_id.ts';
import { createPayment } from './create.ts';
import type { Payment } from './payment.ts';
import { attachProviderId } from './review.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';
import { uddoktapay } from './uddoktapay.ts';

const panel = await startSandboxUddoktapay();
const { baseUrl, apiKey, faults } = panel;
const method = uddoktapay({ mode: 'sandbox', baseUrl, apiKey, refunds: false, timeoutMs: 5000 });
const scene = await openPaymentsScene({ methods: new Map([['uddoktapay', method]]) });
const { desk } = scene;
after(async () => {
  await scene[Symbol.asyncDispose]();
  await panel.close();
});
beforeEach(() => {
  Object.assign(faults, usualFaults(), { ipn: 'off' });
});

async function begin(): Promise<Payment> {
  return createPayment(desk, {
    userId: await scene.user(),
    method: 'uddoktapay',
    wish: { paisa: paisa(50_000) },
    payer: { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false },
    clientKey: null,
  });
}

let number = 0;
/** Does `act` at the page; returns the invoice id that the browser brings back. */
async function visit({ redirectUrl }: Payment, act: string, more = {}): Promise<string> {
  number += 1;
  const sender = `017${String(number).padStart(8, '0')}`;
  const response = await fetch(redirectUrl ?? '', {
    method: 'POST',
    body: new URLSearchParams({ act, wallet: 'bkash', sender, ...more }),
    redirect: 'manual',
  });
  await response.body?.cancel();
  const back = new URL(response.headers.get('location') ?? 'http://nowhere/');
  const { providerId } = method.claimOf(back.searchParams);
  assert.ok(providerId);
  return providerId;
}

const operate = ({ redirectUrl }: Payment, form: Record<string, string>) =>
  fetch(redirectUrl?.replace('/payment/', '/admin/') ?? '', {
    method: 'POST',
    body: new URLSearchParams(form),
  });

/** As a browser that comes back, or without an id as the schedule. */
async function heard(payment: Payment, id: string | null): Promise<Payment> {
  const actor = id ? 'browser' : 'server';
  await learnProviderId(desk, payment, id, actor);
  return settle(desk, payment.id, { actor });
}

test('a paid payment is credited, however many bring its id at once', async () => {
  const payment = await begin();
  faults.fee = 'percent_2';
  const id = await visit(payment, 'pay');
  await Promise.all(Array.from({ length: 20 }, () => heard(payment, id)));
  const end = await heard(payment, null);
  assert.deepEqual([end.state, end.providerId], ['credited', id]);
  assert.match(end.trxId ?? '', /^BKASH:/);
  assert.equal(await scene.balance(payment), payment.credit);
  assert.deepEqual(await scene.lies(), []);
});

test('the id of a payment of somebody else is not kept, and the own one still counts', async () => {
  const rich = await begin();
  const paid = await visit(rich, 'pay');
  const payment = await begin();
  for (const forged of [paid, 'Zz0000000000000000Zz']) {
    const after = await heard(payment, forged);
    assert.deepEqual([after.state, after.providerId], ['pending', null], forged);
  }
  assert.equal(await scene.balance(payment), 0);
  assert.equal((await heard(payment, await visit(payment, 'pay'))).state, 'credited');
  assert.equal((await heard(rich, paid)).state, 'credited');
});

test('an id that an admin found in the panel is believed of nobody but the panel', async () => {
  const [lost, other] = [await begin(), await begin()];
  // The tab was closed, and no webhook came.
  const [id, foreign] = [await visit(lost, 'pay'), await visit(other, 'pay')];
  const attach = (providerId: string) =>
    attachProviderId(desk, { paymentId: lost.id, providerId, who: 'admin@example.com' });
  for (const wrong of [foreign, 'Zz0000000000000000Zz'])
    await assert.rejects(attach(wrong), { code: 'payment_conflict', message: /does not say/ });
  assert.equal(await scene.balance(lost), 0);
  for (let times = 0; times < 2; times += 1)
    assert.equal((await attach(` ${id} `)).state, 'credited');
  assert.equal(await scene.balance(lost), lost.credit);
  assert.equal((await heard(other, foreign)).state, 'credited');
  assert.deepEqual(await scene.lies(), []);
});

test('an id that came while the panel was down is tried again without the browser', async () => {
  const payment = await begin();
  const id = await visit(payment, 'pay');
  for (const answer of ['html', 'error_500', 'truncated', 'cut'] as const) {
    faults.answer = answer;
    const now = await heard(payment, answer === 'html' ? id : null);
    assert.deepEqual([now.state, now.providerId], ['pending', null], answer);
  }
  faults.answer = 'right';
  assert.equal((await heard(payment, null)).state, 'credited');
});

test('a TrxID that waits is pending, and credited once the panel approves it', async () => {
  const payment = await begin();
  const id = await visit(payment, 'hand_in', { trx_id: 'CK250NROQ5' });
  const waiting = await heard(payment, id);
  assert.deepEqual([waiting.state, waiting.providerId], ['pending', id]);
  assert.match(waiting.reason ?? '', /approve/);
  await operate(payment, { act: 'approve' });
  assert.equal((await heard(payment, null)).state, 'credited');
});

test('one TrxID over two payments, or another amount, is for a person', async () => {
  faults.trxId = 'CK250NROQ9';
  const [one, two] = [await begin(), await begin()];
  assert.equal((await heard(one, await visit(one, 'pay'))).state, 'credited');
  const second = await heard(two, await visit(two, 'pay'));
  assert.deepEqual([second.state, await scene.balance(two)], ['needs_review', 0]);
  faults.trxId = '';
  const less = await begin();
  const id = await visit(less, 'pay');
  await operate(less, { act: 'amount', amount: '5.00' });
  const short = await heard(less, id);
  assert.equal(short.state, 'needs_review');
  assert.match(short.reason ?? '', /৳5\.00, not ৳500\.00/);
  assert.deepEqual(await scene.lies(), []);
});
