/**
 * How fast statements are when there are very many lines: fills a database of its own by SQL, a year of one busy wallet, then
 * times what people ask for and shows how PostgreSQL finds it. Writes bench/STATEMENT.md.
 *
 *     node bench/statement.ts [LINES, 10000000 if not said]
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { addArrayTypes } from '../src/db/arrays.ts';
import type { Sql } from '../src/db/connection.ts';
import { countDays } from '../src/wallet/day_totals.ts';
import { statementCsv } from '../src/wallet/export_statement.ts';
import { dayPage, statementPage } from '../src/wallet/statement.ts';
import { type StatementQuery, wholeStatement } from '../src/wallet/statement_query.ts';
import { Ledgers } from '../test/ledgers.ts';
import { median } from './rounds.ts';

const months = 12;
const monthMs = (365.25 * 86_400_000) / 12;
/** As a gateway writes it, roughly. */
const detail = JSON.stringify({
  finishReason: 'stop',
  reason: null,
  reportedBy: 'provider',
  upstreamModel: 'gpt-4o-mini',
  priceVersion: 'openai/gpt-4o-mini@2026-11-10',
  tokens: { input: 61, cacheRead: 0, cacheWrite: 0, output: 120, reasoning: 0 },
  prices: { input: 150_000, cacheRead: 75_000, cacheWrite: 150_000, output: 600_000 },
  firstByteMs: 340,
  durationMs: 1275,
});

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A connection that remembers what it was asked last, to have it explained. */
function listening(socket: string): { sql: Sql; last: () => Statement } {
  let last: Statement = { text: '', values: [] };
  const number = { to: 20, from: [20], parse: Number, serialize: String };
  const sql = postgres({
    path: socket,
    user: 'akai',
    database: 'akai',
    max: 1,
    fetch_types: false,
    types: { bigint: number },
    debug: (_connection, text, values) => {
      last = { text, values };
    },
  });
  addArrayTypes(sql.options);
  return { sql, last: () => last };
}

/** Secondary indexes are made after the rows, which is faster; returns what makes them. */
async function dropIndexes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string; made: string }[]>`
    SELECT indexname AS name, indexdef AS made FROM pg_indexes
    WHERE tablename IN ('receipts', 'transfers') AND indexdef NOT LIKE 'CREATE UNIQUE%'`;
  for (const { name } of rows) await sql`DROP INDEX ${sql(name)}`;
  // Of the parent alone, as pg_indexes says it, they would not reach the partitions.
  return rows.map(({ made }) => made.replace(' ON ONLY ', ' ON '));
}

const id = (moment: string, salt: string): string =>
  `(lpad(to_hex((extract(epoch FROM ${moment}) * 1000)::bigint), 12, '0') || '7' || left(md5(${salt}), 3) || '8' || substr(md5(${salt}), 4, 15))::uuid`;

/** A month of requests, evenly spread, of twenty keys and six models; one in fifty was free; and one top-up a day. */
async function fillMonth(sql: Sql, wallet: number, from: Date, lines: number): Promise<void> {
  const step = monthMs / lines;
  await sql.unsafe(`
    INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail, seal)
    SELECT id, ${wallet}, key_id, model, 'openai', outcome, input, output, charged, charged, held, at, detail,
      receipt_seal(id, ${wallet}, key_id, model, 'openai', outcome, input, output, charged, charged, held, at, detail)
    FROM (
      SELECT ${id("at - interval '1.3 seconds'", 'at::text')} AS id, at,
        ('00000000-0000-4000-8000-' || lpad((CASE WHEN n % 300000 = 0 THEN 99 ELSE n % 20 END)::text, 12, '0'))::uuid AS key_id,
        (ARRAY['openai/gpt-4o-mini', 'openai/gpt-4o', 'anthropic/claude-3-5-sonnet', 'google/gemini-2.5-flash', 'x-ai/grok-3', 'a/b'])[1 + n % 6] AS model,
        CASE WHEN n % 50 = 0 THEN 'released' ELSE 'settled' END::request_outcome AS outcome,
        61 + n % 900 AS input, 120 + n % 300 AS output,
        CASE WHEN n % 50 = 0 THEN 0 ELSE 20000 + n % 90000 END::bigint AS charged, 200000::bigint AS held, '${detail}'::json AS detail
      FROM generate_series(0, ${lines - 1}) n, LATERAL (SELECT '${from.toISOString()}'::timestamptz + n * interval '${step} milliseconds' AS at) moment
    ) made`);
  await sql.unsafe(`
    INSERT INTO transfers (id, kind, debit, credit, amount, created_at, seal)
    SELECT id, 'charge', wallet, 1, charged, created_at, transfer_seal(id, 'charge', wallet, 1, charged, NULL, created_at) FROM receipts
    WHERE charged > 0 AND created_at >= '${from.toISOString()}'
      AND id >= ledger_first_id('${from.toISOString()}'::timestamptz - interval '2 seconds')`);
  await sql.unsafe(`
    INSERT INTO transfers (id, kind, debit, credit, amount, note, created_at, seal)
    SELECT ${id('at', "'topup' || at")}, 'topup', 3, ${wallet}, 30000000000, 'bKash', at,
      transfer_seal(${id('at', "'topup' || at")}, 'topup', 3, ${wallet}, 30000000000, 'bKash', at)
    FROM (SELECT '${from.toISOString()}'::timestamptz + n * interval '1 day' AS at FROM generate_series(0, 29) n) days`);
}

