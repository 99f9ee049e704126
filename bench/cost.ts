/** CPU a request, of the gateway, of the gateway with PostgreSQL, and of the bare proxy. */
import type { Behaviour } from './messages.ts';
import { cpuOf, postgresCpu } from './processes.ts';
import { type Effort, inRounds, median } from './rounds.ts';
import { type bodies, instant, type Scene, type Shape } from './scene.ts';

export interface CostCase {
  readonly name: string;
  readonly kind: keyof typeof bodies;
  readonly shape: Shape;
  readonly behaviour: Behaviour;
}

const paced: Behaviour = { ...instant, gapMs: 5 };

export const costCases = {
  json128: whole('JSON, 128 connections', { kind: 'closed', connections: 128 }),
  json32: whole('JSON, 32 connections', { kind: 'closed', connections: 32 }),
  json200: whole('JSON, 200 requests/s', { kind: 'open', rate: 200 }),
  json500: whole('JSON, 500 requests/s', { kind: 'open', rate: 500 }),
  streamPaced: streamed('100 chunks, 5 ms apart, 40 streams/s', { kind: 'open', rate: 40 }, paced),
  streamAtOnce: streamed('100 chunks at once', { kind: 'closed', connections: 32 }, instant),
} as const;

function whole(name: string, shape: Shape): CostCase {
  return { name, kind: 'whole', shape, behaviour: instant };
}

function streamed(name: string, shape: Shape, behaviour: Behaviour): CostCase {
  return { name, kind: 'stream', shape, behaviour };
}

/** CPU in µs a request; requests a second. */
export interface CostRound {
  readonly bare: number;
  readonly gateway: number;
  readonly postgres: number;
  readonly bareRate: number;
  readonly gatewayRate: number;
}

export interface Cost {
  readonly name: string;
  readonly rounds: readonly CostRound[];
  readonly bare: number;
  readonly gateway: number;
  readonly postgres: number;
  /** Medians of the ratios within each round. */
  readonly ratio: number;
  readonly ratioWithPostgres: number;
  readonly bareRate: number;
  readonly gatewayRate: number;
}

const warmSeconds = { bare: 0.7, gateway: 1.5 } as const;

/** Requests, and seconds at the most, until the compiler has done with a program: before, it costs more than the program. */
const compiled = { requests: 30_000, seconds: 25, slice: 2, connections: 64 } as const;

/** Lets both proxies run until they are compiled, alike in requests, so that what is measured is what a server costs that runs for days. */
export async function warmUp(scene: Scene): Promise<void> {
  await scene.behave(instant);
  const shape: Shape = { kind: 'closed', connections: compiled.connections };
  for (const leg of ['bare', 'gateway'] as const) {
    let requests = 0;
    for (let spent = 0; spent < compiled.seconds; spent += compiled.slice) {
      if (requests >= compiled.requests) break;
      requests += (await scene.load(leg, 'whole', shape, compiled.slice)).completed;
    }
    await scene.load(leg, 'stream', shape, compiled.slice);
  }
}

export async function measureCost(scene: Scene, wanted: CostCase, effort: Effort): Promise<Cost> {
  const { name, kind, shape, behaviour } = wanted;
  await scene.behave(behaviour);
  await scene.load('bare', kind, shape, warmSeconds.bare);
  await scene.load('gateway', kind, shape, warmSeconds.gateway);
  const rounds = await inRounds(effort.rounds, () => costRound(scene, kind, shape, effort.seconds));
  const middle = (value: (round: CostRound) => number): number => median(rounds.map(value));
  return {
    name,
    rounds,
    bare: middle((round) => round.bare),
    gateway: middle((round) => round.gateway),
    postgres: middle((round) => round.postgres),
    ratio: middle((round) => round.gateway / round.bare),
    ratioWithPostgres: middle((round) => (round.gateway + round.postgres) / round.bare),
    bareRate: middle((round) => round.bareRate),
    gatewayRate: middle((round) => round.gatewayRate),
  };
}

async function costRound(
  scene: Scene,
  kind: keyof typeof bodies,
  shape: Shape,
  seconds: number,
): Promise<CostRound> {
  // PostgreSQL is watched over the whole round: what it puts off until later is the gateway's cost as well.
  const postgresBefore = postgresCpu(scene.postmaster);
  const gatewayBefore = cpuOf(scene.gateway.pid);
  const gateway = await scene.load('gateway', kind, shape, seconds);
  const gatewayCpu = cpuOf(scene.gateway.pid) - gatewayBefore;
  const bareBefore = cpuOf(scene.bare.pid);
  const bare = await scene.load('bare', kind, shape, seconds);
  const bareCpu = cpuOf(scene.bare.pid) - bareBefore;
  return {
    bare: bareCpu / bare.completed,
    gateway: gatewayCpu / gateway.completed,
    postgres: (postgresCpu(scene.postmaster) - postgresBefore) / gateway.completed,
    bareRate: bare.completed / bare.seconds,
    gatewayRate: gateway.completed / gateway.seconds,
  };
}

export interface Capacity {
  readonly name: string;
  /** Requests a second of generator and stand-in provider without a proxy between them. */
  readonly direct: number;
  readonly gateway: number;
}

/** How much generator and stand-in provider carry by themselves: what is between them must be what is measured. */
export async function measureCapacity(
  scene: Scene,
  wanted: CostCase,
  cost: Cost,
): Promise<Capacity> {
  await scene.behave(wanted.behaviour);
  const { completed, seconds } = await scene.load('direct', wanted.kind, wanted.shape, 1);
  return { name: wanted.name, direct: completed / seconds, gateway: cost.gatewayRate };
}
