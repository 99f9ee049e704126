/** What comes too late: a batch, a checkpoint, a server that awakes, a request that is over. Each was once done wrong, and found by the crash rounds. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { until } from '../../test/scratch_data.ts';
import { audit } from './audit.ts';
import { applyBatch } from './batch.ts';
import { Lease } from './lease.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

test('a batch that was given up, and is delivered after the next, changes nothing', async () => {
  const process = await ledgers.start();
  const wallet = await ledgers.wallet(1000);
  const hold = { ...holdOf(wallet, 400), grow: false, believed: nano(0) };
  const sql = ledgers.database.connect({ max: 1, name: 'late' });
  const apply = (
    epoch: number,
    settlements: ReturnType<typeof settlementOf>[],
    holds: (typeof hold)[],
  ) => applyBatch(sql, process.lease.instance, epoch, nano(0), epoch > 0, settlements, holds);
  await apply(1, [], [hold]);
  await apply(1, [settlementOf(hold, 300)], []);
  await assert.rejects(apply(0, [], [hold]), { code: '40001' });
  assert.deepEqual(await ledgers.read(wallet), { balance: 700, held: 0 });
  assert.equal((await audit(ledgers.database.sql)).ok, true);
  // The process itself, which has not heard of its failures, finds its way.
  assert.equal(await process.ledger.hold(holdOf(wallet, 100)), 100);
  await process.stop();
});

test('a checkpoint that is raised while its request is recovered is what is charged', async () => {
  const [dead, other] = await Promise.all([ledgers.start(), ledgers.start()]);
  const wallet = await ledgers.wallet(1000);
  const hold = holdOf(wallet, 900);
  await dead.ledger.hold(hold);
  await dead.ledger.checkpoints.raise({
    id: hold.id,
    amount: nano(200),
    inputTokens: 1,
    outputTokens: 2,
  });
  await dead.expire(1000);
  const recovering = await ledgers.owner.begin(async (sql) => {
    await sql`SELECT ledger_checkpoint(${[hold.id]}::uuid[], ${[500]}::bigint[], ${[1]}::int[], ${[5]}::int[], true)`;
    const recovery = other.lease.recover();
    await until('the recovery waits', async () => {
      const rows = await sql`SELECT pid FROM pg_stat_activity
        WHERE application_name = 'lease' AND wait_event_type = 'Lock'`;
      return rows.length > 0;
    });
    // In an object: a promise that is returned by itself would be waited for, before the commit that it waits for.
    return { recovery };
  });
  assert.equal(await recovering.recovery, 1);
  const receipt = { outcome: 'recovered', cost: 500, charged: 500 };
  assert.deepEqual(await ledgers.receipt(hold.id), receipt);
  await Promise.all([dead.stop(), other.stop()]);
});

test('a sole server that awakes does not end the lease of its successor', async () => {
  const lease = (): Lease =>
    new Lease(ledgers.database.sql, { leaseMs: 300, graceMs: 0, sole: true, log: () => {} });
  const runs = async (instance: string): Promise<boolean> => {
    const rows = await ledgers.owner`
      SELECT id FROM instances WHERE id = ${instance} AND lease_until > now()`;
    return rows.length > 0;
  };
  const [first, second] = [lease(), lease()];
  await first.start();
  await second.start();
  assert.equal(await runs(first.instance), false, 'the successor ends it');
  await until('the first has its lease again', () => runs(first.instance));
  for (let look = 0; look < 20; look += 1) {
    assert.equal(await runs(second.instance), true);
    await sleep(20);
  }
  await Promise.all([first.stop(), second.stop()]);
});

test('a request that is over leaves no hold behind: free, or charged at its checkpoint', async () => {
  const process = await ledgers.start({ leaseMs: 300 });
  const wallet = await ledgers.wallet(1000);
  const [cut, refused, open] = [holdOf(wallet, 300), holdOf(wallet, 300), holdOf(wallet, 300)];
  for (const { id, ...hold } of [cut, refused, open]) {
    await process.ledger.hold({ id, ...hold });
    await process.ledger.checkpoints.raise({
      id,
      amount: nano(50),
      inputTokens: 1,
      outputTokens: 1,
    });
  }
  process.ledger.forget(cut.id, false);
  process.ledger.forget(refused.id, true);
  await until('both have ended', async () => (await ledgers.read(wallet)).held === 300);
  assert.equal((await ledgers.receipt(cut.id))?.charged, 50);
  assert.equal((await ledgers.receipt(refused.id))?.outcome, 'released');
  assert.equal(await process.ledger.settle(settlementOf(open, 200)), 200);
  assert.deepEqual(await ledgers.read(wallet), { balance: 750, held: 0 });
  assert.equal((await audit(ledgers.database.sql)).ok, true);
  await process.stop();
});

test('the lease is renewed although what is done besides never ends', async () => {
  const lease = new Lease(ledgers.database.sql, {
    leaseMs: 600,
    graceMs: 0,
    sole: false,
    log: () => {},
  });
  const { promise: stuck, resolve: free } = Promise.withResolvers<void>();
  let beats = 0;
  lease.eachBeat(() => {
    beats += 1;
    return stuck;
  });
  await lease.start();
  for (const until = performance.now() + 1500; performance.now() < until; await sleep(20))
    assert.ok(lease.isAlive(), 'the lease has ended');
  assert.equal(beats, 1);
  free();
  await lease.stop();
});
