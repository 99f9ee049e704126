/** What is known of the books without reading them: how the audits went, and what their last pass added up. */
import type { Sql } from '../db/database.ts';

export interface ScanState {
  readonly scope: string;
  /** Of the last pass through all rows; null before there was one. */
  readonly ageSeconds: number | null;
  readonly seconds: number | null;
  readonly rows: number | null;
  /** Decimal texts, by names such as `balance revenue` (nano-USD) and `requests settled`. */
  readonly totals: Readonly<Record<string, string | number>>;
}

export interface BooksState {
  /** Rows that lie, as far as is known. */
  readonly findings: number;
  readonly runs: number;
  /** Of the last scheduled run; null before there was one. */
  readonly ageSeconds: number | null;
  readonly seconds: number | null;
  readonly rows: number | null;
  readonly holds: number;
  /** Nano-USD. */
  readonly held: number;
  readonly scans: readonly ScanState[];
}

export async function booksState(sql: Sql): Promise<BooksState> {
  const [state] = await sql<Omit<BooksState, 'scans'>[]>`
    SELECT (SELECT count(*) FROM audit_findings WHERE resolved_at IS NULL) AS findings, runs, seconds, rows,
      extract(epoch FROM clock_timestamp() - ran_at)::float8 AS "ageSeconds", h.holds, h.held
    FROM audit_state, (SELECT count(*) AS holds, coalesce(sum(amount), 0)::bigint AS held FROM holds) h`;
  if (!state) throw new Error('the audit has no state');
  const scans = await sql<ScanState[]>`
    SELECT scope, extract(epoch FROM clock_timestamp() - passed_at)::float8 AS "ageSeconds", passed_seconds AS seconds,
      passed_rows AS rows, totals FROM audit_scans ORDER BY scope`;
  return { ...state, scans };
}
