/** What is learnt of the lengths of answers: how long they seldom are longer, and how long they are on average. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { Lengths } from './lengths.ts';

const model = 'author/model';

/** Answers evenly from 1 to `longest` tokens, in no order. */
function learnEvenly(lengths: Lengths, longest: number, answers: number): void {
  for (let count = 0; count < answers; count += 1)
    lengths.learn(model, 1 + ((count * 7919) % longest));
}

test('of twenty answers, about nineteen are not longer than what is held at first', () => {
  const lengths = new Lengths();
  assert.equal(lengths.long(model), 1024);
  for (const longest of [4000, 500, 20_000]) {
    learnEvenly(lengths, longest, 2000);
    const seen: number[] = [];
    for (let count = 0; count < 1000; count += 1) {
      lengths.learn(model, 1 + ((count * 7919) % longest));
      seen.push(lengths.long(model));
    }
    const usual = seen.reduce((sum, long) => sum + long, 0) / seen.length;
    assert.ok(usual > 0.8 * longest && usual < 1.3 * longest, `${usual} for up to ${longest}`);
    assert.ok(lengths.usual(model) < 0.8 * longest);
  }
});

test('the average follows the answers', () => {
  const lengths = new Lengths();
  for (let count = 0; count < 100; count += 1) lengths.learn(model, 300);
  assert.ok(Math.abs(lengths.usual(model) - 300) <= 1);
});

test('models are learnt apart, and no answer makes it absurd', () => {
  const lengths = new Lengths();
  for (let count = 0; count < 500; count += 1) {
    lengths.learn(model, 10_000_000);
    lengths.learn('author/silent', 0);
  }
  assert.equal(lengths.long(model), 65_536);
  assert.equal(lengths.long('author/silent'), 256);
  assert.ok(lengths.usual('author/silent') <= 1);
  assert.equal(lengths.long('author/other'), 1024);
});

test('a new process recalls what was answered before it', async () => {
  await using ledgers = await Ledgers.open();
  const { ledger } = await ledgers.start();
  const wallet = await ledgers.wallet(10_000);
  for (let count = 0; count < 60; count += 1) {
    const hold = holdOf(wallet, 100, { model });
    await ledger.hold(hold);
    const isFree = count % 2 === 0;
    await ledger.settle({ ...settlementOf(hold, isFree ? 0 : 1), outputTokens: isFree ? 0 : 5000 });
  }
  const lengths = new Lengths();
  await lengths.recall(ledgers.database.sql);
  assert.ok(lengths.long(model) >= 5000, String(lengths.long(model)));
  assert.ok(lengths.usual(model) > 4000, 'what was released is no answer');
});
