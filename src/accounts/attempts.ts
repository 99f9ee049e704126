/** Counts what may be tried a number of times in a while. The counts are in the database: they hold for all processes and outlive them. */

import { hash } from 'node:crypto';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';

export interface Allowance {
  readonly most: number;
  readonly everyMs: number;
}

/** What is counted: a word of ours, and whose tries they are. What people typed is kept as a hash only. */
function bucketOf(what: string, whose: string): string {
  return `${what} ${hash('sha256', whose, 'base64url').slice(0, 22)}`;
}

async function take(
  sql: Sql,
  what: string,
  whose: string,
  { most, everyMs }: Allowance,
): Promise<number | null> {
  const [row] = await sql<{ wait: number | null }[]>`
    SELECT attempt_take(${bucketOf(what, whose)}, ${most}, ${everyMs}) AS wait`;
  return row?.wait ?? null;
}

/** Takes one try, if there is one. */
export async function hasAttempt(
  sql: Sql,
  what: string,
  whose: string,
  allowed: Allowance,
): Promise<boolean> {
  return (await take(sql, what, whose, allowed)) === null;
}

/**
 * Takes one try. It is taken before the attempt is made, so that many at once are counted, too.
 * @throws ApiError too_many_attempts with the time until there is one
 */
export async function takeAttempt(
  sql: Sql,
  what: string,
  whose: string,
  allowed: Allowance,
): Promise<void> {
  const wait = await take(sql, what, whose, allowed);
  if (wait !== null) throw new ApiError('too_many_attempts', { retryAfterMs: wait });
}

/** Gives one try back: only failures count. */
export async function returnAttempt(
  sql: Sql,
  what: string,
  whose: string,
  { most, everyMs }: Allowance,
): Promise<void> {
  await sql`SELECT attempt_return(${bucketOf(what, whose)}, ${most}, ${everyMs})`;
}
