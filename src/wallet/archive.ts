/**
 * Takes old months of requests out of the database: into compressed files, which are read back before anything is dropped. The
 * database compares what was read with what it has, and drops it, in one transaction.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Sql } from '../db/database.ts';

const bases = ['receipts', 'transfers'] as const;
type Base = (typeof bases)[number];

export interface ArchivedMonth {
  /** Such as 2026-01. */
  readonly month: string;
  readonly files: readonly { readonly path: string; readonly rows: number }[];
}

interface Contents {
  readonly rows: number;
  /** nano-USD */
  readonly charged: bigint;
  /** Exclusive or of all seals, signed as PostgreSQL has it. */
  readonly seals: bigint;
  readonly sha256: Buffer;
}

const rowsAtOnce = 5000;

/** Months, such as 2026-01, before the given one that are still in partitions of their own; oldest first. */
export async function monthsBefore(sql: Sql, before: string): Promise<string[]> {
  const rows = await sql<{ month: string }[]>`
    SELECT DISTINCT replace(substring(relid::text FROM '[0-9]{4}_[0-9]{2}'), '_', '-') AS month
    FROM pg_partition_tree('receipts') WHERE isleaf AND relid::text ~ '^receipts_[0-9]{4}_[0-9]{2}$' ORDER BY month`;
  return rows.map(({ month }) => month).filter((month) => month < before);
}

/** Rows of a month as JSON lines, in the order of their ids. */
async function* jsonLines(sql: Sql, base: Base, month: string): AsyncGenerator<string> {
  const first = sql`ledger_first_id(${`${month}-01T00:00Z`}::timestamptz)`;
  const end = sql`ledger_first_id(${`${month}-01T00:00Z`}::timestamptz + interval '1 month')`;
  const own = base === 'transfers' ? sql`AND kind IN ('charge', 'loss')` : sql``;
  let after = { id: '00000000-0000-0000-0000-000000000000', kind: '' };
  const kind = base === 'transfers' ? sql`x.kind::text` : sql`'charge'::text`;
  for (;;) {
    const rows = await sql<{ id: string; kind: string; line: string }[]>`
      SELECT x.id, ${kind} AS kind, row_to_json(x)::text AS line FROM ${sql(base)} x
      WHERE x.id >= ${first} AND x.id < ${end} AND x.id >= ${after.id} AND (x.id, ${kind}) > (${after.id}, ${after.kind}) ${own}
      ORDER BY x.id, 2 LIMIT ${rowsAtOnce}`;
    const last = rows.at(-1);
    if (!last) return;
    yield `${rows.map(({ line }) => line).join('\n')}\n`;
    after = { id: last.id, kind: last.kind };
  }
}

/** What a file holds, from the file alone. @throws SyntaxError for a line that is no JSON */
async function contentsOf(path: string): Promise<Contents> {
  const hash = createHash('sha256');
  let rows = 0;
  let charged = 0n;
  let seals = 0n;
  const file = createReadStream(path);
  file.on('data', (chunk) => void hash.update(chunk));
  const unzipped = createGunzip();
  const reading = pipeline(file, unzipped);
  for await (const line of createInterface({
    input: unzipped,
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    const row: { charged?: number; amount?: number; seal: string } = JSON.parse(line);
    rows += 1;
    charged += BigInt(row.charged ?? row.amount ?? 0);
    // As PostgreSQL writes bytes: \x and their digits.
    seals ^= BigInt.asIntN(64, BigInt(`0x${row.seal.slice(2)}`));
  }
  await reading;
  return { rows, charged, seals, sha256: hash.digest() };
}

async function writeFile(sql: Sql, base: Base, month: string, folder: string) {
  const path = join(folder, `${base}-${month}.jsonl.gz`);
  const partial = `${path}.partial`;
  await pipeline(
    Readable.from(jsonLines(sql, base, month)),
    createGzip(),
    createWriteStream(partial, { mode: 0o600 }),
  );
  const handle = await open(partial, 'r+');
  // The rows are dropped next: the file must have reached the disk before.
  await handle.sync();
  await handle.close();
  await rename(partial, path);
  const directory = await open(folder, 'r');
  await directory.sync();
  await directory.close();
  return { path, ...(await contentsOf(path)) };
}

/**
 * Archives one month.
 * @param month such as 2026-01
 * @param folder where the files go; it is there
 * @throws what the driver throws, with PostgreSQL's sentence, for a month that may not be archived; the rows stay then
 */
export async function archiveMonth(
  sql: Sql,
  month: string,
  folder: string,
): Promise<ArchivedMonth> {
  const receipts = await writeFile(sql, 'receipts', month, folder);
  const transfers = await writeFile(sql, 'transfers', month, folder);
  const files = [receipts, transfers];
  await sql`SELECT ledger_archive(${`${month}-01`}::date,
    ${files.map(({ rows }) => rows)}::bigint[], ${files.map(({ charged }) => String(charged))}::bigint[],
    ${files.map(({ seals }) => String(seals))}::bigint[], ${files.map(({ path }) => path)}::text[],
    ${files.map(({ sha256 }) => `\\x${sha256.toString('hex')}`)}::text[]::bytea[])`;
  return { month, files: files.map(({ path, rows }) => ({ path, rows })) };
}
