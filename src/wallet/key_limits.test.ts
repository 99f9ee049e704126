/** Limits of keys: exact whatever runs beside each other, anew with each day, week and month of Dhaka. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdOf, type LedgerProcess, Ledgers, settlementOf } from '../../test/ledgers.ts';
import {
  type KeyLimit,
  KeyLimitError,
  type KeyLimits,
  keyUse,
  limitKey,
  resetOf,
} from './key_limits.ts';
import type { NewHold } from './ledger.ts';
import { type Nano, nano } from './money.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

const none: KeyLimits = { total: null, daily: null, weekly: null, monthly: null };

async function limit(
  wallet: number,
  key: string,
  limits: Partial<Record<KeyLimit, number>>,
): Promise<void> {
  const set = Object.fromEntries(
    Object.entries(limits).map(([name, amount]) => [name, nano(amount)]),
  );
  await limitKey(ledgers.database.sql, key, wallet, { ...none, ...set });
}

function holdFor(
  key: string,
  wallet: number,
  wanted: number,
  more: { id?: string; least?: number } = {},
): NewHold {
  return { ...holdOf(wallet, wanted, more), keyId: key };
}

/** A request from hold to settlement; nano-USD. */
async function spend(
  { ledger }: LedgerProcess,
  key: string,
  wallet: number,
  amount: number,
): Promise<void> {
  const hold = holdFor(key, wallet, amount);
  await ledger.hold(hold);
  await ledger.settle(settlementOf(hold, amount));
}

function refusedBy(name: KeyLimit): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KeyLimitError, String(error));
    assert.equal(error.room.limit, name);
    return true;
  };
}

async function used(key: string, wallet: number): Promise<Record<KeyLimit, Nano> & { held: Nano }> {
  const use = await keyUse(ledgers.database.sql, key, wallet);
  return { ...use.used, held: use.held };
}

/** What the key really paid, by its receipts; the row and its seal agree with them. */
async function proveExact(key: string): Promise<number> {
  const [row] = await ledgers.owner<
    { charged: number; counted: number; held: number; open: number; sound: boolean }[]
  >`
    SELECT (SELECT coalesce(sum(charged), 0)::bigint FROM receipts WHERE key_id = k.key_id) AS charged, k.total_used AS counted, k.held,
      (SELECT coalesce(sum(amount), 0)::bigint FROM holds WHERE key_id = k.key_id) AS open, ledger_key_is_sound(k) AS sound
    FROM key_limits k WHERE key_id = ${key}`;
  assert.ok(row?.sound);
  assert.equal(row.counted, row.charged);
  assert.equal(row.held, row.open);
  return row.charged;
}

test('200 requests of one key over two processes: never beyond the limit, and down to the last hold that fits', async () => {
  const wallet = await ledgers.wallet(10_000_000);
  const key = crypto.randomUUID();
  await limit(wallet, key, { daily: 100_000 });
  const processes = [
    await ledgers.start({ holdWaitMs: 20_000 }),
    await ledgers.start({ holdWaitMs: 20_000 }),
  ];
  let refused = 0;
  let mostHeld = 0;
  let over = false;
  const watching = (async () => {
    while (!over) {
      const [row] = await ledgers.owner<{ sum: number }[]>`
        SELECT held + total_used AS sum FROM key_limits WHERE key_id = ${key}`;
      mostHeld = Math.max(mostHeld, row?.sum ?? 0);
      await sleep(2);
    }
  })();
  const request = async (number: number): Promise<void> => {
    const process = processes[number % 2];
    assert.ok(process);
    const hold = holdFor(key, wallet, 5000);
    try {
      await process.ledger.hold(hold);
    } catch (error) {
      assert.ok(refusedBy('daily')(error));
      refused += 1;
      return;
    }
    await sleep(Math.random() * 5);
    if (number % 5 === 0)
      await process.ledger.grow({ ...hold, wanted: nano(500), least: nano(0) }, hold.wanted);
    await process.ledger.settle(settlementOf(hold, 700 + (number % 11)));
  };
  await Promise.all(Array.from({ length: 200 }, (_, number) => request(number)));
  over = true;
  await watching;
  const charged = await proveExact(key);
  assert.ok(mostHeld <= 100_000, `${mostHeld} were held and used at once`);
  assert.ok(mostHeld > 90_000, `at most ${mostHeld} were in use: the room was not used`);
  assert.ok(charged <= 100_000);
  assert.ok(refused > 0);
  // One more would have fitted only if this were not so.
  assert.ok(100_000 - charged < 5000, `${100_000 - charged} were left, and ${refused} refused`);
  assert.equal((await ledgers.read(wallet)).held, 0);
  for (const process of processes) await process.stop();
});

