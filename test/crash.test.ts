/** Ten rounds of `npm run crash`: what was delivered was charged once, whatever was killed, frozen or cut off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playRounds } from './crash/rounds.ts';
import { faultKinds } from './crash/stage.ts';

/** In so many, everything that can happen does, in both layouts. */
const rounds = 10;

test(`${rounds} rounds of faults, and the books are right`, async (context) => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`npm run crash -- --rounds ${rounds} --seed ${seed}`);
  const sum = await playRounds(rounds, seed, (result, output) => {
    const told = [...result.violations, `--seed ${seed}`, output().slice(-2000)];
    assert.deepEqual(result.violations, [], told.join('\n'));
  });
  const { complete, lost, doubled, noMoney, recovered } = sum.counts;
  context.diagnostic(JSON.stringify(sum.counts));
  assert.deepEqual({ lost, doubled }, { lost: 0, doubled: 0 });
  // Without these there was nothing to prove.
  assert.ok(complete > 200 && noMoney > 0 && recovered > 0, JSON.stringify(sum));
  for (const kind of Object.values(faultKinds).flat())
    assert.ok((sum.faults[kind] ?? 0) > 0, `${kind} never happened`);
});
