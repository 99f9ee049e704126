/** What a run found, against what it should have, for people: on the screen and in RESULTS.md. */
import type { Capacity, Cost } from './cost.ts';
import type { Latency } from './latency.ts';
import type { Flatness, StreamMemory } from './memory.ts';

export interface Findings {
  readonly costs: Readonly<
    Record<'json128' | 'json32' | 'json200' | 'json500' | 'streamPaced' | 'streamAtOnce', Cost>
  >;
  readonly capacities: readonly Capacity[];
  readonly latencies: {
    readonly whole: Latency;
    readonly wholeHalf: Latency;
    readonly firstHalf: Latency;
    readonly first: Latency;
  };
  readonly books: string;
  /** Ms from spawn to the first answer. */
  readonly starts: readonly number[];
  readonly memory: { readonly gateway: StreamMemory; readonly bare: StreamMemory };
  readonly flatness: Flatness;
}

interface Target {
  readonly what: string;
  readonly limit: number;
  readonly unit: string;
  readonly found: (findings: Findings) => number;
}

const targets: readonly Target[] = [
  {
    what: 'gateway CPU, JSON at 128 connections, to the bare proxy',
    limit: 2,
    unit: '×',
    found: ({ costs }) => costs.json128.ratio,
  },
  {
    what: 'gateway CPU, JSON at 32 connections, to the bare proxy',
    limit: 2,
    unit: '×',
    found: ({ costs }) => costs.json32.ratio,
  },
  {
    what: 'the same with PostgreSQL, at 128 connections',
    limit: 3,
    unit: '×',
    found: ({ costs }) => costs.json128.ratioWithPostgres,
  },
  {
    what: 'the same with PostgreSQL, at 32 connections',
    limit: 4,
    unit: '×',
    found: ({ costs }) => costs.json32.ratioWithPostgres,
  },
  {
    what: 'gateway CPU, stream of 100 chunks, to a bare relay',
    limit: 1.5,
    unit: '×',
    found: ({ costs }) => costs.streamPaced.ratio,
  },
  {
    what: 'added to the first byte of a stream, half load, p50',
    limit: 1,
    unit: 'ms',
    found: ({ latencies }) => latencies.firstHalf.gateway.p50,
  },
  {
    what: 'added to the first byte of a stream, half load, p99',
    limit: 6,
    unit: 'ms',
    found: ({ latencies }) => latencies.firstHalf.gateway.p99,
  },
  {
    what: 'added to the end of a JSON answer, half load, p50',
    limit: 2.5,
    unit: 'ms',
    found: ({ latencies }) => latencies.wholeHalf.gateway.p50,
  },
  {
    what: 'added to the end of a JSON answer, half load, p99',
    limit: 6,
    unit: 'ms',
    found: ({ latencies }) => latencies.wholeHalf.gateway.p99,
  },
  {
    what: 'memory of an open stream',
    limit: 40,
    unit: 'kB',
    found: ({ memory }) => memory.gateway.perStream / 1000,
  },
  {
    what: 'memory after many requests, to before',
    limit: 1.1,
    unit: '×',
    found: ({ flatness }) => flatness.growth,
  },
];

type Row = readonly string[];

function number(value: number, digits = 1): string {
  return value.toFixed(value >= 1000 ? 0 : digits);
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

/** A table of Markdown, aligned so that it reads well without being rendered. */
/** Of Markdown; all columns but the first are figures. */
export function table(head: Row, rows: readonly Row[]): string {
  const widths = head.map((cell, at) =>
    Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (row: Row): string =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function targetTable(findings: Findings): string {
  const rows = targets.map(({ what, limit, unit, found }) => {
    const value = found(findings);
    return [
      what,
      `≤ ${limit} ${unit}`,
      `${number(value, 2)} ${unit}`,
      value <= limit ? 'met' : 'NOT MET',
    ];
  });
  return table(['', 'target', 'found', ''], rows);
}

function costTable({ costs }: Findings): string {
  const rows = Object.values(costs).map((cost) => [
    cost.name,
    number(cost.bare),
    number(cost.gateway),
    number(cost.postgres),
    number(cost.ratio, 2),
    number(cost.ratioWithPostgres, 2),
    number(cost.bareRate, 0),
    number(cost.gatewayRate, 0),
  ]);
  const head = [
    '',
    'bare µs',
    'gateway µs',
    'PostgreSQL µs',
    'ratio',
    'with PostgreSQL',
    'bare /s',
    'gateway /s',
  ];
  return table(head, rows);
}

function latencyTable({ latencies }: Findings): string {
  const rows = Object.values(latencies).map(({ name, gateway, bare }) => [
    name,
    number(gateway.p50, 2),
    number(gateway.p99, 2),
    number(bare.p50, 2),
    number(bare.p99, 2),
  ]);
  return table(['added', 'p50 ms', 'p99 ms', 'bare p50 ms', 'bare p99 ms'], rows);
}

function memoryTable({ memory }: Findings): string {
  const rows = Object.entries(memory).map(([name, found]) => [
    name,
    mb(found.before),
    mb(found.open),
    mb(found.after),
    `${number(found.perStream / 1000)} kB`,
    `${number(found.closedMs, 0)} ms`,
  ]);
  return table(
    ['2,000 idle streams', 'before', 'open', 'after', 'a stream', 'closed upstream in'],
    rows,
  );
}

/** @param circumstances lines on machine, date and command */
export function report(findings: Findings, circumstances: readonly string[]): string {
  const { capacities, starts, flatness, books } = findings;
  const carried = capacities.map(
    ({ name, direct, gateway }) =>
      `- ${name}: generator and stand-in alone ${number(direct, 0)} a second, ${number(direct / gateway, 1)} × what went through the gateway.`,
  );
  return [
    '# Benchmark',
    '',
    'Written by `npm run bench`. Ratios to a bare proxy (`bench/bare.ts`: node:http in, undici out, JSON parsed and written',
    'both ways, no features) behind the same generator and the same stand-in provider, in interleaved rounds; medians. The',
    'gateway authenticates, holds, settles, and keeps receipts in its embedded PostgreSQL, fsync on.',
    '',
    ...circumstances.map((line) => `- ${line}`),
    '',
    '## Targets',
    '',
    targetTable(findings),
    '',
    '## CPU a request',
    '',
    costTable(findings),
    '',
    ...carried,
    '',
    '## Time added, provider answers after 20 ms',
    '',
    latencyTable(findings),
    '',
    '## Memory',
    '',
    memoryTable(findings),
    '',
    `RSS over ${flatness.requests} requests in ${number(flatness.seconds, 0)} s: ${flatness.series.map((bytes) => number(bytes / 1e6, 0)).join(' ')} MB.`,
    '',
    '## Start',
    '',
    `Spawn to first answer, on existing data: ${starts.map((ms) => `${number(ms, 0)} ms`).join(', ')}.`,
    '',
    '## Books',
    '',
    `${books}.`,
    '',
  ].join('\n');
}

/** Whether every target is met. */
export function isMet(findings: Findings): boolean {
  return targets.every(({ limit, found }) => found(findings) <= limit);
}
