/** The schedule: what nobody comes back for heals by itself, and what does not fit is said. */
import assert from 'node:assert/strict';
import dns from 'node:dns';
import { createServer } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { after, mock, test } from 'node:test';
import { listen } from '../../test/listen.ts';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { compareCredited, differences } from './compare.ts';
import type { Desk } from './desk.ts';
import { dhakaMidnight } from './dhaka_time.ts';
import type { PaymentMethod } from './method.ts';
import { findPayment, lateQuestion, type Payment } from './payment.ts';
import { paymentsState } from './payments_state.ts';
import { fetchRate } from './rate_feed.ts';
import { reconcileOnce, startReconciler } from './reconcile.ts';
import { refundPayment } from './refund.ts';
import { setRules } from './rules.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';

// Neither the zone of the machine nor that of Bangladesh.
process.env.TZ = 'America/St_Johns';

const said: string[] = [];
const scene = await openPaymentsScene({ log: (message) => void said.push(message) });
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

const begun = async (): Promise<Payment> => scene.begin(await scene.user());

async function pay(payment: Payment): Promise<void> {
  const account = provider.accounts.get(payment.providerId ?? '');
  assert.ok(account);
  account.trxId = provider.newTrxId();
}

async function stateOf({ id }: Payment): Promise<string | undefined> {
  return (await findPayment(desk.sql, id))?.state;
}

async function due(payment: Payment): Promise<void> {
  await owner`UPDATE payments SET ask_at = now() - interval '1 s' WHERE id = ${payment.id}`;
}

test('a payment whose browser never came back is credited, by one of many processes', async () => {
  const payment = await begun();
  await pay(payment);
  let questions = 0;
  provider.before = async (operation) => {
    if (operation === 'query') questions += 1;
  };
  await due(payment);
  await Promise.all(Array.from({ length: 8 }, () => reconcileOnce(desk)));
  provider.before = async () => {};
  assert.equal(await stateOf(payment), 'credited');
  assert.equal(questions, 1);
  assert.equal(await scene.balance(payment), payment.credit);
});

test('a payment that was given up is asked about ever more seldom, and credited when it was paid all the same', async () => {
  const payment = await begun();
  const cancelled = { claims: 'cancelled', providerId: null, nonce: null } as const;
  const closed = await settle(desk, payment.id, { actor: 'browser', claim: cancelled });
  assert.equal(closed.state, 'cancelled');
  const wait = (closed.askAt?.getTime() ?? 0) - Date.now();
  assert.ok(wait > 600_000 && wait <= 900_000, `${wait}`);
  await pay(payment);
  await due(payment);
  await reconcileOnce(desk);
  assert.equal(await stateOf(payment), 'credited');
});

test('questions about what was given up end after twice the time in which it could be paid', () => {
  const hour = 3_600_000;
  const { method } = provider;
  const asked = (hours: number, more: Partial<PaymentMethod> = {}) =>
    lateQuestion({ ...method, ...more }, { createdAt: new Date(Date.now() - hours * hour) });
  let age = 0;
  let questions = 0;
  for (let next = asked(age); next; next = asked(age)) {
    age += (next.getTime() - Date.now()) / hour;
    questions += 1;
  }
  assert.ok(age > 24 && age <= 48 && questions > 5 && questions < 12, `${questions} in ${age} h`);
  assert.equal(asked(1, { pollAfterMs: [] }), null);
});

test('a payment that was never opened fails after two minutes, and not before', async () => {
  const user = await scene.user();
  let opening: Payment | null = null;
  provider.before = async () => {
    provider.before = async () => {};
    const [row] = await owner<{ id: string }[]>`
      UPDATE payments SET ask_at = now() WHERE user_id = ${user} RETURNING id`;
    opening = await findPayment(desk.sql, row?.id ?? '');
    throw new Error('the process ends here');
  };
  await assert.rejects(scene.begin(user), /ends here/);
  assert.ok(opening);
  await reconcileOnce(desk);
  assert.equal(await stateOf(opening), 'created');
  const clock = Date.now;
  Date.now = () => clock() + 200_000;
  try {
    await due(opening);
    await reconcileOnce(desk);
  } finally {
    Date.now = clock;
  }
  assert.equal(await stateOf(opening), 'failed');
});

test('a payment that is held is credited when its time comes, and told of when it is not', async () => {
  await setRules(desk.sql, 'test', { limits: { heldTopups: 1 } });
  const payment = await begun();
  provider.authorise(payment);
  assert.equal((await settle(desk, payment.id, success)).state, 'verified');
  await setRules(desk.sql, 'test', { limits: { heldTopups: 0 } });
  assert.equal((await paymentsState(desk.sql)).uncredited, 0);
  await reconcileOnce(desk);
  assert.equal(await stateOf(payment), 'verified');
  await owner`UPDATE payments SET held_until = now() - interval '5 min', verified_at = now() - interval '5 min' WHERE id = ${payment.id}`;
  assert.equal((await paymentsState(desk.sql)).uncredited, 1);
  await due(payment);
  await reconcileOnce(desk);
  assert.equal(await stateOf(payment), 'credited');
});

