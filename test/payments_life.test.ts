/**
 * One life, whatever the provider: the same cases over each adapter on its stand-in, through the endpoints that browsers and
 * providers reach, the real core and a real database. A zone with half an hour in it, as nothing may depend on the machine's.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import { buildSiteApi } from '../src/api/api.ts';
import type { Site } from '../src/api/endpoint.ts';
import { loadConfig } from '../src/config.ts';
import { connect, type Sql } from '../src/db/connection.ts';
import { ApiError } from '../src/errors.ts';
import { createPayment } from '../src/payments/create.ts';
import type { Desk } from '../src/payments/desk.ts';
import type { MethodId, PaymentMethod, ReturnAddresses } from '../src/payments/method.ts';
import { type Payment, paymentOf, timelineOf } from '../src/payments/payment.ts';
import { reconcileOnce } from '../src/payments/reconcile.ts';
import { setRules } from '../src/payments/rules.ts';
import { paisa } from '../src/payments/taka.ts';
import { listen } from './listen.ts';
import { manualWay } from './manual_way.ts';
import { bkashWay, nagadWay, silences, uddoktapayWay, type Way } from './payment_ways.ts';
import { openPaymentsScene } from './payments_scene.ts';
import { until } from './scratch_data.ts';

process.env.TZ = 'America/St_Johns';

let origin = '';
const scene = await openPaymentsScene({ origin: () => origin });
const { owner, socket, database } = scene;
const ways = [
  await bkashWay('v1', database.sql, scene.desk.secret),
  await bkashWay('v2', database.sql, scene.desk.secret),
  await nagadWay(),
  await uddoktapayWay(),
  await manualWay(() => desk),
];

/** Where each payment was told to come back to. */
const addresses = new Map<string, ReturnAddresses>();
const pools: Sql[] = [];
const reported: string[] = [];
let desk: Desk = scene.desk;
let current: Way;

/** A new process takes over: nothing that was in memory is there any more. */
function restart(way: Way): void {
  const sql = connect({ path: socket }, { max: 6, name: 'test life', role: 'akai_app' });
  pools.push(sql);
  current = way;
  const method = way.method();
  const watched: PaymentMethod = {
    ...method,
    open: (payment, payer, given) => {
      addresses.set(payment.id, given);
      return method.open(payment, payer, given);
    },
  };
  desk = { ...scene.desk, sql, methods: new Map<MethodId, PaymentMethod>([[way.id, watched]]) };
}

const config = loadConfig({}, []);
const server = createServer(
  getRequestListener((request, environment) => {
    const report = (message: string) => void reported.push(message);
    // as: callbacks need no more of it
    const site = { config, desk, report, origin: () => origin } as unknown as Site;
    return buildSiteApi(site).fetch(request, environment);
  }),
);
origin = `http://127.0.0.1:${await listen(server)}`;
// Few payers are enough for a stand-in; how many there may be is tried elsewhere.
await setRules(database.sql, 'test', {
  limits: { accountsOfPayer: 1000, payersOfAccount: 1000, payerDay: 10_000_000 },
});

after(async () => {
  server.closeAllConnections();
  server.close();
  for (const pool of pools) await pool.end({ timeout: 1 });
  for (const way of ways) await way.close();
  await scene[Symbol.asyncDispose]();
});

async function begin(way: Way): Promise<Payment & { readonly page: string }> {
  const payment = await createPayment(desk, {
    userId: await scene.user(),
    method: way.id,
    wish: { paisa: paisa(50_000) },
    payer: { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false },
    clientKey: null,
  });
  return { ...payment, page: payment.redirectUrl ?? assert.fail('it was not opened') };
}

const now = ({ id }: Payment): Promise<Payment> => paymentOf(database.sql, id);

/** A browser comes back. @returns the status of our answer */
async function visit(to: URL | string): Promise<number> {
  const response = await fetch(to, { redirect: 'manual' });
  await response.body?.cancel();
  return response.status;
}

