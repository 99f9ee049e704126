/** A payment against a tiny model: whatever comes in whatever order beside each other, money that moved is credited once. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import type { Truth } from './method.ts';
import { findPayment, type Payment } from './payment.ts';
import { reconcileOnce } from './reconcile.ts';
import { rescue } from './rescue.ts';
import { acceptPayment, checkNow, rejectPayment } from './review.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';

const scene = await openPaymentsScene();
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

const who = 'admin@example.com';

const acts = {
  /** On the provider's page. */
  agree: async (payment: Payment) => provider.authorise(payment),
  comeBack: (payment: Payment) => browser(payment, 'paid'),
  cancel: (payment: Payment) => browser(payment, 'cancelled'),
  webhook: ({ id }: Payment) => settle(desk, id, { actor: 'provider' }),
  schedule: async ({ id }: Payment) => {
    await owner`UPDATE payments SET ask_at = now() WHERE id = ${id} AND ask_at IS NOT NULL`;
    await reconcileOnce(desk);
  },
  expire: ({ id }: Payment) =>
    owner`UPDATE payments SET expires_at = now() - interval '1 s' WHERE id = ${id} AND state = 'pending'`,
  rescue: async (payment: Payment) => {
    const trxId = accountOf(payment)?.trxId ?? 'ZZZ0000000';
    await rescue(desk, { userId: payment.userId, method: 'bkash', trxId, paymentId: payment.id });
  },
  check: ({ id }: Payment) => checkNow(desk, id, who),
  accept: ({ id, amount }: Payment) =>
    acceptPayment(desk, { paymentId: id, received: amount, trxId: null, receivedAt: null, who }),
  acceptOther: ({ id }: Payment) =>
    acceptPayment(desk, { paymentId: id, received: paisa(7), trxId: null, receivedAt: null, who }),
  reject: ({ id }: Payment) => rejectPayment(desk, { paymentId: id, reason: 'no', who }),
} as const;

/** What the provider's answers are like meanwhile. */
const moods: Readonly<Record<string, (truth: Truth) => Truth>> = {
  honest: (truth) => truth,
  silent: (truth) => ({ ...truth, state: 'unknown', trxId: null, amount: null, invoice: null }),
  wrong: (truth) => ({ ...truth, amount: paisa(7) }),
};

function browser({ id }: Payment, claims: 'paid' | 'cancelled'): Promise<Payment> {
  const claim = { claims, providerId: null, nonce: null };
  return settle(desk, id, { actor: 'browser', claim });
}

function accountOf({ providerId }: Payment) {
  return provider.accounts.get(providerId ?? '');
}

/** Payments that were credited for it: itself, or the one in its place. */
async function fits(payment: Payment): Promise<void> {
  const account = accountOf(payment);
  assert.ok(account && account.captures <= 1);
  const credited = await owner<{ credit: number; trxId: string }[]>`
    SELECT credit, trx_id AS "trxId" FROM payments
    WHERE (id = ${payment.id} OR corrects = ${payment.id}) AND credited_at IS NOT NULL`;
  assert.ok(credited.length <= 1);
  const [one] = credited;
  if (one) assert.equal(one.trxId, account.trxId);
  assert.equal(await scene.balance(payment), one?.credit ?? 0);
}

const step = fc.record({
  mood: fc.constantFrom('honest', 'honest', 'honest', 'silent', 'wrong'),
  // as: the names of its members
  beside: fc.array(fc.constantFrom(...(Object.keys(acts) as (keyof typeof acts)[])), {
    minLength: 1,
    maxLength: 4,
  }),
});

test('money that moved is credited once and by nobody’s word but the provider’s', async (context) => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`seed ${seed}`);
  let credits = 0;
  const property = fc.asyncProperty(
    fc.boolean(),
    fc.array(step, { minLength: 1, maxLength: 8 }),
    async (agrees, steps) => {
      const payment = await scene.begin(await scene.user());
      if (agrees) provider.authorise(payment);
      for (const { mood, beside } of steps) {
        provider.say = moods[mood] ?? ((truth) => truth);
        const ends = await Promise.allSettled(beside.map(async (act) => acts[act](payment)));
        for (const end of ends)
          if (end.status === 'rejected')
            assert.match(
              String(end.reason?.code),
              /^(payment_conflict|rate_limit_exceeded)$/,
              String(end.reason),
            );
        await fits(payment);
      }
      provider.say = (truth) => truth;
      const end = await browser(payment, 'paid');
      const isPaid = accountOf(payment)?.trxId != null;
      // Honest at last, nothing stands between the money and its credit but a person.
      if (isPaid && end.state !== 'needs_review' && !end.rejectedAt)
        assert.equal(end.state, 'credited');
      if (!isPaid) assert.equal(end.creditedAt, null);
      await fits(payment);
      if ((await findPayment(desk.sql, payment.id))?.creditedAt) credits += 1;
    },
  );
  await fc.assert(property, { numRuns: 40, seed, endOnFailure: true });
  context.diagnostic(`${credits} credited`);
  assert.ok(credits > 3, `${credits}`);
  assert.deepEqual(await scene.lies(), []);
});
