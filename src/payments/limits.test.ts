/** What the operator's limits refuse before a payment, and what they ask a person about after it. */
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import type { Payment } from './payment.ts';
import { rescue } from './rescue.ts';
import { acceptPayment, rejectPayment } from './review.ts';
import { currentRules, setRules } from './rules.ts';
import { credit, settle } from './settle.ts';

const scene = await openPaymentsScene();
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

const generous = {
  open: 100,
  perHour: 100,
  accountDay: 1_000_000,
  accountMonth: 1_000_000,
  payerDay: 1_000_000,
  payersOfAccount: 100,
  accountsOfPayer: 100,
  newDays: 0,
  heldTopups: 0,
};
const limit = (limits: object): Promise<unknown> =>
  setRules(desk.sql, 'admin@example.com', { limits });
beforeEach(async () => {
  provider.say = (truth) => truth;
  await limit(generous);
});

async function pay(payment: Payment): Promise<Payment> {
  provider.authorise(payment);
  return settle(desk, payment.id, success);
}

test('so many payments of an account may be open', async () => {
  await limit({ open: 2 });
  const user = await scene.user();
  const begun = await Promise.allSettled(Array.from({ length: 6 }, () => scene.begin(user)));
  assert.equal(begun.filter(({ status }) => status === 'fulfilled').length, 2);
  await assert.rejects(scene.begin(user), {
    code: 'payment_limit',
    message: /2 payments of this account are open/,
  });
});

test('an account may begin so many an hour', async () => {
  await limit({ perHour: 1 });
  const user = await scene.user();
  await pay(await scene.begin(user));
  await assert.rejects(scene.begin(user), { code: 'payment_limit', retryAfterMs: 3_600_000 });
});

test('an account may pay so much a day and so much a month, and hears what is left', async () => {
  await limit({ accountDay: 1000, accountMonth: 1500, newAccountDay: 1000 });
  const user = await scene.user();
  const first = await pay(await scene.begin(user, 800));
  await assert.rejects(scene.begin(user, 201), {
    code: 'payment_limit',
    message: /৳1000 within 24 hours; ৳200\.00 of that are left/,
  });
  await owner`ALTER TABLE payments DISABLE TRIGGER sound`;
  await owner`UPDATE payments SET created_at = now() - interval '2 days', seal = seal WHERE id = ${first.id}`;
  await owner`ALTER TABLE payments ENABLE TRIGGER sound`;
  await assert.rejects(scene.begin(user, 701), {
    code: 'payment_limit',
    message: /৳1500 within 30 days; ৳700\.00/,
  });
  assert.equal((await scene.begin(user, 700)).state, 'pending');
});

test('a new account may pay less', async () => {
  await limit({ newDays: 3, newAccountDay: 100 });
  const user = await scene.user();
  assert.equal((await scene.begin(user, 500)).state, 'pending');
  await owner`UPDATE users SET created_at = now() WHERE id = ${user}`;
  await assert.rejects(scene.begin(user, 101), {
    code: 'payment_limit',
    message: /in its first 3 days/,
  });
});

test('failed payments use nothing up', async () => {
  await limit({ accountDay: 500, newAccountDay: 500 });
  const user = await scene.user();
  const payment = await scene.begin(user, 500);
  await settle(desk, payment.id, {
    actor: 'browser',
    claim: { claims: 'cancelled', providerId: null, nonce: null },
  });
  assert.equal((await scene.begin(user, 500)).state, 'pending');
});

test('one number that pays for many accounts, or too much, and many numbers for one account are for a person', async () => {
  provider.say = (truth) => ({ ...truth, payer: '01711111111' });
  await limit({ accountsOfPayer: 1 });
  assert.equal((await pay(await scene.begin(await scene.user()))).state, 'credited');
  const second = await pay(await scene.begin(await scene.user()));
  assert.equal(second.state, 'needs_review');
  assert.match(second.reason ?? '', /One number pays for 2 accounts/);

  await limit({ accountsOfPayer: 100, payerDay: 900 });
  const much = await pay(await scene.begin(await scene.user()));
  assert.match(much.reason ?? '', /more than ৳900 within 24 hours/);

  provider.say = (truth) => truth;
  await limit({ payerDay: 1_000_000, payersOfAccount: 1 });
  const user = await scene.user();
  assert.equal((await pay(await scene.begin(user))).state, 'credited');
  assert.match((await pay(await scene.begin(user))).reason ?? '', /2 numbers pay for this account/);
});

test('payments that were cancelled, and paid all the same, are within the limits of the account, too', async () => {
  await limit({ accountDay: 1000, newAccountDay: 1000, open: 2 });
  const user = await scene.user();
  const begun: Payment[] = [];
  for (let count = 0; count < 4; count += 1) {
    const payment = await scene.begin(user, 500);
    const claim = { claims: 'cancelled', providerId: null, nonce: null } as const;
    assert.equal((await settle(desk, payment.id, { actor: 'browser', claim })).state, 'cancelled');
    begun.push(payment);
  }
  const ends = await Promise.all(begun.map(pay));
  assert.deepEqual(ends.map(({ state }) => state).sort(), [
    'credited',
    'credited',
    'needs_review',
    'needs_review',
  ]);
  const doubted = ends.find(({ state }) => state === 'needs_review');
  assert.match(doubted?.reason ?? '', /more than ৳1000 within 24 hours/);
});

