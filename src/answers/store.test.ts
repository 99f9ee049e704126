/** The store by itself, several processes on one database: who owns a key, what is kept, what goes back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { holdOf, type LedgerProcess, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { until } from '../../test/scratch_data.ts';
import { timeOrderedId } from '../ids.ts';
import { AnswerStore, type News, type Owner } from './store.ts';

const shares = { answerBytes: 20_000, accountBytes: 50_000 };
const secret = 'a secret of at least 32 characters';
const body = Buffer.from('{"model":"x"}');

let ledgers: Ledgers;
const stores: AnswerStore[] = [];

before(async () => {
  ledgers = await Ledgers.open();
});
after(async () => {
  for (const store of stores) store.stop();
  await ledgers[Symbol.asyncDispose]();
});

async function storeOf({ lease }: LedgerProcess, more: object = {}): Promise<AnswerStore> {
  const sql = ledgers.database.connect({ max: 3, name: 'test answers' });
  const settings = { secret, instance: lease.instance, log: () => {}, ...shares, ...more };
  const store = new AnswerStore(sql, settings);
  stores.push(store);
  await store.start();
  return store;
}

function newOwner(): Owner {
  return { account: crypto.randomUUID(), keyId: crypto.randomUUID() };
}

function news(id: string, last: number, text: string, more: Partial<News> = {}): News {
  return { id, last, text, head: null, state: null, free: false, drop: false, ...more };
}

test('of 40 claims of a key at once over two processes one is the owner', async () => {
  const each = await Promise.all([ledgers.start(), ledgers.start()]);
  const [one, other] = await Promise.all(each.map((process) => storeOf(process)));
  assert.ok(one && other);
  const owner = newOwner();
  const claims = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      (index % 2 ? one : other).claim(timeOrderedId(), owner, 'key', body),
    ),
  );
  assert.equal(claims.filter(({ own }) => own).length, 1);
  assert.equal(new Set(claims.map(({ answer }) => answer)).size, 1);
  const different = await other.claim(timeOrderedId(), owner, 'key', Buffer.from('{}'));
  assert.deepEqual([different.own, different.same_body], [false, false]);
  const sibling = { ...owner, keyId: crypto.randomUUID() };
  assert.ok((await other.claim(timeOrderedId(), sibling, 'key', body)).own);
});

test('pieces are read in order, from anywhere, by their account, under their secret only', async () => {
  const process = await ledgers.start();
  const store = await storeOf(process);
  const owner = newOwner();
  const id = timeOrderedId();
  await store.claim(id, owner, null, body);
  const head = { headers: ['content-type', 'text/event-stream'] };
  // Without waiting for one another.
  const verdicts = await Promise.all(
    Array.from({ length: 70 }, (_, index) =>
      store.write(news(id, index + 1, `event ${index + 1}\n\n`, index === 0 ? { head } : {})),
    ),
  );
  assert.deepEqual([...new Set(verdicts)], ['kept']);
  let read = '';
  for (let after = 0; ; ) {
    const page = await store.read(id, owner.keyId, after);
    assert.ok(page);
    assert.deepEqual(page.head, head);
    read += page.parts.map(({ text }) => text).join('');
    after = page.parts.at(-1)?.last ?? after;
    if (!store.isFull(page)) break;
  }
  assert.equal(read, Array.from({ length: 70 }, (_, i) => `event ${i + 1}\n\n`).join(''));
  assert.equal((await store.read(id, owner.keyId, 68))?.parts.length, 2);
  // Another key of the same account.
  const sibling = { ...owner, keyId: crypto.randomUUID() };
  assert.equal(await store.read(id, sibling.keyId, 0), null);
  assert.equal(await store.cancel(id, sibling.keyId), null);
  assert.equal(await store.read(id, owner.account, 0), null);
  const stranger = await storeOf(process, { secret: 'another secret of 32 characters and more' });
  await assert.rejects(stranger.read(id, owner.keyId, 0), /AKAI_SECRET/);
});

test('an account has its share: what exceeds it is not kept, and deleting makes room again', async () => {
  const store = await storeOf(await ledgers.start());
  const owner = newOwner();
  const ids = Array.from({ length: 4 }, timeOrderedId);
  const verdicts: string[] = [];
  for (const id of ids) {
    await store.claim(id, owner, `key of ${id}`, body);
    verdicts.push(await store.write(news(id, 1, 'x'.repeat(15_000), { state: 'done' })));
  }
  assert.deepEqual(verdicts, ['kept', 'kept', 'kept', 'dropped']);
  const again = await store.claim(timeOrderedId(), owner, `key of ${ids[3]}`, body);
  assert.deepEqual([again.own, again.is_kept], [false, false]);
  const large = timeOrderedId();
  await store.claim(large, newOwner(), null, body);
  assert.equal(await store.write(news(large, 1, 'x'.repeat(20_001))), 'dropped');
  const total = async (): Promise<number | undefined> => {
    const rows = await ledgers.owner<{ bytes: number }[]>`
      SELECT bytes FROM answer_totals WHERE account = ${owner.account}`;
    return rows[0]?.bytes;
  };
  assert.ok(((await total()) ?? 0) > 45_000);
  await ledgers.owner`UPDATE answers SET expires_at = now() - interval '1 s' WHERE account = ${owner.account}`;
  await ledgers.owner`SELECT answer_expire(1000)`;
  assert.equal(await total(), 0);
  const next = timeOrderedId();
  assert.ok((await store.claim(next, owner, `key of ${ids[0]}`, body)).own);
  assert.equal(await store.write(news(next, 1, 'x'.repeat(15_000))), 'kept');
});

test('a process that was frozen awakes: its answer is no longer its own, and what it charges goes back once', async () => {
  const frozen = await ledgers.start();
  const awake = await ledgers.start();
  const [old, successor] = await Promise.all([storeOf(frozen), storeOf(awake)]);
  const owner = newOwner();
  const wallet = await ledgers.wallet(100_000);
  const hold = holdOf(wallet, 5000);
  await frozen.ledger.hold(hold);
  await old.claim(hold.id, owner, 'key', body);
  await old.write(news(hold.id, 1, 'half of it'));
  await frozen.expire(1000);
  const anew = timeOrderedId();
  const claim = await successor.claim(anew, owner, 'key', body);
  assert.deepEqual([claim.own, claim.superseded, claim.answer], [true, true, anew]);
  assert.equal(await old.write(news(hold.id, 2, 'the rest', { state: 'done' })), 'gone');
  const page = await successor.read(hold.id, owner.keyId, 0);
  assert.deepEqual([page?.state, page?.parts.length], ['lost', 1]);
  // Its settlement was on the way and arrives before any recovery.
  await frozen.ledger.settle(settlementOf(hold, 3000));
  const instead = { ...holdOf(wallet, 5000), id: anew };
  await awake.ledger.hold(instead);
  await ledgers.owner`SELECT ledger_refund_superseded()`;
  assert.equal((await ledgers.read(wallet)).balance, 97_000, 'not before its successor is charged');
  await awake.ledger.settle(settlementOf(instead, 3000));
  await successor.write(news(anew, 1, 'all of it', { state: 'done' }));
  await until('it is given back', async () => (await ledgers.read(wallet)).balance === 97_000);
  const repeat = await old.claim(timeOrderedId(), owner, 'key', body);
  assert.deepEqual([repeat.own, repeat.answer], [false, anew]);
  const refunds = await ledgers.owner`SELECT 1 FROM transfers WHERE kind = 'refund'`;
  assert.equal(refunds.length, 1);
});

/** Charges of one request that was sent `charges.length` times; each but the last is lost. Waits until what was paid in the end is right. */
async function provePaid(
  paid: number,
  charges: readonly number[],
  free: readonly number[] = [],
): Promise<void> {
  const process = await ledgers.start();
  const store = await storeOf(process);
  const owner = newOwner();
  const wallet = await ledgers.wallet(100_000);
  for (const [index, charge] of charges.entries()) {
    const hold = holdOf(wallet, 20_000);
    await process.ledger.hold(hold);
    assert.ok((await store.claim(hold.id, owner, 'key', body)).own);
    await process.ledger.settle(settlementOf(hold, charge));
    const isLast = index === charges.length - 1;
    const state = isLast || free.includes(index) ? 'done' : 'lost';
    await store.write(news(hold.id, 1, 'x', { state, free: free.includes(index) }));
    await ledgers.owner`SELECT ledger_refund_superseded()`;
    await ledgers.owner`SELECT ledger_refund_superseded()`;
  }
  // The store gives back by itself as well, and may be in the middle of it.
  await until(`${paid} is what ${charges} cost`, async () => {
    return (await ledgers.read(wallet)).balance === 100_000 - paid;
  });
}

