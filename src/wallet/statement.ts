/**
 * Statements: lines of a wallet, newest first, a page at a time. Pages hang together by the last line of the one before, so a
 * line that arrives meanwhile moves nothing. Requests come from their receipts, days from totals and from what these do not know yet.
 */
import type { Sql } from '../db/database.ts';
import type { Nano } from './money.ts';
import type { Cursor, LineKind, StatementQuery } from './statement_query.ts';

export interface Line {
  /** UUID, as the request's. */
  readonly id: string;
  readonly kind: LineKind;
  /** Signed, in nano-USD: negative is money out of the wallet. */
  readonly amount: Nano;
  /** What was asked, for a charge. */
  readonly model: string | null;
  readonly keyId: string | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The note of a credit; of a request that was free or cost a fee only, why. */
  readonly note: string | null;
  readonly createdAt: Date;
}

/** The lines of one day and kind, or of one model among them. */
export interface DayLine {
  readonly day: string;
  readonly kind: LineKind;
  /** Empty where models are not told apart, or none was asked. */
  readonly model: string;
  readonly lines: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly amount: Nano;
}

export interface Page<L> {
  readonly balance: Nano;
  readonly lines: readonly L[];
  /** Null after the last page. */
  readonly next: Cursor | null;
}

/** Above every id and every kind. */
const top = { id: 'ffffffff-ffff-ffff-ffff-ffffffffffff', kind: 'refund' } as const;
/** Below every id. */
const bottom = '00000000-0000-0000-0000-000000000000';
const firstDay = '2000-01-01';
const lastDay = '2999-12-31';

/** Shown where nobody says how many lines. */
const usualLines = 100;

interface Below {
  readonly id: string;
  readonly kind: LineKind;
}

/** One line more than the page has: whether it is there says whether there is a next one. */
function asked({ limit }: StatementQuery): number {
  return (limit ?? usualLines) + 1;
}

interface Span {
  /** Lowest and highest id. */
  readonly first: string;
  readonly last: string;
}

/** The condition that a moment is within the days that were asked for; nothing where none were. */
function withinDays(sql: Sql, { from, to }: StatementQuery, moment: ReturnType<Sql>) {
  return from || to
    ? sql`AND ledger_day(${moment}) BETWEEN ${from ?? firstDay}::date AND ${to ?? lastDay}::date`
    : sql``;
}

/**
 * Requests of a wallet, or of a key of it. Compared and sorted by pairs of which one index consists: with the id by itself, or with the
 * moment as it is stored, PostgreSQL would find ways by other indexes that it takes for shorter.
 */
function charges(
  sql: Sql,
  walletId: number,
  query: StatementQuery,
  { id, kind }: Below,
  { first, last }: Span,
) {
  const { key } = query;
  const [column, owner] = key
    ? [sql`r.key_id`, sql`${key}::uuid`]
    : [sql`r.wallet`, sql`${walletId}::bigint`];
  const highest = last < id ? last : id;
  return sql`(
    SELECT r.id, 'charge'::transfer_kind AS kind, -r.charged AS amount, r.model, r.key_id, r.input_tokens, r.output_tokens,
      CASE WHEN r.charged = 0 OR r.detail ->> 'ownKey' IS NOT NULL THEN r.detail ->> 'reason' END AS note, r.created_at
    FROM receipts r
    WHERE (${column}, r.id) >= (${owner}, ${first}::uuid) AND (${column}, r.id) <= (${owner}, ${highest}::uuid)
      ${withinDays(sql, query, sql`r.created_at`)} AND (r.id < ${id} OR ${kind}::transfer_kind > 'charge') ${key ? sql`AND r.wallet = ${walletId}` : sql``}
    ORDER BY ${column} DESC, r.id DESC LIMIT ${asked(query)})`;
}

/**
 * Between which ids the requests of the days are, which their totals know; null where there are none. Asked before the lines,
 * because only a bound that PostgreSQL knows when it plans leads it the short way.
 */
async function spanOf(sql: Sql, walletId: number, query: StatementQuery): Promise<Span | null> {
  const { from, to, key } = query;
  if (!from && !to) return { first: bottom, last: top.id };
  const [span] = await sql<{ first: string | null; last: string | null }[]>`
    SELECT first_id AS first, last_id AS last
    FROM ledger_span(${walletId}, ${key}, ${from ?? firstDay}, ${to ?? lastDay})`;
  return span?.first && span.last ? { first: span.first, last: span.last } : null;
}

/** Everything else that moved money into a wallet, or out of it. */
function moves(
  sql: Sql,
  walletId: number,
  side: 'credit' | 'debit',
  query: StatementQuery,
  { id, kind }: Below,
) {
  const { kinds } = query;
  const ofKinds = kinds ? sql`AND t.kind::text = ANY (${[...kinds]}::text[])` : sql``;
  return sql`(
    SELECT t.id, t.kind, ${side === 'credit' ? sql`t.amount` : sql`-t.amount`} AS amount, NULL AS model, NULL::uuid AS key_id,
      0 AS input_tokens, 0 AS output_tokens, t.note, t.created_at
    FROM transfers t
    WHERE t.${sql(side)} = ${walletId} AND t.kind NOT IN ('charge', 'loss')
      AND t.id <= ${id} AND (t.id, t.kind) < (${id}, ${kind}::transfer_kind) ${ofKinds} ${withinDays(sql, query, sql`t.created_at`)}
    ORDER BY t.id DESC, t.kind DESC LIMIT ${asked(query)})`;
}