async function fill(sql: Sql, wallet: number, lines: number): Promise<void> {
  await sql`ALTER SYSTEM SET max_wal_size = '8GB'`;
  await sql`SELECT pg_reload_conf()`;
  await sql`SET synchronous_commit = off`;
  await sql`SET maintenance_work_mem = '512MB'`;
  const began = Date.now() - months * monthMs - 60_000;
  await sql`SELECT ledger_make_partitions(${new Date(began)}, 1)`;
  const indexes = await dropIndexes(sql);
  for (let month = 0; month < months; month += 1) {
    await fillMonth(sql, wallet, new Date(began + month * monthMs), Math.round(lines / months));
    say(`month ${month + 1} of ${months} at ${Math.round(performance.now() / 1000)} s`);
  }
  for (const index of indexes) await sql.unsafe(index);
  await sql`UPDATE ledger_accounts SET balance = (SELECT sum(CASE WHEN credit = ${wallet} THEN amount ELSE -amount END) FROM transfers WHERE ${wallet} IN (credit, debit)),
    ended = (SELECT count(*) FROM receipts WHERE wallet = ${wallet}) WHERE id = ${wallet}`;
  await sql`UPDATE day_totals_mark SET counted_to = ${new Date(began - 1000)}, seen_at = now(), next_to = NULL`;
  say(`indexes at ${Math.round(performance.now() / 1000)} s`);
  await sql`VACUUM ANALYZE receipts`;
  await sql`VACUUM ANALYZE transfers`;
}

interface Finding {
  readonly name: string;
  readonly rows: number;
  readonly first: number;
  readonly usual: number;
  readonly plan: string;
}

/** Without what was never executed, and without the partitions that were only looked into: of a dozen, most. */
function shortened(lines: readonly string[]): string {
  const kept: string[] = [];
  let below = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    const depth = line.search(/\S/);
    if (depth > below) continue;
    const isPeek = / on (receipts|transfers)_\w+ .*rows=[01]\.00 /.test(line);
    below = isPeek || line.includes('never executed') ? depth : Number.POSITIVE_INFINITY;
    const place = `${' '.repeat(depth)}->  (other partitions: the same, with at most one row)`;
    if (isPeek && kept.at(-1) !== place) kept.push(place);
    if (below === Number.POSITIVE_INFINITY && !/^\s*(Buffers: shared hit=\d+$)/.test(line))
      kept.push(line.replaceAll(/'([0-9a-f]{8})[0-9a-f-]{28}'/g, "'$1…'"));
  }
  return kept.join('\n');
}

async function explained(sql: Sql, { text, values }: Statement): Promise<string> {
  // as: these are values that the driver took a moment ago
  const given = [...values] as string[];
  const rows = await sql.unsafe<{ 'QUERY PLAN': string }[]>(
    `EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) ${text}`,
    given,
  );
  return shortened(rows.map((row) => row['QUERY PLAN']));
}

async function measured(
  { sql, last }: ReturnType<typeof listening>,
  name: string,
  read: () => Promise<number>,
  rounds = 15,
): Promise<Finding> {
  const times: number[] = [];
  let rows = 0;
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now();
    rows = await read();
    times.push(performance.now() - began);
  }
  const statement = last();
  const plan = await explained(sql, statement);
  const [first = 0, ...rest] = times;
  const usual = rest.length > 0 ? median(rest) : first;
  say(`${name}: ${rows} rows, ${first.toFixed(1)} ms, then ${usual.toFixed(1)} ms`);
  return { name, rows, first, usual, plan };
}