test('of a request and all that ran in its place the dearest is paid, never nothing', async () => {
  await provePaid(3000, [3000, 3000]);
  // No more goes back than was charged instead.
  await provePaid(3000, [3000, 100]);
  await provePaid(3000, [100, 3000]);
  // One that cost nothing gives nothing back.
  await provePaid(3000, [3000, 0], [1]);
  // A later one does.
  await provePaid(3000, [3000, 0, 0, 3000], [1, 2]);
  await provePaid(10_000, [10_000, 5000, 10_000]);
  await provePaid(10_000, [10_000, 5000, 4000]);
  await provePaid(3000, [0, 3000]);
});

test('a cancel reaches the process that writes; an error is kept for minutes only', async () => {
  const [one, other] = await Promise.all(
    (await Promise.all([ledgers.start(), ledgers.start()])).map((process) => storeOf(process)),
  );
  assert.ok(one && other);
  const owner = newOwner();
  const id = timeOrderedId();
  await one.claim(id, owner, 'key', body);
  let isCancelled = false;
  one.whenCancelled(id, () => {
    isCancelled = true;
  });
  assert.equal(await other.cancel(id, crypto.randomUUID()), null);
  assert.equal(await other.cancel(id, owner.keyId), true);
  await until('it was heard', () => isCancelled);
  // Also where it was not heard.
  assert.equal(await one.write(news(id, 1, 'more')), 'cancelled');
  const error = { code: 'no_provider', message: 'No.', param: null, retryAfterMs: null };
  const failed = news(id, 1, '', { head: { error }, state: 'failed', free: true });
  await one.write(failed);
  assert.deepEqual((await other.read(id, owner.keyId, 0))?.head, { error });
  const next = timeOrderedId();
  assert.ok((await other.claim(next, owner, 'key', body)).own, 'its key is free');
  await other.write(news(next, 1, 'all of it', { state: 'done' }));
  assert.equal(await other.cancel(next, owner.keyId), false, 'it is over');
  const [row] = await ledgers.owner<{ minutes: number }[]>`
    SELECT extract(epoch FROM expires_at - now())::int / 60 AS minutes FROM answers WHERE id = ${id}`;
  assert.ok((row?.minutes ?? 99) <= 5);
});
