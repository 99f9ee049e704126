/** Checkpoints of many streams, committed together on a connection of their own: they lock no wallet, so nothing makes them wait. */
import { rmSync } from 'node:fs';
import type { Sql } from '../db/database.ts';
import { isPassing, SettlementLost } from './failure.ts';
import { type Journal, journalsIn } from './journal.ts';
import type { Nano } from './money.ts';

export interface Checkpoint {
  readonly id: string;
  /** What recovery would charge; nano-USD. */
  readonly amount: Nano;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /**
   * JSON: `provider`, and as `detail` what else the receipt will say, with `prices` by class, which are the classes of these
   * tokens. It is the same for all checkpoints of a stream: those behind the first leave it out.
   */
  readonly basis?: string;
}

interface Pending {
  readonly work: Checkpoint;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const retryMs = 100;
/** How long what is in the journal waits for the database: most short streams are settled by then; ms. */
const journalledMs = 20;

export class CheckpointLane {
  readonly #sql: Sql;
  readonly #journal: Journal;
  readonly #isAlive: () => boolean;
  #queue: Pending[] = [];
  #busy = false;
  /** What the journal has and the database has not, by id; those that are on their way to it are in `#saving`, too. */
  readonly #journalled = new Map<string, Checkpoint>();
  readonly #saving = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  /** @param isAlive whether this process may still deliver: so long, streams wait for a database that is away */
  constructor(sql: Sql, journal: Journal, isAlive: () => boolean) {
    this.#sql = sql;
    this.#journal = journal;
    this.#isAlive = isAlive;
  }

  /**
   * Sets what recovery would charge, for a stream that is about to begin: known at once to a successor of this process on
   * the same data directory, and a moment later to every other. @throws as `raise` does
   */
  async begin(work: Checkpoint): Promise<void> {
    if (!this.#journal.note(work, this.#journalled.values())) return this.raise(work);
    this.#journalled.set(work.id, work);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#saveJournalled();
    }, journalledMs);
  }

  /** The request has its receipt. */
  over(id: string): void {
    this.#journalled.delete(id);
    this.#saving.delete(id);
  }

  /** Raises what recovery would charge. @throws SettlementLost when the hold is gone */
  raise(work: Checkpoint): Promise<void> {
    // Who else hears of it first must not hear of the amount alone.
    const { basis = '' } = this.#journalled.get(work.id) ?? {};
    return new Promise((resolve, reject) => {
      this.#queue.push({ work: { basis, ...work }, resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  /** Saves what is left, and ends the journal. */
  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const left = [...this.#journalled.values()];
    // Where the database is away the journal stays, for the next process.
    const saved = await Promise.allSettled(left.map((work) => this.raise(work)));
    if (saved.every(({ status }) => status === 'fulfilled')) this.#journal.close();
  }

  #saveJournalled(): void {
    for (const work of this.#journalled.values()) {
      if (this.#saving.has(work.id)) continue;
      this.#saving.add(work.id);
      this.raise(work).then(
        () => this.over(work.id),
        // Recovery has the hold; or the lease has ended, and the next process needs the journal.
        () => this.#isAlive() && this.over(work.id),
      );
    }
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      await this.#commit(batch);
    }
    this.#busy = false;
  }

  /** Raising a checkpoint twice does no harm, so a lost acknowledgement is simply asked for again. */
  async #commit(batch: readonly Pending[]): Promise<void> {
    for (;;) {
      try {
        const work = batch.map((pending) => pending.work);
        const gone = await raiseCheckpoints(this.#sql, work);
        for (const { work, resolve, reject } of batch) {
          if (gone.has(work.id)) reject(new SettlementLost('the hold was recovered'));
          else resolve();
        }
        return;
      } catch (error) {
        if (!isPassing(error) || !this.#isAlive()) {
          const failure = isPassing(error)
            ? new SettlementLost('the lease ended before the checkpoint', { cause: error })
            : new Error('a checkpoint could not be committed', { cause: error });
          for (const pending of batch) pending.reject(failure);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }
}

/** Raises checkpoints of any process. Returns the ids whose hold is gone. @throws what the driver throws */
async function raiseCheckpoints(sql: Sql, all: readonly Checkpoint[]): Promise<Set<string>> {
  // PostgreSQL would take any one of several for the same hold.
  const highest = new Map<string, Checkpoint>();
  for (const each of all) {
    const { amount, outputTokens } = highest.get(each.id) ?? { amount: -1, outputTokens: -1 };
    const isHigher = each.amount > amount || each.outputTokens > outputTokens;
    if (isHigher && each.amount >= amount) highest.set(each.id, each);
  }
  const work = [...highest.values()];
  const rows = await sql.unsafe<{ id: string }[]>(
    'SELECT id FROM ledger_checkpoint($1,$2,$3,$4,true,$5) AS gone (id)',
    [
      `{${work.map((c) => c.id).join()}}`,
      `{${work.map((c) => c.amount).join()}}`,
      `{${work.map((c) => c.inputTokens).join()}}`,
      `{${work.map((c) => c.outputTokens).join()}}`,
      // JSON text that was not made for people has no line breaks.
      work.map((c) => c.basis ?? '').join('\n'),
    ],
    { prepare: true },
  );
  return new Set(rows.map((row) => row.id));
}

/**
 * Tells the database what processes that died on this data directory had begun to deliver. To be done before their holds are
 * recovered. A journal whose process may live, because its lease does, is left where it is.
 * @param sole no other server can be running: whoever has written there is dead
 * @throws what the driver or the file system throws
 */
export async function readLeftJournals(sql: Sql, folder: string, sole: boolean): Promise<void> {
  const left = journalsIn(folder);
  if (left.length === 0) return;
  const rows = await sql<{ id: string }[]>`SELECT id FROM instances WHERE lease_until > now()`;
  const living = new Set(sole ? [] : rows.map(({ id }) => id));
  for (const { path, instance, checkpoints } of left) {
    if (checkpoints.length > 0) await raiseCheckpoints(sql, checkpoints);
    if (!living.has(instance)) rmSync(path, { force: true });
  }
}
