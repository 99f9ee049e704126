/** Money goes back once, only what is unspent, and the wallet and the payer never both have it. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { differences } from './compare.ts';
import { findPayment, type Payment } from './payment.ts';
import { pursueRefund, type Refund, refundPayment, settleRefund } from './refund.ts';
import { listRefunds } from './review_list.ts';
import { setRules } from './rules.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';

const scene = await openPaymentsScene();
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());
const bonuses = [{ from: 500, percent: '7.7777' }];
await setRules(desk.sql, 'test', { bonuses });

const who = 'admin@example.com';
const server = { actor: 'server' } as const;

async function credited(taka = 500): Promise<Payment> {
  const payment = await scene.authorised(taka);
  const paid = await settle(desk, payment.id, success);
  assert.equal(paid.state, 'credited');
  return paid;
}

function honest(): void {
  provider.refundSays = 'refunded';
  provider.refundBecame = null;
  provider.before = async () => {};
}

const refund = (payment: Payment, taka: number | null): Promise<Refund> =>
  refundPayment(desk, {
    paymentId: payment.id,
    amount: taka === null ? null : paisa(taka * 100),
    reason: 'asked for',
    who,
  });

async function stateOf({ id }: Payment): Promise<string | undefined> {
  return (await findPayment(desk.sql, id))?.state;
}

test('parts go back with their share of the credit and of the bonus, and all of it in the end', async () => {
  const payment = await credited();
  assert.ok(payment.bonus > 0);
  // What a dollar and a bonus are now is nothing to it.
  await setRules(desk.sql, 'test', { bonuses: [], rate: { fixed: '250' } });
  for (const taka of [33.33, 166.67]) await refund(payment, taka);
  assert.equal(await stateOf(payment), 'credited');
  const last = await refund(payment, null);
  assert.equal(last.state, 'refunded');
  assert.equal(last.amount, 30_000);
  assert.equal(await scene.balance(payment), 0);
  assert.equal(await stateOf(payment), 'refunded');
  await assert.rejects(refund(payment, 1), { code: 'payment_conflict' });
  await setRules(desk.sql, 'test', { bonuses, rate: { fixed: null } });
  assert.deepEqual(await scene.lies(), []);
});

test('what is spent or held does not go back', async () => {
  const payment = await credited(100);
  await owner`UPDATE ledger_accounts SET held = 1 WHERE id = ${payment.wallet}`;
  await assert.rejects(refund(payment, null), {
    code: 'payment_conflict',
    message: /spent or held/,
  });
  await owner`UPDATE ledger_accounts SET held = 0 WHERE id = ${payment.wallet}`;
  assert.equal((await findPayment(desk.sql, payment.id))?.refunded, 0);
});

test('ten orders at once for all of it: one is given', async () => {
  const payment = await credited();
  const tries = await Promise.allSettled(Array.from({ length: 10 }, () => refund(payment, null)));
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.refunded, payment.amount);
  assert.equal(await scene.balance(payment), 0);
});

test('a refusal gives the credit back, and leaves all of it to be refunded', async () => {
  const payment = await credited();
  provider.refundSays = 'refused';
  assert.equal((await refund(payment, 200)).state, 'refused');
  honest();
  assert.equal(await scene.balance(payment), payment.credit + payment.bonus);
  assert.equal((await refund(payment, null)).amount, payment.amount);
  assert.deepEqual(await scene.lies(), []);
});

test('an answer that was lost keeps the credit until the provider or an admin knows', async () => {
  const payment = await credited();
  provider.refundSays = 'unknown';
  const one = await refund(payment, 100);
  const other = await refund(payment, 100);
  assert.deepEqual([one.state, other.state], ['needs_review', 'needs_review']);
  assert.ok((await scene.balance(payment)) < payment.credit);
  provider.refundBecame = 'refunded';
  assert.equal((await pursueRefund(desk, one.id)).state, 'refunded');
  await assert.rejects(settleRefund(desk, one.id, { state: 'refused', note: 'no', who }), {
    code: 'payment_conflict',
  });
  await assert.rejects(settleRefund(desk, other.id, { state: 'refused', note: ' ', who }), {
    code: 'invalid_request',
  });
  const [payer] = await owner<{ email: string }[]>`
    SELECT email FROM users WHERE id = ${payment.userId}`;
  const own = { state: 'refused', note: 'mine', who: payer?.email ?? '' } as const;
  await assert.rejects(settleRefund(desk, other.id, own), /your own refund/);
  const done = await settleRefund(desk, other.id, { state: 'refused', note: 'not there', who });
  assert.equal(done.state, 'refused');
  honest();
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.refunds.length, 2);
  assert.deepEqual(await scene.lies(), []);
});

test('money that went all the same after an admin gave the credit back is shown', async () => {
  const payment = await credited();
  const { promise, resolve } = Promise.withResolvers<void>();
  provider.before = async (operation) => (operation === 'refund-answer' ? promise : undefined);
  const ordered = refund(payment, 100);
  const open = async (): Promise<{ id: string } | undefined> =>
    (await listRefunds(desk.sql, { open: true, payment: payment.id, most: 1 }))[0];
  await until('the provider was asked', async () =>
    Boolean(provider.accounts.get(payment.providerId ?? '')?.refunds.length),
  );
  const id = (await open())?.id ?? '';
  provider.refundBecame = 'unknown';
  await pursueRefund(desk, id);
  await settleRefund(desk, id, { state: 'refused', note: 'not there', who });
  resolve();
  assert.equal((await ordered).state, 'refused');
  honest();
  const shown = await differences(desk.sql, 10);
  assert.deepEqual(
    shown.map(({ payment: of, found }) => [of, found]),
    [[payment.id, 'the refund is refunded']],
  );
});

test('a method without refunds waits for the operator to send it back by hand', async () => {
  const payment = await credited();
  const { refund: _, refundStatus: __, ...method } = provider.method;
  const plain = { ...desk, methods: new Map([[method.id, method]]) };
  const order = { paymentId: payment.id, amount: null, reason: 'asked for', who };
  const waiting = await refundPayment(plain, order);
  assert.equal(waiting.state, 'needs_review');
  assert.match(waiting.note ?? '', /Send ৳500\.00 back by hand/);
  const told = { state: 'refunded', note: 'sent at noon', who } as const;
  assert.equal((await settleRefund(plain, waiting.id, told)).state, 'refunded');
  assert.equal(await stateOf(payment), 'refunded');
});

/** What a payment may be put through: payments, orders, answers, in any order and beside each other. */
type Act =
  | { readonly act: 'settle' }
  | {
      readonly act: 'refund';
      readonly paisa: number;
      readonly says: 'refunded' | 'refused' | 'unknown';
    }
  | { readonly act: 'pursue'; readonly says: 'refunded' | 'refused' | 'unknown' }
  | { readonly act: 'decide'; readonly says: 'refunded' | 'refused' };

