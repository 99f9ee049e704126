/** `akai audit`: proves the books, or tells how earlier proofs went. */
import type { Sql } from '../db/database.ts';
import { auditHistory, type Finding, openFindings, recordedAudit } from '../wallet/audit.ts';
import type { Said } from './said.ts';

/** Failed when a row lies. @param owner a connection of the database's owner */
export async function auditNow(owner: Sql): Promise<Said> {
  const report = await recordedAudit(owner);
  const lies = report.findings.map(lieText);
  const counts = [
    counted(report.wallets, 'wallet'),
    counted(report.transfers, 'transfer'),
    counted(report.receipts, 'receipt'),
    counted(report.holds, 'open hold'),
  ].join(', ');
  const text = report.ok
    ? `The books are right: ${counts}.`
    : [`The books are wrong (${counts}):`, ...lies].join('\n');
  return { json: report, text, failed: !report.ok };
}

function lieText({ check, id, detail }: Finding): string {
  return `${id}: not true that ${check}: ${detail}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The last audits, newest first, and the rows that are known to lie. Failed when there are any. */
export async function auditsBefore(sql: Sql): Promise<Said> {
  const [runs, findings] = [await auditHistory(sql), await openFindings(sql)];
  const lines = runs.map(
    ({ startedAt, kind, seconds, rows, findings: lies }) =>
      `${startedAt.toISOString()}  ${kind.padEnd(9)}  ${String(Math.round(seconds * 10) / 10).padStart(7)} s  ${String(rows).padStart(10)} rows  ${lies === 0 ? 'right' : `${lies} lie`}`,
  );
  const lies = findings.map(
    (finding) => `${lieText(finding)} (since ${finding.since.toISOString()})`,
  );
  const text = [...(lines.length > 0 ? lines : ['There was no audit yet.']), ...lies].join('\n');
  return { json: { runs, findings }, text, failed: findings.length > 0 };
}