async function measureAll(socket: string, wallet: number): Promise<Finding[]> {
  const connection = listening(socket);
  const { sql } = connection;
  const lines = (query: Partial<StatementQuery>) => async () =>
    (await statementPage(sql, wallet, { ...wholeStatement, ...query })).lines.length;
  const days = (query: Partial<StatementQuery>, group: 'day' | 'model') => async () =>
    (await dayPage(sql, wallet, { ...wholeStatement, ...query, group })).lines.length;
  const middle = new Date(Date.now() - (months / 2) * monthMs).toISOString().slice(0, 10);
  const monthEnd = new Date(Date.now() - (months / 2 - 1) * monthMs).toISOString().slice(0, 10);
  const hex = new Date(`${middle}T00:00Z`).getTime().toString(16).padStart(12, '0');
  const deep = {
    group: 'request',
    kind: 'charge',
    id: `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`,
  } as const;
  const usualKey = '00000000-0000-4000-8000-000000000007';
  const rareKey = '00000000-0000-4000-8000-000000000099';
  const cases: readonly [string, () => Promise<number>, number?][] = [
    ['first page', lines({})],
    ['a page half a year deep', lines({ cursor: deep })],
    ['type=TOPUP', lines({ kinds: ['topup'] })],
    ['type=REFUND (there are none)', lines({ kinds: ['refund'] })],
    ['key: a twentieth of all', lines({ key: usualKey })],
    ['key: seldom used', lines({ key: rareKey })],
    ['one day, half a year ago', lines({ from: middle, to: middle })],
    ['one day and the seldom used key', lines({ from: middle, to: middle, key: rareKey })],
    ['today', lines({ from: new Date().toISOString().slice(0, 10) })],
    ['group=day, first page', days({}, 'day')],
    ['group=day, the whole year', days({ limit: 1000 }, 'day')],
    ['group=model, a month', days({ from: middle, to: monthEnd, limit: 1000 }, 'model')],
    ['group=day of one key', days({ key: usualKey }, 'day')],
    [
      'CSV of a month (the last page’s plan)',
      async () => {
        let rows = 0;
        const query = { ...wholeStatement, from: middle, to: monthEnd };
        for await (const text of statementCsv(sql, wallet, query))
          rows += text.split('\n').length - 1;
        return rows - 1;
      },
      1,
    ],
  ];
  const findings: Finding[] = [];
  for (const [name, read, rounds] of cases)
    findings.push(await measured(connection, name, read, rounds));
  await sql.end();
  return findings;
}

async function timed(what: string, work: () => Promise<unknown>): Promise<string> {
  const began = performance.now();
  await work();
  const text = `${what}: ${((performance.now() - began) / 1000).toFixed(1)} s`;
  say(text);
  return text;
}

function report(
  lines: number,
  sizes: string,
  notes: readonly string[],
  findings: readonly Finding[],
): string {
  const table = findings.map(
    ({ name, rows, first, usual }) =>
      `| ${name} | ${rows} | ${first.toFixed(1)} | ${usual.toFixed(1)} |`,
  );
  const plans = findings.map(({ name, plan }) => `### ${name}\n\n\`\`\`text\n${plan}\n\`\`\`\n`);
  return `# Statements with ${lines.toLocaleString('en')} lines

Written by \`node bench/statement.ts ${lines}\`: one wallet, ${months} months, twenty keys, six models; the embedded PostgreSQL with its
usual settings, two cores, which other work used as well. Times include the driver; a page has 100 lines. "First" is
the first time it was asked, "then" the median of fourteen more.

${notes.map((note) => `- ${note}`).join('\n')}
- sizes: ${sizes}

| asked for | rows | first, ms | then, ms |
| --- | --- | --- | --- |
${table.join('\n')}

## Plans

What was never executed is left out.

${plans.join('\n')}`;
}

const lines = Number(process.argv[2] ?? 10_000_000);
await using ledgers = await Ledgers.open();
const { owner, socket } = ledgers;
const wallet = await ledgers.wallet(0);
const filling = listening(socket);
const notes = [
  await timed('filled, indexed and analysed', () => fill(filling.sql, wallet, lines)),
  await timed('all day totals counted', async () => {
    for (let more = true; more; ) {
      await countDays(owner, 0);
      const [row] = await owner<{ more: boolean }[]>`
        SELECT counted_to < now() - interval '2 minutes' AS more FROM day_totals_mark`;
      more = row?.more === true;
    }
  }),
  await timed('all day totals proven equal to their lines', async () => {
    const wrong = await owner`SELECT * FROM ledger_wrong_days('2000-01-01', '2999-01-01')`;
    if (wrong.length > 0) throw new Error(`${wrong.length} totals are wrong`);
  }),
];
await filling.sql.end();
await owner`ANALYZE day_totals`;
const sizes = await owner<{ name: string; size: string }[]>`
  SELECT i.relname AS name, pg_size_pretty(sum(pg_total_relation_size(t.relid))) AS size
  FROM unnest(ARRAY['receipts', 'transfers', 'day_totals']) r (name) JOIN pg_class i ON i.relname = r.name, pg_partition_tree(i.oid) t
  WHERE t.isleaf GROUP BY i.relname`;
const findings = await measureAll(socket, wallet);
const told = sizes.map(({ name, size }) => `${name} with indexes ${size}`).join(', ');
const file = join(import.meta.dirname, 'STATEMENT.md');
writeFileSync(file, report(lines, told || 'not known', notes, findings));
say(`written: ${file}`);
