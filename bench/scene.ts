/** Everything that a run needs: the gateway as a user starts it, the bare proxy, the stand-in provider, the generator. */
import { findModel } from '../src/catalogue/catalogue.ts';
import { costOf } from '../src/wallet/money.ts';
import { type Installation, startInstallation } from '../test/installation.ts';
import type { Behaviour, LoadPlan, LoadResult } from './messages.ts';
import { Bare, Generator, pin, postmasterOf, Upstream } from './processes.ts';

const model = 'openai/gpt-4o-mini';
const messages = [
  {
    role: 'system',
    content: 'You are a concise assistant for developers in Bangladesh. Answer in plain words.',
  },
  {
    role: 'user',
    content:
      'Why does a gateway count the tokens of an answer while it passes through, and not afterwards? Two sentences.',
  },
];
const common = { model, messages, temperature: 0.7, max_tokens: 512 };

export const bodies = {
  whole: JSON.stringify(common),
  stream: JSON.stringify({ ...common, stream: true }),
} as const;

/** An answer at once; a stream of 100 chunks at once. */
export const instant: Behaviour = { delayMs: 0, chunks: 100, gapMs: 0, silentAfter: 0 };

/** What the stand-in provider reports as used. */
const promptTokens = 61;
const wholeTokens = 120;
const credited = 100_000;
const path = '/v1/chat/completions';

export type Leg = 'gateway' | 'bare' | 'direct';
export type Shape = LoadPlan['shape'];

export class Scene {
  readonly upstream: Upstream;
  readonly generator: Generator;
  /** Processors of everything but the proxies, such as "1-3"; null where nothing is bound. */
  readonly rest: string | null;
  bare: Bare;
  gateway: Installation;
  postmaster: number;
  behaviour: Behaviour = instant;
  /** Answers of the gateway so far, and what they cost by the catalogue's prices; nano-USD. */
  answers = 0;
  owed = 0;

  private constructor(upstream: Upstream, bare: Bare, gateway: Installation, processors: number) {
    this.upstream = upstream;
    this.bare = bare;
    this.gateway = gateway;
    this.generator = new Generator();
    this.postmaster = postmasterOf(gateway.pid);
    const rest = processors === 2 ? '1' : `1-${processors - 1}`;
    this.rest = processors > 1 && pin(this.generator.pid, rest) ? rest : null;
    this.#pinAll();
  }

  /** @param processors how many there are: with two or more, proxies get the first for themselves */
  static async start(processors: number): Promise<Scene> {
    const upstream = await Upstream.start();
    const bare = await Bare.start(upstream.port);
    const gateway = await startInstallation({ env: environment(upstream) });
    const note = ['--usd', String(credited), '--note', 'Benchmark'];
    await gateway.akai('wallet', 'credit', '--email', gateway.email, ...note);
    return new Scene(upstream, bare, gateway, processors);
  }

  #pinAll(): void {
    if (this.rest === null) return;
    for (const pid of [this.gateway.pid, this.bare.pid]) pin(pid, '0');
    for (const pid of [this.postmaster, this.upstream.pid]) pin(pid, this.rest);
  }

  async behave(behaviour: Behaviour): Promise<void> {
    this.behaviour = behaviour;
    await this.upstream.behave(behaviour);
  }

  destination(leg: Leg): { port: number; path: string; key: string } {
    if (leg === 'bare') return { port: this.bare.port, path, key: 'none' };
    if (leg === 'direct') return { port: this.upstream.port, path, key: 'none' };
    return { port: Number(new URL(this.gateway.origin).port), path, key: this.gateway.key };
  }

  pidOf(leg: 'gateway' | 'bare'): number {
    return leg === 'gateway' ? this.gateway.pid : this.bare.pid;
  }

  /** @throws Error when a single answer was anything but a whole 200 */
  async load(
    leg: Leg,
    kind: keyof typeof bodies,
    shape: Shape,
    seconds: number,
  ): Promise<LoadResult> {
    const plan: LoadPlan = { ...this.destination(leg), body: bodies[kind], shape, seconds };
    const result = await this.generator.load(plan);
    if (leg === 'gateway') {
      this.answers += result.completed;
      const tokens = kind === 'whole' ? wholeTokens : this.behaviour.chunks;
      this.owed += result.completed * priceOf(promptTokens, tokens);
    }
    return result;
  }

  /** Compares the books with what the generator has seen. @throws Error when they differ */
  async proveBooks(): Promise<string> {
    const { akai, email } = this.gateway;
    const books = await akai<{ ok: boolean; receipts: number }>('audit');
    const { balance } = await akai<{ balance: number }>('wallet', 'show', '--email', email);
    const spent = Math.round((credited + 10 - balance) * 1e9);
    if (!books.ok || books.receipts !== this.answers || spent !== this.owed)
      throw new Error(
        `the books do not fit: ${this.answers} answers for ${this.owed} nano-USD, ${books.receipts} receipts for ${spent}`,
      );
    return `${this.answers} answers, each with its receipt; the wallet paid ${spent / 1e9} USD, to the nano-dollar what they cost`;
  }

  /** Stops the gateway and starts it again on the same data, as a new bare proxy beside it. Returns ms from spawn to the first answer. */
  async restart(): Promise<number> {
    await Promise.all([this.gateway.stop(), this.bare.stop()]);
    await this.behave(instant);
    this.bare = await Bare.start(this.upstream.port);
    const begun = performance.now();
    const env = environment(this.upstream);
    this.gateway = await startInstallation({ env, dataDir: this.gateway.dataDir });
    await this.load('gateway', 'whole', { kind: 'closed', connections: 1 }, 0);
    const ms = performance.now() - begun;
    this.postmaster = postmasterOf(this.gateway.pid);
    this.#pinAll();
    return ms;
  }

  async stop(): Promise<void> {
    await this.gateway.remove();
    await Promise.all([this.bare.stop(), this.upstream.stop(), this.generator.stop()]);
  }
}

function environment(upstream: Upstream): Record<string, string> {
  return {
    RATE_LIMIT_RPM: '0',
    // What it takes goes with the rows that are there, not with the requests that come.
    AUDIT_INTERVAL_MS: '0',
    OPENAI_API_KEY: 'benchmark',
    OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}/v1`,
  };
}

function priceOf(input: number, output: number): number {
  const prices = findModel(model)?.offers[0]?.prices;
  if (!prices) throw new Error(`the catalogue has no price for ${model}`);
  return costOf([
    [input, prices.input],
    [output, prices.output],
  ]);
}
