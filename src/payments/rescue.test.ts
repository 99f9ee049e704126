/** "Paid but not credited?": whose transaction it is decides the provider, or a person; never who knows its id. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import { findPayment, type Payment, timelineOf } from './payment.ts';
import { type Rescued, rescue } from './rescue.ts';
import { acceptPayment } from './review.ts';
import { evidenceOf } from './review_list.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';

const scene = await openPaymentsScene();
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

const ask = (userId: string, trxId: string, paymentId: string | null = null): Promise<Rescued> =>
  rescue(desk, { userId, method: 'bkash', trxId, paymentId });

/** Money has moved, and we were told nothing. */
async function paidInSilence(): Promise<{ payment: Payment; trxId: string }> {
  const payment = await scene.begin(await scene.user());
  const account = provider.accounts.get(payment.providerId ?? '');
  assert.ok(account);
  const trxId = provider.newTrxId();
  account.trxId = trxId;
  return { payment, trxId };
}

test('a paid payment is credited when its payer asks, also after it was given up', async () => {
  const { payment, trxId } = await paidInSilence();
  await owner`UPDATE payments SET state = 'expired', ask_at = NULL WHERE id = ${payment.id}`;
  const first = await ask(payment.userId, ` ${trxId.toLowerCase()} `);
  assert.equal(first.outcome, 'credited');
  assert.equal((await ask(payment.userId, trxId)).outcome, 'credited');
  assert.equal(await scene.balance(payment), payment.credit);
  const timeline = await evidenceOf(desk.sql, payment.id);
  assert.ok(timeline.some(({ sentence }) => sentence === `You asked about transaction ${trxId}.`));
});

test('the transaction of another account is nobody else’s, credited or not', async () => {
  const { payment, trxId } = await paidInSilence();
  const thief = await scene.begin(await scene.user());
  const early = await ask(thief.userId, trxId);
  assert.equal(early.outcome, 'review');
  assert.equal(await scene.balance(thief), 0);
  await settle(desk, payment.id, { actor: 'server' });
  const late = await ask(thief.userId, trxId);
  assert.match(late.sentence, /belongs to another payment/);
  const acceptance = { paymentId: thief.id, received: paisa(50_000), trxId, receivedAt: null };
  await assert.rejects(acceptPayment(desk, { ...acceptance, who: 'a@example.com' }), {
    code: 'payment_conflict',
    message: /belongs to payment/,
  });
  assert.equal(await scene.balance(payment), payment.credit);
  assert.equal(await scene.balance(thief), 0);
});

test('what the provider knows nothing of is refused with its words, and nothing is claimed', async () => {
  const payment = await scene.begin(await scene.user());
  const none = await ask(payment.userId, 'ZZZ9999999');
  // Nor is the answer about a top-up that has nothing to do with it, unless the payer names one.
  assert.deepEqual([none.outcome, none.payment], ['refused', null]);
  assert.ok(
    !(await timelineOf(desk.sql, payment.id)).some(({ sentence }) => /ZZZ9999999/.test(sentence)),
  );
  const named = await ask(payment.userId, 'ZZZ9999998', payment.id);
  assert.equal(named.payment?.id, payment.id);
  assert.match(none.sentence, /knows no such transaction/);
  assert.equal((await findPayment(desk.sql, payment.id))?.state, 'pending');
});

test('a transaction of another amount, or bound to another invoice, is refused', async () => {
  const { payment, trxId } = await paidInSilence();
  const other = await scene.begin(await scene.user(), 300);
  assert.match((await ask(other.userId, trxId)).sentence, /None of your payments .* amount/);
  provider.say = (truth) =>
    truth.evidence.operation === 'search' ? { ...truth, invoice: payment.invoice } : truth;
  try {
    assert.match((await ask(other.userId, trxId)).sentence, /another invoice/);
  } finally {
    provider.say = (truth) => truth;
  }
  assert.equal(await scene.balance(other), 0);
});

test('a provider that names the invoice when it is asked for the transaction is believed', async () => {
  const { payment, trxId } = await paidInSilence();
  provider.say = (truth) =>
    truth.evidence.operation === 'search'
      ? { ...truth, invoice: payment.invoice }
      : { ...truth, state: 'unknown', trxId: null, amount: null };
  try {
    assert.equal((await ask(payment.userId, trxId)).outcome, 'credited');
  } finally {
    provider.say = (truth) => truth;
  }
  assert.equal(await scene.balance(payment), payment.credit);
  assert.deepEqual(await scene.lies(), []);
});

test('who has begun no payment, or asks too often, is told so; the payments of others are not found', async () => {
  const user = await scene.user();
  assert.match((await ask(user, 'CK250NROQ5')).sentence, /begun no payment/);
  await assert.rejects(ask(user, 'x'), { code: 'invalid_request', param: 'trxId' });
  const many = await Promise.allSettled(
    Array.from({ length: 14 }, (_, index) => ask(user, `CK250NS${100 + index}`)),
  );
  assert.ok(many.filter((each) => each.status === 'rejected').length >= 3, 'without any payment');
  const payment = await scene.begin(await scene.user());
  const stranger = await scene.user();
  await assert.rejects(ask(stranger, 'CK250NROQ5', payment.id), { code: 'not_found' });
  const tries = await Promise.allSettled(
    Array.from({ length: 14 }, (_, index) => ask(payment.userId, `CK250NR${100 + index}`)),
  );
  const limited = tries.filter((each) => each.status === 'rejected');
  assert.equal(limited.length, 4);
  for (const { reason } of limited) assert.equal(reason.code, 'rate_limit_exceeded');
});
