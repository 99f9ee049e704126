/**
 * `npm run bench`: what the gateway costs, as ratios to a bare proxy. About five minutes.
 *
 * Options (behind `--`): --quick for a rough answer in 90 s, which is printed only; --million for the memory over a million
 * requests; --only NAME for one of the measurements of CPU, printed only; --ledger for the wallet core by itself, which writes
 * LEDGER.md, --only WORDS for those of its cases that have these in their names; --dialects for the cost of a chunk in each of
 * them, printed only.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Capacity,
  type Cost,
  costCases,
  measureCapacity,
  measureCost,
  warmUp,
} from './cost.ts';
import { measureDialects } from './dialects.ts';
import { measureFirstByte, measureWhole, streamCapacity } from './latency.ts';
import { ledgerReport, measureLedger } from './ledger.ts';
import { measureFlatness, measureStreams } from './memory.ts';
import { machine } from './processes.ts';
import { type Findings, isMet, report } from './report.ts';
import { counted, type Effort } from './rounds.ts';
import { Scene } from './scene.ts';

interface Plan {
  readonly cost: Effort;
  readonly latency: Effort;
  readonly ledger: Effort;
  readonly starts: number;
  /** Requests over which memory is watched, and for how many seconds at most. */
  readonly requests: number;
  readonly watchSeconds: number;
  /** The whole run ends after this, whatever happens. */
  readonly mostSeconds: number;
}

const plans = {
  full: {
    cost: { rounds: 5, seconds: 1.5 },
    latency: { rounds: 5, seconds: 1.2 },
    ledger: { rounds: 5, seconds: 3 },
    starts: 3,
    requests: 60_000,
    watchSeconds: 20,
    mostSeconds: 600,
  },
  quick: {
    cost: { rounds: 3, seconds: 0.8 },
    latency: { rounds: 3, seconds: 0.6 },
    ledger: { rounds: 3, seconds: 1 },
    starts: 1,
    requests: 20_000,
    watchSeconds: 6,
    mostSeconds: 240,
  },
} as const satisfies Record<string, Plan>;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

type Costs = Findings['costs'];

async function costsOf(scene: Scene, effort: Effort): Promise<Costs> {
  const costs: [string, Cost][] = [];
  for (const [name, wanted] of Object.entries(costCases)) {
    say(`CPU: ${wanted.name} …`);
    const cost = await measureCost(scene, wanted, effort);
    say(
      `  ${cost.ratio.toFixed(2)} × bare, with PostgreSQL ${cost.ratioWithPostgres.toFixed(2)} × (${cost.gateway.toFixed(0)} + ${cost.postgres.toFixed(0)} to ${cost.bare.toFixed(0)} µs)`,
    );
    costs.push([name, cost]);
  }
  // as: the names are those of costCases
  return Object.fromEntries(costs) as unknown as Costs;
}

async function capacitiesOf(scene: Scene, costs: Costs): Promise<Capacity[]> {
  return [
    await measureCapacity(scene, costCases.json128, costs.json128),
    await measureCapacity(scene, costCases.json32, costs.json32),
    await measureCapacity(scene, costCases.streamAtOnce, costs.streamAtOnce),
  ];
}

async function latenciesOf(
  scene: Scene,
  effort: Effort,
  costs: Costs,
): Promise<Findings['latencies']> {
  say('Time added, provider answers after 20 ms …');
  const halfWhole = Math.round(costs.json128.gatewayRate / 2);
  const halfStreams = Math.round((await streamCapacity(scene)) / 2);
  return {
    first: await measureFirstByte(scene, 50, effort),
    firstHalf: await measureFirstByte(scene, halfStreams, effort),
    whole: await measureWhole(scene, 200, effort),
    wholeHalf: await measureWhole(scene, halfWhole, effort),
  };
}

