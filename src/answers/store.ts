/**
 * Answers that outlive their connection: claimed by a key, written piece by piece while they come, read again by any process.
 * The only file, with write.ts, that names their tables. What a model wrote stands in them encrypted.
 */
import { hash } from 'node:crypto';
import { seal, unseal } from '../accounts/secret.ts';
import type { Sql } from '../db/database.ts';
import { isPassing } from '../wallet/failure.ts';
import { type Shares, type Verdict, type Write, writeAnswers } from './write.ts';

export interface AnswerSettings extends Shares {
  /** The installation's secret. */
  readonly secret: string;
  /** Whose answers these are: the id of this process' lease. */
  readonly instance: string;
  readonly log: (message: string, error?: unknown) => void;
}

/** Whose an answer is. */
export interface Owner {
  /** Whose share of the room it takes. */
  readonly account: string;
  /** The API key, which alone may repeat, read and end it. */
  readonly keyId: string;
}

export interface Claim {
  /** This request writes the answer; otherwise somebody has, or does. */
  readonly own: boolean;
  /** The request that the answer is of. */
  readonly answer: string;
  readonly same_body: boolean;
  /** False: it was too large. */
  readonly is_kept: boolean;
  /** It takes the place of requests that nobody finished, whose charge goes back once this one is charged. */
  readonly superseded: boolean;
}

/** Head of an answer: what it begins with, or the error that stands in its place. */
export type Head =
  | { readonly headers: readonly string[] }
  | {
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly param: string | null;
        readonly retryAfterMs: number | null;
      };
    };

/** What may be read of an answer. */
export interface Page {
  readonly state: 'running' | 'done' | 'failed' | 'lost';
  readonly kept: boolean;
  /** It is over, or the process that writes it lives. */
  readonly alive: boolean;
  /** Number of the last event that is stored; 0: none yet. */
  readonly tip: number;
  readonly head: Head | null;
  /** Text as latin1, whole events; `last` is the number of the last one. */
  readonly parts: readonly { readonly last: number; readonly text: string }[];
}

/** What is to be written; latin1. */
export interface News {
  readonly id: string;
  readonly last: number;
  readonly text: string;
  readonly head: Head | null;
  readonly state: Write['state'];
  readonly free: boolean;
  readonly drop: boolean;
}

interface Pending {
  readonly write: Write;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

const lifetime = '24 hours';
const piecesOfPage = 64;
const largestBatch = 200;
const retryMs = 200;
const sweepMs = 60_000;
const refundMs = 1000;
const expiredAtOnce = 1000;
const cancelChannel = 'answers_cancelled';

export class AnswerStore {
  readonly #sql: Sql;
  readonly #settings: AnswerSettings;
  readonly #cancels = new Map<string, () => void>();
  readonly #readers = new Map<string, () => void>();
  #pending: Pending[] = [];
  #isWriting = false;
  #sweeper: NodeJS.Timeout | null = null;
  #refunder: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(sql: Sql, settings: AnswerSettings) {
    this.#sql = sql;
    this.#settings = settings;
  }

