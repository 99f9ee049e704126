/** What people decide: by hand, by two, by another amount, and never against what the provider says. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { handIn } from './claims.ts';
import { createPayment } from './create.ts';
import type { Desk } from './desk.ts';
import { manual, manualClaim } from './manual.ts';
import type { MethodId, PaymentMethod } from './method.ts';
import type { Payment } from './payment.ts';
import { refundPayment } from './refund.ts';
import { acceptPayment, checkNow, rejectPayment } from './review.ts';
import { evidenceOf, paymentsToReview } from './review_list.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';
import { recordReceipt, resolveReceipt, unmatchedReceipts } from './unmatched.ts';

const scene = await openPaymentsScene();
const { provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

const accounts = [
  { wallet: 'bkash', kind: 'send_money', number: '01700000000', note: '' },
] as const;
const byHand = manual({ accounts });
const methods: [MethodId, PaymentMethod][] = [
  ['bkash', provider.method],
  ['manual', byHand],
];
const desk: Desk = { ...scene.desk, methods: new Map(methods) };
const one = 'one@example.com';
const two = 'two@example.com';

let letters = 0;
function newTrxId(): string {
  letters += 1;
  return `MAN${String(letters).padStart(7, '0')}`;
}

async function sent(taka = 500, trxId = newTrxId(), userId?: string): Promise<Payment> {
  const payment = await createPayment(desk, {
    userId: userId ?? (await scene.user()),
    method: 'manual',
    wish: { paisa: paisa(taka * 100) },
    payer: { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: true },
    clientKey: null,
  });
  const claim = manualClaim(accounts, 'bkash', trxId, '01712345678');
  assert.ok('trxId' in claim);
  return handIn(desk, payment.userId, payment.id, claim);
}

const accept = (payment: Payment, taka: number, who = one, trxId: string | null = null) =>
  acceptPayment(desk, {
    paymentId: payment.id,
    received: paisa(taka * 100),
    trxId,
    receivedAt: null,
    who,
  });

test('money that was sent by hand is credited by what an admin saw, once', async () => {
  const payment = await sent();
  assert.equal(payment.state, 'needs_review');
  const [item] = await paymentsToReview(desk.sql, { most: 10, id: payment.id });
  assert.deepEqual(
    item?.claims.map(({ payerShown, belongsTo }) => [payerShown, belongsTo]),
    [['017******78', null]],
  );
  const { payment: credited } = await accept(payment, 500);
  assert.equal(credited.state, 'credited');
  assert.equal(credited.late, false);
  assert.equal(credited.payerShown, '017******78');
  assert.equal(await scene.balance(payment), payment.credit);
  await assert.rejects(accept(payment, 500), { code: 'payment_conflict' });
  const timeline = await evidenceOf(desk.sql, payment.id);
  assert.ok(timeline.some(({ actor, kind }) => actor === one && kind === 'review'));
  assert.deepEqual(await scene.lies(), []);
});

test('a payer who hands in once more while an admin decides does not stand in the way', async () => {
  const payment = await sent();
  let handed: Promise<unknown> = Promise.resolve();
  await owner.begin(async (sql) => {
    await sql`SELECT 1 FROM payments WHERE id = ${payment.id} FOR UPDATE`;
    const claim = { wallet: 'bkash', trxId: `BKASH:${newTrxId()}`, sender: null } as const;
    handed = handIn(desk, payment.userId, payment.id, claim);
    handed.catch(() => {});
    await until('it waits for the payment', async () => {
      const [row] = await owner<{ waits: boolean }[]>`
        SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%') AS waits`;
      return row?.waits === true;
    });
    // As a payment in the place of this one does, which names the account.
    await sql`SET LOCAL lock_timeout = '3s'`;
    await sql`SELECT 1 FROM users WHERE id = ${payment.userId} FOR KEY SHARE`;
  });
  await handed;
});

test('an admin does not decide about his own', async () => {
  const payment = await sent();
  const [row] = await owner<{ email: string }[]>`
    SELECT email FROM users WHERE id = ${payment.userId}`;
  await assert.rejects(accept(payment, 500, row?.email.toUpperCase()), /your own payment/);
});

test('another amount is credited by a payment in its place, at the same rate', async () => {
  const payment = await sent(500);
  const { payment: credited } = await accept(payment, 400);
  assert.equal(credited.corrects, payment.id);
  assert.equal(credited.rate, payment.rate);
  assert.equal(credited.credit, 3_278_688_524);
  assert.equal(await scene.balance(payment), credited.credit);
  const first = await checkNow(desk, payment.id, one);
  assert.equal(first.state, 'failed');
  assert.match(first.reason ?? '', /৳400\.00 came in instead of ৳500\.00/);
  await assert.rejects(accept(payment, 500), { message: /belongs to payment/ });
  await assert.rejects(accept(payment, 500, one, `BKASH:${newTrxId()}`), /in its place/);
  assert.deepEqual(await scene.lies(), []);
});

test('large ones need two admins, who saw the same', async () => {
  const payment = await sent(10_000);
  assert.deepEqual(await accept(payment, 10_000), { payment, approvals: 1, needed: 2 });
  await assert.rejects(accept(payment, 10_000), /another admin/);
  assert.equal((await accept(payment, 9_999, two)).payment.corrects, payment.id);
});

test('two approvals of different amounts are none', async () => {
  const payment = await sent(12_000);
  await accept(payment, 12_000);
  assert.equal((await accept(payment, 11_000, two)).approvals, 1);
  assert.equal(await scene.balance(payment), 0);
  await rejectPayment(desk, { paymentId: payment.id, reason: 'not there', who: two });
  // What was approved before it was rejected counts no more.
  assert.equal((await accept(payment, 12_000, two)).approvals, 1);
  const last = await accept(payment, 12_000);
  assert.deepEqual([last.approvals, last.payment.state], [2, 'credited']);
});

test('a TrxID that two claim is shown with both, and credited to one', async () => {
  const trxId = newTrxId();
  const first = await sent(500, trxId);
  const second = await sent(500, trxId.toLowerCase());
  const [item] = await paymentsToReview(desk.sql, { most: 10, id: second.id });
  assert.deepEqual(item?.claims[0]?.alsoClaimedBy, [first.id]);
  const ends = await Promise.allSettled([accept(first, 500), accept(second, 500, two)]);
  assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  await assert.rejects(sent(500, trxId), {
    code: 'payment_conflict',
    message: /belongs to another/,
  });
  const sum = (await scene.balance(first)) + (await scene.balance(second));
  assert.equal(sum, first.credit);
});

test('what was credited by hand is not credited by a provider, too, and not the other way round', async () => {
  const trxId = newTrxId();
  await accept(await sent(500, trxId), 500);
  const payment = await scene.begin(await scene.user());
  provider.authorise(payment);
  provider.say = (truth) => ({ ...truth, trxId });
  try {
    const looked = await settle(desk, payment.id, success);
    assert.equal(looked.state, 'needs_review');
    assert.match(looked.reason ?? '', /belongs to another payment/);
    await assert.rejects(accept(payment, 500), { code: 'payment_conflict' });
  } finally {
    provider.say = (truth) => truth;
  }
  const other = await scene.begin(await scene.user());
  provider.authorise(other);
  const credited = await settle(desk, other.id, success);
  await assert.rejects(sent(500, credited.trxId ?? ''), /belongs to another payment/);
  assert.equal(await scene.balance(payment), 0);
});

test('an account hands in three, and then waits', async () => {
  const user = await scene.user();
  for (let count = 0; count < 3; count += 1) await sent(100, newTrxId(), user);
  await assert.rejects(sent(100, newTrxId(), user), /wait to be looked at/);
  const other = await sent(100);
  const claim = manualClaim(accounts, 'bkash', newTrxId(), '');
  assert.ok('trxId' in claim);
  await assert.rejects(handIn(desk, user, other.id, claim), { code: 'not_found' });
});

async function withOtherAmount(): Promise<Payment> {
  const payment = await scene.begin(await scene.user());
  provider.authorise(payment);
  provider.say = (truth) => ({ ...truth, amount: truth.amount && paisa(30_000) });
  const looked = await settle(desk, payment.id, success);
  assert.equal(looked.state, 'needs_review');
  return looked;
}

test('what a provider can be asked is believed of nobody else', async () => {
  const payment = await withOtherAmount();
  try {
    await assert.rejects(accept(payment, 500), /The provider says ৳300\.00, not ৳500\.00/);
    const { payment: credited } = await accept(payment, 300);
    assert.equal(credited.amount, 30_000);
    provider.say = (truth) => truth;
    const who = one;
    const order = { paymentId: credited.id, amount: null, reason: 'asked for', who };
    // The provider knows it under the id of the first payment.
    assert.equal((await refundPayment(desk, order)).state, 'refunded');
    assert.equal(provider.accounts.get(payment.providerId ?? '')?.refunded, 30_000);
  } finally {
    provider.say = (truth) => truth;
  }
  const unpaid = await scene.begin(await scene.user());
  await owner`UPDATE payments SET state = 'needs_review' WHERE id = ${unpaid.id}`;
  await assert.rejects(accept(unpaid, 500), /does not call it paid/);
  await assert.rejects(accept(unpaid, 500, one, 'AAA0000000'), /No such transaction/);
  assert.equal(await scene.balance(unpaid), 0);
  assert.deepEqual(await scene.lies(), []);
});

test('a rejected payment stays so, whatever its browser and the schedule say, until a person takes it up', async () => {
  const payment = await withOtherAmount();
  const rejected = await rejectPayment(desk, {
    paymentId: payment.id,
    reason: 'sent back',
    who: one,
  });
  assert.equal(rejected.state, 'failed');
  provider.say = (truth) => truth;
  assert.equal((await settle(desk, payment.id, success)).state, 'failed');
  assert.equal(await scene.balance(payment), 0);
  assert.equal((await accept(payment, 500)).payment.state, 'credited');
});

test('a receipt that fits nothing is listed once, and ends with a note or with a payment', async () => {
  const trxId = provider.newTrxId();
  const receipt = { trxId, amount: paisa(500), payer: '01712345678', paidAt: new Date() };
  const evidence = { operation: 'webhook', httpStatus: null, ms: 0, code: null, body: {} };
  assert.equal(await recordReceipt(desk, 'bkash', { receipt, evidence }), true);
  assert.equal(await recordReceipt(desk, 'bkash', { receipt, evidence }), false);
  const [listed] = await unmatchedReceipts(desk.sql, { resolved: false, most: 10 });
  assert.ok(listed);
  const payment = await scene.begin(await scene.user());
  await resolveReceipt(desk, listed.id, { note: 'his', paymentId: payment.id, who: one });
  assert.equal((await unmatchedReceipts(desk.sql, { resolved: false, most: 10 })).length, 0);
  const [item] = await paymentsToReview(desk.sql, { most: 10, id: payment.id });
  assert.equal(item?.state, 'needs_review');
  assert.equal(item?.claims[0]?.trxId, trxId);
  const again = { note: 'x', paymentId: null, who: one };
  await assert.rejects(resolveReceipt(desk, listed.id, again), { code: 'not_found' });
});