test('a hold waits for what others of its key hold, and no other key waits with it', async () => {
  const wallet = await ledgers.wallet(1_000_000);
  const [capped, free] = [crypto.randomUUID(), crypto.randomUUID()];
  await limit(wallet, capped, { total: 1000, monthly: 5000 });
  const process = await ledgers.start({ holdWaitMs: 10_000 });
  const { ledger } = process;
  const first = holdFor(capped, wallet, 900);
  await ledger.hold(first);
  const order: string[] = [];
  const large = ledger.hold(holdFor(capped, wallet, 800)).then(() => order.push('large'));
  await sleep(20);
  // It would fit, but came later.
  const small = ledger.hold(holdFor(capped, wallet, 100)).then(() => order.push('small'));
  const began = performance.now();
  await ledger.hold(holdFor(free, wallet, 50_000));
  assert.ok(performance.now() - began < 1000);
  assert.deepEqual(order, []);
  await ledger.settle(settlementOf(first, 100));
  await Promise.all([large, small]);
  assert.deepEqual(order, ['large', 'small']);
  // Even with nothing held it would not fit: no waiting.
  await assert.rejects(ledger.hold(holdFor(capped, wallet, 901)), refusedBy('total'));
  await process.stop();
});

test('waiting ends in a refusal that names the limit', async () => {
  const wallet = await ledgers.wallet(1_000_000);
  const key = crypto.randomUUID();
  await limit(wallet, key, { weekly: 1000 });
  const process = await ledgers.start({ holdWaitMs: 200 });
  await process.ledger.hold(holdFor(key, wallet, 900));
  await assert.rejects(process.ledger.hold(holdFor(key, wallet, 200)), refusedBy('weekly'));
  await process.stop();
});

test('a hold and its growth get what the limit leaves, in part where that will do', async () => {
  const wallet = await ledgers.wallet(1_000_000);
  const key = crypto.randomUUID();
  await limit(wallet, key, { total: 1000 });
  const process = await ledgers.start();
  const { ledger } = process;
  const hold = holdFor(key, wallet, 5000, { least: 10 });
  assert.equal(await ledger.hold(hold), 1000);
  assert.equal(await ledger.grow({ ...hold, wanted: nano(100), least: nano(0) }, nano(1000)), 0);
  await assert.rejects(
    ledger.grow({ ...hold, wanted: nano(100), least: nano(1) }, nano(1000)),
    refusedBy('total'),
  );
  // Lowered below what is held: nothing is taken away from the request, and nothing is added.
  await limit(wallet, key, { total: 300 });
  assert.equal(await ledger.grow({ ...hold, wanted: nano(100), least: nano(0) }, nano(1000)), 0);
  await ledger.settle(settlementOf(hold, 900));
  await assert.rejects(ledger.hold(holdFor(key, wallet, 1)), refusedBy('total'));
  assert.equal(await proveExact(key), 900);
  // What costs nothing fits into nothing.
  const free = holdFor(key, wallet, 0);
  assert.equal(await ledger.hold(free), 0);
  await ledger.settle(settlementOf(free, 0));
  await limit(wallet, key, {});
  assert.equal(await ledger.hold(holdFor(key, wallet, 9000)), 9000);
  const [row] =
    await ledgers.owner`SELECT keys_limited, keys_counted FROM ledger_accounts WHERE id = ${wallet}`;
  assert.deepEqual({ ...row }, { keys_limited: false, keys_counted: true });
  await process.stop();
});