test('a process whose clock is hours off credits all the same, once', async () => {
  const clock = Date.now;
  for (const offMs of [-7_200_000, 7_200_000]) {
    const payment = await begun();
    provider.authorise(payment);
    Date.now = () => clock() + offMs;
    try {
      await settle(desk, payment.id, success);
      await due(payment);
      await reconcileOnce(desk);
    } finally {
      Date.now = clock;
    }
    assert.equal(await stateOf(payment), 'credited');
    assert.equal(await scene.balance(payment), payment.credit);
  }
});

test('a refund that was ordered or asked for by a process that died is gone on with', async () => {
  const payment = await begun();
  provider.authorise(payment);
  await settle(desk, payment.id, success);
  const order = { paymentId: payment.id, reason: 'r', who: 'a@example.com' };
  provider.refundSays = 'unknown';
  const lost = await refundPayment(desk, { ...order, amount: paisa(10_000) });
  provider.refundSays = 'refunded';
  await owner`UPDATE payment_refunds SET ask_at = now() WHERE id = ${lost.id}`;
  await reconcileOnce(desk);
  const states = await owner<{ state: string }[]>`
    SELECT state FROM payment_refunds WHERE payment = ${payment.id}`;
  assert.deepEqual([...states], [{ state: 'refunded' }]);
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.refunds.length, 1);
});

test('what was credited before today is compared once with the provider; what differs is shown', async () => {
  await compareCredited(desk);
  const [good, gone, other, undone] = [await begun(), await begun(), await begun(), await begun()];
  for (const payment of [good, gone, other, undone]) {
    provider.authorise(payment);
    await settle(desk, payment.id, success);
  }
  await owner`UPDATE payments SET credited_at = ${new Date(dhakaMidnight(new Date()).getTime() - 1)}
    WHERE id IN (${good.id}, ${gone.id}, ${other.id}, ${undone.id})`;
  const lost = provider.accounts.get(gone.providerId ?? '');
  assert.ok(lost);
  lost.trxId = 'DZZ9999999';
  const changed = (await findPayment(desk.sql, other.id))?.trxId;
  // Nobody tells of what the provider takes back by itself.
  const reversed = (await findPayment(desk.sql, undone.id))?.trxId;
  provider.say = (truth) => {
    if (truth.trxId === changed) return { ...truth, amount: paisa(1) };
    return truth.trxId === reversed ? { ...truth, state: 'failed', reason: 'reversed' } : truth;
  };
  assert.equal(await compareCredited(desk), 4);
  assert.equal(await compareCredited(desk), 0);
  provider.say = (truth) => truth;
  const found = (await differences(desk.sql, 10)).map((each) => [each.payment, each.found]);
  assert.deepEqual(found, [
    [undone.id, 'reversed'],
    [other.id, 'the provider says ৳0.01'],
    [gone.id, 'the provider knows no such transaction'],
  ]);
  assert.equal((await paymentsState(desk.sql)).differences, 3);
});