test('a number that pays for many accounts at the same moment is counted all the same', async () => {
  provider.say = (truth) => ({ ...truth, payer: '01722222222' });
  await limit({ accountsOfPayer: 2 });
  const begun = await Promise.all(
    Array.from({ length: 6 }, async () => scene.begin(await scene.user())),
  );
  const ends = await Promise.all(begun.map(pay));
  assert.equal(ends.filter(({ state }) => state === 'credited').length, 2);
  assert.equal(ends.filter(({ state }) => state === 'needs_review').length, 4);
});

test('first top-ups of an account wait where the operator says so, and are credited then', async () => {
  await limit({ heldTopups: 1, heldMinutes: 60 });
  const user = await scene.user();
  const held = await pay(await scene.begin(user));
  assert.equal(held.state, 'verified');
  assert.equal(await scene.balance(held), 0);
  assert.equal((await credit(desk, held.id)).state, 'verified', 'it was credited too early');
  await desk.sql`UPDATE payments SET held_until = now() - interval '1 second' WHERE id = ${held.id}`;
  assert.equal((await credit(desk, held.id)).state, 'credited');
  assert.equal(
    (await pay(await scene.begin(user))).state,
    'credited',
    'the second one waited, too',
  );
});

test('a top-up that waits may be stopped by a person, and is credited only when a person says so', async () => {
  await limit({ heldTopups: 1, heldMinutes: 60 });
  const user = await scene.user();
  const held = await pay(await scene.begin(user));
  const who = 'admin@example.com';
  const stopped = await rejectPayment(desk, { paymentId: held.id, reason: 'a stolen phone', who });
  assert.equal(stopped.state, 'failed');
  await desk.sql`UPDATE payments SET held_until = now() - interval '1 second' WHERE id = ${held.id}`;
  await Promise.all([credit(desk, held.id), settle(desk, held.id, { actor: 'server' })]);
  assert.equal(await scene.balance(held), 0);
  const call = { userId: user, method: 'bkash', trxId: held.trxId ?? '', paymentId: null };
  assert.match((await rescue(desk, call)).sentence, /not accepted: a stolen phone/);
  const given = { paymentId: held.id, received: held.amount, trxId: null, receivedAt: null, who };
  assert.equal((await acceptPayment(desk, given)).payment.state, 'credited');
  assert.equal(await scene.balance(held), held.credit);
  await assert.rejects(rejectPayment(desk, { paymentId: held.id, reason: 'no', who }), {
    code: 'payment_conflict',
  });
  assert.doesNotMatch(JSON.stringify(await scene.lies()), new RegExp(held.id));
});

test('a payment that comes after its quote is credited as quoted, unless the rate has moved far', async () => {
  const late = async (): Promise<Payment> => {
    const payment = await scene.begin(await scene.user());
    await owner`ALTER TABLE payments DISABLE TRIGGER sound`;
    await owner`UPDATE payments p SET quoted_until = now() - interval '1 minute' WHERE id = ${payment.id}`;
    await owner`UPDATE payments p SET seal = payment_seal(p) WHERE id = ${payment.id}`;
    await owner`ALTER TABLE payments ENABLE TRIGGER sound`;
    return payment;
  };
  const paid = await pay(await late());
  assert.equal(paid.state, 'credited');
  assert.equal(paid.late, true);
  const payment = await late();
  await setRules(desk.sql, 'admin@example.com', { rate: { fixed: '140' } });
  const doubted = await pay(payment);
  await setRules(desk.sql, 'admin@example.com', { rate: { fixed: null } });
  assert.equal(doubted.state, 'needs_review');
  assert.match(doubted.reason ?? '', /the rate has moved by 14\.8 %/);
});

test('rules are versions: those before stay, wrong ones change nothing and say what is wrong', async () => {
  const before = await currentRules(desk.sql);
  await assert.rejects(setRules(desk.sql, 'a', { limits: { open: 0 } }), {
    code: 'invalid_request',
    param: 'limits.open',
  });
  await assert.rejects(
    setRules(desk.sql, 'a', { methods: { bkash: { bounds: { least: 100, most: 50 } } } }),
    { param: 'methods.bkash.bounds' },
  );
  await assert.rejects(setRules(desk.sql, 'a', { nonsense: true }), { code: 'invalid_request' });
  assert.deepEqual(await currentRules(desk.sql), before);
  const after = await setRules(desk.sql, 'a', { presets: [100] });
  assert.deepEqual(after.content.presets, [100]);
  assert.deepEqual(after.content.limits, before.content.limits);
  const [row] = await owner<
    { count: number }[]
  >`SELECT count(*)::int AS count FROM payment_rules WHERE id = ${before.id ?? 0}`;
  assert.equal(row?.count, 1);
});
