/** `npm run storm [-- --minutes N] [--seed S]`: upstreams that fail in every way at once, and what clients and books see of it. */
import { parseArgs } from 'node:util';
import { storm } from './storm/round.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0 && Number.isSafeInteger(seed))) {
  console.error('Usage: npm run storm [-- --minutes N] [--seed S]');
  process.exit(2);
}
const report = await storm(minutes * 60_000, 16, seed);
console.log(JSON.stringify({ seed, ...report }, null, 2));
const [early, late] = report.memory;
const isGood =
  report.availability >= 0.999 && report.misbilled === 0 && report.auditOk && late < early * 1.3;
process.exit(isGood ? 0 : 1);
