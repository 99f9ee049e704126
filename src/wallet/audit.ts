/** Proves the books, all of them at one instant: every check returns the rows that lie, so an empty answer is the proof. */
import type { Sql } from '../db/database.ts';
import { checks } from './audit_checks.ts';
import type { Check, Scope, Within } from './check.ts';

export interface Finding {
  readonly check: string;
  readonly id: string;
  readonly detail: string;
}

export interface AuditReport {
  readonly ok: boolean;
  /** At most 1,000 of each check. */
  readonly findings: readonly Finding[];
  readonly wallets: number;
  readonly transfers: number;
  readonly receipts: number;
  readonly holds: number;
}

type Statements = Pick<Sql, 'unsafe'>;

/** Books that are wrong throughout must not fill the memory of who says so. */
const mostFindings = 1000;
/** Sorting and hashing a million rows in memory takes so much; for one connection, while it lasts. */
const memory = "SET LOCAL work_mem = '128MB'";

/** Asks the checks of what is `within`; null for everything. */
export async function findLies(
  snapshot: Statements,
  asked: readonly Check[],
  within: Within | null,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, rows, rowsOfPart = rows } of asked) {
    const query = within ? rowsOfPart(within) : rows(() => 'true');
    const found = await snapshot.unsafe<{ id: string; detail: string }[]>(
      `SELECT id, detail FROM (${query}) lies ORDER BY id LIMIT ${mostFindings}`,
    );
    for (const { id, detail } of found) findings.push({ check: name, id, detail });
  }
  return findings;
}

/** Runs every check on one snapshot of the database. */
export async function audit(sql: Sql): Promise<AuditReport> {
  return sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (snapshot) => {
    await snapshot.unsafe(memory);
    const findings = await findLies(snapshot, checks, null);
    const [counts] = await snapshot.unsafe<
      { wallets: number; transfers: number; receipts: number; holds: number }[]
    >(`
      SELECT (SELECT count(*) FROM ledger_accounts WHERE kind = 'wallet') AS wallets,
        (SELECT count(*) FROM transfers) AS transfers,
        (SELECT count(*) FROM receipts) AS receipts,
        (SELECT count(*) FROM holds) AS holds`);
    if (!counts) throw new Error('the books could not be counted');
    return { ok: findings.length === 0, findings, ...counts };
  });
}

const scopes = new Map<string, Scope>(checks.map(({ name, scope }) => [name, scope]));

/** Findings as the functions of the database take them: JSON text. */
export function findingsJson(findings: readonly Finding[]): string {
  const rows = findings.map(({ check: name, id, detail }) => {
    return { name, id, detail, scope: scopes.get(name) };
  });
  return JSON.stringify(rows);
}

/**
 * An audit of the whole that is remembered, for `akai audit --history` and the metrics.
 * @param owner a connection of the database's owner: nobody else may write that all was checked
 */
export async function recordedAudit(owner: Sql): Promise<AuditReport> {
  const [clock] = await owner<{ started: Date }[]>`SELECT clock_timestamp() AS started`;
  const begin = performance.now();
  const report = await audit(owner);
  const seconds = (performance.now() - begin) / 1000;
  const rows = report.wallets + report.transfers + report.receipts + report.holds;
  await owner`SELECT audit_record(${clock?.started ?? new Date()}, ${seconds}, ${rows},
    ${findingsJson(report.findings)}::text::jsonb)`;
  return report;
}

export interface AuditRun {
  /** Recorded by the owner of the database, or by the service. */
  readonly kind: 'full' | 'scheduled';
  readonly startedAt: Date;
  readonly seconds: number;
  readonly rows: number;
  /** Rows known to lie when it ended. */
  readonly findings: number;
}

/** The latest audits, newest first. */
export async function auditHistory(sql: Sql, limit = 50): Promise<AuditRun[]> {
  const rows = await sql<AuditRun[]>`
    SELECT kind, started_at AS "startedAt", seconds, rows, findings FROM audit_runs ORDER BY id DESC LIMIT ${limit}`;
  return rows.map((row) => ({ ...row }));
}

export interface OpenFinding extends Finding {
  readonly since: Date;
}

/** Rows that lie, as far as is known. */
export async function openFindings(sql: Sql, limit = 1000): Promise<OpenFinding[]> {
  const rows = await sql<OpenFinding[]>`
    SELECT check_name AS "check", row_id AS id, detail, first_seen AS since FROM audit_findings
    WHERE resolved_at IS NULL ORDER BY first_seen, check_name, row_id LIMIT ${limit}`;
  return rows.map((row) => ({ ...row }));
}