async function findAll(scene: Scene, plan: Plan): Promise<Findings> {
  const costs = await costsOf(scene, plan.cost);
  const capacities = await capacitiesOf(scene, costs);
  const latencies = await latenciesOf(scene, plan.latency, costs);
  say('Books …');
  const books = await scene.proveBooks();
  say('Start …');
  const starts: number[] = [];
  for (let i = 0; i < plan.starts; i += 1) starts.push(await scene.restart());
  say('Memory …');
  const memory = {
    gateway: await measureStreams(scene, 'gateway'),
    bare: await measureStreams(scene, 'bare'),
  };
  const flatness = await measureFlatness(scene, plan.requests, plan.watchSeconds);
  return { costs, capacities, latencies, books, starts, memory, flatness };
}

function circumstances(bound: string, loads: readonly number[]): string[] {
  const { processors, memoryGb } = machine();
  const command = ['npm run bench', ...process.argv.slice(2)].join(' ');
  return [
    `${new Date().toISOString().slice(0, 10)}, \`${command}\`, commit ${commit()}`,
    `${processors}, ${memoryGb} GB, Linux ${release()}, Node ${process.versions.node}; ${bound}`,
    `Load average ${loads.map((load) => load.toFixed(1)).join(' before, ')} after; ${counted.disturbed} of ${counted.rounds} rounds disturbed by the host or by other programs`,
  ];
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

function results(findings: Findings): string {
  const { costs, latencies } = findings;
  const raw = {
    costs: Object.fromEntries(Object.entries(costs).map(([name, cost]) => [name, cost.rounds])),
    latencies: Object.fromEntries(
      Object.entries(latencies).map(([name, { rate, rounds }]) => [name, { rate, rounds }]),
    ),
    starts: findings.starts,
    memory: findings.memory,
    rss: findings.flatness.series,
  };
  const short = (_key: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toFixed(2)) : value;
  return `${JSON.stringify(raw, short, 1)}\n`;
}

/** The wallet core by itself. */
async function ledgerAlone(isQuick: boolean, only: string, before: number): Promise<void> {
  const effort = isQuick ? plans.quick.ledger : plans.full.ledger;
  const findings = await measureLedger(effort, say, only);
  const bound = 'the process and PostgreSQL on two processors';
  const text = ledgerReport(findings, circumstances(bound, [before, machine().load]));
  say(`\n${text}`);
  if (!isQuick && only === '') writeFileSync(join(import.meta.dirname, 'LEDGER.md'), text);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      million: { type: 'boolean' },
      only: { type: 'string' },
      ledger: { type: 'boolean' },
      dialects: { type: 'boolean' },
    },
  });
  if (process.platform !== 'linux') {
    say('The benchmark reads CPU and memory from /proc: run it on Linux.');
    return 1;
  }
  if (values.dialects) {
    measureDialects(say);
    return 0;
  }
  const base: Plan = values.quick ? plans.quick : plans.full;
  const million = { requests: 1_000_000, watchSeconds: 1800, mostSeconds: 2700 };
  const plan = values.million ? { ...base, ...million } : base;
  setTimeout(() => {
    say(`The benchmark took longer than ${plan.mostSeconds} s and was ended.`);
    process.exit(1);
  }, plan.mostSeconds * 1000).unref();
  const begun = performance.now();
  const before = machine().load;
  if (values.ledger) {
    await ledgerAlone(values.quick === true, values.only ?? '', before);
    return 0;
  }
  const scene = await Scene.start(cpus().length);
  try {
    say('Warming up …');
    await warmUp(scene);
    if (values.only !== undefined) {
      const wanted = Object.entries(costCases).filter(([name]) => name === values.only);
      for (const [, one] of wanted)
        say(JSON.stringify(await measureCost(scene, one, plan.cost), null, 1));
      return 0;
    }
    const findings = await findAll(scene, plan);
    const bound =
      scene.rest === null
        ? 'nothing bound to processors'
        : `proxies on processor 0, the rest on ${scene.rest}`;
    const text = report(findings, circumstances(bound, [before, machine().load]));
    say(`\n${text}`);
    if (!values.quick) {
      writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text);
      writeFileSync(join(import.meta.dirname, 'results.json'), results(findings));
    }
    say(
      `Took ${((performance.now() - begun) / 1000).toFixed(0)} s. ${isMet(findings) ? 'Every target is met.' : 'Not every target is met.'}`,
    );
    return 0;
  } finally {
    await scene.stop();
  }
}

process.exitCode = await main();
