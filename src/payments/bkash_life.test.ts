/** Payments by bKash from the first click to the wallet, on a real database: whatever goes wrong, each is credited once or not at all. */
import { strict as assert } from 'node:assert';
import { after, beforeEach, test } from 'node:test';
import { act, payAt } from '../../test/bkash_scene.ts';
import { openPaymentsScene, type PaymentsScene, success } from '../../test/payments_scene.ts';
import { loadConfig } from '../config.ts';
import { type SandboxBkash, startSandboxBkash } from '../sandbox/bkash.ts';
import type { Envelope } from '../sandbox/bkash_sns.ts';
import { bkash, bkashSettingsOf } from './bkash.ts';
import { BkashTokens } from './bkash_tokens.ts';
import type { MethodId, PaymentMethod } from './method.ts';
import type { Payment } from './payment.ts';
import { settle } from './settle.ts';
import { unmatchedReceipts } from './unmatched.ts';
import { hearWebhook } from './webhooks.ts';

const methods = new Map<MethodId, PaymentMethod>();
const scene: PaymentsScene = await openPaymentsScene({ methods });
let standIn: SandboxBkash;

after(async () => {
  await standIn?.close();
  await scene[Symbol.asyncDispose]();
});

let turn = 0;
beforeEach(async () => {
  await standIn?.close();
  standIn = await startSandboxBkash();
  turn += 1;
  const generation = turn % 2 === 0 ? 'v2' : 'v1';
  const settings = bkashSettingsOf(loadConfig({ BKASH_GENERATION: generation }, []), standIn);
  const { sql } = scene.database;
  const { secret } = scene.desk;
  const tokens = new BkashTokens({ sql, secret, access: settings.access });
  methods.set('bkash', bkash(settings, tokens));
});

const page = (payment: Payment): string => payment.redirectUrl ?? assert.fail('it was not opened');

/** What the browser claims on its way back. */
function returned(back: URL | null) {
  const method = methods.get('bkash') ?? assert.fail('bKash is not set up');
  return { actor: 'browser', claim: method.claimOf(back?.searchParams ?? new URLSearchParams()) };
}

const executes = (): number => standIn.calls.filter((call) => call === 'execute').length;

async function creditedOnce(payment: Payment): Promise<void> {
  assert.equal(await scene.balance(payment), payment.credit + payment.bonus);
  assert.deepEqual(await scene.lies(), []);
}

test('browsers, the schedule and notifications come at the same time: taken once, credited once', async () => {
  const payment = await scene.begin(await scene.user());
  const occasion = returned(await payAt(page(payment)));
  const turns = Array.from({ length: 24 }, (_, index) =>
    settle(scene.desk, payment.id, index % 3 === 0 ? occasion : { actor: 'server' }),
  );
  await Promise.all(turns);
  assert.equal((await settle(scene.desk, payment.id, occasion)).state, 'credited');
  assert.equal(executes(), 1);
  await creditedOnce(payment);
});

for (const fault of ['lost', 'truncated'] as const)
  test(`the money was taken and the answer ${fault}: asked, it is credited, and never taken again`, async () => {
    const payment = await scene.begin(await scene.user());
    const occasion = returned(await payAt(page(payment)));
    standIn.faults.add('execute', fault);
    standIn.faults.add('query', 'silent');
    assert.equal((await settle(scene.desk, payment.id, occasion)).state, 'pending');
    assert.equal((await settle(scene.desk, payment.id, { actor: 'server' })).state, 'credited');
    assert.equal(executes(), 1);
    await creditedOnce(payment);
  });

