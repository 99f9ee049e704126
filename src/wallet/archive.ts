/**
 * Takes old months of requests out of the database: into compressed files, which are read back and must be to the byte what was
 * written before anything is dropped. The database compares what was read with what it has, and drops it, in one transaction.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
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

/** What a file holds, from the file alone. @throws Error for one that is not gzip, or SyntaxError for a line that is no JSON */
async function contentsOf(path: string): Promise<Contents> {
  const hash = createHash('sha256');
  let rows = 0;
  let charged = 0n;
  let seals = 0n;
  const read = (line: string): void => {
    const row: { charged?: number; amount?: number; seal: string } = JSON.parse(line);
    rows += 1;
    charged += BigInt(row.charged ?? row.amount ?? 0);
    // As PostgreSQL writes bytes: \x and their digits.
    seals ^= BigInt.asIntN(64, BigInt(`0x${row.seal.slice(2)}`));
  };
  await pipeline(
    createReadStream(path),
    (chunks: AsyncIterable<Buffer>) => hashed(chunks, hash),
    createGunzip().setEncoding('utf8'),
    async (texts: AsyncIterable<string>) => {
      let rest = '';
      for await (const text of texts) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(read);
      }
      if (rest !== '') read(rest);
    },
  );
  return { rows, charged, seals, sha256: hash.digest() };
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

interface Written {
  readonly path: string;
  /** Of the bytes that were given to the file system. */
  readonly sha256: Buffer;
}

async function writeFile(sql: Sql, base: Base, month: string, folder: string): Promise<Written> {
  const path = join(folder, `${base}-${month}.jsonl.gz`);
  const partial = `${path}.partial`;
  const hash = createHash('sha256');
  await pipeline(
    Readable.from(jsonLines(sql, base, month)),
    createGzip(),
    (chunks: AsyncIterable<Buffer>) => hashed(chunks, hash),
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
  return { path, sha256: hash.digest() };
}

/**
 * Writes the files of a month; its rows stay where they are.
 * @param month such as 2026-01
 * @param folder where the files go; it is there
 * @throws Error for a month that was archived before, whose files would be lost
 */
export async function writeMonth(sql: Sql, month: string, folder: string): Promise<Written[]> {
  const [before] = await sql`
    SELECT 1 FROM ledger_archives WHERE from_id = ledger_first_id(${`${month}-01T00:00Z`}::timestamptz)`;
  if (before) throw new Error(`${month} was archived before.`);
  const receipts = await writeFile(sql, 'receipts', month, folder);
  return [receipts, await writeFile(sql, 'transfers', month, folder)];
}

/**
 * Reads back the files of a month, and takes its rows out of the database.
 * @throws Error for a file that is not what was written to it; what the driver throws, with PostgreSQL's sentence, for a month
 * that may not be archived; the rows stay then
 */
export async function dropMonth(
  sql: Sql,
  month: string,
  written: readonly Written[],
): Promise<ArchivedMonth> {
  const files: ({ path: string } & Contents)[] = [];
  for (const { path, sha256 } of written) {
    const contents = await contentsOf(path);
    if (!contents.sha256.equals(sha256))
      throw new Error(`${path} does not read as it was written: nothing was dropped.`);
    files.push({ path, ...contents });
  }
  await sql`SELECT ledger_archive(${`${month}-01`}::date,
    ${files.map(({ rows }) => rows)}::bigint[], ${files.map(({ charged }) => String(charged))}::bigint[],
    ${files.map(({ seals }) => String(seals))}::bigint[], ${files.map(({ path }) => path)}::text[],
    ${files.map(({ sha256 }) => `\\x${sha256.toString('hex')}`)}::text[]::bytea[])`;
  return { month, files: files.map(({ path, rows }) => ({ path, rows })) };
}

/** Archives one month: `writeMonth`, then `dropMonth`. */
export async function archiveMonth(
  sql: Sql,
  month: string,
  folder: string,
): Promise<ArchivedMonth> {
  return dropMonth(sql, month, await writeMonth(sql, month, folder));
}

export interface CheckedArchive {
  readonly path: string;
  readonly rows: number;
  /** Null for a file that is to the byte what was archived. */
  readonly problem: string | null;
}

/**
 * Reads every file that months went to, and compares it with what the books say of it.
 * @param folder where the files are now; null for where they were written
 */
export async function checkArchives(sql: Sql, folder: string | null): Promise<CheckedArchive[]> {
  const known = await sql<
    { file: string; rows: number; charged: string; seals: string; sha256: string }[]
  >`
    SELECT file, rows, charged::text, seals::text, encode(sha256, 'hex') AS sha256 FROM ledger_archives ORDER BY from_id, base`;
  const checked: CheckedArchive[] = [];
  for (const { file, rows, charged, seals, sha256 } of known) {
    const path = folder === null ? file : join(folder, basename(file));
    let problem: string | null;
    try {
      const read = await contentsOf(path);
      const isSame =
        read.rows === rows && String(read.charged) === charged && String(read.seals) === seals;
      problem = isSame
        ? null
        : `it has ${read.rows} rows of ${read.charged} nano-USD, not ${rows} of ${charged}`;
      if (read.sha256.toString('hex') !== sha256)
        problem ??= 'its bytes are not those that were archived, although its rows are';
    } catch (error) {
      problem = `it cannot be read: ${error instanceof Error ? error.message : error}`;
    }
    checked.push({ path, rows, problem });
  }
  return checked;
}