  /** Begins to listen for cancels, and to tidy up. @throws what the driver throws */
  async start(): Promise<void> {
    await this.#sql.listen(cancelChannel, (id) => this.#cancels.get(id)?.());
    this.#sweeper = setInterval(() => void this.#sweep(), sweepMs).unref();
    void this.#sweep();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#sweeper) clearInterval(this.#sweeper);
    if (this.#refunder) clearTimeout(this.#refunder);
  }

  /**
   * Begins the answer of request `id`, or finds the one that its key stands for.
   * @param key Idempotency-Key; null for a stream that may be resumed
   * @throws what the driver throws
   */
  async claim(id: string, owner: Owner, key: string | null, body: Buffer): Promise<Claim> {
    const { account, keyId } = owner;
    const keyHash = key === null ? null : hash('sha256', key, 'buffer');
    const bodyHash = hash('sha256', body, 'buffer');
    const [claim] = await this.#sql<Claim[]>`
      SELECT * FROM answer_claim(${id}, ${account}, ${keyId}, ${keyHash}, ${bodyHash},
        ${this.#settings.instance}, ${lifetime}::interval)`;
    if (!claim) throw new Error('the claim was not answered');
    if (claim.superseded) this.#refundSoon(0);
    return claim;
  }

  /** What is called when the client says that it wants no more of a running answer. */
  whenCancelled(id: string, action: () => void): void {
    this.#cancels.set(id, action);
  }

  /** Whether this process writes it: then `whenWritten` says when more has come. */
  isWriting(id: string): boolean {
    return this.#cancels.has(id);
  }

  /** What is called whenever this process has written more of an answer; null: nobody asks any more. */
  whenWritten(id: string, action: (() => void) | null): void {
    if (action) this.#readers.set(id, action);
    else this.#readers.delete(id);
  }

  forget(id: string): void {
    this.#cancels.delete(id);
  }

  /** Resolves after the commit. @throws what the driver throws for good; while the database is away it is tried on */
  write({ id, last, text, head, state, free, drop }: News): Promise<Verdict> {
    const { secret } = this.#settings;
    const write = {
      id,
      last,
      sealed: text === '' ? null : seal(secret, partName(id, last), text),
      head: head && seal(secret, headName(id), JSON.stringify(head)),
      state,
      free,
      drop,
    };
    return new Promise((resolve, reject) => {
      this.#pending.push({ write, resolve, reject });
      void this.#flush();
    });
  }

  /** The answer beyond event `after`; null where the key has none such. @throws what the driver throws */
  async read(id: string, keyId: string, after: number): Promise<Page | null> {
    const rows = await this.#sql<PageRow[]>`
      SELECT * FROM answer_read(${id}, ${keyId}, ${after}, ${piecesOfPage})`;
    const [first] = rows;
    if (!first) return null;
    const { state, kept, alive, tip } = first;
    const parts = rows.flatMap(({ last, sealed }) =>
      last === null || sealed === null
        ? []
        : [{ last, text: this.#unseal(partName(id, last), sealed) }],
    );
    // as: what `write` has sealed
    const head = first.head && (JSON.parse(this.#unseal(headName(id), first.head)) as Head);
    return { state, kept, alive, tip, head, parts };
  }

  /** Whether more may come than a page that was full. */
  isFull({ parts }: Page): boolean {
    return parts.length === piecesOfPage;
  }

  /** Notes that somebody reads it, so that it goes on. */
  async touch(id: string): Promise<void> {
    await this.#sql`UPDATE answers SET followed_at = clock_timestamp() WHERE id = ${id}`;
  }

  /** Whether somebody has read it within `ms`. */
  async isFollowed(id: string, ms: number): Promise<boolean> {
    const [row] = await this.#sql<{ followed: boolean | null }[]>`
      SELECT followed_at > clock_timestamp() - ${`${ms} ms`}::interval AS followed
      FROM answers WHERE id = ${id}`;
    return row?.followed === true;
  }

  /**
   * Ends a running answer, wherever it is written.
   * @returns whether it is, or was, cancelled: false where it was over already. Null where the key has no such answer
   */
  async cancel(id: string, keyId: string): Promise<boolean | null> {
    const [row] = await this.#sql<{ cancelled: boolean }[]>`
      UPDATE answers SET cancelled = cancelled OR state = 'running'
      WHERE id = ${id} AND key_id = ${keyId} AND expires_at > clock_timestamp()
      RETURNING cancelled`;
    if (row?.cancelled) await this.#sql`SELECT pg_notify(${cancelChannel}, ${id})`;
    return row ? row.cancelled : null;
  }

  #unseal(name: string, sealed: Buffer): string {
    const text = unseal(this.#settings.secret, name, sealed);
    if (text === null) throw new Error(`${name} cannot be opened: was AKAI_SECRET changed?`);
    return text;
  }

  async #flush(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#pending.length > 0) {
      const batch = oneOfEach(this.#pending.slice(0, largestBatch));
      this.#pending = this.#pending.filter((pending) => !batch.includes(pending));
      await this.#commit(batch);
    }
    this.#isWriting = false;
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    for (;;) {
      try {
        const writes = batch.map(({ write }) => write);
        const verdicts = await writeAnswers(this.#sql, writes, this.#settings);
        for (const { write, resolve } of batch) {
          resolve(verdicts.get(write.id) ?? 'kept');
          this.#readers.get(write.id)?.();
        }
        return;
      } catch (error) {
        if (!isPassing(error) || this.#isStopped) {
          this.#settings.log('answers could not be kept', error);
          for (const { reject } of batch) reject(error);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  #refundSoon(ms: number): void {
    // One that waits for long must not hold up one that may be ready at once.
    if (ms === 0 && this.#refunder) clearTimeout(this.#refunder);
    else if (this.#refunder) return;
    if (this.#isStopped) return;
    this.#refunder = setTimeout(() => {
      this.#refunder = null;
      this.#refund().then(
        (waiting) => {
          // One that never began has no end to wait for: that is asked ever more seldom.
          if (waiting > 0) this.#refundSoon(Math.min(sweepMs, Math.max(refundMs, 2 * ms)));
        },
        (error: unknown) => {
          this.#settings.log('refunds could not be made; they are tried again', error);
        },
      );
    }, ms).unref();
  }

  /** Gives back what superseded requests were charged. Returns how many are not settled yet. */
  async #refund(): Promise<number> {
    const [row] = await this.#sql<{ waiting: number }[]>`
      SELECT ledger_refund_superseded() AS waiting`;
    return row?.waiting ?? 0;
  }

  async #sweep(): Promise<void> {
    try {
      let expired: number;
      do {
        const [row] = await this.#sql<{ expired: number }[]>`
          SELECT answer_expire(${expiredAtOnce}) AS expired`;
        expired = row?.expired ?? 0;
      } while (expired === expiredAtOnce);
      this.#refundSoon(0);
    } catch (error) {
      this.#settings.log('old answers could not be deleted; they are later', error);
    }
  }
}

interface PageRow extends Omit<Page, 'head' | 'parts'> {
  readonly head: Buffer | null;
  readonly last: number | null;
  readonly sealed: Buffer | null;
}

function partName(id: string, last: number): string {
  return `answer ${id} ${last}`;
}

function headName(id: string): string {
  return `answer ${id} head`;
}

/** A statement takes one piece of each answer: later ones of the same wait for the next. */
function oneOfEach(pending: readonly Pending[]): Pending[] {
  const seen = new Set<string>();
  return pending.filter(({ write }) => {
    const isFirst = !seen.has(write.id);
    seen.add(write.id);
    return isFirst;
  });
}