async function comeBack(payment: Payment, to: URL | string): Promise<Payment> {
  assert.equal(await visit(to), 303);
  await current.review?.(await now(payment));
  return now(payment);
}

const ownAddress = ({ id }: Payment): string =>
  addresses.get(id)?.callback ?? assert.fail('it has no address');

/** Where anybody who has the address could send a browser. */
function forged(way: Way, payment: Payment, claims: 'paid' | 'cancelled', id = payment.providerId) {
  if (claims === 'cancelled' && way.cancelsElsewhere)
    return addresses.get(payment.id)?.cancel ?? '';
  return ownAddress(payment) + way.forged(claims, id);
}

/** The schedule comes by. */
async function polled(payment: Payment): Promise<Payment> {
  await owner`UPDATE payments SET ask_at = now() - interval '1 s' WHERE id = ${payment.id} AND ask_at IS NOT NULL`;
  await reconcileOnce(desk);
  return now(payment);
}

async function outOfTime({ id }: Payment): Promise<void> {
  await owner`UPDATE payments SET expires_at = now() - interval '1 hour' WHERE id = ${id}`;
}

async function creditedOnce(payment: Payment): Promise<void> {
  const { state, credit, bonus } = await now(payment);
  assert.equal(state, 'credited');
  assert.equal(await scene.balance(payment), credit + bonus);
}

async function notCredited(payment: Payment, state: Payment['state']): Promise<void> {
  const found = await now(payment);
  assert.deepEqual([found.state, found.creditedAt], [state, null], found.reason ?? '');
  assert.equal(await scene.balance(payment), 0);
}

/** Of several admins at once one decides; the others are told so. */
async function unlessDecided(review: Promise<void> | undefined): Promise<void> {
  await review?.catch((error: unknown) => {
    if (!(error instanceof ApiError && error.code === 'payment_conflict')) throw error;
  });
}

