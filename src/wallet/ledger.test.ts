/** What the ledger promises, each promise by itself: once, in order, exactly, whoever dies and whoever is cut off. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdOf, type LedgerProcess, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { audit } from './audit.ts';
import { SettlementLost } from './failure.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
let one: LedgerProcess;
let two: LedgerProcess;

before(async () => {
  ledgers = await Ledgers.open();
  one = await ledgers.start({ holdWaitMs: 1000 });
  two = await ledgers.start({ holdWaitMs: 1000 });
});
afterEach(async () => {
  const report = await audit(ledgers.database.sql);
  assert.ok(report.ok, JSON.stringify(report.findings));
});
after(() => ledgers[Symbol.asyncDispose]());

const poor = { name: 'ApiError', code: 'insufficient_credits', status: 402 };

describe('a settlement', () => {
  test('twice, in one batch, by two processes, again later, is applied once', async () => {
    const wallet = await ledgers.wallet(1000);
    const hold = holdOf(wallet, 400);
    assert.equal(await one.ledger.hold(hold), 400);
    const settle = ({ ledger }: LedgerProcess): Promise<number> =>
      ledger.settle(settlementOf(hold, 300));
    const answers = await Promise.all([one, one, two, two].map(settle));
    assert.deepEqual(answers, [300, 300, 300, 300]);
    // What was charged is answered, not what is asked for now.
    assert.equal(await two.ledger.settle(settlementOf(hold, 200)), 300);
    assert.deepEqual(await ledgers.read(wallet), { balance: 700, held: 0 });
    const rows = await ledgers.owner`SELECT kind, amount FROM transfers WHERE debit = ${wallet}`;
    assert.deepEqual([...rows], [{ kind: 'charge', amount: 300 }]);
  });

  test('charges no more than is held; the operator bears the rest', async () => {
    const wallet = await ledgers.wallet(1000);
    const hold = holdOf(wallet, 400);
    await one.ledger.hold(hold);
    await one.ledger.settle(settlementOf(hold, 900));
    assert.deepEqual(await ledgers.read(wallet), { balance: 600, held: 0 });
    const rows = await ledgers.owner`
      SELECT kind, debit, amount FROM transfers WHERE id = ${hold.id} ORDER BY kind`;
    assert.deepEqual(
      [...rows],
      [
        { kind: 'charge', debit: wallet, amount: 400 },
        { kind: 'loss', debit: 2, amount: 500 },
      ],
    );
  });

  test('is answered after its hold, and both only when the books say so', async () => {
    const wallet = await ledgers.wallet(50_000);
    const answered: string[] = [];
    const request = async (number: number): Promise<void> => {
      const { ledger } = number % 2 ? one : two;
      const hold = holdOf(wallet, 500);
      await ledger.hold(hold);
      answered.push(`hold ${number}`);
      const [open] = await ledgers.owner`SELECT amount FROM holds WHERE id = ${hold.id}`;
      assert.equal(open?.amount, 500, 'answered before it was committed');
      await ledger.settle(settlementOf(hold, 7));
      answered.push(`settled ${number}`);
      assert.equal((await ledgers.receipt(hold.id))?.charged, 7, 'answered before the commit');
    };
    await Promise.all(Array.from({ length: 60 }, (_, number) => request(number)));
    for (let number = 0; number < 60; number += 1)
      assert.ok(answered.indexOf(`hold ${number}`) < answered.indexOf(`settled ${number}`));
    assert.deepEqual(await ledgers.read(wallet), { balance: 50_000 - 420, held: 0 });
  });

  test('that does not wait for its hold is refused and charges nothing', async () => {
    const wallet = await ledgers.wallet(1000);
    const hold = holdOf(wallet, 400);
    const held = one.ledger.hold(hold);
    const settled = one.ledger.settle(settlementOf(hold, 300));
    await assert.rejects(settled, SettlementLost);
    assert.equal(await held, 400);
    assert.deepEqual(await ledgers.read(wallet), { balance: 1000, held: 400 });
    await one.ledger.settle(settlementOf(hold, 0));
  });
});

describe('a hold', () => {
  test('that its wallet cannot pay is refused alone, among others of the same batch', async () => {
    const rich = await ledgers.wallet(10_000);
    const short = await ledgers.wallet(1000);
    const asked = [
      holdOf(rich, 3000),
      holdOf(short, 2000),
      holdOf(rich, 3000),
      // Takes what is there, since that is enough for it.
      holdOf(short, 2000, { least: 500 }),
    ];
    const results = await Promise.allSettled(asked.map((hold) => one.ledger.hold(hold)));
    const shown = results.map((r) => (r.status === 'fulfilled' ? r.value : r.reason.code));
    assert.deepEqual(shown, [3000, poor.code, 3000, 1000]);
    assert.deepEqual(await ledgers.read(rich), { balance: 10_000, held: 6000 });
    assert.deepEqual(await ledgers.read(short), { balance: 1000, held: 1000 });
    for (const hold of asked.filter((_, index) => index !== 1))
      await one.ledger.settle(settlementOf(hold, 0));
  });

  test('waits for money that others hold, of its own process or of another', async () => {
    for (const other of [one, two]) {
      const wallet = await ledgers.wallet(1000);
      const first = holdOf(wallet, 800);
      await other.ledger.hold(first);
      const second = holdOf(wallet, 600);
      let waits = true;
      const granted = one.ledger.hold(second).finally(() => (waits = false));
      await sleep(150);
      assert.ok(waits, 'the money is held');
      await other.ledger.settle(settlementOf(first, 300));
      assert.equal(await granted, 600);
      assert.deepEqual(await ledgers.read(wallet), { balance: 700, held: 600 });
      await one.ledger.settle(settlementOf(second, 0));
    }
  });

  test('does not wait for ever, nor at all for what its wallet has not got', async () => {
    const wallet = await ledgers.wallet(1000);
    const first = holdOf(wallet, 800);
    await one.ledger.hold(first);
    const began = performance.now();
    await assert.rejects(one.ledger.hold(holdOf(wallet, 1001)), poor);
    const refusedAfter = performance.now() - began;
    await assert.rejects(one.ledger.hold(holdOf(wallet, 600)), poor);
    const waited = performance.now() - began - refusedAfter;
    assert.ok(refusedAfter < 900, `refused after ${refusedAfter} ms`);
    assert.ok(waited >= 1000 && waited < 3000, `waited ${waited} ms`);
    assert.deepEqual(await ledgers.read(wallet), { balance: 1000, held: 800 });
    await one.ledger.settle(settlementOf(first, 0));
  });

  test('is refused below the floor, however small it is', async () => {
    await assert.rejects(one.ledger.hold(holdOf(await ledgers.wallet(99), 1)), poor);
    const wallet = await ledgers.wallet(100);
    const hold = holdOf(wallet, 1);
    assert.equal(await one.ledger.hold(hold), 1);
    await one.ledger.settle(settlementOf(hold, 1));
    await assert.rejects(one.ledger.hold(holdOf(wallet, 1)), poor);
  });
});

describe('recovery', () => {
  test('charges the checkpoint, never the hold, and nothing without one; who comes late hears of it', async () => {
    const dead = await ledgers.start();
    const wallet = await ledgers.wallet(10_000);
    const begun = holdOf(wallet, 4000);
    const silent = holdOf(wallet, 4000);
    await dead.ledger.hold(begun);
    await dead.ledger.hold(silent);
    await dead.ledger.checkpoints.raise({
      id: begun.id,
      amount: nano(300),
      inputTokens: 10,
      outputTokens: 20,
    });
    // One that was overtaken lowers nothing.
    await dead.ledger.checkpoints.raise({
      id: begun.id,
      amount: nano(200),
      inputTokens: 10,
      outputTokens: 10,
    });
    await dead.expire(1000);
    assert.equal(await one.lease.recover(), 2);
    const books = { balance: 9700, held: 0 };
    assert.deepEqual(await ledgers.read(wallet), books);
    const recovered = { outcome: 'recovered', cost: 300, charged: 300 };
    assert.deepEqual(await ledgers.receipt(begun.id), recovered);
    const free = { outcome: 'released', cost: 0, charged: 0 };
    assert.deepEqual(await ledgers.receipt(silent.id), free);

    await assert.rejects(dead.ledger.settle(settlementOf(begun, 1000)), SettlementLost);
    await assert.rejects(dead.ledger.settle(settlementOf(silent, 1000)), SettlementLost);
    await assert.rejects(
      dead.ledger.checkpoints.raise({
        id: begun.id,
        amount: nano(400),
        inputTokens: 10,
        outputTokens: 30,
      }),
      SettlementLost,
    );
    await assert.rejects(
      dead.ledger.grow(holdOf(wallet, 100, { id: begun.id }), nano(0)),
      SettlementLost,
    );
    assert.deepEqual(await ledgers.read(wallet), books);
    assert.deepEqual(await ledgers.receipt(begun.id), recovered);
    assert.deepEqual(await ledgers.receipt(silent.id), free);
    assert.equal(await two.lease.recover(), 0);
    await dead.stop();
  });

  test('begins when the grace is over, and leaves a living neighbour alone', async () => {
    const careful = await ledgers.start({ graceMs: 10_000 });
    const neighbour = await ledgers.start();
    const dead = await ledgers.start();
    const wallet = await ledgers.wallet(1000);
    const kept = holdOf(wallet, 200);
    const lost = holdOf(wallet, 300);
    await neighbour.ledger.hold(kept);
    await dead.ledger.hold(lost);
    await dead.freeze();
    assert.equal(await careful.lease.recover(), 0, 'its lease still runs');
    await dead.expire(8000);
    assert.equal(await careful.lease.recover(), 0, 'it has 2 s of grace left');
    await dead.expire(10_001);
    assert.equal(await careful.lease.recover(), 1);
    assert.deepEqual(await ledgers.read(wallet), { balance: 1000, held: 200 });
    assert.equal(await neighbour.ledger.settle(settlementOf(kept, 150)), 150);
    assert.deepEqual(await ledgers.read(wallet), { balance: 850, held: 0 });
    await Promise.all([careful, neighbour, dead].map((process) => process.stop()));
  });

  test('happens by itself, at the beat of a process that lives', async () => {
    const neighbour = await ledgers.start({ leaseMs: 300 });
    const dead = await ledgers.start();
    const wallet = await ledgers.wallet(1000);
    const hold = holdOf(wallet, 300);
    await dead.ledger.hold(hold);
    await dead.expire(1000);
    for (let wait = 0; wait < 200 && (await ledgers.read(wallet)).held > 0; wait += 1)
      await sleep(25);
    assert.equal((await ledgers.receipt(hold.id))?.outcome, 'released');
    await Promise.all([neighbour, dead].map((process) => process.stop()));
  });

  test('two at once settle each request once, and a settlement beside them is either in time or lost', async () => {
    const dead = await ledgers.start();
    const wallet = await ledgers.wallet(100_000);
    const holds = Array.from({ length: 40 }, () => holdOf(wallet, 1000));
    await Promise.all(holds.map((hold) => dead.ledger.hold(hold)));
    await Promise.all(
      holds.map(({ id }) =>
        dead.ledger.checkpoints.raise({ id, amount: nano(100), inputTokens: 1, outputTokens: 1 }),
      ),
    );
    await dead.expire(1000);
    const [settled, recovered, more] = await Promise.all([
      Promise.allSettled(
        holds.map((hold) =>
          sleep(Math.random() * 4).then(() => dead.ledger.settle(settlementOf(hold, 500))),
        ),
      ),
      sleep(2).then(() => one.lease.recover()),
      sleep(2).then(() => two.lease.recover()),
    ]);
    const inTime = settled.filter(({ status }) => status === 'fulfilled').length;
    for (const answer of settled)
      if (answer.status === 'rejected') assert.ok(answer.reason instanceof SettlementLost);
    assert.equal(inTime + recovered + more, 40);
    assert.deepEqual(await ledgers.read(wallet), {
      balance: 100_000 - inTime * 500 - (40 - inTime) * 100,
      held: 0,
    });
    await dead.stop();
  });
});

test('an entry that the database refuses fails alone, whatever else is in its batch', async () => {
  const wallet = await ledgers.wallet(10_000);
  const earlier = [1, 2, 3].map(() => holdOf(wallet, 100));
  await Promise.all(earlier.map((hold) => one.ledger.hold(hold)));
  const [first, second, third] = earlier;
  assert.ok(first && second && third);
  const good = [holdOf(wallet, 10), holdOf(wallet, 20)];
  const results = await Promise.allSettled([
    one.ledger.hold(holdOf(wallet, 10, { model: 'no\0model' })),
    one.ledger.hold(holdOf(wallet, 10, { id: 'not an id' })),
    one.ledger.settle(settlementOf(first, 30)),
    one.ledger.settle(settlementOf(second, 30, { detail: '{"not": JSON' })),
    one.ledger.settle(settlementOf(third, 30)),
    ...good.map((hold) => one.ledger.hold(hold)),
  ]);
  const refused = 'the ledger refused this entry';
  const shown = results.map((r) => (r.status === 'fulfilled' ? r.value : r.reason.message));
  assert.deepEqual(shown, [refused, refused, 30, refused, 30, 10, 20]);
  assert.deepEqual(await ledgers.read(wallet), { balance: 9940, held: 130 });
  for (const hold of [second, ...good]) await one.ledger.settle(settlementOf(hold, 0));
});
