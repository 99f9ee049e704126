/** Keeps the totals of the days up to date, and the months ahead ready to be written to. In every process; one at a time counts. */
import type { Sql } from '../db/database.ts';

export interface CounterSettings {
  /** Between two counts, in ms. */
  readonly everyMs: number;
  readonly log: (message: string, error?: unknown) => void;
}

/** Clocks that are put back by less than this, and more often than counted, do not matter; ms. */
const marginMs = 60_000;
const partitionsEveryMs = 86_400_000;
/** Months for which there are partitions, beyond the one that we are in. */
const monthsAhead = 3;

export class DayCounter {
  readonly #sql: Sql;
  readonly #settings: CounterSettings;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #partitionsAt = Number.NEGATIVE_INFINITY;

  constructor(sql: Sql, settings: CounterSettings) {
    this.#sql = sql;
    this.#settings = settings;
  }

  /** Makes the partitions of the coming months, and begins to count. @throws what the driver throws */
  async start(): Promise<void> {
    await this.#makePartitions();
    this.#plan();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  #plan(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#tick();
    }, this.#settings.everyMs);
    this.#timer.unref();
  }

  async #tick(): Promise<void> {
    try {
      if (performance.now() - this.#partitionsAt > partitionsEveryMs) await this.#makePartitions();
      while (!this.#stopped && (await countDays(this.#sql, marginMs)));
    } catch (error) {
      this.#settings.log('the totals of the days could not be counted', error);
    }
    this.#plan();
  }

  async #makePartitions(): Promise<void> {
    await this.#sql`SELECT ledger_make_partitions(now(), ${monthsAhead})`;
    this.#partitionsAt = performance.now();
  }
}

/** Counts what is complete. True: there is more of it. @param margin ms */
export async function countDays(sql: Sql, margin: number): Promise<boolean> {
  const [row] = await sql<{ more: boolean }[]>`
    SELECT ledger_count_days(${`${margin} milliseconds`}::interval) AS more`;
  return row?.more === true;
}