test('a limit that is set while requests run counts what they hold and what was spent', async () => {
  const wallet = await ledgers.wallet(10_000_000);
  const key = crypto.randomUUID();
  const process = await ledgers.start({ holdWaitMs: 5000 });
  let isOver = false;
  const client = async (number: number): Promise<void> => {
    while (!isOver) {
      const hold = holdFor(key, wallet, 100 + number);
      await process.ledger.hold(hold);
      await sleep(Math.random() * 3);
      await process.ledger.settle(settlementOf(hold, 50 + number));
    }
  };
  const clients = Array.from({ length: 8 }, (_, number) => client(number));
  for (let turn = 0; turn < 6; turn += 1) {
    await sleep(30);
    await limit(wallet, key, turn % 2 === 0 ? { total: 9_000_000, daily: 9_000_000 } : {});
  }
  await limit(wallet, key, { daily: 9_000_000 });
  isOver = true;
  await Promise.all(clients);
  const charged = await proveExact(key);
  const { total, daily, weekly, monthly, held } = await used(key, wallet);
  assert.deepEqual([total, daily, weekly, monthly, held], [charged, charged, charged, charged, 0]);
  await process.stop();
});

test('each limit starts anew with its day, week and month, and a clock that is set back gives nothing anew', async () => {
  const wallet = await ledgers.wallet(1_000_000);
  const key = crypto.randomUUID();
  await limit(wallet, key, { daily: 100, weekly: 250, monthly: 400, total: 1000 });
  const process = await ledgers.start();
  const { ledger } = process;
  // The row says up to which day it counts: as if that had been the last request.
  const lastRequestOn = async (day: string): Promise<void> => {
    await ledgers.owner`
      UPDATE key_limits SET day = ${ledgers.owner.unsafe(day)} WHERE key_id = ${key}`;
    await ledgers.owner`UPDATE key_limits k SET seal = key_limit_seal(k) WHERE key_id = ${key}`;
  };
  const today = 'ledger_day(clock_timestamp())';
  await spend(process, key, wallet, 100);
  await assert.rejects(ledger.hold(holdFor(key, wallet, 1)), refusedBy('daily'));
  assert.deepEqual(await used(key, wallet), {
    total: 100,
    daily: 100,
    weekly: 100,
    monthly: 100,
    held: 0,
  });

  const last = { day: 'CURRENT_DATE', week: 'CURRENT_DATE', month: 'CURRENT_DATE' };
  // Some day of the month before: that is another week or not, but always another day and month.
  last.month = `(date_trunc('month', ${today}::timestamp) - interval '1 day')::date`;
  await lastRequestOn(last.month);
  const [week] = await ledgers.owner<{ same: boolean }[]>`
    SELECT date_trunc('week', ${ledgers.owner.unsafe(last.month)}::timestamp)
      = date_trunc('week', ${ledgers.owner.unsafe(today)}::timestamp) AS same`;
  const ofWeek = week?.same ? 100 : 0;
  assert.deepEqual(await used(key, wallet), {
    total: 100,
    daily: 0,
    weekly: ofWeek,
    monthly: 0,
    held: 0,
  });
  await spend(process, key, wallet, 60);
  assert.deepEqual(await used(key, wallet), {
    total: 160,
    daily: 60,
    weekly: ofWeek + 60,
    monthly: 60,
    held: 0,
  });
  // Eight days ago is another week, whatever the day.
  await lastRequestOn(`${today} - 8`);
  assert.equal((await used(key, wallet)).weekly, 0);
  assert.equal((await used(key, wallet)).daily, 0);
  await spend(process, key, wallet, 100);
  await assert.rejects(ledger.hold(holdFor(key, wallet, 1)), refusedBy('daily'));

  // The clock was a day ahead, and somebody has put it right.
  await lastRequestOn(`${today} + 1`);
  await assert.rejects(ledger.hold(holdFor(key, wallet, 1)), refusedBy('daily'));
  assert.equal((await used(key, wallet)).daily, 100);
  await process.stop();
});