/** What is the same for every provider: `way` does it, our side decides. */
const cases: Readonly<Record<string, (way: Way) => Promise<void>>> = {
  'paid: credited once, however often the browser comes back': async (way) => {
    const payment = await begin(way);
    const back = await way.pay(payment.page);
    for (let visits = 0; visits < 3; visits += 1) await comeBack(payment, back);
    await creditedOnce(payment);
    const { trxId, paidAt, late } = await now(payment);
    assert.ok(trxId);
    assert.equal(late, false);
    // UddoktaPay's date has no zone, and is not believed.
    if (way.id !== 'uddoktapay')
      assert.ok(Math.abs((paidAt?.getTime() ?? 0) - Date.now()) < 60_000, `${paidAt}`);
    const sentences = (await timelineOf(database.sql, payment.id)).map(({ sentence }) => sentence);
    assert.equal(sentences.at(0), 'The top-up was begun.');
    assert.equal(sentences.at(-1), 'Credited to the wallet.');
  },
  'comes back by a form': async (way) => {
    const payment = await begin(way);
    const { origin: own, pathname, searchParams } = await way.pay(payment.page);
    const sent = { method: 'POST', body: searchParams, redirect: 'manual' } as const;
    assert.equal((await fetch(own + pathname, sent)).status, 303);
    await way.review?.(await now(payment));
    await creditedOnce(payment);
  },
  'cancelled at the page': async (way) => {
    const payment = await begin(way);
    await comeBack(payment, await way.cancel(payment.page));
    await notCredited(payment, 'cancelled');
  },
  'failed at the page': async (way) => {
    const payment = await begin(way);
    await comeBack(payment, await way.fail(payment.page));
    await notCredited(payment, 'failed');
  },
  'never paid: expires': async (way) => {
    const payment = await begin(way);
    await notCredited(await polled(payment), 'pending');
    await outOfTime(payment);
    await notCredited(await polled(payment), 'expired');
  },
  'paid, and the tab closed': async (way) => {
    const payment = await begin(way);
    way.notify(`${origin}/api/payments/${way.id}/webhook`);
    await way.payAndClose(payment.page);
    if (way.heals === 'webhook')
      await until(
        'the webhook has healed it',
        async () => (await now(payment)).state === 'credited',
      );
    await polled(payment);
    if (way.heals === 'poller' || way.heals === 'webhook') return creditedOnce(payment);
    await notCredited(payment, 'pending');
    await outOfTime(payment);
    await notCredited(await polled(payment), 'expired');
    if (way.heals === 'nothing moved') return;
    await comeBack(payment, await way.pay(payment.page));
    await creditedOnce(payment);
  },
  'comes back after 25 hours': async (way) => {
    const payment = await begin(way);
    const early = way.captures ? await way.pay(payment.page) : null;
    await outOfTime(payment);
    assert.equal((await polled(payment)).state, 'expired');
    way.age();
    const settled = await comeBack(payment, early ?? (await way.pay(payment.page)));
    // What nobody took in time cannot be taken any more; what was paid is credited, however late.
    if (way.captures) return notCredited(payment, 'expired');
    await creditedOnce(payment);
    // Its quote still stands, and by hand nothing else counts.
    assert.equal(settled.late, !way.review);
  },
  'fifty callbacks beside the webhook and the schedule': async (way) => {
    const payment = await begin(way);
    way.notify(`${origin}/api/payments/${way.id}/webhook`);
    const back = await way.pay(payment.page);
    await owner`UPDATE payments SET ask_at = now() WHERE id = ${payment.id}`;
    await Promise.all([
      ...Array.from({ length: 50 }, () => visit(back)),
      ...Array.from({ length: 5 }, () => reconcileOnce(desk)),
      ...Array.from({ length: 5 }, async () => unlessDecided(way.review?.(await now(payment)))),
    ]);
    await polled(payment);
    await creditedOnce(payment);
    const executed = await owner`
      SELECT FROM payment_events WHERE payment = ${payment.id} AND kind = 'execute'`;
    assert.equal(executed.length, way.captures ? 1 : 0);
  },
  'an address that is no payment’s': async (way) => {
    const payment = await begin(way);
    const { pathname } = new URL(ownAddress(payment));
    const guessed = pathname.replace(/[^/]+$/, 'x'.repeat(32));
    assert.equal(await visit(origin + guessed + way.forged('paid', null)), 404);
    await notCredited(payment, 'pending');
  },
  'success that was only claimed': async (way) => {
    const payment = await begin(way);
    for (const id of [payment.providerId, null])
      await comeBack(payment, forged(way, payment, 'paid', id));
    await notCredited(payment, 'pending');
  },
  'the id of a payment of somebody else': async (way) => {
    const [rich, poor] = [await begin(way), await begin(way)];
    const back = await way.pay(rich.page);
    const stolen = way.idIn(back);
    assert.ok(stolen);
    await comeBack(poor, forged(way, poor, 'paid', stolen));
    await comeBack(rich, back);
    await comeBack(poor, forged(way, poor, 'paid', stolen));
    await creditedOnce(rich);
    await notCredited(poor, 'pending');
  },
  'one transfer for the payments of two accounts': async (way) => {
    const [first, second] = [await begin(way), await begin(way)];
    const owned = await comeBack(first, await way.pay(first.page));
    way.repeatTransfer(owned);
    const settled = await comeBack(second, await way.pay(second.page));
    // By hand it is refused before it is taken, and the payer may hand in the right one.
    if (way.review) await notCredited(second, 'pending');
    else {
      assert.match(settled.reason ?? '', /belongs to another payment/);
      await notCredited(second, 'needs_review');
    }
    await creditedOnce(first);
  },
  'the database fails after the money moved': async (way) => {
    const payment = await begin(way);
    const back = await way.pay(payment.page);
    await owner.unsafe(`
      CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
      CREATE TRIGGER a_fails BEFORE UPDATE ON payments FOR EACH ROW WHEN (NEW.state = 'verified') EXECUTE FUNCTION fails()`);
    try {
      reported.length = 0;
      if (way.review) await assert.rejects(comeBack(payment, back), /the disk is full/);
      else {
        await comeBack(payment, back);
        assert.match(reported.join(), new RegExp(payment.id));
      }
      await notCredited(payment, way.review ? 'needs_review' : 'pending');
    } finally {
      await owner.unsafe('DROP TRIGGER a_fails ON payments; DROP FUNCTION fails()');
    }
    restart(way);
    if (way.review) await comeBack(payment, back);
    else await polled(payment);
    await creditedOnce(payment);
  },
  'a new process between every two steps': async (way) => {
    const payment = await begin(way);
    restart(way);
    const back = await way.pay(payment.page);
    restart(way);
    if (!way.review) {
      way.mute('no answer');
      assert.equal((await comeBack(payment, back)).state, 'pending');
    }
    restart(way);
    way.mend();
    await polled(payment);
    restart(way);
    await comeBack(payment, back);
    await creditedOnce(payment);
  },
};

