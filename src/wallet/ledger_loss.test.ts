/** A commit whose acknowledgement is lost: the ledger asks again, and what was done is answered, not done once more. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { holdOf, type LedgerProcess, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { listen } from '../../test/listen.ts';
import { until } from '../../test/scratch_data.ts';
import { connect } from '../db/connection.ts';
import { audit } from './audit.ts';
import { SettlementLost } from './failure.ts';
import { limitKey } from './key_limits.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
let process: LedgerProcess;
let url = '';
/** Set: the next whole answer of PostgreSQL is swallowed, and its connection cut. */
let isLosing = false;
let lost = 0;
/** Nobody gets through; from the next loss on. */
let isAway = false;
let isCutting = false;
const clients = new Set<net.Socket>();
/** The cut comes no earlier. */
let cutAfter: Promise<unknown> = Promise.resolve();

/** ReadyForQuery, PostgreSQL’s last word on a statement: what it did is committed. */
function isWholeAnswer(data: Buffer): boolean {
  return data.subarray(-6, -1).equals(Buffer.from('Z\0\0\0\x05'));
}

const relay = net.createServer((client) => {
  if (isAway) {
    client.destroy();
    return;
  }
  clients.add(client);
  const server = net.connect(ledgers.socket);
  client.pipe(server);
  server.on('data', (data: Buffer) => {
    if (!isLosing) {
      client.write(data);
      return;
    }
    if (!isWholeAnswer(data)) return;
    isLosing = false;
    isAway = isCutting;
    if (isAway) for (const one of clients) one.destroy();
    lost += 1;
    void cutAfter.then(() => client.destroy());
  });
  server.on('close', () => client.destroy());
  client.on('close', () => {
    clients.delete(client);
    server.destroy();
  });
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
});

before(async () => {
  ledgers = await Ledgers.open();
  const port = await listen(relay);
  url = `postgres://akai:unused@127.0.0.1:${port}/akai`;
  const lane = connect({ url }, { max: 1, name: 'lossy', role: 'akai_app' });
  process = await ledgers.start({ lane });
});
after(async () => {
  await ledgers[Symbol.asyncDispose]();
  relay.close();
});

/** Runs `work` so that the acknowledgement of its first commit is lost. */
async function unheard<T>(work: () => Promise<T>): Promise<T> {
  const before = lost;
  isLosing = true;
  const result = await work();
  assert.equal(lost, before + 1, 'nothing was lost');
  return result;
}

test('holds and settlements of one batch, unheard of, are answered as if nothing had happened, and done once', async () => {
  const wallet = await ledgers.wallet(10_000);
  const other = await ledgers.wallet(10_000);
  const { ledger } = process;
  const earlier = [holdOf(wallet, 1000), holdOf(wallet, 1000), holdOf(other, 1000)];
  for (const hold of earlier) await ledger.hold(hold);
  const [charged, dear, free] = earlier;
  assert.ok(charged && dear && free);
  const holds = [holdOf(wallet, 500), holdOf(other, 600), holdOf(other, 20_000, { least: 1 })];
  const answers = await unheard(() =>
    Promise.all([
      ledger.settle(settlementOf(charged, 300)),
      ledger.settle(settlementOf(dear, 1500, { chargeable: 1000 })),
      ledger.settle(settlementOf(free, 0)),
      ...holds.map((hold) => ledger.hold(hold)),
    ]),
  );
  assert.deepEqual(answers, [300, 1000, 0, 500, 600, 9400]);
  assert.deepEqual(await ledgers.read(wallet), { balance: 8700, held: 500 });
  assert.deepEqual(await ledgers.read(other), { balance: 10_000, held: 10_000 });
  const [row] = await ledgers.owner<{ amount: number }[]>`
    SELECT sum(amount)::bigint AS amount FROM transfers WHERE id = ANY (${earlier.map(({ id }) => id)}::uuid[])`;
  assert.equal(row?.amount, 1800, 'charged 300 and 1000, lost 500');
  for (const hold of holds) await ledger.settle(settlementOf(hold, 0));
  assert.ok((await audit(ledgers.database.sql)).ok);
});

