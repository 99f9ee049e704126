/**
 * kill -9 of a gateway whose payers and providers are elsewhere: people and an admin ask over HTTP, the stand-ins of the providers
 * live on, and a new process of the gateway finds by itself what became of everything.
 */
import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type Sql, type Statements } from '../src/db/connection.ts';
import type { Held } from './held_provider.ts';
import { holdProviders, type Provider } from './held_providers.ts';
import { type Installation, startInstallation, temporaryDataDir } from './installation.ts';
import { listen } from './listen.ts';
import { until } from './scratch_data.ts';
import { newVisitor, Visitor, visitorPassword } from './site_visitor.ts';

const { providers, settings, bkash, close } = await holdProviders();
const dataDir = await temporaryDataDir();
const env = { ...settings, PORT: await freePort(), PAYMENTS_EVERY_MS: '100' };
let server: Installation;
let owner: Sql;
let admin: Visitor;

/** The same one after each restart: providers send browsers there. */
async function freePort(): Promise<string> {
  const probe = createServer();
  const port = await listen(probe);
  await new Promise((resolve) => probe.close(resolve));
  return String(port);
}

before(async () => {
  server = await startInstallation({ dataDir, env });
  const path = join(realpathSync(join(dataDir, 'postgres')), '.s.PGSQL.5432');
  owner = connect({ path }, { max: 3, name: 'test owner' });
  const email = 'admin@example.com';
  await server.akai('user', 'create', '--email', email, '--password', visitorPassword, '--admin');
  admin = new Visitor(server.origin);
  assert.equal(
    (await admin.post('/api/auth/sign-in', { email, password: visitorPassword })).status,
    200,
  );
  // Few wallets are enough for a stand-in.
  const limits = { accountsOfPayer: 1000, payersOfAccount: 1000, payerDay: 1_000_000 };
  const set = await admin.ask('PATCH', '/api/admin/payment-rules', { limits });
  assert.equal(set.status, 200, JSON.stringify(set.body));
});

after(async () => {
  await owner?.end({ timeout: 1 });
  await server?.remove();
  await close();
});

interface Topup {
  readonly id: string;
  readonly provider: Provider;
  readonly payer: Visitor;
  /** Where the browser goes next. */
  readonly back: URL;
  /** What names it at the provider. */
  readonly name: string;
}

/** A person begins a top-up by each provider and pays on its page; their browser is on its way back. */
async function paidByAll(): Promise<Topup[]> {
  const payer = await newVisitor(server.origin);
  return Promise.all(
    providers.map(async (provider) => {
      const { status, body } = await payer.post('/api/topups', { method: provider.id, taka: 100 });
      assert.equal(status, 201, JSON.stringify(body));
      const back = await provider.pay(String(body.redirectUrl));
      const name = back.searchParams.get(provider.named) ?? assert.fail(back.href);
      return { id: String(body.id), provider, payer, back, name };
    }),
  );
}

/** Whoever asks does not get to see the answer. */
function unheard(asked: Promise<unknown>): void {
  asked.catch(() => {});
}

/** Other people's requests come to where they are held, and then the server dies. */
async function kill(): Promise<void> {
  await server.kill();
  for (const { held } of providers) held.drop();
}

/** Minutes pass, and a new process comes. @param more settings */
async function restart(more: Record<string, string> = {}): Promise<void> {
  await owner`UPDATE payments SET ask_at = now(), settling_until = NULL WHERE ask_at IS NOT NULL`;
  await owner`UPDATE payment_refunds SET ask_at = now() WHERE ask_at IS NOT NULL`;
  server = await startInstallation({ dataDir, env: { ...env, ...more } });
}

interface Row {
  readonly state: string;
  readonly asked: number;
  readonly credit: number;
  readonly credited: number;
}

/** A payment, and how much the ledger has put into its wallet for it. */
async function rowOf({ id }: Topup): Promise<Row> {
  const [row] = await owner<Row[]>`
    SELECT state, asked, credit, coalesce((SELECT sum(amount) FROM transfers t WHERE t.id = p.transfer_id AND t.kind = 'topup'), 0)::bigint AS credited
    FROM payments p WHERE id = ${id}`;
  return row ?? assert.fail(`${id} is gone`);
}

/** By itself, as its owner sees it, and once. */
async function isCredited(topup: Topup, where: string): Promise<void> {
  const what = `${topup.provider.id}, ${where}`;
  await until(`${what}: credited`, async () => (await rowOf(topup)).state === 'credited');
  const { body } = await topup.payer.get(`/api/topups/${topup.id}`);
  assert.equal(body.state, 'credited', what);
  const { credit, credited } = await rowOf(topup);
  assert.equal(credited, credit, what);
  const { at, held } = topup.provider;
  if (topup.provider.id === 'bkash') assert.equal(held.count(at.take, [topup.name]), 1, what);
}

