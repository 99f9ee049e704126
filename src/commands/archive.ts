/** `akai ledger archive` and `verify-archive`: which months, where to, and what they say. */
import { mkdir } from 'node:fs/promises';
import { typedPath } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import {
  type ArchivedMonth,
  archiveMonth,
  checkArchives,
  monthsBefore,
} from '../wallet/archive.ts';
import type { Said } from './said.ts';

/** The database lets no younger ones go. */
const leastKept = 2;

/** The month so many months before this one, such as 2026-01. */
function monthAgo(months: number): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months))
    .toISOString()
    .slice(0, 7);
}

/**
 * Archives every month before the given one, oldest first; where one may not be archived, those before it have been.
 * @param before such as 2026-01; null for what the setting keeps
 * @param keptMonths whole months that the setting keeps; 0 for all
 * @throws ApiError where neither says which
 */
export async function archive(
  sql: Sql,
  folder: string,
  before: string | null,
  keptMonths: number,
): Promise<Said> {
  if (before === null && keptMonths === 0)
    throw new ApiError('invalid_request', {
      message: 'Say --before YYYY-MM, or set RECEIPT_RETENTION_MONTHS.',
      param: 'before',
    });
  if (before !== null && !/^2\d{3}-(?:0[1-9]|1[0-2])$/.test(before))
    throw new ApiError('invalid_request', {
      message: `--before takes a month such as 2026-01, not "${before}".`,
      param: 'before',
    });
  const path = typedPath(folder);
  await mkdir(path, { recursive: true });
  const archived: ArchivedMonth[] = [];
  for (const month of await monthsBefore(sql, before ?? monthAgo(Math.max(leastKept, keptMonths))))
    archived.push(await archiveMonth(sql, month, path));
  const lines = archived.flatMap(({ files }) =>
    files.map((file) => `${file.path}: ${file.rows} rows`),
  );
  return {
    json: { archived },
    text: lines.length > 0 ? ['Archived:', ...lines].join('\n') : 'There is no month to archive.',
  };
}

/**
 * Reads the files of all archived months. Failed when one is not what was archived.
 * @param folder null for where they were written
 */
export async function verifyArchives(sql: Sql, folder: string | null): Promise<Said> {
  const files = await checkArchives(sql, folder);
  const lines = files.map(
    ({ path, rows, problem }) => `${path}: ${problem ?? `${rows} rows, as archived`}`,
  );
  return {
    json: { ok: files.every(({ problem }) => problem === null), files },
    text: lines.length > 0 ? lines.join('\n') : 'No month has been archived.',
    failed: files.some(({ problem }) => problem !== null),
  };
}
