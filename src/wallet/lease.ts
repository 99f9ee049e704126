/** The lease of this process: while it holds, no other process touches its holds; when it has run out, nothing paid may be delivered. */
import { randomUUID } from 'node:crypto';
import type { Sql } from '../db/database.ts';

export interface LeaseSettings {
  readonly leaseMs: number;
  /** How long after the end of a lease its holds are recovered; ms. */
  readonly graceMs: number;
  /** This process is the only server of an embedded database. */
  readonly sole: boolean;
  readonly log: (message: string, error?: unknown) => void;
}

const renewalsPerLease = 3;
const retriesPerRenewal = 20;

export class Lease {
  readonly instance: string = randomUUID();
  readonly #sql: Sql;
  readonly #settings: LeaseSettings;
  /** By this process' monotonic clock, from before the renewal was sent: never later than the database's. */
  #aliveUntil = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #beat: Promise<void> = Promise.resolve();
  #stopped = false;
  #onBeat: () => Promise<void> = async () => {};

  constructor(sql: Sql, settings: LeaseSettings) {
    this.#sql = sql;
    this.#settings = settings;
  }

  isAlive(): boolean {
    return performance.now() < this.#aliveUntil;
  }

  /** What is done besides, each time the lease has been renewed. */
  eachBeat(action: () => Promise<void>): void {
    this.#onBeat = action;
  }

  /** Takes the lease, recovers what dead processes left, and goes on doing both. @throws what the driver throws */
  async start(): Promise<void> {
    await this.#renew(this.#settings.sole);
    await this.recover();
    this.#plan();
  }

  /** Gives the lease back. Holds that are still open are left to recovery. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#beat;
    await this.#sql`SELECT ledger_retire(${this.instance})`;
    this.#aliveUntil = Number.NEGATIVE_INFINITY;
  }

  /** Settles the holds of dead processes at their last checkpoint. Returns how many. */
  async recover(): Promise<number> {
    const grace = `${this.#settings.graceMs} milliseconds`;
    let total = 0;
    for (;;) {
      const [row] = await this.#sql<{ recovered: number }[]>`
        SELECT ledger_recover(${grace}::interval) AS recovered`;
      if (!row?.recovered) break;
      total += row.recovered;
    }
    if (total > 0) this.#settings.log(`recovered ${total} requests of a process that died`);
    return total;
  }

  #plan(failed = false): void {
    if (this.#stopped) return;
    // After a failure the database may be back any moment, and nothing is delivered until it is.
    const wait = this.#settings.leaseMs / renewalsPerLease / (failed ? retriesPerRenewal : 1);
    this.#timer = setTimeout(() => {
      this.#beat = this.#tick();
    }, wait);
  }

  async #tick(): Promise<void> {
    try {
      await this.#renew(false);
      await this.recover();
      await this.#onBeat();
    } catch (error) {
      this.#settings.log('the lease could not be renewed', error);
      this.#plan(true);
      return;
    }
    this.#plan();
  }

  /** @param isSole ends the leases of earlier sole servers: once, so that one that awakes does not end its successor's */
  async #renew(isSole: boolean): Promise<void> {
    const sent = performance.now();
    const lease = `${this.#settings.leaseMs} milliseconds`;
    await this.#sql`SELECT ledger_lease(${this.instance}, ${lease}::interval, ${isSole})`;
    this.#aliveUntil = sent + this.#settings.leaseMs;
  }
}
