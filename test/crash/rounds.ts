/** Many rounds, each fault dealt as often as every other, and their sum. */
import { type Provider, startProvider } from './provider.ts';
import { Random } from './random.ts';
import { type Count, countNames } from './reconcile.ts';
import { playRound, type RoundResult } from './round.ts';
import { faultKinds, type Layout, openStage, type Stage } from './stage.ts';

export interface Sum {
  readonly rounds: number;
  readonly violations: number;
  readonly counts: Record<Count, number>;
  readonly faults: Record<string, number>;
}

/** A database grows older over so many rounds before there is a new one. */
const roundsOfOneStage = 20;
const faultsOfOneRound = 2;

/** Deals from a shuffled pack, and shuffles again when it is used up. */
class Pack {
  readonly #kinds: readonly string[];
  readonly #random: Random;
  #left: string[] = [];

  constructor(kinds: readonly string[], random: Random) {
    this.#kinds = kinds;
    this.#random = random;
  }

  deal(count: number): string[] {
    if (this.#left.length < count) this.#left.push(...this.#random.shuffled(this.#kinds));
    return this.#left.splice(0, count);
  }
}

/** The stage of a layout, new when the last is worn out or was left with a violation. */
class StageKeeper {
  readonly #layout: Layout;
  readonly #provider: Provider;
  #stage: Stage | null = null;
  #rounds = 0;

  constructor(layout: Layout, provider: Provider) {
    this.#layout = layout;
    this.#provider = provider;
  }

  async take(): Promise<Stage> {
    if (this.#rounds === roundsOfOneStage) await this.close(true);
    this.#rounds += 1;
    this.#stage ??= await openStage(this.#layout, this.#provider.baseUrl);
    return this.#stage;
  }

  /** @param check whether to ask the command line for its opinion of the books, too */
  async close(check: boolean): Promise<void> {
    const stage = this.#stage;
    this.#stage = null;
    this.#rounds = 0;
    if (!stage) return;
    try {
      if (check) await stage.gateways[0]?.akai('audit');
    } finally {
      await stage[Symbol.asyncDispose]();
    }
  }
}

/**
 * Plays rounds, in turn on each layout.
 * @param report hears of each round
 * @throws Error when something could not be started again, or the command line finds the books wrong
 */
export async function playRounds(
  rounds: number,
  seed: number,
  report: (result: RoundResult, output: () => string) => void,
): Promise<Sum> {
  const random = new Random(seed);
  await using provider = await startProvider();
  const layouts = (['embedded', 'shared'] as const).map((layout) => ({
    pack: new Pack(faultKinds[layout], random),
    keeper: new StageKeeper(layout, provider),
  }));
  const sum = {
    rounds: 0,
    violations: 0,
    counts: Object.fromEntries(countNames.map((name) => [name, 0])) as Record<Count, number>, // as: fromEntries forgets the names
    faults: {} as Record<string, number>, // as: filled below
  };
  try {
    for (; sum.rounds < rounds; sum.rounds += 1) {
      const layout = layouts[sum.rounds % layouts.length];
      if (!layout) break;
      const { pack, keeper } = layout;
      const stage = await keeper.take();
      const kinds = pack.deal(faultsOfOneRound);
      const result = await playRound(stage, provider, random.integer(0, 2 ** 31), kinds);
      report(result, () => stage.gateways.map((gateway) => gateway.output()).join('\n'));
      sum.violations += result.violations.length;
      for (const name of countNames) sum.counts[name] += result.counts[name];
      for (const { kind } of result.faults) sum.faults[kind] = (sum.faults[kind] ?? 0) + 1;
      if (result.violations.length > 0) await keeper.close(false);
    }
    for (const { keeper } of layouts) await keeper.close(true);
  } finally {
    for (const { keeper } of layouts) await keeper.close(false);
  }
  return sum;
}
