/** How offers have been doing lately in the other processes of a database: told and asked by and by, beside the requests. */
import { randomUUID } from 'node:crypto';
import type { Sql } from '../db/database.ts';
import type { Figures, Healths } from './health.ts';

const everyMs = 3000;

interface Row extends Figures {
  readonly offer: string;
}

export class SharedFigures {
  readonly #sql: Sql;
  readonly #healths: Healths;
  readonly #log: (message: string, error: unknown) => void;
  readonly #process = randomUUID();
  /** What was told last, by offer, as JSON. */
  #told = new Map<string, string>();
  #heard: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  #isFailing = false;

  constructor(sql: Sql, healths: Healths, log: (message: string, error: unknown) => void) {
    this.#sql = sql;
    this.#healths = healths;
    this.#log = log;
  }

  /** @throws what the driver throws */
  async start(): Promise<void> {
    await this.#share();
    this.#plan();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #plan(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#share()
        .then(
          () => {
            this.#isFailing = false;
          },
          (error: unknown) => {
            // Once, not every few seconds.
            if (!this.#isStopped && !this.#isFailing)
              this.#log('what other processes measure is not known', error);
            this.#isFailing = true;
          },
        )
        .finally(() => this.#plan());
    }, everyMs);
    this.#timer.unref();
  }

  async #share(): Promise<void> {
    const now = performance.now();
    const told = new Map(this.#told);
    const changed: Row[] = [];
    for (const health of this.#healths.all()) {
      const figures = health.figures(now);
      const text = JSON.stringify(figures);
      if (figures.calls === 0 ? !told.has(health.name) : told.get(health.name) === text) continue;
      if (figures.calls === 0) told.delete(health.name);
      else told.set(health.name, text);
      changed.push({ offer: health.name, ...figures });
    }
    const rows = await this.#sql<Row[]>`
      SELECT offer, calls, failures, latency, latencies, throughput, throughputs
      FROM offer_figures_share(${this.#process}, ${JSON.stringify(changed)}::text::jsonb)`;
    this.#told = told;
    const heard = Map.groupBy(rows, ({ offer }) => offer);
    for (const name of this.#heard) if (!heard.has(name)) this.#healths.of(name).others = [];
    for (const [name, figures] of heard) this.#healths.of(name).others = figures;
    this.#heard = new Set(heard.keys());
  }
}
