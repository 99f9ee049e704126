/** The processes that are measured, and what the system says of them. Linux only: the figures come from /proc. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import type {
  Ask,
  Behaviour,
  HoldPlan,
  LoadPlan,
  LoadResult,
  Reply,
  UpstreamState,
} from './messages.ts';

/** A child that answers questions one at a time. */
class Child {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #number = 0;
  readonly pid: number;

  constructor(file: string, args: readonly string[]) {
    this.#process = fork(join(import.meta.dirname, file), args, { stdio: 'inherit', execArgv: [] });
    this.pid = this.#process.pid ?? 0;
    this.#waiting.set(0, { resolve: () => {}, reject: () => {} });
    this.#process.on('message', (message) => {
      // as: the child writes replies and nothing else
      const reply = message as Reply;
      const waiting = this.#waiting.get(reply.number);
      this.#waiting.delete(reply.number);
      if ('failure' in reply) waiting?.reject(new Error(reply.failure));
      else waiting?.resolve(reply.value);
    });
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file} has ended`));
    });
  }

  /** Resolves with the port it listens on. */
  announced(): Promise<number> {
    return new Promise((resolve, reject) => {
      // as: the first word of a child is its port
      this.#waiting.set(0, { resolve: (value) => resolve(value as number), reject });
    });
  }

  ask(question: Ask): Promise<unknown> {
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#process.send({ number, question });
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    await exit;
  }
}

export class Generator {
  readonly #child = new Child('load.ts', []);

  get pid(): number {
    return this.#child.pid;
  }

  async load(plan: LoadPlan): Promise<LoadResult> {
    // as: what load.ts answers to this
    return (await this.#child.ask({ ask: 'load', plan })) as LoadResult;
  }

  async hold(plan: HoldPlan): Promise<void> {
    await this.#child.ask({ ask: 'hold', plan });
  }

  async drop(): Promise<void> {
    await this.#child.ask({ ask: 'drop' });
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}

export class Upstream {
  readonly #child = new Child('upstream.ts', []);
  port = 0;

  static async start(): Promise<Upstream> {
    const upstream = new Upstream();
    upstream.port = await upstream.#child.announced();
    return upstream;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async behave(behaviour: Behaviour): Promise<void> {
    await this.#child.ask({ ask: 'behave', behaviour });
  }

  async state(): Promise<UpstreamState> {
    // as: what upstream.ts answers to this
    return (await this.#child.ask({ ask: 'state' })) as UpstreamState;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}

export class Bare {
  readonly #child: Child;
  port = 0;

  private constructor(upstreamPort: number) {
    this.#child = new Child('bare.ts', [`http://127.0.0.1:${upstreamPort}`]);
  }

  static async start(upstreamPort: number): Promise<Bare> {
    const bare = new Bare(upstreamPort);
    bare.port = await bare.#child.announced();
    return bare;
  }

  get pid(): number {
    return this.#child.pid;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A process that has just ended.
    return '';
  }
}

/** What stands behind the name, which may hold anything, in /proc/PID/stat: [0] is the third field. */
function stat(pid: number): string[] {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const usPerTick = 1e6 / ticksPerSecond;

/** CPU that a process has used, user and system, in µs. By the scheduler's own count, which is finer than clock ticks. */
export function cpuOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of threads(pid))
    nanoseconds += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0);
  if (nanoseconds > 0) return nanoseconds / 1000;
  const fields = stat(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * usPerTick;
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => stat(pid)[1] === String(parent));
}

/** The PostgreSQL that a server has started. @throws Error when there is none */
export function postmasterOf(server: number): number {
  const found = childrenOf(server).find((pid) => read(`/proc/${pid}/comm`).startsWith('postgres'));
  if (!found) throw new Error('the server has started no PostgreSQL');
  return found;
}

/** CPU of all of PostgreSQL in µs: its processes that live, and by the postmaster's account those that ended. */
export function postgresCpu(postmaster: number): number {
  const fields = stat(postmaster);
  const ended = (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * usPerTick;
  return childrenOf(postmaster).reduce((sum, pid) => sum + cpuOf(pid), cpuOf(postmaster) + ended);
}

/** Resident memory in bytes. */
export function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Binds a process, all its threads and its children to processors such as "0" or "1-3". False where that cannot be done. */
export function pin(pid: number, processors: string): boolean {
  try {
    for (const one of [pid, ...childrenOf(pid).filter((child) => child !== pid)])
      execFileSync('taskset', ['-a', '-c', '-p', processors, String(one)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What the machine did besides our measuring, as shares of all its processors' time; 0 to 1. */
export interface Disturbance {
  /** The host took it away. */
  readonly steal: number;
  /** Programs that are not ours used it. */
  readonly others: number;
}

/** Measures from one call of `lap` to the next. */
export class DisturbanceMeter {
  #last = reading();

  lap(): Disturbance {
    const last = this.#last;
    const now = reading();
    this.#last = now;
    const total = Math.max(1, now.total - last.total);
    const others = (now.busy - last.busy - (now.own - last.own)) / total;
    return { steal: (now.steal - last.steal) / total, others: Math.max(0, others) };
  }
}

/** Since the machine was started, in µs; `own` is this process and all that it has begun. */
function reading(): { steal: number; busy: number; total: number; own: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softIrq = 0, steal = 0] =
    read('/proc/stat').split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  const busy = user + nice + system + irq + softIrq;
  const total = busy + idle + wait + steal;
  const own = family().reduce((sum, pid) => sum + cpuOf(pid), 0);
  return { steal: steal * usPerTick, busy: busy * usPerTick, total: total * usPerTick, own };
}

/** This process, its children, theirs, and so on. */
function family(): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name): [number, number] => [Number(name), Number(stat(Number(name))[1])]);
  const found = new Set([process.pid]);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

export function machine(): {
  readonly processors: string;
  readonly memoryGb: number;
  readonly load: number;
} {
  const all = cpus();
  const kb = Number(/MemTotal:\s+(\d+)/.exec(read('/proc/meminfo'))?.[1] ?? 0);
  return {
    processors: `${all.length} × ${all[0]?.model ?? 'unknown'}`,
    memoryGb: Math.round(kb / 1e6),
    load: loadavg()[0] ?? 0,
  };
}