/**
 * Locks rows until the server is gone; what waits for them then has never happened.
 * @param isThere whether all have come to where they wait: one payment may have two that wait
 */
async function whileLocked(
  lock: (sql: Statements) => Promise<unknown>,
  waiting: number,
  act: () => Promise<unknown>,
  isThere: () => Promise<boolean> = async () => true,
): Promise<void> {
  const locked = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const holding = owner.begin(async (sql) => {
    await lock(sql);
    locked.resolve();
    await over.promise;
  });
  holding.catch(locked.reject);
  await locked.promise;
  const waiters = () => owner<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'akai serve'`;
  await act();
  await until(`${waiting} wait for the lock`, async () => {
    return (await isThere()) && (await waiters()).length >= waiting;
  });
  await kill();
  await owner`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'akai serve'`;
  await until('nobody waits any more', async () => (await waiters()).length === 0);
  over.resolve();
  await holding;
}

const idsOf = (topups: readonly Topup[]): string[] => topups.map(({ id }) => id);
const comeBack = (topups: readonly Topup[]): void => {
  for (const { back } of topups) unheard(fetch(back, { redirect: 'manual' }));
};
/** Credited in the end, and given back afterwards. */
const credited: Topup[][] = [];

test('killed while payments are opened: nobody paid, nothing is credited, and they end', async () => {
  const ordered: Visitor[] = [];
  for (const [part, when] of [
    ['first', 'before'],
    ['last', 'after'],
  ] as const) {
    const payer = await newVisitor(server.origin);
    ordered.push(payer);
    await Promise.all(
      providers.map(({ id, held, at }) => {
        const stopped = held.hold(at[part], when);
        unheard(payer.post('/api/topups', { method: id, taka: 100 }));
        return stopped.reached;
      }),
    );
  }
  await kill();
  // Two minutes later nobody can be at them any more.
  await restart({
    NODE_OPTIONS: '--import=data:text/javascript,const{now}=Date;Date.now=()=>now()+200000',
  });
  for (const payer of ordered) {
    const topups = async () => (await payer.get('/api/topups')).body.topups;
    await until('they have ended', async () => {
      const found = await topups();
      assert.ok(Array.isArray(found));
      assert.equal(found.length, providers.length);
      return found.every(({ state }) => state === 'failed');
    });
    assert.equal((await payer.get('/api/wallet')).body.balance, 0);
  }
});

test('killed when browsers have come back, when the provider is asked, and when it has answered', async () => {
  const [arrived, asked, answered] = [await paidByAll(), await paidByAll(), await paidByAll()];
  const stop = async (topups: readonly Topup[], when: 'before' | 'after'): Promise<void> => {
    const stopped = topups.map(({ provider, name }) =>
      provider.held.hold(
        provider.at.take,
        when,
        provider.id === 'nagad' ? encodeURIComponent(name) : name,
      ),
    );
    comeBack(topups);
    await Promise.all(stopped.map(({ reached }) => reached));
  };
  await stop(asked, 'before');
  await stop(answered, 'after');
  const lock = (sql: Statements) =>
    sql`SELECT FROM payments WHERE id = ANY(${idsOf(arrived)}) FOR NO KEY UPDATE`;
  await whileLocked(lock, arrived.length, async () => comeBack(arrived));
  await restart();
  for (const topup of arrived) await isCredited(topup, 'come back');
  for (const topup of answered) await isCredited(topup, 'answered');
  for (const topup of asked) {
    if (topup.provider.id !== 'bkash') await isCredited(topup, 'asked');
    else await isNeverTaken(topup);
  }
  credited.push(arrived, answered);
});

/** Nobody knows whether bKash heard that it should take the money: it is never asked to again, and says that it took nothing. */
async function isNeverTaken(topup: Topup): Promise<void> {
  await until('it was asked about', async () => (await rowOf(topup)).asked > 0);
  assert.equal((await rowOf(topup)).state, 'pending');
  await owner`UPDATE payments SET expires_at = now(), ask_at = now() WHERE id = ${topup.id}`;
  await until('it expires', async () => (await rowOf(topup)).state === 'expired');
  assert.equal((await rowOf(topup)).credited, 0);
  assert.equal(bkash.book.payments.get(topup.name)?.executedAt, null);
  assert.equal(topup.provider.held.count(topup.provider.at.take, [topup.name]), 1);
}

test('killed between the answer of the provider and the credit', async () => {
  const [unverified, verified] = [await paidByAll(), await paidByAll()];
  const lock = async (sql: Statements): Promise<void> => {
    await sql`SELECT FROM users u JOIN payments p ON p.user_id = u.id WHERE p.id = ANY(${idsOf(unverified)}) FOR NO KEY UPDATE OF u`;
    await sql`SELECT FROM ledger_accounts a JOIN payments p ON p.wallet = a.id WHERE p.id = ANY(${idsOf(verified)}) FOR UPDATE OF a`;
  };
  const areVerified = async (): Promise<boolean> => {
    const rows = await Promise.all(verified.map(rowOf));
    return rows.every(({ state }) => state === 'verified');
  };
  const all = unverified.length + verified.length;
  await whileLocked(lock, all, async () => comeBack([...unverified, ...verified]), areVerified);
  for (const topup of unverified) assert.equal((await rowOf(topup)).state, 'pending');
  for (const topup of verified) assert.equal((await rowOf(topup)).state, 'verified');
  await restart();
  for (const topup of [...unverified, ...verified]) await isCredited(topup, 'answered');
  credited.push(verified);
});

const back = { taka: 40, reason: 'asked for' };

function order({ id }: Topup): void {
  unheard(admin.post(`/api/admin/payments/${id}/refund`, back));
}

async function stopRefunds(topups: readonly Topup[], when: 'before' | 'after'): Promise<Held[]> {
  const all: Held[] = [];
  // One after the other: what Nagad is asked for cannot be read.
  for (const topup of topups) {
    const stopped = topup.provider.held.hold(topup.provider.at.refund, when);
    order(topup);
    await stopped.reached;
    all.push(stopped);
  }
  return all;
}

interface Given {
  readonly state: string;
  readonly gone: number;
}

/** The refund of a payment and what the ledger took for it; there is one. */
async function refundOf({ id }: Topup): Promise<Given> {
  const rows = await owner<Given[]>`
    SELECT r.state, (SELECT sum(amount) FROM transfers t WHERE t.id = r.id AND t.kind = 'refund')::bigint AS gone
    FROM payment_refunds r WHERE r.payment = ${id}`;
  const [row] = rows;
  assert.equal(rows.length, 1);
  return row ?? assert.fail('there is no refund');
}

test('killed while money goes back: asked for once, debited once, and known or in review', async () => {
  const [unasked, asked, answered] = credited;
  assert.ok(unasked && asked && answered);
  await stopRefunds(unasked, 'before');
  await stopRefunds(asked, 'after');
  const stopped = await stopRefunds(answered, 'after');
  const lock = (sql: Statements) =>
    sql`SELECT FROM payments WHERE id = ANY(${idsOf(answered)}) FOR NO KEY UPDATE`;
  await whileLocked(lock, answered.length, async () => {
    for (const each of stopped) each.release();
  });
  await restart();
  for (const [topups, wasDone] of [
    [unasked, false],
    [asked, true],
    [answered, true],
  ] as const)
    for (const topup of topups) {
      const { provider, name } = topup;
      const expected = wasDone ? provider.done : 'needs_review';
      const what = `${provider.id}, ${wasDone ? 'done' : 'never asked for'}: ${expected}`;
      await until(what, async () => (await refundOf(topup)).state === expected);
      const { credit } = await rowOf(topup);
      assert.equal((await refundOf(topup)).gone, Math.ceil((credit * 40) / 100), what);
      const [row] = await owner<{ invoice: string; trx: string }[]>`
        SELECT invoice, split_part(trx_id, ':', -1) AS trx FROM payments WHERE id = ${topup.id}`;
      assert.ok(row);
      const times = provider.held.count(provider.at.refund, [name, row.invoice, row.trx]);
      assert.equal(times, 1, what);
    }
  for (const topups of [unasked, asked, answered]) await balanceFits(topups);
});

/** A wallet holds what its payments brought, without what went back. */
async function balanceFits(topups: readonly Topup[]): Promise<void> {
  const [first] = topups;
  assert.ok(first);
  const [row] = await owner<{ balance: number; sum: number }[]>`
    SELECT a.balance, (SELECT sum(CASE WHEN t.credit = a.id THEN t.amount ELSE -t.amount END)
      FROM transfers t WHERE a.id IN (t.credit, t.debit))::bigint AS sum
    FROM ledger_accounts a JOIN payments p ON p.wallet = a.id WHERE p.id = ${first.id}`;
  assert.equal(row?.balance, row?.sum);
}

test('the books are right after all of it, and nothing was lost', async () => {
  const { ok, findings } = await server.akai<{ ok: boolean; findings?: unknown }>('audit');
  assert.equal(ok, true, JSON.stringify(findings));
  const paid = await owner`SELECT FROM payments WHERE state = 'credited'`;
  // Of fifteen that were agreed to at a provider, bKash took nothing for one.
  assert.equal(paid.length, 14);
});
