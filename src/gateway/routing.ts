/** Keeps the routes as the operator, other processes and probes would have them, from the start of a process to its end. */
import type { Sql } from '../db/database.ts';
import type { Log } from '../log.ts';
import type { Routes } from './choose.ts';
import { OverrideWatch } from './overrides.ts';
import { hearProbes, ProbeSchedule } from './probe_schedule.ts';
import { SharedFigures } from './shared_figures.ts';
import { SharedRests } from './shared_rests.ts';
import type { Upstreams } from './upstream.ts';

const minuteMs = 60_000;

export class Routing {
  readonly #sql: Sql;
  readonly #routes: Routes;
  readonly #warn: (message: string, error?: unknown) => void;
  readonly #probes: ProbeSchedule;
  readonly #figures: SharedFigures;

  /** @param probesEvery minutes; 0 for no probes */
  constructor(
    sql: Sql,
    { routes, upstreams }: { readonly routes: Routes; readonly upstreams: Upstreams },
    probesEvery: number,
    log: Log,
  ) {
    this.#sql = sql;
    this.#routes = routes;
    this.#warn = (message, error) => log('warn', message, error);
    this.#figures = new SharedFigures(sql, routes.healths, this.#warn);
    const settings = { everyMs: probesEvery * minuteMs, log: this.#warn };
    this.#probes = new ProbeSchedule(sql, routes, upstreams, settings);
  }

  /** @throws what the driver throws */
  async start(): Promise<void> {
    await new OverrideWatch(this.#sql, this.#routes, this.#warn).start();
    await new SharedRests(this.#sql, this.#routes, this.#warn).start();
    await hearProbes(this.#sql, this.#routes, this.#warn);
    await this.#figures.start();
    this.#probes.start();
  }

  async stop(): Promise<void> {
    this.#figures.stop();
    await this.#probes.stop();
  }
}
