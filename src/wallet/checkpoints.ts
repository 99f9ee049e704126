/** Checkpoints of many streams, committed together on a connection of their own: they lock no wallet, so nothing makes them wait. */
import type { Sql } from '../db/database.ts';
import { isPassing, SettlementLost } from './failure.ts';
import type { Nano } from './money.ts';

export interface Checkpoint {
  readonly id: string;
  /** What recovery would charge; nano-USD. */
  readonly amount: Nano;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** A client waits for its first byte: this one is committed without waiting for the disk. */
  readonly isFirst?: boolean;
}

interface Pending {
  readonly work: Checkpoint;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const retryMs = 100;

export class CheckpointLane {
  readonly #sql: Sql;
  readonly #isAlive: () => boolean;
  #queue: Pending[] = [];
  #busy = false;

  /** @param isAlive whether this process may still deliver: so long, streams wait for a database that is away */
  constructor(sql: Sql, isAlive: () => boolean) {
    this.#sql = sql;
    this.#isAlive = isAlive;
  }

  raise(work: Checkpoint): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, resolve, reject });
      if (!this.#busy) void this.#run();
    });
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
        const gone = await this.#raiseAll(batch.map((pending) => pending.work));
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

  async #raiseAll(work: readonly Checkpoint[]): Promise<Set<string>> {
    const rows = await this.#sql.unsafe<{ id: string }[]>(
      'SELECT id FROM ledger_checkpoint($1,$2,$3,$4,$5) AS gone (id)',
      [
        `{${work.map((c) => c.id).join()}}`,
        `{${work.map((c) => c.amount).join()}}`,
        `{${work.map((c) => c.inputTokens).join()}}`,
        `{${work.map((c) => c.outputTokens).join()}}`,
        work.some((c) => !c.isFirst),
      ],
      { prepare: true },
    );
    return new Set(rows.map((row) => row.id));
  }
}
