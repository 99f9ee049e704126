/** Breakers and benched keys, shared between the processes of one database: told by NOTIFY, kept for those that start later. */
import type { Sql } from '../db/database.ts';
import type { Routes } from './choose.ts';

interface Row {
  readonly name: string;
  /** From now; null: it is over. */
  readonly ms: number | null;
}

const channel = 'routing_rests';

export class SharedRests {
  readonly #sql: Sql;
  readonly #routes: Routes;
  readonly #log: (message: string, error: unknown) => void;
  /** What this process has said and not heard yet. */
  readonly #said = new Set<string>();

  constructor(sql: Sql, routes: Routes, log: (message: string, error: unknown) => void) {
    this.#sql = sql;
    this.#routes = routes;
    this.#log = log;
  }

  /** Hears what others find, and tells them what is found here. @throws what the driver throws */
  async start(): Promise<void> {
    const { healths } = this.#routes;
    healths.onBreaker = (name, until, reason) => this.#tell(name, until, reason);
    healths.onBenched = healths.onBreaker;
    await this.#sql.listen(
      channel,
      (text) => {
        // Our own, which may be older than what we know by now.
        const row: Row = JSON.parse(text);
        if (!this.#said.delete(`${row.name} ${row.ms}`)) this.#hear(row);
      },
      // Also after each reconnection: what was said meanwhile was not heard.
      () => {
        this.#said.clear();
        this.#recall().catch((error: unknown) =>
          this.#log('the breakers of other processes are not known', error),
        );
      },
    );
    await this.#recall();
  }

  async #recall(): Promise<void> {
    const rows = await this.#sql<Row[]>`
      SELECT name, (extract(epoch FROM until - now()) * 1000)::int AS ms FROM routing_rests
      WHERE until > now() - interval '1 hour'`;
    for (const row of rows) this.#hear(row);
  }

  #hear({ name, ms }: Row): void {
    const until = ms === null ? null : performance.now() + ms;
    const key = this.#routes.rings.keyNamed(name);
    if (key) key.restsUntil = until ?? 0;
    else if (name.includes('@')) this.#routes.healths.of(name).heard(until);
  }

  #tell(name: string, until: number | null, reason: string): void {
    const ms = until === null ? null : Math.ceil(until - performance.now());
    this.#said.add(`${name} ${ms}`);
    noteRest(this.#sql, name, ms, reason).catch((error: unknown) =>
      this.#log(`other processes do not hear of ${name}`, error),
    );
  }
}

/**
 * Writes down that a breaker is open or a key rests; every process hears of it.
 * @param ms from now; null: it is over
 * @throws what the driver throws
 */
async function noteRest(sql: Sql, name: string, ms: number | null, reason: string): Promise<void> {
  if (ms === null) await sql`SELECT routing_resume(${name})`;
  else
    await sql`SELECT routing_rest(${name}, ${ms}, ${reason.toWellFormed().replaceAll('\0', '')})`;
}

/** For a command, which hears nothing: the keys that it finds not to work rest in every process. Call what it returns to wait until that is written. */
export function tellBenched(sql: Sql, { healths }: Routes): () => Promise<void> {
  const told: Promise<void>[] = [];
  healths.onBenched = (name, until, reason) => {
    const ms = until === null ? null : Math.ceil(until - performance.now());
    told.push(noteRest(sql, name, ms, reason));
  };
  return async () => {
    await Promise.all(told);
  };
}
