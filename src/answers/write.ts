/** What a running answer adds to the database, many answers in one statement. */
import type { Sql } from '../db/database.ts';

/** One answer's news. */
export interface Write {
  readonly id: string;
  /** Number of the last event in `sealed`; 0 where there is no piece. */
  readonly last: number;
  readonly sealed: Buffer | null;
  readonly head: Buffer | null;
  /** Null: it goes on. `lost`: nobody will finish it. */
  readonly state: 'done' | 'failed' | 'lost' | null;
  /** Nothing was charged: its key may be used again. */
  readonly free: boolean;
  /** It is too large: throw away what there is. */
  readonly drop: boolean;
}

/** kept: as asked · dropped: too large, thrown away · cancelled: kept, and its client wants no more · gone: it is not ours any more */
export type Verdict = 'kept' | 'dropped' | 'cancelled' | 'gone';

export interface Shares {
  /** Bytes that one answer, and all of one account, may take. */
  readonly answerBytes: number;
  readonly accountBytes: number;
}

/** What a row costs beside its content; bytes. */
const rowBytes = 200;

const call =
  'SELECT answer, verdict FROM answer_write($1::uuid[],$2::int[],$3::bytea[],$4::bytea[],$5::text[],$6::boolean[],$7::boolean[],$8,$9,$10)';

function column(writes: readonly Write[], cell: (write: Write) => string): string {
  return `{${writes.map(cell).join()}}`;
}

function bytes(value: Buffer | null): string {
  return value === null ? 'NULL' : `"\\\\x${value.toString('hex')}"`;
}

/** Writes them in one transaction. @throws what the driver throws; the same may then be written again */
export async function writeAnswers(
  sql: Sql,
  writes: readonly Write[],
  shares: Shares,
): Promise<ReadonlyMap<string, Verdict>> {
  const parameters = [
    column(writes, ({ id }) => id),
    column(writes, ({ last }) => String(last)),
    column(writes, ({ sealed }) => bytes(sealed)),
    column(writes, ({ head }) => bytes(head)),
    column(writes, ({ state }) => state ?? 'NULL'),
    column(writes, ({ free }) => String(free)),
    column(writes, ({ drop }) => String(drop)),
    rowBytes,
    shares.answerBytes,
    shares.accountBytes,
  ];
  const rows = await sql.unsafe<{ answer: string; verdict: Verdict }[]>(call, parameters, {
    prepare: true,
  });
  return new Map(rows.map(({ answer, verdict }) => [answer, verdict]));
}