test('success that was only claimed, cancelling and closing the tab credit nothing', async () => {
  const forged = await scene.begin(await scene.user());
  const state = (await settle(scene.desk, forged.id, success)).state;
  assert.equal(state, 'pending');
  const left = await scene.begin(await scene.user());
  const occasion = returned((await act(page(left), 'cancel')).to);
  assert.equal((await settle(scene.desk, left.id, occasion)).state, 'cancelled');
  const closed = await scene.begin(await scene.user());
  await act(page(closed), 'confirm_and_close');
  assert.equal((await settle(scene.desk, closed.id, { actor: 'server' })).state, 'pending');
  for (const payment of [forged, left, closed]) assert.equal(await scene.balance(payment), 0);
  assert.equal(standIn.book.total(), 0);
  assert.deepEqual(await scene.lies(), []);
});

test('another amount, invoice or currency than that of the payment is for a person to look at', async () => {
  for (const change of [
    { amount: '5000.00' },
    { merchantInvoiceNumber: 'TOPOTHER', merchantInvoice: 'TOPOTHER' },
    { currency: 'USD' },
    { intent: 'authorization' },
  ]) {
    const payment = await scene.begin(await scene.user(), 100 + executes());
    const occasion = returned(await payAt(page(payment)));
    standIn.faults.add('execute', { change });
    const settled = await settle(scene.desk, payment.id, occasion);
    assert.equal(settled.state, 'needs_review', JSON.stringify(change));
    assert.equal(await scene.balance(payment), 0);
  }
});

test('notifications come before the browser, twice, late and in any order; money of nobody is listed once', async () => {
  standIn.switches.notifications = 'held';
  const { desk } = scene;
  const method = methods.get('bkash') ?? assert.fail('bKash is not set up');
  const hear = async (envelope: Envelope): Promise<void> => {
    const hint = await method.webhook?.(JSON.stringify(envelope), new Headers());
    await hearWebhook(desk, method, hint ?? assert.fail('it is not believed'), null);
  };
  const payments: Payment[] = [];
  for (const taka of [100, 200]) {
    const payment = await scene.begin(await scene.user(), taka);
    const occasion = returned(await payAt(page(payment)));
    standIn.faults.add('execute', 'lost');
    standIn.faults.add('query', 'silent');
    assert.equal((await settle(desk, payment.id, occasion)).state, 'pending');
    payments.push(payment);
  }
  const [first, second] = standIn.sns.held;
  assert.ok(first && second);
  const late = { ...first, Timestamp: new Date(Date.now() - 5 * 3_600_000).toISOString() };
  for (const envelope of [second, standIn.sns.signed(late), second, first, first])
    await hear(envelope);
  for (const payment of payments) await creditedOnce(payment);
  const heard = await desk.sql<{ count: number }[]>`
    SELECT count(*)::int AS count FROM payment_events WHERE kind = 'webhook' AND payment = ANY(${payments.map(({ id }) => id)})
    GROUP BY payment`;
  assert.deepEqual([...heard], [{ count: 1 }, { count: 1 }]);
  assert.equal(executes(), 2);

  const told: unknown = JSON.parse(first.Message ?? '');
  const stray = {
    ...Object(told),
    trxID: 'DZZ1234567',
    merchantInvoiceNumber: 'QR0001',
    amount: '75',
  };
  for (let times = 0; times < 2; times += 1)
    await hear(standIn.sns.notification(JSON.stringify(stray)));
  const listed = await unmatchedReceipts(desk.sql, { resolved: false, most: 10 });
  assert.deepEqual(
    listed.map(({ trxId, amount }) => [trxId, amount]),
    [['DZZ1234567', 7500]],
  );
  assert.deepEqual(await scene.lies(), []);
});

test('too little money, or the same amount too soon, fails with advice', async () => {
  for (const [code, advice] of [
    ['2023', /add money to it/],
    ['2029', /wait 5 minutes/],
  ] as const) {
    const payment = await scene.begin(await scene.user());
    const occasion = returned(await payAt(page(payment)));
    standIn.faults.add('execute', { code });
    const settled = await settle(scene.desk, payment.id, occasion);
    assert.equal(settled.state, 'failed');
    assert.match(settled.reason ?? '', advice);
  }
});