test('holds of a dead process give their room back when they are recovered', async () => {
  const wallet = await ledgers.wallet(1_000_000);
  const key = crypto.randomUUID();
  await limit(wallet, key, { total: 1000 });
  const dead = await ledgers.start();
  const hold = holdFor(key, wallet, 1000);
  await dead.ledger.hold(hold);
  await dead.ledger.checkpoints.raise({
    id: hold.id,
    amount: nano(120),
    inputTokens: 1,
    outputTokens: 1,
  });
  await dead.expire(1000);
  const alive = await ledgers.start();
  await ledgers.database.sql`SELECT ledger_recover('0 s')`;
  assert.equal(await proveExact(key), 120);
  assert.equal(await alive.ledger.hold(holdFor(key, wallet, 880)), 880);
  await alive.stop();
});

test('what a key spent before anybody asked is counted from the books, once', async () => {
  const wallet = await ledgers.wallet(1_000_000);
  const [key, other] = [crypto.randomUUID(), crypto.randomUUID()];
  const process = await ledgers.start();
  for (const amount of [100, 20, 3]) await spend(process, key, wallet, amount);
  await spend(process, other, wallet, 5000);
  // As if these had been counted into the totals of their day, and their receipts had been archived.
  await ledgers.owner`SELECT ledger_add_days('-infinity', clock_timestamp())`;
  await ledgers.owner`UPDATE day_totals_mark SET counted_to = clock_timestamp()`;
  for (const amount of [40, 5]) await spend(process, key, wallet, amount);
  const uses = await Promise.all([used(key, wallet), used(key, wallet), used(key, wallet)]);
  for (const use of uses)
    assert.deepEqual(use, { total: 168, daily: 168, weekly: 168, monthly: 168, held: 0 });
  await spend(process, key, wallet, 7);
  assert.equal((await used(key, wallet)).daily, 175);
  assert.equal(await proveExact(key), 175);
  await process.stop();
});

test('resets are midnights of Dhaka, weeks begin on Monday', () => {
  const at = (limit: KeyLimit, now: string): string | undefined =>
    resetOf(limit, Date.parse(now))?.toISOString();
  // A Monday, 23:59 and 00:00 in Dhaka.
  for (const [now, daily, weekly, monthly] of [
    [
      '2026-11-23T17:59:59Z',
      '2026-11-23T18:00:00.000Z',
      '2026-11-29T18:00:00.000Z',
      '2026-11-30T18:00:00.000Z',
    ],
    [
      '2026-11-23T18:00:00Z',
      '2026-11-24T18:00:00.000Z',
      '2026-11-29T18:00:00.000Z',
      '2026-11-30T18:00:00.000Z',
    ],
    [
      '2026-11-29T17:59:00Z',
      '2026-11-29T18:00:00.000Z',
      '2026-11-29T18:00:00.000Z',
      '2026-11-30T18:00:00.000Z',
    ],
    [
      '2026-11-29T18:00:00Z',
      '2026-11-30T18:00:00.000Z',
      '2026-12-06T18:00:00.000Z',
      '2026-11-30T18:00:00.000Z',
    ],
    [
      '2026-12-31T18:00:00Z',
      '2027-01-01T18:00:00.000Z',
      '2027-01-03T18:00:00.000Z',
      '2027-01-31T18:00:00.000Z',
    ],
  ] as const)
    assert.deepEqual(
      [at('daily', now), at('weekly', now), at('monthly', now)],
      [daily, weekly, monthly],
      now,
    );
  assert.equal(resetOf('total', 0), null);
});
