/**
 * `npm run crash [-- --rounds N] [--seed S]`: requests of all kinds, gateways and PostgreSQL killed, frozen and cut off while
 * they run, and the books held against what clients and provider saw.
 * `npm run crash -- --matrix`: the gateway, PostgreSQL and both killed at every step of a request.
 */
import { parseArgs } from 'node:util';
import type { RoundResult } from './crash/round.ts';
import { playRounds } from './crash/rounds.ts';
import { deaths } from './faults/expectations.ts';
import { playMatrix, scenes } from './faults/matrix.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    matrix: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed);
if (!(Number.isSafeInteger(rounds) && rounds > 0 && Number.isSafeInteger(seed) && seed >= 0)) {
  console.error('Usage: npm run crash [-- --rounds N] [--seed S] [--matrix]');
  process.exit(2);
}

const shown = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(' · ');

const lastLines = 30;
let played = 0;

function report(result: RoundResult, output: () => string): void {
  played += 1;
  const { layout, faults, counts, seconds, violations } = result;
  const what = faults
    .map(({ kind, gateway }) => (gateway ? `${kind} ${gateway}` : kind))
    .join(', ');
  console.log(
    `${String(played).padStart(3)}  ${layout}: ${what} (seed ${result.seed}, ${seconds.toFixed(1)} s)\n     ${shown(counts)}`,
  );
  if (violations.length === 0) return;
  for (const violation of violations.slice(0, 20)) console.log(`  ✗ ${violation}`);
  if (violations.length > 20) console.log(`  ✗ and ${violations.length - 20} more`);
  const lines = output().trim().split('\n').slice(-lastLines);
  console.log(
    `What the gateways printed last:\n${lines.map((line) => line.slice(0, 300)).join('\n')}`,
  );
}

async function matrix(): Promise<number> {
  const plays = scenes.flatMap((scene) =>
    deaths.flatMap((death) => [true, false].map((stream) => [scene, death, stream] as const)),
  );
  const sum = await playMatrix(plays, ({ name, requests, seconds, violations }) => {
    console.log(`${name}: ${requests} requests, ${seconds.toFixed(1)} s`);
    for (const violation of violations) console.log(`  ✗ ${violation}`);
  });
  console.log(
    `\n${sum.deaths} deaths · ${sum.cells.size} cells · ${sum.requests} requests · lost ${sum.lost} · doubled ${sum.doubled}`,
  );
  return sum.violations;
}

async function many(): Promise<number> {
  console.log(`${rounds} rounds with --seed ${seed}`);
  const sum = await playRounds(rounds, seed, report);
  console.log(`\n${sum.rounds} rounds · ${shown(sum.counts)}\nfaults: ${shown(sum.faults)}`);
  return sum.violations;
}

const violations = await (values.matrix ? matrix() : many());
console.log(violations === 0 ? 'The books are right.' : `${violations} violations.`);
process.exitCode = violations === 0 ? 0 : 1;
