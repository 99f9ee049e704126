/** Ten rounds of `npm run crash`: what was delivered was charged once, whatever was killed, frozen or cut off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playRounds } from './crash/rounds.ts';

const rounds = 10;

test(`${rounds} rounds of faults, and the books are right`, async (context) => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`npm run crash -- --rounds ${rounds} --seed ${seed}`);
  const sum = await playRounds(rounds, seed, (result, output) => {
    const told = [...result.violations, `--seed ${seed}`, output().slice(-2000)];
    assert.deepEqual(result.violations, [], told.join('\n'));
  });
  assert.equal(sum.violations, 0);
  assert.ok(sum.counts.complete > 0, 'no answer was complete: nothing was proved');
  assert.ok(Object.values(sum.faults).reduce((all, count) => all + count, 0) >= rounds);
});
