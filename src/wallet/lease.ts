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
  /** What is done besides renewing; null while nothing is. */
  #round: Promise<void> | null = null;
  /** The database's clock less ours, in ms, when the lease was renewed last. */
  #clockOffset: number | null = null;
  /** By our monotonic clock: until then other processes may only seem dead. */
  #recoverFrom = Number.NEGATIVE_INFINITY;
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
    await this.#round;
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
    } catch (error) {
      this.#settings.log('the lease could not be renewed', error);
      this.#plan(true);
      return;
    }
    this.#plan();
    this.#round ??= this.#goRound().finally(() => {
      this.#round = null;
    });
  }

  /** The next renewal does not wait for this, which needs wallets that others may have locked. */
  async #goRound(): Promise<void> {
    try {
      if (performance.now() >= this.#recoverFrom) await this.recover();
      await this.#onBeat();
    } catch (error) {
      this.#settings.log('the requests of dead processes could not be settled', error);
    }
  }

  /** @param isSole ends the leases of earlier sole servers: once, so that one that awakes does not end its successor's */
  async #renew(isSole: boolean): Promise<void> {
    const sent = performance.now();
    const lease = `${this.#settings.leaseMs} milliseconds`;
    const [row] = await this.#sql<{ clock: number }[]>`
      SELECT ledger_lease(${this.instance}, ${lease}::interval, ${isSole}),
        extract(epoch FROM clock_timestamp())::float8 * 1000 AS clock`;
    this.#aliveUntil = sent + this.#settings.leaseMs;
    if (row) this.#compareClocks(row.clock, sent);
  }

  /**
   * When the database's clock has been put forward, every process but this one seems dead. Who lives has renewed its lease
   * by the new clock within a lease, so recovery waits for that long.
   */
  #compareClocks(database: number, sent: number): void {
    const received = performance.now();
    const offset = database - received;
    const step = Math.abs(offset - (this.#clockOffset ?? offset));
    // An answer that took long says less exactly what the clock was.
    if (step > this.#settings.leaseMs / renewalsPerLease + received - sent) {
      this.#settings.log(`the clock of the database was put ${Math.round(step)} ms off`);
      this.#recoverFrom = received + this.#settings.leaseMs;
    }
    this.#clockOffset = offset;
  }
}