/** The queries that a statement is put together from. */
function sources(
  sql: Sql,
  walletId: number,
  query: StatementQuery,
  below: Below,
  span: Span | null,
) {
  const { kinds, key } = query;
  const found: ReturnType<typeof charges>[] = [];
  if (span && (!kinds || kinds.includes('charge')))
    found.push(charges(sql, walletId, query, below, span));
  if (!key && (!kinds || kinds.some((kind) => kind !== 'charge')))
    found.push(
      moves(sql, walletId, 'credit', query, below),
      moves(sql, walletId, 'debit', query, below),
    );
  return found;
}

type Row<L> = { readonly balance: Nano } & (L | { readonly kind: null });

/** @throws Error where there is no wallet, for which there is always a row */
function page<L extends object>(
  rows: readonly Row<L & { readonly kind: LineKind }>[],
  query: StatementQuery,
  cursor: (line: L & { readonly kind: LineKind }) => Cursor,
): Page<L & { readonly kind: LineKind }> {
  const [first] = rows;
  if (!first) throw new Error('there is no such wallet');
  const found = rows.filter((row) => row.kind !== null);
  const lines = found.slice(0, asked(query) - 1);
  const last = lines.at(-1);
  return {
    balance: first.balance,
    lines,
    next: last && found.length > lines.length ? cursor(last) : null,
  };
}

/** One page of lines, and the balance, as of one moment. Database time of a page: a millisecond or two, however deep. */
export async function statementPage(
  sql: Sql,
  walletId: number,
  query: StatementQuery,
): Promise<Page<Line>> {
  const { cursor } = query;
  const below = cursor?.group === 'request' ? cursor : top;
  const [one, ...more] = sources(sql, walletId, query, below, await spanOf(sql, walletId, query));
  const lines = one
    ? more.reduce((all, source) => sql`${all} UNION ALL ${source}`, one)
    : sql`SELECT NULL AS id, NULL AS kind WHERE false`;
  const rows = await sql<Row<Line>[]>`
    SELECT a.balance, l.id, l.kind, l.amount, l.model, l.key_id AS "keyId", l.input_tokens AS "inputTokens",
      l.output_tokens AS "outputTokens", l.note, l.created_at AS "createdAt"
    FROM ledger_accounts a LEFT JOIN (
      SELECT * FROM (${lines}) sources ORDER BY id DESC, kind DESC LIMIT ${asked(query)}
    ) l ON true
    WHERE a.id = ${walletId}
    ORDER BY l.id DESC, l.kind DESC`;
  return page(rows, query, ({ id, kind }) => ({ group: 'request', id, kind }));
}

/** One page of days, or of days and models: newest first, of one day the kinds from refunds to charges, then models from z to a. */
export async function dayPage(
  sql: Sql,
  walletId: number,
  query: StatementQuery & { readonly group: 'day' | 'model' },
): Promise<Page<DayLine>> {
  const { from, to, kinds, key, group, cursor } = query;
  const end =
    cursor && cursor.group !== 'request'
      ? cursor
      : { day: lastDay, kind: 'refund', model: '\uffff' };
  const model = group === 'model' ? sql`coalesce(model, '') COLLATE "C"` : sql`'' COLLATE "C"`;
  const where = sql`
    day BETWEEN ${from ?? firstDay}::date AND least(${to ?? lastDay}::date, ${end.day}::date)
    ${kinds ? sql`AND kind::text = ANY (${[...kinds]}::text[])` : sql``}
    ${key ? sql`AND key_id = ${key} AND kind = 'charge'` : sql``}`;
  const rows = await sql<Row<DayLine>[]>`
    SELECT a.balance, l.day::text, l.kind, l.model, l.lines, l.input AS "inputTokens", l.output AS "outputTokens", l.amount
    FROM ledger_accounts a LEFT JOIN (
      SELECT day, kind, model, sum(lines)::bigint AS lines, sum(input)::bigint AS input, sum(output)::bigint AS output,
        sum(amount)::bigint AS amount
      FROM (
        SELECT day, kind, ${model} AS model, lines, input_tokens AS input, output_tokens AS output, amount
        FROM day_totals WHERE wallet = ${walletId} AND ${where}
        UNION ALL
        SELECT day, kind, ${model}, 1, input_tokens, output_tokens, amount FROM ledger_tail(${walletId}, ${to ?? lastDay}) WHERE ${where}
      ) parts
      WHERE (day, kind, model) < (${end.day}::date, ${end.kind}::transfer_kind, ${end.model})
      GROUP BY day, kind, model ORDER BY day DESC, kind DESC, model DESC LIMIT ${asked(query)}
    ) l ON true
    WHERE a.id = ${walletId}
    ORDER BY l.day DESC, l.kind DESC, l.model DESC`;
  return page(rows, query, (line) => ({
    group,
    day: line.day,
    kind: line.kind,
    model: line.model,
  }));
}
