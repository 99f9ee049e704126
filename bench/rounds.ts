/** Measuring in rounds: A B A B, so that what the machine does meanwhile meets both alike. */
import { DisturbanceMeter } from './processes.ts';

/** How much time a run may take. */
export interface Effort {
  readonly rounds: number;
  /** Seconds for each leg of a round. */
  readonly seconds: number;
}

/** More than that, as shares of the machine, and a round says more about the machine than about us. */
const most = { steal: 0.05, others: 0.15 } as const;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Rounds of the whole run, and how many of them were disturbed. */
export const counted = { rounds: 0, disturbed: 0 };

/**
 * Runs `round` until as many undisturbed ones are there as wanted, half as many more at most. Disturbed ones, in which the
 * host took the processors away or other programs used them, count only where there are fewer than three others.
 */
export async function inRounds<T>(wanted: number, round: () => Promise<T>): Promise<T[]> {
  const good: T[] = [];
  const bad: T[] = [];
  const meter = new DisturbanceMeter();
  for (let number = 0; number < wanted * 1.5 && good.length < wanted; number += 1) {
    meter.lap();
    const result = await round();
    const { steal, others } = meter.lap();
    counted.rounds += 1;
    if (steal <= most.steal && others <= most.others) good.push(result);
    else {
      counted.disturbed += 1;
      bad.push(result);
    }
  }
  return good.length >= Math.min(3, wanted) ? good : [...good, ...bad];
}
