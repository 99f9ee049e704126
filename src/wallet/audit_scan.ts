/**
 * The audit that goes on while the service runs: a pass through all rows of the books, in steps of one snapshot each, with
 * pauses between. Of all processes one scans at a time; where it stops, the next run goes on, also in another process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../db/database.ts';
import { type Finding, findingsJson, findLies } from './audit.ts';
import { checks, longChecks, wrongDays } from './audit_checks.ts';
import type { Check, Scope, Within } from './check.ts';

export interface ScanSettings {
  /** Receipts and transfers that one run checks at most, to the next whole step; and as many rows of payments and of vouchers. */
  readonly rows: number;
  /** Receipts, or transfers, of one step. */
  readonly stepRows: number;
  /** A pause after each step, as a multiple of what it took: 3 leaves three quarters of one core alone. */
  readonly pauses: number;
  /** For how long, in ms, other processes leave the scan to this one after each step. */
  readonly claimMs: number;
}

export interface ScanRun {
  readonly rows: number;
  readonly findings: readonly Finding[];
  /** Rows known to lie, those of earlier runs included. */
  readonly open: number;
}

interface Position {
  readonly position: string;
  /** Of the last whole pass; null before there was one. */
  readonly rows: number | null;
}

interface Step {
  readonly findings: readonly Finding[];
  readonly rows: number;
  /** Last id that was checked; null at the end of the pass. */
  readonly to: string | null;
  /** Sums for the metrics, by name, as decimal text. */
  readonly totals: Readonly<Record<string, string>>;
}

type Snapshot = Pick<Sql, 'unsafe'>;
type Look = (snapshot: Snapshot, from: string) => Promise<Step>;

const byScope = (scope: Scope): readonly Check[] => checks.filter((check) => check.scope === scope);

export class AuditScan {
  readonly #sql: Sql;
  readonly #settings: ScanSettings;
  readonly #stopped = new AbortController();

  constructor(sql: Sql, settings: ScanSettings) {
    this.#sql = sql;
    this.#settings = settings;
  }

  /** The run that goes on ends at its next step. */
  stop(): void {
    this.#stopped.abort();
  }

