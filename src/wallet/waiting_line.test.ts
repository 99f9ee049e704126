/** Money that others hold is waited for in line: the large are not starved by the small, and nobody is passed by. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import type { Ledger } from './ledger.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

/** Takes small holds, one after the other, each kept for a moment. Returns how many. */
async function keepTaking(ledger: Ledger, wallet: number, until: () => boolean): Promise<number> {
  let granted = 0;
  while (!until()) {
    const hold = holdOf(wallet, 100);
    await ledger.hold(hold);
    granted += 1;
    await sleep(5 + Math.random() * 10);
    await ledger.settle(settlementOf(hold, 0));
  }
  return granted;
}

test('a large hold gets its turn while small ones, for which there is always enough, never stop coming', async () => {
  const { ledger, stop } = await ledgers.start({ holdWaitMs: 3000 });
  const wallet = await ledgers.wallet(1000);
  let isOver = false;
  const small = Array.from({ length: 9 }, () => keepTaking(ledger, wallet, () => isOver));
  await sleep(50);
  const rounds = async (): Promise<void> => {
    for (let round = 0; round < 5; round += 1) {
      const large = holdOf(wallet, 1000);
      await ledger.hold(large);
      await ledger.settle(settlementOf(large, 0));
      await sleep(20);
    }
  };
  await rounds().finally(() => {
    isOver = true;
  });
  const granted = await Promise.all(small);
  assert.ok(Math.min(...granted) > 3, 'the small ones are served, too');
  assert.deepEqual(await ledgers.read(wallet), { balance: 1000, held: 0 });
  await stop();
});

test('those in line are served in the order in which they came', async () => {
  const { ledger, stop } = await ledgers.start({ holdWaitMs: 5000 });
  const wallet = await ledgers.wallet(1000);
  const first = holdOf(wallet, 1000);
  await ledger.hold(first);
  const served: number[] = [];
  const waiting = [600, 500, 100, 300, 100, 1000, 50].map(async (wanted, place) => {
    await sleep(place * 10);
    const hold = holdOf(wallet, wanted);
    await ledger.hold(hold);
    served.push(place);
    await sleep(20);
    await ledger.settle(settlementOf(hold, 0));
  });
  await sleep(120);
  assert.deepEqual(served, []);
  await ledger.settle(settlementOf(first, 0));
  await Promise.all(waiting);
  assert.deepEqual(served, [0, 1, 2, 3, 4, 5, 6]);
  await stop();
});

test('what grows does not stand in line, and one whose time is over has its last try', async () => {
  const { ledger, stop } = await ledgers.start({ holdWaitMs: 400 });
  const wallet = await ledgers.wallet(1000);
  const running = holdOf(wallet, 700);
  await ledger.hold(running);
  const began = performance.now();
  const large = assert.rejects(ledger.hold(holdOf(wallet, 500)), /Insufficient credits/);
  await sleep(30);
  const small = holdOf(wallet, 100);
  const behind = ledger.hold(small);
  await sleep(30);
  const more = { ...running, wanted: nano(50), least: nano(50) };
  assert.equal(await ledger.grow(more, running.wanted), 50);
  assert.ok(performance.now() - began < 390, 'the growth waited');
  await large;
  assert.equal(await behind, 100);
  assert.ok(performance.now() - began >= 400);
  await ledger.settle(settlementOf(small, 0));
  await ledger.settle(settlementOf(running, 0));
  assert.deepEqual(await ledgers.read(wallet), { balance: 1000, held: 0 });
  await stop();
});

test('money that another process gives back is found', async () => {
  const one = await ledgers.start({ holdWaitMs: 5000 });
  const other = await ledgers.start({ holdWaitMs: 5000 });
  const wallet = await ledgers.wallet(1000);
  const theirs = holdOf(wallet, 1000);
  await other.ledger.hold(theirs);
  const ours = holdOf(wallet, 800);
  const granted = one.ledger.hold(ours);
  await sleep(200);
  await other.ledger.settle(settlementOf(theirs, 100));
  const began = performance.now();
  assert.equal(await granted, 800);
  assert.ok(performance.now() - began < 2000);
  await one.ledger.settle(settlementOf(ours, 0));
  await Promise.all([one.stop(), other.stop()]);
});

test('nobody is refused while those before come to their end one by one, however long all of them take', async () => {
  const { ledger, stop } = await ledgers.start({ holdWaitMs: 2000 });
  const wallet = await ledgers.wallet(1000);
  const began = performance.now();
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      const hold = holdOf(wallet, 1000);
      await ledger.hold(hold);
      await sleep(500);
      await ledger.settle(settlementOf(hold, 0));
    }),
  );
  assert.ok(performance.now() - began > 2500, 'the last waited longer than anybody alone would');
  await stop();
});

test('who is passed by through another process for ever is told at last', async () => {
  const one = await ledgers.start({ holdWaitMs: 300 });
  const other = await ledgers.start({ holdWaitMs: 60_000 });
  const wallet = await ledgers.wallet(1000);
  let isOver = false;
  const passing = [1, 2, 3].map(() => keepTaking(other.ledger, wallet, () => isOver));
  await sleep(50);
  const blocker = holdOf(wallet, 500);
  await other.ledger.hold(blocker);
  const began = performance.now();
  await assert.rejects(one.ledger.hold(holdOf(wallet, 1000)), /Insufficient credits/);
  const waited = performance.now() - began;
  isOver = true;
  assert.ok(waited >= 300 && waited < 15_000, `${waited} ms`);
  await Promise.all(passing);
  await other.ledger.settle(settlementOf(blocker, 0));
  await Promise.all([one.stop(), other.stop()]);
});