test('the rate is fetched once a day, and a value that jumps is not taken', async () => {
  let body: string | null = '{"rates":{"BDT":122.34567}}';
  let status = 200;
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', location: '/elsewhere' });
    response.end(body);
  });
  const port = await listen(server);
  try {
    const feed = { url: `http://127.0.0.1:${port}/rates`, pointer: '/rates/BDT' };
    await setRules(desk.sql, 'test', { rate: { feed } });
    // The price of a dollar in another money: what the first one is compared with is the setting.
    const right = body;
    body = '{"rates":{"BDT":0.92}}';
    assert.equal(await fetchRate(desk), null);
    body = right;
    assert.equal(await fetchRate(desk), '122.3456');
    assert.equal(await fetchRate(desk), null);
    const old = (): Promise<unknown> =>
      owner`UPDATE exchange_rates SET fetched_at = fetched_at - interval '21 hours'`;
    const wrong: readonly [number, string][] = [
      [200, '{"rates":{"BDT":140}}'],
      [200, '{"rates":{"BDT":"a lot"}}'],
      [200, '{"rates":{"BDT":1e-9}}'],
      [200, `{"rates":{"BDT":122.5},"more":"${'x'.repeat(300_000)}"}`],
      [302, '{"rates":{"BDT":122.5}}'],
      [500, '{"rates":{"BDT":122.5}}'],
      [200, '<html>'],
    ];
    await old();
    for (const [code, text] of wrong) {
      [status, body] = [code, text];
      assert.equal(await fetchRate(desk), null, text.slice(0, 40));
    }
    assert.ok(said.some((message) => /14 % off the last one, 122\.3456/.test(message)));
    [status, body] = [200, '{"rates":{"BDT":"120.5"}}'];
    assert.equal(await fetchRate(desk), '120.5');
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test('a provider that does not answer keeps no other payment waiting, and is not compared with', async () => {
  const [slow, fine] = [await begun(), await begun()];
  await pay(fine);
  const answers = Promise.withResolvers<void>();
  let isAsked = false;
  const hanging: PaymentMethod = {
    ...provider.method,
    ask: async (facts) => {
      isAsked ||= facts.id === slow.id;
      if (facts.id === slow.id) await answers.promise;
      return provider.method.ask(facts);
    },
  };
  await due(slow);
  const own: Desk = { ...desk, methods: new Map([['bkash', hanging]]) };
  const reconciler = startReconciler(own, { everyMs: 20, alarm: () => {} });
  await until('it was asked', () => isAsked);
  await due(fine);
  await until('the other payment was credited', async () => (await stateOf(fine)) === 'credited');
  assert.equal(await stateOf(slow), 'pending');
  answers.resolve();
  await reconciler.stop();
  await compareCredited(desk);
  for (const payment of [await begun(), await begun()]) {
    provider.authorise(payment);
    await settle(desk, payment.id, success);
    await owner`UPDATE payments SET credited_at = now() - interval '2 days' WHERE id = ${payment.id}`;
  }
  provider.say = (truth) => ({ ...truth, state: 'unknown', trxId: null });
  let searches = 0;
  provider.before = async (operation) => {
    if (operation === 'search') searches += 1;
  };
  assert.equal(await compareCredited(desk), 0);
  assert.equal(searches, 1);
  provider.say = (truth) => truth;
  assert.equal(await compareCredited(desk), 2);
  provider.before = async () => {};
});

test('it goes on by itself until it is stopped, alarms, and outlives what fails', async () => {
  const stuck = await begun();
  provider.authorise(stuck);
  await setRules(desk.sql, 'test', { rate: { feed: null }, limits: { heldTopups: 100 } });
  await settle(desk, stuck.id, success);
  await setRules(desk.sql, 'test', { limits: { heldTopups: 0 } });
  await owner`UPDATE payments SET held_until = now() - interval '5 min', verified_at = now() - interval '9 min', ask_at = NULL
    WHERE id = ${stuck.id}`;
  const [broken, fine] = [await begun(), await begun()];
  await pay(fine);
  provider.say = (truth) => {
    if (truth.providerId === broken.providerId) throw new Error('a defect of the method');
    return truth;
  };
  await due(broken);
  await due(fine);
  const alarms: string[] = [];
  const reconciler = startReconciler(desk, { everyMs: 20, alarm: (text) => alarms.push(text) });
  const deadline = performance.now() + 15_000;
  while ((await stateOf(fine)) !== 'credited' || alarms.length === 0) {
    assert.ok(performance.now() < deadline, 'it did not heal');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await reconciler.stop();
  provider.say = (truth) => truth;
  assert.match(alarms[0] ?? '', new RegExp(`NOT CREDITED.*${stuck.id}`));
  assert.ok(said.includes(`payment ${broken.id} could not be looked at`));
  await due(stuck);
  await reconcileOnce(desk);
  assert.equal(await stateOf(stuck), 'credited');
  assert.deepEqual(await scene.lies(), []);
});

test('a feed that was set over HTTP is asked on the public internet only, wherever its name leads by then', async () => {
  let connections = 0;
  const server = createServer();
  server.on('connection', () => {
    connections += 1;
  });
  const port = await listen(server);
  // Where any name leads by now.
  const lookup = mock.method(dns, 'lookup', (...given: readonly unknown[]) => {
    const done = given.at(-1);
    assert.ok(typeof done === 'function');
    done(null, [{ address: '127.0.0.1', family: 4 }], 4);
  });
  syncBuiltinESMExports();
  const ask = async (url: string): Promise<void> => {
    await setRules(desk.sql, 'test', { rate: { feed: { url, pointer: '/rates/BDT' } } });
    assert.equal(await fetchRate(desk), null);
  };
  try {
    await ask(`https://127.0.0.1:${port}/`);
    const before = connections;
    assert.ok(before > 0, 'set from a shell');
    await ask(`https://rates.example.com:${port}/`);
    assert.ok(lookup.mock.callCount() > 0);
    assert.equal(connections, before);
  } finally {
    lookup.mock.restore();
    syncBuiltinESMExports();
    await setRules(desk.sql, 'test', { rate: { feed: null } });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