  /**
   * One run: everything that is small, and the next rows of what is not. Null when another process is at it.
   * @throws what the driver throws
   */
  async run(): Promise<ScanRun | null> {
    const claim = `${this.#settings.claimMs} milliseconds`;
    const [claimed] = await this.#sql<{ mine: boolean; started: Date }[]>`
      SELECT audit_claim(${claim}::interval) AS mine, clock_timestamp() AS started`;
    if (!claimed?.mine) return null;
    const begin = performance.now();
    const [requests, wallets] = [await this.#position('requests'), await this.#position('wallets')];
    const isSmall = requests.rows !== null && requests.rows <= this.#settings.rows;
    const whole = byScope('whole').filter((check) => isSmall || !longChecks.includes(check));
    // About half of them are receipts, and these are what a wallet is added up from.
    const each = (requests.rows ?? 0) / 2 / Math.max(1, wallets.rows ?? 0);
    const atOnce = Math.max(1, Math.floor(this.#settings.stepRows / (1 + each)));
    const most = Math.max(1, Math.ceil(this.#settings.rows / (1 + each)));
    const done = [
      await this.#scan('whole', 1, (snapshot) => lookAtWhole(snapshot, whole)),
      await this.#scan('requests', this.#settings.rows, (snapshot, from) =>
        lookAtRequests(snapshot, from, this.#settings.stepRows),
      ),
      await this.#scan('wallets', most, (snapshot, from) => lookAtWallets(snapshot, from, atOnce)),
      await this.#scan('days', this.#settings.rows, (snapshot, from) =>
        lookAtDays(snapshot, from, this.#settings.stepRows),
      ),
      await this.#scanSales(paymentRows),
      await this.#scanSales(voucherRows),
    ];
    const rows = done.reduce((sum, part) => sum + part.rows, 0);
    const seconds = (performance.now() - begin) / 1000;
    const [ended] = await this.#sql<{ open: number }[]>`
      SELECT audit_finish(${claimed.started}, ${seconds}, ${rows}) AS open`;
    return { rows, findings: done.flatMap((part) => part.findings), open: ended?.open ?? 0 };
  }

  #scanSales(sales: Sales): Promise<{ rows: number; findings: Finding[] }> {
    const atOnce = Math.max(1, Math.floor(this.#settings.stepRows / sales.each));
    return this.#scan(sales.scope, this.#settings.rows, (snapshot, from) =>
      lookAtSales(snapshot, sales, from, atOnce),
    );
  }

  async #position(scope: Scope): Promise<Position> {
    const [row] = await this.#sql<Position[]>`
      SELECT position, passed_rows AS rows FROM audit_scans WHERE scope = ${scope}`;
    if (!row) throw new Error(`the audit has no position in ${scope}`);
    return row;
  }

  /** Steps until `most` rows were looked at, or the pass is over. */
  async #scan(
    scope: Scope,
    most: number,
    look: Look,
  ): Promise<{ rows: number; findings: Finding[] }> {
    const findings: Finding[] = [];
    let rows = 0;
    let from = (await this.#position(scope)).position;
    while (rows < most && !this.#stopped.signal.aborted) {
      const begin = performance.now();
      const step = await this.#sql.begin(
        'ISOLATION LEVEL REPEATABLE READ READ ONLY',
        async (snapshot) => {
          // What is proven in the background must not take a second core from those who wait.
          await snapshot.unsafe('SET LOCAL max_parallel_workers_per_gather = 0');
          return look(snapshot, from);
        },
      );
      findings.push(...step.findings);
      rows += step.rows;
      if (!(await this.#note(scope, from, step)) || step.to === null) break;
      from = step.to;
      const pause = (performance.now() - begin) * this.#settings.pauses;
      await sleep(pause, undefined, { signal: this.#stopped.signal, ref: false }).catch(() => {});
    }
    return { rows, findings };
  }

  /** False when another process has gone on from there meanwhile. */
  async #note(scope: Scope, from: string, step: Step): Promise<boolean> {
    const claim = `${this.#settings.claimMs} milliseconds`;
    const [noted] = await this.#sql<{ mine: boolean }[]>`
      SELECT audit_note(${scope}, ${from}, ${step.to ?? ''}, ${step.rows}, ${JSON.stringify(step.totals)}::text::jsonb,
        ${findingsJson(step.findings)}::text::jsonb, ${step.to === null}, ${claim}::interval) AS mine`;
    return noted?.mine === true;
  }
}

/** @param type of the column; ids are of the database's own making, and are checked by it once more */
function between(from: string, to: string | null, type: 'uuid' | 'bigint' | 'bytea'): Within {
  const low = from === '' ? '' : `'${from}'::${type}`;
  const high = to === null ? '' : `'${to}'::${type}`;
  return (column) =>
    [low && `${column} > ${low}`, high && `${column} <= ${high}`].filter(Boolean).join(' AND ') ||
    'true';
}

async function lookAtWhole(snapshot: Snapshot, asked: readonly Check[]): Promise<Step> {
  return { findings: await findLies(snapshot, asked, null), rows: 1, to: null, totals: {} };
}

interface Total {
  readonly name: string;
  readonly amount: string;
}

function totalsOf(rows: readonly Total[]): Readonly<Record<string, string>> {
  return Object.fromEntries(rows.map(({ name, amount }) => [name, amount]));
}

async function lookAtRequests(snapshot: Snapshot, from: string, atOnce: number): Promise<Step> {
  const after = between(from, null, 'uuid')('id');
  const [end] = await snapshot.unsafe<{ to: string | null }[]>(`
    SELECT least(
      (SELECT id FROM receipts WHERE ${after} ORDER BY id OFFSET ${atOnce - 1} LIMIT 1),
      (SELECT id FROM transfers WHERE ${after} ORDER BY id OFFSET ${atOnce - 1} LIMIT 1))::text AS to`);
  const to = end?.to ?? null;
  const within = between(from, to, 'uuid');
  // PostgreSQL takes a span of ids for one row or so, and would compare each row of the step with each.
  await snapshot.unsafe('SET LOCAL enable_nestloop = off');
  const findings = await findLies(snapshot, byScope('requests'), within);
  const totals = await snapshot.unsafe<Total[]>(`
    SELECT 'requests ' || outcome AS name, count(*)::text AS amount FROM receipts WHERE ${within('id')} GROUP BY outcome
    UNION ALL SELECT 'count ' || kind, count(*)::text FROM transfers WHERE ${within('id')} GROUP BY kind
    UNION ALL SELECT 'amount ' || kind, sum(amount)::text FROM transfers WHERE ${within('id')} GROUP BY kind
    UNION ALL SELECT 'balance ' || a.name, sum(l.amount)::text FROM (
      SELECT credit AS account, amount FROM transfers WHERE ${within('id')}
      UNION ALL SELECT debit, -amount FROM transfers WHERE ${within('id')}
    ) l JOIN ledger_accounts a ON a.id = l.account AND a.name IS NOT NULL GROUP BY a.name`);
  const counts = totals.filter(({ name }) => /^(requests|count) /.test(name));
  const rows = counts.reduce((sum, { amount }) => sum + Number(amount), 0);
  return { findings, rows, to, totals: totalsOf(totals) };
}

async function lookAtWallets(snapshot: Snapshot, from: string, atOnce: number): Promise<Step> {
  const [end] = await snapshot.unsafe<{ to: string | null }[]>(`
    SELECT id::text AS to FROM ledger_accounts WHERE ${between(from, null, 'bigint')('id')}
    ORDER BY id OFFSET ${atOnce - 1} LIMIT 1`);
  const to = end?.to ?? null;
  const within = between(from, to, 'bigint');
  const findings = await findLies(snapshot, byScope('wallets'), within);
  const totals = await snapshot.unsafe<Total[]>(`
    SELECT t.name, t.amount FROM (
      SELECT count(*) AS wallets, coalesce(sum(balance), 0) AS balance, coalesce(sum(held), 0) AS held
      FROM ledger_accounts WHERE ${within('id')} AND kind = 'wallet'
    ) w, LATERAL (VALUES ('wallets', w.wallets::text), ('balance wallets', w.balance::text), ('held wallets', w.held::text)) t (name, amount)`);
  return { findings, rows: Number(totals[0]?.amount ?? 0), to, totals: totalsOf(totals) };
}

/** A step is as many days as hold about `atOnce` lines, if all were like the last one of before. */
async function lookAtDays(snapshot: Snapshot, from: string, atOnce: number): Promise<Step> {
  const [days] = await snapshot.unsafe<{ to: string | null; lines: number }[]>(`
    WITH known AS (
      SELECT coalesce(${from === '' ? 'NULL' : `'${from}'::date`}, (SELECT ledger_day(created_at) - 1 FROM receipts ORDER BY id LIMIT 1)) AS last,
        (SELECT ledger_day(counted_to) FROM day_totals_mark) AS today
    ), next AS (
      SELECT last + 1 AS first, coalesce((SELECT sum(lines) FROM day_totals WHERE day = last + 1), 0) AS lines, today FROM known
    ), step AS (
      SELECT first + greatest(0, least(366, (${atOnce} / (1 + lines))::int) - 1) AS to, lines, today FROM next
    )
    SELECT CASE WHEN step.to < today THEN step.to::text END AS to,
      (SELECT coalesce(sum(lines), 0)::bigint FROM day_totals WHERE day BETWEEN (SELECT first FROM next) AND step.to) AS lines FROM step`);
  const to = days?.to ?? null;
  // Whatever says that it belongs to a day before the first or after the last is looked at with these.
  const begin = from === '' ? '-infinity' : nextDay(from);
  const asked = byScope('days').map((check) => ({
    ...check,
    rows: () => wrongDays(begin, to ?? 'infinity'),
  }));
  const findings = await findLies(snapshot, asked, null);
  return { findings, rows: days?.lines ?? 0, to, totals: {} };
}

/** What a part of the scan goes through that is bought or given, beside the rows that belong to each. */
interface Sales {
  readonly scope: Scope;
  readonly type: 'uuid' | 'bytea';
  readonly table: string;
  readonly column: string;
  /** Tables of rows that belong to one, by a column of theirs. */
  readonly parts: readonly (readonly [table: string, column: string])[];
  /** Rows that one has with it, about. */
  readonly each: number;
}

const paymentRows: Sales = {
  scope: 'payments',
  type: 'uuid',
  table: 'payments',
  column: 'id',
  parts: [
    ['payment_events', 'payment'],
    ['payment_refunds', 'payment'],
    ['payment_claims', 'payment'],
  ],
  each: 10,
};

const voucherRows: Sales = {
  scope: 'vouchers',
  type: 'bytea',
  table: 'voucher_codes',
  column: 'hash',
  parts: [['voucher_redemptions', 'code']],
  each: 2,
};

async function lookAtSales(
  snapshot: Snapshot,
  { scope, type, table, column, parts }: Sales,
  from: string,
  atOnce: number,
): Promise<Step> {
  const [end] = await snapshot.unsafe<{ to: string | null }[]>(`
    SELECT ${column}::text AS to FROM ${table} WHERE ${between(from, null, type)(column)}
    ORDER BY ${column} OFFSET ${atOnce - 1} LIMIT 1`);
  const to = end?.to ?? null;
  const within = between(from, to, type);
  const findings = await findLies(snapshot, byScope(scope), within);
  const all = [[table, column] as const, ...parts];
  const [counted] = await snapshot.unsafe<{ rows: number }[]>(
    `SELECT ${all.map(([name, by]) => `(SELECT count(*) FROM ${name} WHERE ${within(by)})`).join(' + ')} AS rows`,
  );
  return { findings, rows: counted?.rows ?? 0, to, totals: {} };
}

/** @param day as PostgreSQL writes dates */
function nextDay(day: string): string {
  const date = new Date(`${day}T00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}
