/** What the gateway adds to the time of an answer, at a fixed rate, with a provider that needs 20 ms. */
import type { Behaviour, LoadResult, Spread } from './messages.ts';
import { type Effort, inRounds, median } from './rounds.ts';
import type { bodies, Scene } from './scene.ts';

const provider: Behaviour = { delayMs: 20, chunks: 20, gapMs: 5, silentAfter: 0 };

/** In ms, over the same requests sent straight to the provider. */
export interface Added {
  readonly p50: number;
  readonly p99: number;
}

export interface Latency {
  readonly name: string;
  /** Requests a second. */
  readonly rate: number;
  readonly gateway: Added;
  readonly bare: Added;
  readonly rounds: readonly { readonly gateway: Added; readonly bare: Added }[];
}

/** To the end of an answer in one piece. @param rate requests a second */
export function measureWhole(scene: Scene, rate: number, effort: Effort): Promise<Latency> {
  const name = `to the end of a JSON answer, ${rate} requests/s`;
  return measure(scene, name, 'whole', rate, effort, (result) => result.end);
}

/** To the first byte of a stream. @param rate streams a second */
export function measureFirstByte(scene: Scene, rate: number, effort: Effort): Promise<Latency> {
  const name = `to the first byte of a stream, ${rate} streams/s`;
  return measure(scene, name, 'stream', rate, effort, (result) => result.first);
}

/** Streams a second that the gateway carries at most. */
export async function streamCapacity(scene: Scene): Promise<number> {
  await scene.behave(provider);
  const shape = { kind: 'closed', connections: 200 } as const;
  await scene.load('gateway', 'stream', shape, 1);
  const { completed, seconds } = await scene.load('gateway', 'stream', shape, 1.5);
  return completed / seconds;
}

async function measure(
  scene: Scene,
  name: string,
  kind: keyof typeof bodies,
  rate: number,
  effort: Effort,
  pick: (result: LoadResult) => Spread,
): Promise<Latency> {
  await scene.behave(provider);
  const shape = { kind: 'open', rate } as const;
  await scene.load('gateway', kind, shape, 1);
  const rounds = await inRounds(effort.rounds, async () => {
    const gateway = pick(await scene.load('gateway', kind, shape, effort.seconds));
    const direct = pick(await scene.load('direct', kind, shape, effort.seconds));
    const bare = pick(await scene.load('bare', kind, shape, effort.seconds));
    return { gateway: added(gateway, direct), bare: added(bare, direct) };
  });
  const middle = (leg: 'gateway' | 'bare'): Added => ({
    p50: median(rounds.map((round) => round[leg].p50)),
    p99: median(rounds.map((round) => round[leg].p99)),
  });
  return { name, rate, gateway: middle('gateway'), bare: middle('bare'), rounds };
}

function added(proxied: Spread, direct: Spread): Added {
  return { p50: proxied.p50 - direct.p50, p99: proxied.p99 - direct.p99 };
}
