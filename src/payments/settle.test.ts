/** One payment, one credit, whoever settles it and whatever the provider says. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { nano } from '../wallet/money.ts';
import { createPayment } from './create.ts';
import { ProviderSilent, type Truth } from './method.ts';
import { paymentOf } from './payment.ts';
import { objectIn } from './provider_http.ts';
import { setRules } from './rules.ts';
import { credit, settle } from './settle.ts';
import { paisa } from './taka.ts';
import { trxIdOf } from './trx_id.ts';

const scene = await openPaymentsScene();
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

const server = { actor: 'server' } as const;

function honest(): void {
  provider.say = (truth) => truth;
  provider.before = async () => {};
}

test('a paid payment is credited what was quoted, once', async () => {
  const payment = await scene.authorised();
  // ৳500 at ৳122 a dollar, rounded down.
  assert.equal(payment.credit, 4_098_360_655);
  const credited = await settle(desk, payment.id, success);
  assert.equal(credited.state, 'credited');
  assert.match(credited.payerShown ?? '', /^017\*{6}\d\d$/);
  assert.equal(await scene.balance(payment), 4_098_360_655);
  assert.equal((await settle(desk, payment.id, success)).state, 'credited');
  assert.equal(await scene.balance(payment), 4_098_360_655);
  assert.deepEqual(await scene.lies(), []);
});

test('fifty callbacks beside a webhook and the schedule credit once and capture once', async () => {
  const payment = await scene.authorised();
  const { length } = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      settle(desk, payment.id, index % 6 ? success : server),
    ),
  );
  assert.equal(length, 60);
  assert.equal((await paymentOf(desk.sql, payment.id)).state, 'credited');
  assert.equal(await scene.balance(payment), payment.credit);
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.captures, 1);
});

test('a payer who agreed while another process had the turn is captured by whoever asks next', async () => {
  const payment = await scene.authorised();
  await desk.sql`UPDATE payments SET settling_until = now() + interval '1 minute' WHERE id = ${payment.id}`;
  assert.equal((await settle(desk, payment.id, success)).state, 'pending');
  await desk.sql`UPDATE payments SET settling_until = NULL WHERE id = ${payment.id}`;
  assert.equal((await settle(desk, payment.id, server)).state, 'credited');
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.captures, 1);
});

test('a turn that took too long ends its own only', async () => {
  const payment = await scene.begin(await scene.user());
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let asked = 0;
  provider.before = async () => {
    asked += 1;
    await gates[asked - 1]?.promise;
  };
  const turn = async (): Promise<unknown> => {
    const [row] =
      await owner`SELECT settling_until AS until FROM payments WHERE id = ${payment.id}`;
    return row?.until;
  };
  try {
    const first = settle(desk, payment.id, server);
    await until('the first asks', () => asked === 1);
    await owner`UPDATE payments SET settling_until = now() - interval '1 s' WHERE id = ${payment.id}`;
    const second = settle(desk, payment.id, server);
    await until('the second asks', () => asked === 2);
    gates[0]?.resolve();
    await first;
    assert.ok(await turn());
    gates[1]?.resolve();
    await second;
    assert.equal(await turn(), null);
  } finally {
    honest();
  }
});

test('a forged success of a payment that nobody authorised changes nothing', async () => {
  const payment = await scene.begin(await scene.user());
  assert.equal((await settle(desk, payment.id, success)).state, 'pending');
  assert.equal(await scene.balance(payment), 0);
});

test('a capture that is not answered is not asked for again: the question afterwards decides', async () => {
  const payment = await scene.authorised();
  provider.say = (truth) =>
    truth.evidence.operation === 'execute' ? { ...truth, state: 'unknown', trxId: null } : truth;
  try {
    assert.equal((await settle(desk, payment.id, success)).state, 'credited');
  } finally {
    honest();
  }
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.captures, 1);
});

test('money that moved is credited although every answer was lost at first', async () => {
  const payment = await scene.authorised();
  provider.say = (truth) => ({
    ...truth,
    state: 'unknown',
    trxId: null,
    amount: null,
    invoice: null,
  });
  assert.equal((await settle(desk, payment.id, success)).state, 'pending');
  honest();
  assert.equal((await settle(desk, payment.id, server)).state, 'credited');
  assert.equal(provider.accounts.get(payment.providerId ?? '')?.captures, 1);
});

const wrong: readonly [string, Partial<Truth>][] = [
  ['amount', { amount: paisa(1) }],
  ['amount that is not named', { amount: null }],
  ['invoice', { invoice: 'TOPSOMEBODYELSES' }],
  ['invoice that is not named', { invoice: null }],
  ['id', { providerId: 'TRother' }],
  ['currency', { currency: 'USD' }],
  ['merchant', { foreign: 'The answer is of another merchant.' }],
  ['transaction that is not named', { trxId: null }],
];
for (const [what, lie] of wrong)
  test(`a paid answer with a wrong ${what} is for a person, and credits nothing`, async () => {
    const payment = await scene.authorised();
    provider.say = (truth) => ({ ...truth, ...lie });
    try {
      const looked = await settle(desk, payment.id, success);
      assert.equal(looked.state, 'needs_review');
      assert.match(looked.reason ?? '', /paid, but/);
    } finally {
      honest();
    }
    assert.equal((await settle(desk, payment.id, success)).state, 'needs_review');
    assert.equal(await scene.balance(payment), 0);
  });

test('one transaction pays one payment, of one account, for ever', async () => {
  const first = await settle(desk, (await scene.authorised()).id, success);
  const second = await scene.authorised();
  provider.say = (truth) => ({ ...truth, trxId: first.trxId });
  try {
    const looked = await settle(desk, second.id, success);
    assert.equal(looked.state, 'needs_review');
    assert.match(looked.reason ?? '', /belongs to another payment/);
  } finally {
    honest();
  }
  assert.equal(await scene.balance(second), 0);
  assert.deepEqual(await scene.lies(), []);
});

test('a cancelled payment that turns out to be paid is credited, and marked as late', async () => {
  const payment = await scene.begin(await scene.user());
  const cancelled = {
    actor: 'browser',
    claim: { claims: 'cancelled', providerId: null, nonce: null },
  } as const;
  assert.equal((await settle(desk, payment.id, cancelled)).state, 'cancelled');
  provider.authorise(payment);
  const account = provider.accounts.get(payment.providerId ?? '');
  assert.ok(account);
  account.trxId = provider.newTrxId();
  const credited = await settle(desk, payment.id, server);
  assert.equal(credited.state, 'credited');
  assert.equal(credited.late, true);
});

test('a cancelled callback does not close what the provider calls paid', async () => {
  const payment = await scene.authorised();
  const account = provider.accounts.get(payment.providerId ?? '');
  assert.ok(account);
  account.trxId = provider.newTrxId();
  const cancelled = {
    actor: 'browser',
    claim: { claims: 'cancelled', providerId: null, nonce: null },
  } as const;
  assert.equal((await settle(desk, payment.id, cancelled)).state, 'credited');
});

test('what is not paid in time expires, and is credited if it comes all the same', async () => {
  const payment = await scene.begin(await scene.user());
  await owner`UPDATE payments SET expires_at = now() - interval '1 hour' WHERE id = ${payment.id}`;
  assert.equal((await settle(desk, payment.id, server)).state, 'expired');
  const account = provider.accounts.get(payment.providerId ?? '');
  assert.ok(account);
  account.trxId = provider.newTrxId();
  const late = await settle(desk, payment.id, success);
  assert.equal(late.state, 'credited');
  assert.equal(late.late, true);
});

test('the same key begins one payment, another amount with it is refused', async () => {
  const user = await scene.user();
  const [one, two] = await Promise.all([scene.begin(user, 500, 'k'), scene.begin(user, 500, 'k')]);
  assert.equal(one.id, two.id);
  await assert.rejects(scene.begin(user, 501, 'k'), { code: 'idempotency_key_reused' });
});

test('the same key begins one payment, whatever the rate, the bounds and the method are by then', async () => {
  const user = await scene.user();
  const wish = { nano: nano(2_000_000_000) };
  const payer = { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false };
  const order = { userId: user, method: 'bkash', wish, payer, clientKey: 'dollars' };
  const first = await createPayment(desk, order);
  const change = (rules: object) => setRules(desk.sql, 'admin@example.com', rules);
  await change({ rate: { fixed: '130' }, methods: { bkash: { bounds: { least: 5000 } } } });
  try {
    assert.equal((await createPayment(desk, order)).id, first.id);
    await change({ methods: { bkash: { enabled: false } } });
    assert.equal((await createPayment(desk, order)).id, first.id);
    const more = { ...order, wish: { nano: nano(2_000_000_001) } };
    await assert.rejects(createPayment(desk, more), { code: 'idempotency_key_reused' });
    const less = { ...order, wish: { nano: nano(1_900_000_000) } };
    await assert.rejects(createPayment(desk, less), { code: 'idempotency_key_reused' });
  } finally {
    await change({
      rate: { fixed: null },
      methods: { bkash: { enabled: true, bounds: { least: 50 } } },
    });
  }
});

test('a provider that does not open the payment leaves a failed one and a sentence', async () => {
  const user = await scene.user();
  provider.openFails = new ProviderSilent('no answer', {
    operation: 'create',
    httpStatus: null,
    ms: 1,
    code: null,
    body: {},
  });
  try {
    await assert.rejects(scene.begin(user), {
      code: 'payment_provider_failed',
      message: /Nothing was paid/,
    });
  } finally {
    provider.openFails = null;
  }
  const [row] = await owner<
    { state: string }[]
  >`SELECT state FROM payments WHERE user_id = ${user}`;
  assert.equal(row?.state, 'failed');
});

test('the database refuses what no program may do', async () => {
  const credited = await settle(desk, (await scene.authorised()).id, success);
  const { sql } = desk;
  const refused = /permission denied|does not change|cannot become|cannot forget|are kept/;
  await assert.rejects(sql`UPDATE payments SET amount = 1 WHERE id = ${credited.id}`, refused);
  await assert.rejects(owner`UPDATE payments SET credit = 1 WHERE id = ${credited.id}`, refused);
  await assert.rejects(
    sql`UPDATE payments SET state = 'pending', credited_at = NULL WHERE id = ${credited.id}`,
    refused,
  );
  await assert.rejects(sql`UPDATE payments SET trx_id = 'X' WHERE id = ${credited.id}`, refused);
  await assert.rejects(owner`DELETE FROM payments WHERE id = ${credited.id}`, refused);
  await assert.rejects(
    sql`UPDATE payment_events SET kind = 'x' WHERE payment = ${credited.id}`,
    refused,
  );
});

test('letters that the database does not take keep no money from its wallet', async () => {
  const payment = await scene.authorised();
  provider.say = (truth) => ({
    ...truth,
    evidence: { ...truth.evidence, body: { said: ['a\u0000b', '\ud83d'] } },
  });
  assert.equal((await settle(desk, payment.id, success)).state, 'credited');
  honest();
  assert.deepEqual(objectIn('{"a":"x\\u0000\\ud83dy"}'), { a: 'x\ufffdy' });
  assert.equal(trxIdOf('bKash', ' ck25\u200b0nroq\uff15 '), 'BKASH:CK250NROQ5');
});

test('the database begins no payment that gives more than its price, to another, or paid already', async () => {
  const payment = await scene.authorised();
  const other = await scene.authorised();
  const copied = (changes: object) => {
    const columns =
      'user_id, wallet, method, environment, amount, fee, rate, credit, bonus, quoted_until, expires_at';
    const values: Record<string, unknown> = Object.fromEntries(
      columns.split(', ').map((name) => [name, name]),
    );
    const given = { ...values, invoice: "'FORGED0001'", ...changes };
    const written = `INSERT INTO payments (id, token_hash, seal, ${Object.keys(given)})
      SELECT gen_random_uuid(), sha256('x'), '', ${Object.values(given)} FROM payments WHERE id = '${payment.id}'`;
    return desk.sql.unsafe(written);
  };
  const priced = /follows from its amount, fee and rate/;
  await assert.rejects(copied({ credit: 'credit + 1' }), priced);
  await assert.rejects(copied({ amount: 1 }), priced);
  await assert.rejects(copied({ bonus: 'credit + 1' }), priced);
  await assert.rejects(copied({ wallet: other.wallet }), /for a wallet of its own account/);
  await assert.rejects(copied({ trx_id: "'ABC1234567'" }), /begins unpaid/);
  await assert.rejects(copied({ state: "'pending'" }), /begins as created/);
  await assert.rejects(
    desk.sql`
      INSERT INTO payment_refunds (id, payment, reference, amount, credit, bonus, reason, who, state)
      VALUES (gen_random_uuid(), ${payment.id}, 'FORGED0002', 1, 1, 0, 'x', 'x', 'refunded')`,
    /begins as reserved/,
  );
  await assert.rejects(
    desk.sql`INSERT INTO payment_events (payment, kind, actor, at) VALUES (${payment.id}, 'x', 'x', now())`,
    /permission denied/,
  );
});

test('a credit that the books do not know, or a changed one, is found', async () => {
  const credited = await settle(desk, (await scene.authorised()).id, success);
  await owner`ALTER TABLE payments DISABLE TRIGGER sound`;
  await owner`UPDATE payments SET amount = amount + 1 WHERE id = ${credited.id}`;
  const lies = JSON.stringify(await scene.lies());
  await owner`UPDATE payments SET amount = amount - 1 WHERE id = ${credited.id}`;
  await owner`ALTER TABLE payments ENABLE TRIGGER sound`;
  assert.match(lies, new RegExp(credited.id));
  assert.deepEqual(await scene.lies(), []);
});

test('a payment that nobody has called paid, and one that only says that it went back, are found', async () => {
  const { id } = await scene.authorised();
  await desk.sql`
    UPDATE payments SET state = 'verified', trx_id = 'INVENTED01', transfer_id = gen_random_uuid(), verified_at = now() WHERE id = ${id}`;
  assert.equal((await credit(desk, id)).state, 'credited');
  assert.match(JSON.stringify(await scene.lies()), /neither its provider nor a person/);
  await desk.sql`UPDATE payments SET state = 'refunded' WHERE id = ${id}`;
  assert.match(JSON.stringify(await scene.lies()), /0 of 50000 paisa went back/);
});