const truths = fc.constantFrom('refunded' as const, 'refused' as const, 'unknown' as const);
const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.constant({ act: 'settle' as const }),
  fc.record({
    act: fc.constant('refund' as const),
    paisa: fc.integer({ min: 1, max: 30_000 }),
    says: truths,
  }),
  fc.record({ act: fc.constant('pursue' as const), says: truths }),
  fc.record({
    act: fc.constant('decide' as const),
    says: fc.constantFrom('refunded' as const, 'refused' as const),
  }),
);

async function perform(payment: Payment, act: Act): Promise<void> {
  if (act.act === 'settle') return void (await settle(desk, payment.id, server));
  if (act.act === 'refund') {
    provider.refundSays = act.says;
    const order = { paymentId: payment.id, amount: paisa(act.paisa), reason: 'r', who };
    return void (await refundPayment(desk, order));
  }
  const [open] = await owner<{ id: string }[]>`
    SELECT id FROM payment_refunds WHERE payment = ${payment.id} AND state = 'needs_review' ORDER BY id LIMIT 1`;
  if (!open) return;
  if (act.act === 'decide')
    return void (await settleRefund(desk, open.id, { state: act.says, note: 'seen', who }));
  provider.refundBecame = act.says;
  await pursueRefund(desk, open.id);
}

/** What must be true of a payment at any moment, from its refunds alone. */
async function fits({ id }: Payment): Promise<void> {
  const payment = await findPayment(desk.sql, id);
  assert.ok(payment);
  const [sums] = await owner<{ amount: number; nanos: number; count: number }[]>`
    SELECT coalesce(sum(amount), 0)::bigint AS amount, coalesce(sum(credit + bonus), 0)::bigint AS nanos, count(*)::int AS count
    FROM payment_refunds WHERE payment = ${id} AND state <> 'refused'`;
  assert.ok(sums);
  const whole = payment.credit + payment.bonus;
  assert.equal(payment.refunded, sums.amount);
  assert.ok(sums.amount <= payment.amount);
  assert.equal(await scene.balance(payment), whole - sums.nanos);
  // Exact but for the rounding of each share of the two: where one before it was refused later, a share keeps its own.
  const off = Math.abs(sums.nanos - (whole * sums.amount) / payment.amount);
  assert.ok(off <= 2 * Math.max(1, sums.count), `${off} nano-USD off in ${sums.count} refunds`);
  if (sums.amount === payment.amount) assert.equal(sums.nanos, whole);
}

test('whatever is ordered, answered and decided, in whatever order, the sums are right', async (context) => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`seed ${seed}`);
  const property = fc.asyncProperty(
    fc.array(fc.array(acts, { minLength: 1, maxLength: 3 }), { maxLength: 7 }),
    async (steps) => {
      const payment = await credited();
      for (const beside of steps) {
        const ends = await Promise.allSettled(beside.map((act) => perform(payment, act)));
        for (const end of ends)
          if (end.status === 'rejected')
            assert.match(
              String(end.reason?.code),
              /^(payment_conflict|invalid_request)$/,
              String(end.reason),
            );
        await fits(payment);
      }
      honest();
    },
  );
  await fc.assert(property, { numRuns: 25, seed, endOnFailure: true });
  assert.deepEqual(await scene.lies(), []);
});
