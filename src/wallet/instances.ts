/** What is known of the processes that serve, for the operator. */
import type { Sql } from '../db/database.ts';

export interface RecoveryState {
  /** Processes whose lease runs. */
  readonly serving: number;
  /** Holds of processes whose lease is over: their requests wait to be settled by another. */
  readonly waiting: number;
  /** Those of them that a serving process should have settled a minute ago. */
  readonly overdue: number;
}

/** @param graceMs how long after the end of a lease its holds are recovered; ms */
export async function recoveryState(sql: Sql, graceMs: number): Promise<RecoveryState> {
  const late = `${graceMs + 60_000} milliseconds`;
  const [row] = await sql<RecoveryState[]>`
    SELECT (SELECT count(*) FROM instances WHERE lease_until >= clock_timestamp()) AS serving,
      count(*) FILTER (WHERE i.id IS NULL OR i.lease_until < clock_timestamp()) AS waiting,
      count(*) FILTER (WHERE i.lease_until < clock_timestamp() - ${late}::interval) AS overdue
    FROM holds h LEFT JOIN instances i ON i.id = h.instance`;
  if (!row) throw new Error('the leases could not be read');
  return row;
}
