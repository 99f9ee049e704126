/** Memory: of streams that are open and idle, and over many requests. */
import { setTimeout as sleep } from 'node:timers/promises';
import { rssOf } from './processes.ts';
import { median } from './rounds.ts';
import { bodies, instant, type Scene } from './scene.ts';

const streams = 2000;
const settleMs = 2000;
const closeWithinMs = 10_000;

/** In bytes. */
export interface StreamMemory {
  readonly before: number;
  readonly open: number;
  readonly after: number;
  readonly perStream: number;
  /** Ms until the provider has seen every stream close. */
  readonly closedMs: number;
}

/** Opens 2,000 streams through a proxy that has just started and is warm, lets them idle, and drops them. */
export async function measureStreams(scene: Scene, leg: 'gateway' | 'bare'): Promise<StreamMemory> {
  await scene.behave({ ...instant, gapMs: 5, chunks: 20 });
  await scene.load(leg, 'stream', { kind: 'closed', connections: 100 }, 1);
  await sleep(settleMs);
  const pid = scene.pidOf(leg);
  const before = rssOf(pid);
  await scene.behave({ ...instant, gapMs: 5, silentAfter: 20 });
  await scene.generator.hold({ ...scene.destination(leg), body: bodies.stream, streams });
  await sleep(settleMs);
  const open = rssOf(pid);
  const dropped = performance.now();
  await scene.generator.drop();
  while ((await scene.upstream.state()).open > 0) {
    if (performance.now() - dropped > closeWithinMs)
      throw new Error(`${leg}: streams stay open although their clients have left`);
    await sleep(20);
  }
  const closedMs = performance.now() - dropped;
  await sleep(settleMs);
  return { before, open, after: rssOf(pid), perStream: (open - before) / streams, closedMs };
}

export interface Flatness {
  readonly requests: number;
  readonly seconds: number;
  /** Bytes, after each slice of the requests. */
  readonly series: readonly number[];
  /** The last quarter over the second: the first one warms up. */
  readonly growth: number;
}

const sliceSeconds = 1.5;

/** @param requests how many, @param mostSeconds stops earlier than with all of them */
export async function measureFlatness(
  scene: Scene,
  requests: number,
  mostSeconds: number,
): Promise<Flatness> {
  await scene.behave(instant);
  const begun = performance.now();
  const series: number[] = [];
  let done = 0;
  while (done < requests && performance.now() - begun < mostSeconds * 1000) {
    const shape = { kind: 'closed', connections: 64 } as const;
    done += (await scene.load('gateway', 'whole', shape, sliceSeconds)).completed;
    series.push(rssOf(scene.gateway.pid));
  }
  const quarter = Math.ceil(series.length / 4);
  const second = median(series.slice(quarter, quarter * 2));
  const last = median(series.slice(-quarter));
  const seconds = (performance.now() - begun) / 1000;
  return { requests: done, seconds, series, growth: last / second };
}