/** What only a provider that is asked can do. */
const silentCases: typeof cases = {
  'cut off before anything reached the provider': async (way) => {
    const payment = await begin(way);
    const back = await way.pay(payment.page);
    way.cutOff();
    await comeBack(payment, back);
    await notCredited(await polled(payment), 'pending');
    way.mend();
    await comeBack(payment, back);
    await polled(payment);
    // A capture of which nobody knows what became is never asked for again.
    if (!way.captures) return creditedOnce(payment);
    await notCredited(payment, 'pending');
    await outOfTime(payment);
    await notCredited(await polled(payment), 'expired');
  },
  'given up, then paid while the provider gives no answer': async (way) => {
    const payment = await begin(way);
    assert.equal((await comeBack(payment, forged(way, payment, 'cancelled'))).state, 'cancelled');
    const back = await way.pay(payment.page);
    way.mute('no answer');
    await comeBack(payment, back);
    await notCredited(await polled(payment), 'cancelled');
    way.mend();
    await polled(payment);
    await creditedOnce(payment);
  },
  'no answer, and nobody paid': async (way) => {
    const payment = await begin(way);
    way.mute('no answer');
    await comeBack(payment, forged(way, payment, 'paid'));
    await notCredited(payment, 'pending');
    way.mend();
    await notCredited(await polled(payment), 'pending');
  },
};

for (const way of ways)
  describe(way.name, () => {
    before(() => restart(way));
    afterEach(() => way.mend());

    const all = way.review ? cases : { ...cases, ...silentCases };
    for (const [name, live] of Object.entries(all)) test(name, () => live(way));

    for (const how of way.review ? [] : silences)
      test(`paid, and the provider gives ${how}: healed by the schedule`, async () => {
        const payment = await begin(way);
        const back = await way.pay(payment.page);
        way.mute(how);
        await comeBack(payment, back);
        await notCredited(await polled(payment), 'pending');
        way.mend();
        await polled(payment);
        await creditedOnce(payment);
      });

    for (const { what, tell, becomes } of way.lies)
      test(`another ${what} than ours: ${becomes}, and no credit`, async () => {
        const payment = await begin(way);
        const back = await way.pay(payment.page);
        await tell(payment.page);
        await comeBack(payment, back);
        await notCredited(await polled(payment), becomes);
      });

    for (const paidFirst of [false, true])
      test(`a cancel that anybody sent, ${paidFirst ? 'after' : 'before'} it was paid`, async () => {
        const payment = await begin(way);
        const early = paidFirst ? await way.pay(payment.page) : null;
        const closed = await comeBack(payment, forged(way, payment, 'cancelled'));
        if (!paidFirst) assert.equal(closed.state, 'cancelled');
        await comeBack(payment, early ?? (await way.pay(payment.page)));
        await creditedOnce(payment);
      });

    test('the books are right after all of it', async () => {
      assert.deepEqual(await scene.lies(), []);
    });
  });
