/** Measuring in rounds: A B A B, so that what the machine does meanwhile meets both alike. */
import { StealMeter } from './processes.ts';

/** How much time a run may take. */
export interface Effort {
  readonly rounds: number;
  /** Seconds for each leg of a round. */
  readonly seconds: number;
}

const most = { steal: 0.05 } as const;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Rounds that the host disturbed, over the whole run. */
export let disturbed = 0;

/**
 * Runs `round` until as many good ones are there as wanted, and no more than twice as often.
 * A round in which the host took the processors for more than 5 % of the time counts only when there are too few others.
 */
export async function inRounds<T>(
  wanted: number,
  round: (number: number) => Promise<T>,
): Promise<T[]> {
  const good: T[] = [];
  const bad: T[] = [];
  const meter = new StealMeter();
  for (let number = 0; number < wanted * 2 && good.length < wanted; number += 1) {
    meter.lap();
    const result = await round(number);
    if (meter.lap() <= most.steal) good.push(result);
    else {
      disturbed += 1;
      bad.push(result);
    }
  }
  return good.length >= Math.min(3, wanted) ? good : [...good, ...bad];
}