test('each by itself: a hold, its settlement, its release', async () => {
  const wallet = await ledgers.wallet(10_000);
  const { ledger } = process;
  for (const cost of [400, 0]) {
    const before = await ledgers.read(wallet);
    const hold = holdOf(wallet, 1000);
    assert.equal(await unheard(() => ledger.hold(hold)), 1000);
    assert.deepEqual(await ledgers.read(wallet), { ...before, held: 1000 });
    assert.equal(await unheard(() => ledger.settle(settlementOf(hold, cost))), cost);
    assert.deepEqual(await ledgers.read(wallet), { balance: before.balance - cost, held: 0 });
  }
  const refused = unheard(() => ledger.hold(holdOf(wallet, 50_000)));
  await assert.rejects(refused, { code: 'insufficient_credits' });
  assert.ok((await audit(ledgers.database.sql)).ok);
});

test('growth', async () => {
  const wallet = await ledgers.wallet(10_000);
  const { ledger } = process;
  const hold = holdOf(wallet, 1000);
  await ledger.hold(hold);
  const more = holdOf(wallet, 300, { id: hold.id });
  assert.equal(await unheard(() => ledger.grow(more, hold.wanted)), 300);
  assert.deepEqual(await ledgers.read(wallet), { balance: 10_000, held: 1300 });
  assert.equal(await ledger.settle(settlementOf(hold, 1200)), 1200);
  assert.deepEqual(await ledgers.read(wallet), { balance: 8800, held: 0 });
  assert.ok((await audit(ledgers.database.sql)).ok);
});

test('a settlement that was committed unheard is answered, although the lease ended meanwhile', async () => {
  const lane = connect({ url }, { max: 1, name: 'lossy', role: 'akai_app' });
  const { ledger, lease, freeze } = await ledgers.start({ lane, leaseMs: 3000 });
  const wallet = await ledgers.wallet(10_000);
  const hold = holdOf(wallet, 1000);
  await ledger.hold(hold);
  await freeze();
  cutAfter = until('the lease is over', () => !lease.isAlive());
  assert.equal(await unheard(() => ledger.settle(settlementOf(hold, 400))), 400);
  cutAfter = Promise.resolve();
  assert.deepEqual(await ledgers.read(wallet), { balance: 9600, held: 0 });
  assert.ok((await audit(ledgers.database.sql)).ok);
});

test('a charge that nobody could hear of before its request was answered with an error is given back, once, with the room of its key', async () => {
  const renewing = connect({ url }, { max: 1, name: 'lossy', role: 'akai_app' });
  const lane = connect({ url }, { max: 1, name: 'lossy', role: 'akai_app' });
  const { ledger, stop } = await ledgers.start({ lane, renewing, leaseMs: 1000 });
  const wallet = await ledgers.wallet(10_000);
  const keyId = crypto.randomUUID();
  const [answered, broken, delivered] = [1, 2, 3].map(() => ({ ...holdOf(wallet, 1000), keyId }));
  assert.ok(answered && broken && delivered);
  for (const hold of [answered, broken, delivered]) await ledger.hold(hold);
  await limitKey(ledgers.database.sql, keyId, wallet, {
    total: nano(5000),
    daily: null,
    weekly: null,
    monthly: null,
  });
  isCutting = true;
  isLosing = true;
  const given = [broken, delivered].map((hold) => ledger.settle(settlementOf(hold, 400)));
  for (const result of await Promise.allSettled(given))
    assert.ok(result.status === 'rejected' && result.reason instanceof SettlementLost);
  ledger.forget(broken.id, true);
  ledger.forget(delivered.id, false);
  assert.equal((await ledgers.read(wallet)).balance, 9200);
  isCutting = false;
  isAway = false;
  await until('it is given back', async () => (await ledgers.read(wallet)).balance === 9600);
  assert.equal(await ledger.settle(settlementOf(answered, 100)), 100);
  const { sql } = ledgers.database;
  for (let again = 0; again < 2; again += 1)
    await sql`SELECT ledger_give_back(${[broken.id]}::uuid[])`;
  assert.deepEqual(await ledgers.read(wallet), { balance: 9500, held: 0 });
  const [key] = await ledgers.owner<{ used: number }[]>`
    SELECT total_used AS used FROM key_limits WHERE key_id = ${keyId}`;
  assert.equal(key?.used, 500);
  const { findings } = await audit(sql);
  assert.deepEqual(findings, []);
  await stop();
});
