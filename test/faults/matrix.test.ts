/** Death of gateway, database, or both, between any two steps of a request. All of it: `npm run crash -- --matrix`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { steps } from './actor.ts';
import { playMatrix, scenes } from './matrix.ts';

test('whatever dies at whichever step, each request ends as its step says', async (context) => {
  // The gateway dies at every step; the others, for want of time, in some scenes.
  const [first, second, third, fourth] = scenes;
  assert.ok(first && second && third && fourth);
  const sum = await playMatrix(
    [
      [first, 'gateway', true],
      [second, 'gateway', false],
      [third, 'gateway', true],
      [fourth, 'gateway', false],
      [second, 'database', true],
      [fourth, 'database', true],
      [third, 'both', true],
    ],
    ({ violations }) => assert.deepEqual(violations, [], violations.join('\n')),
  );
  const stood = [...sum.cells].flatMap((cell) => /: (.*) × gateway$/.exec(cell)?.[1] ?? []);
  assert.deepEqual([...new Set(stood)].sort(), [...steps].sort());
  assert.deepEqual([sum.lost, sum.doubled], [0, 0]);
  context.diagnostic(`${sum.deaths} deaths, ${sum.cells.size} cells, ${sum.requests} requests`);
});
