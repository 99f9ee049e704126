/** What a process that died had begun to deliver, as its successor on the same data directory finds it. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { until } from '../../test/scratch_data.ts';
import { timeOrderedId } from '../ids.ts';
import { type Checkpoint, readLeftJournals } from './checkpoints.ts';
import { Journal, journalsIn } from './journal.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

function inFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  try {
    use(join(folder, 'streams'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const checkpoint = fc.record(
  {
    id: fc.uuid(),
    amount: fc.nat(Number.MAX_SAFE_INTEGER).map(nano),
    inputTokens: fc.nat(500_000_000),
    outputTokens: fc.nat(500_000_000),
    basis: fc.dictionary(fc.string(), fc.json()).map((detail) => JSON.stringify(detail)),
  },
  { noNullPrototype: true, requiredKeys: ['id', 'amount', 'inputTokens', 'outputTokens'] },
);

/** Those that a successor finds. */
function found(folder: string): readonly Checkpoint[] {
  return journalsIn(folder).flatMap(({ checkpoints }) => checkpoints);
}

test('what was noted is found again, however the file is cut off after it', () => {
  fc.assert(
    fc.property(
      fc.array(checkpoint, { minLength: 1, maxLength: 20 }),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef- {":}') }),
      (noted, torn) =>
        inFolder((folder) => {
          const journal = new Journal(folder, 'one');
          for (const each of noted) assert.equal(journal.note(each, []), true);
          for (const name of readdirSync(folder)) appendFileSync(join(folder, name), torn);
          assert.deepEqual(found(folder), noted);
        }),
    ),
    { numRuns: 100 },
  );
});

test('lines of an earlier release count, and those whose basis cannot be read, without it', () =>
  inFolder((folder) => {
    const [old, spoilt] = [timeOrderedId(), timeOrderedId()];
    mkdirSync(folder);
    writeFileSync(join(folder, 'one'), `${old} 70 1 2\n${spoilt} 80 3 4 {"provider":"a\0}\n`);
    assert.deepEqual(found(folder), [
      { id: old, amount: 70, inputTokens: 1, outputTokens: 2 },
      { id: spoilt, amount: 80, inputTokens: 3, outputTokens: 4 },
    ]);
  }));

test('it goes on in another file before it is large, with what is not saved, and nothing is missing in between', () =>
  inFolder((folder) => {
    const journal = new Journal(folder, 'one');
    const unsaved: Checkpoint[] = [];
    let largest = 0;
    for (let i = 0; i < 12_000; i += 1) {
      const next = { id: timeOrderedId(), amount: nano(i), inputTokens: i, outputTokens: 256 };
      assert.ok(journal.note(next, unsaved));
      unsaved.push(next);
      if (unsaved.length > 30) unsaved.shift();
      if (i % 500 > 0) continue;
      const ids = new Set(found(folder).map(({ id }) => id));
      assert.ok(unsaved.every(({ id }) => ids.has(id)));
      largest = Math.max(
        largest,
        ...readdirSync(folder).map((name) => statSync(join(folder, name)).size),
      );
    }
    assert.equal(readdirSync(folder).length, 1);
    assert.ok(largest < 270_000, `${largest} bytes`);
    journal.close();
    assert.deepEqual(readdirSync(folder), []);
  }));

test('where it cannot be written, the database hears of a stream before anybody else does', async () => {
  const first = await ledgers.start();
  const wallet = await ledgers.wallet(10_000);
  const folder = join(ledgers.folder, 'streams');
  rmSync(folder, { recursive: true, force: true });
  writeFileSync(folder, 'in the way');
  const hold = holdOf(wallet, 5000);
  await first.ledger.hold(hold);
  await first.ledger.checkpoints.begin({
    id: hold.id,
    amount: nano(70),
    inputTokens: 1,
    outputTokens: 2,
  });
  const [row] = await ledgers.owner<{ checkpoint: number }[]>`
    SELECT checkpoint FROM holds WHERE id = ${hold.id}`;
  assert.equal(row?.checkpoint, 70);
  rmSync(folder);
  await first.ledger.settle(settlementOf(hold, 10));
});

test('a stream that began is charged its first checkpoint, though its process died before the database had heard of it', async () => {
  const deaf = ledgers.database.connect({ max: 1, name: 'deaf' });
  await deaf.end();
  const living = await ledgers.start();
  const dying = await ledgers.start({ checkpoints: deaf, leaseMs: 3000 });
  const wallet = await ledgers.wallet(20_000);
  const [begun, notBegun, over] = [
    holdOf(wallet, 3000),
    holdOf(wallet, 3000),
    holdOf(wallet, 3000),
  ];
  for (const hold of [begun, notBegun, over]) await dying.ledger.hold(hold);
  const first = { amount: nano(700), inputTokens: 10, outputTokens: 256 };
  for (const { id } of [begun, over]) await dying.ledger.checkpoints.begin({ id, ...first });
  await dying.ledger.settle(settlementOf(over, 50));
  await dying.expire(1000);
  const folder = join(ledgers.folder, 'streams');
  const going = holdOf(wallet, 1000);
  await living.ledger.hold(going);
  await living.ledger.checkpoints.begin({ id: going.id, ...first });
  await readLeftJournals(ledgers.database.sql, folder, false);
  // Of one that lives, and may go on writing.
  assert.deepEqual(
    journalsIn(folder).map(({ instance }) => instance),
    [living.lease.instance],
  );
  await living.ledger.settle(settlementOf(going, 50));
  await living.ledger.checkpoints.close();
  await ledgers.start();
  assert.equal((await ledgers.receipt(begun.id))?.charged, 700);
  assert.equal((await ledgers.receipt(notBegun.id))?.charged, 0);
  assert.equal((await ledgers.receipt(over.id))?.charged, 50);
  assert.deepEqual(await ledgers.read(wallet), { balance: 20_000 - 800, held: 0 });
  assert.deepEqual(readdirSync(join(ledgers.folder, 'streams')), []);
});

test('the database hears of a stream that goes on, and of none that is over', async () => {
  const { ledger } = await ledgers.start();
  const wallet = await ledgers.wallet(10_000);
  const hold = holdOf(wallet, 3000);
  await ledger.hold(hold);
  await ledger.checkpoints.begin({
    id: hold.id,
    amount: nano(700),
    inputTokens: 10,
    outputTokens: 256,
  });
  await until('the checkpoint is saved', async () => {
    const rows =
      await ledgers.owner`SELECT id FROM holds WHERE id = ${hold.id} AND checkpoint = 700`;
    return rows.length === 1;
  });
  await ledger.checkpoints.close();
  assert.deepEqual(readdirSync(join(ledgers.folder, 'streams')), []);
  await ledger.settle(settlementOf(hold, 10));
});

test('of two checkpoints of one stream that are saved together, the higher one counts', async () => {
  const { ledger } = await ledgers.start();
  const wallet = await ledgers.wallet(1_000_000);
  const holds = Array.from({ length: 40 }, () => holdOf(wallet, 3000));
  for (const hold of holds) await ledger.hold(hold);
  const raise = ({ id }: { id: string }, amount: number): Promise<void> =>
    ledger.checkpoints.raise({ id, amount: nano(amount), inputTokens: 1, outputTokens: amount });
  // The first goes by itself, the others together behind it, in either order.
  const [ahead, ...others] = holds;
  assert.ok(ahead);
  await Promise.all([
    raise(ahead, 1),
    ...others.flatMap((hold, index) =>
      index % 2 ? [raise(hold, 100), raise(hold, 900)] : [raise(hold, 900), raise(hold, 100)],
    ),
  ]);
  const rows = await ledgers.owner<{ checkpoint: number; tokens: number }[]>`
    SELECT checkpoint, checkpoint_output AS tokens FROM holds WHERE wallet = ${wallet} AND id <> ${ahead.id}`;
  assert.equal(rows.length, 39);
  for (const row of rows) assert.deepEqual({ ...row }, { checkpoint: 900, tokens: 900 });
  for (const hold of holds) await ledger.settle(settlementOf(hold, 10));
});
