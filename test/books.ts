/** What the ledger of an installation says, read beside the running server. */
import assert from 'node:assert/strict';
import { connect, type Sql } from '../src/db/connection.ts';
import { findPlace, socketPath } from '../src/db/place.ts';
import type { Installation } from './installation.ts';

export interface ReceiptRow {
  readonly outcome: 'settled' | 'estimated' | 'recovered' | 'released';
  readonly model: string;
  readonly provider: string | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
  /** nano-USD, like the next two. */
  readonly cost: number;
  readonly charged: number;
  readonly held: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Books extends AsyncDisposable {
  readonly sql: Sql;
  /** The receipt of a request (`req_…` or `chatcmpl-…`); waits for it. @throws Error when there is none */
  receipt(id: string): Promise<ReceiptRow>;
  /** Resolves once no hold is open. @throws Error when they stay so */
  settled(): Promise<void>;
}

const waitMs = 10;
/** Machines are busy. */
const patienceMs = 30_000;

/** Connects as the owner of the embedded database. */
export async function openBooks({ dataDir }: Installation): Promise<Books> {
  const path = socketPath(await findPlace(dataDir, () => {}));
  const sql = connect({ path }, { max: 2, name: 'test books' });
  const poll = async <T>(what: string, ms: number, read: () => Promise<T | null>): Promise<T> => {
    for (const giveUp = performance.now() + ms; performance.now() < giveUp; ) {
      const found = await read();
      if (found !== null) return found;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    throw new Error(what);
  };
  return {
    sql,
    receipt: (id) => {
      const uuid = id.replace(/^(req_|chatcmpl-)/, '');
      return poll(`no receipt of ${id}`, patienceMs, async () => {
        const [row] = await sql<ReceiptRow[]>`SELECT * FROM receipts WHERE id = ${uuid}`;
        return row ?? null;
      });
    },
    settled: () =>
      poll('holds stay open', patienceMs, async () => {
        const rows = await sql`SELECT id FROM holds`;
        return rows.length === 0 ? undefined : null;
      }),
    [Symbol.asyncDispose]: () => sql.end(),
  };
}

/** @throws AssertionError unless every check of the audit is content */
export async function proveBooks(installation: Pick<Installation, 'akai'>): Promise<void> {
  const report = await installation.akai('audit');
  assert.equal(report.ok, true, JSON.stringify(report));
}

/** Ends an installation and deletes it. @throws AssertionError unless its books, with every request ended, are right */
export async function endProven(installation: Installation, books: Books): Promise<void> {
  await books.settled();
  await proveBooks(installation);
  await books[Symbol.asyncDispose]();
  await installation.remove();
}
