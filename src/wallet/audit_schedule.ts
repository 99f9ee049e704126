/** Audits by and by while the service runs, and says loudly what it finds. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../db/database.ts';
import { AuditScan } from './audit_scan.ts';

export interface AuditSettings {
  /** From the end of a run to the next, in ms; 0 for none. */
  readonly everyMs: number;
  /** Receipts and transfers that a run checks at most. */
  readonly rows: number;
  readonly log: (level: 'warn' | 'error', message: string, error?: unknown) => void;
}

/** Receipts, or transfers, that are read from one snapshot: a moment, so that no commit waits long for the processor. */
export const stepRows = 4000;
/** A quarter of one processor at most. */
export const pauses = 3;
const firstAfterMs = 5000;
const patienceMs = 1000;
/** Findings that one run writes to the log; the others are in the books of the audit. */
const mostSaid = 20;

export class AuditSchedule {
  readonly #settings: AuditSettings;
  readonly #scan: AuditScan;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  /** @param sql a connection of its own, so that no request waits for an audit */
  constructor(sql: Sql, settings: AuditSettings) {
    this.#settings = settings;
    // Other processes take over when this one has been silent for so long.
    const claimMs = Math.round(settings.everyMs * 0.9);
    this.#scan = new AuditScan(sql, { rows: settings.rows, stepRows, pauses, claimMs });
  }

  start(): void {
    const { everyMs } = this.#settings;
    if (everyMs > 0) this.#plan(Math.min(firstAfterMs, everyMs));
  }

  /** Ends the run that goes on at its next step, and waits for that a moment: what it has not noted is looked at again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#scan.stop();
    const over = new AbortController();
    await Promise.race([this.#running, sleep(patienceMs, undefined, { signal: over.signal })]);
    over.abort();
  }

  #plan(waitMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run().then(() => this.#plan(this.#settings.everyMs));
    }, waitMs);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    const { log } = this.#settings;
    try {
      const run = await this.#scan.run();
      if (!run) return;
      for (const { check, id, detail } of run.findings.slice(0, mostSaid))
        log('error', `THE BOOKS ARE WRONG: it is not true of ${id} that ${check}: ${detail}`);
      if (run.open > 0)
        log('error', `THE BOOKS ARE WRONG: ${run.open} rows lie; "akai audit" names them all`);
    } catch (error) {
      if (!this.#stopped) log('warn', 'the books could not be audited', error);
    }
  }
}
