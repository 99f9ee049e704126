/** Statements against a plain list: whatever is asked, by pages of whatever size, it is what filtering the list gives. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Ledgers } from '../../test/ledgers.ts';
import { countDays } from './day_totals.ts';
import { statementCsv } from './export_statement.ts';
import { type DayLine, dayPage, type Line, statementPage } from './statement.ts';
import { csvRow, lineEntry } from './statement_form.ts';
import { type LineKind, type StatementQuery, wholeStatement } from './statement_query.ts';

const ledgers = await Ledgers.open();
const { owner } = ledgers;
const { sql } = ledgers.database;
after(() => ledgers[Symbol.asyncDispose]());

const hour = 3_600_000;
const day = 24 * hour;
const now = Date.now();
const keys = [crypto.randomUUID(), crypto.randomUUID()] as const;
const models = ['openai/gpt-4o', 'openai/gpt-4o-mini', 'test/unknown'] as const;
const kinds = ['charge', 'topup', 'bonus', 'adjustment', 'refund'] as const;

interface Written {
  readonly id: string;
  readonly wallet: number;
  readonly kind: LineKind;
  readonly key: string | null;
  readonly model: string | null;
  readonly amount: number;
  readonly at: Date;
}

function idAt(ms: number): string {
  const time = Math.round(ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

function pick<T>(from: readonly T[]): T {
  const found = from[Math.floor(Math.random() * from.length)];
  assert.ok(found !== undefined);
  return found;
}

/** A line of the last six days, written up to two days after its id was made. */
function randomLine(wallet: number): Written {
  const at = now - Math.random() * 6 * day;
  const late = Math.random() < 0.1 ? Math.random() * 2 * day : Math.random() * 60_000;
  const kind = Math.random() < 0.8 ? 'charge' : pick(kinds);
  return {
    id: idAt(at - late),
    wallet,
    kind,
    key: kind === 'charge' ? pick([...keys, null]) : null,
    model: kind === 'charge' ? pick(models) : null,
    // Some are free.
    amount: kind === 'charge' ? Math.min(0, 100 - Math.floor(Math.random() * 1000)) : 7,
    at: new Date(Math.round(at)),
  };
}

/** Writes lines as the ledger's functions would have at that moment. */
async function write(lines: readonly Written[]): Promise<void> {
  for (const { id, wallet, kind, key, model, amount, at } of lines) {
    if (kind === 'charge')
      await owner`
        INSERT INTO receipts (id, wallet, key_id, model, outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail, seal)
        VALUES (${id}, ${wallet}, ${key}, ${model}, ${amount ? 'settled' : 'released'}, 10, 5, ${-amount}, ${-amount}, ${-amount}, ${at},
          '{"reason":"nothing came"}', '')`;
    else
      await owner`
        INSERT INTO transfers (id, kind, debit, credit, amount, note, created_at, seal)
        VALUES (${id}, ${kind}, 3, ${wallet}, ${amount}, 'a note', ${at}, '')`;
  }
}

function dhakaDay(at: Date): string {
  return new Date(at.getTime() + 6 * hour).toISOString().slice(0, 10);
}

const order = (line: { id: string; kind: LineKind }): string =>
  `${line.id} ${kinds.indexOf(line.kind)}`;
const descending = (a: string, b: string): number => (a < b ? 1 : a > b ? -1 : 0);

function filtered(lines: readonly Written[], query: StatementQuery): Written[] {
  return lines
    .filter(({ at }) => dhakaDay(at) >= (query.from ?? '') && dhakaDay(at) <= (query.to ?? '9'))
    .filter(({ kind }) => query.kinds?.includes(kind) ?? true)
    .filter(({ key }) => !query.key || key === query.key)
    .sort((a, b) => descending(order(a), order(b)));
}

async function joined(wallet: number, query: StatementQuery): Promise<Line[]> {
  const lines: Line[] = [];
  for (let { cursor } = query; ; ) {
    const page = await statementPage(sql, wallet, { ...query, cursor });
    assert.ok(page.lines.length <= (query.limit ?? 100));
    lines.push(...page.lines);
    cursor = page.next;
    if (!cursor) return lines;
  }
}

async function joinedDays(
  wallet: number,
  query: StatementQuery & { readonly group: 'day' | 'model' },
): Promise<DayLine[]> {
  const lines: DayLine[] = [];
  for (let { cursor } = query; ; ) {
    const page = await dayPage(sql, wallet, { ...query, cursor });
    lines.push(...page.lines);
    cursor = page.next;
    if (!cursor) return lines;
  }
}

/** Totals by day, kind and model, newest first. */
function added(lines: readonly Written[], byModel: boolean): object[] {
  const sums = new Map<string, { lines: number; amount: number; tokens: number }>();
  for (const { at, kind, model, amount } of lines) {
    const name = `${dhakaDay(at)} ${kinds.indexOf(kind)} ${byModel ? (model ?? '') : ''}`;
    const sum = sums.get(name) ?? { lines: 0, amount: 0, tokens: 0 };
    sum.lines += 1;
    sum.amount += amount;
    sum.tokens += kind === 'charge' ? 15 : 0;
    sums.set(name, sum);
  }
  return [...sums].sort(([a], [b]) => descending(a, b)).map(([name, sum]) => ({ name, ...sum }));
}

/** Counts everything anew, as far as `to`. */
async function countTo(to: number): Promise<void> {
  await owner`DELETE FROM day_totals`;
  await owner`UPDATE day_totals_mark SET counted_to = ${new Date(now - 30 * day)}, next_to = ${new Date(to)}, waiting = '{}', seen_at = now()`;
  while (await countDays(sql, 1000));
  const [mark] = await owner<{ reached: boolean }[]>`
    SELECT counted_to = ${new Date(to)} AS reached FROM day_totals_mark`;
  assert.equal(mark?.reached, true);
}

async function wrongDays(): Promise<number> {
  return (await sql`SELECT * FROM ledger_wrong_days('2000-01-01', '2999-01-01')`).length;
}

test('pages of any size, joined, are the filtered list; so are days, of totals and of what these do not know yet', async () => {
  const wallets = [await ledgers.wallet(0), await ledgers.wallet(0)];
  const lines = Array.from({ length: 400 }, () => randomLine(pick(wallets)));
  const [first] = lines;
  assert.ok(first);
  // Two lines of one id.
  lines.push({ ...first, kind: 'refund', key: null, model: null, amount: 7 });
  if (first.kind !== 'refund') await write(lines);
  else await write(lines.slice(0, -1));
  const known = first.kind === 'refund' ? lines.slice(0, -1) : lines;
  await countTo(now - 2 * day);
  assert.equal(await wrongDays(), 0);
  const dates = fc.constantFrom(
    null,
    ...Array.from({ length: 8 }, (_, ago) => dhakaDay(new Date(now - ago * day))),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...wallets),
      fc.tuple(dates, dates),
      fc.option(fc.subarray([...kinds], { minLength: 1 })),
      fc.option(fc.constantFrom(...keys), { freq: 1 }),
      fc.integer({ min: 1, max: 150 }),
      async (wallet, [one, other], some, key, limit) => {
        const isOrdered = one === null || other === null || one <= other;
        const [from, to] = isOrdered ? [one, other] : [other, one];
        const query = { ...wholeStatement, from, to, kinds: some, key, limit };
        const own = known.filter((line) => line.wallet === wallet);
        const expected = filtered(own, query);
        const shown = await joined(wallet, query);
        assert.deepEqual(shown.map(order), expected.map(order));
        for (const group of ['day', 'model'] as const) {
          const days = await joinedDays(wallet, { ...query, group });
          assert.deepEqual(
            days.map((line) => ({
              name: `${line.day} ${kinds.indexOf(line.kind)} ${line.model}`,
              lines: line.lines,
              amount: line.amount,
              tokens: line.inputTokens + line.outputTokens,
            })),
            added(expected, group === 'model'),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
  const [wallet] = wallets;
  assert.ok(wallet);
  let csv = '';
  for await (const text of statementCsv(sql, wallet, wholeStatement)) csv += text;
  const own = await joined(wallet, wholeStatement);
  assert.ok(csv.endsWith(own.map((line) => csvRow(lineEntry(line))).join('')));
  assert.ok(own.some((line) => lineEntry(line).description.endsWith('(free: nothing came)')));
});

test('lines that arrive between two pages neither repeat nor hide what was there', async () => {
  const wallet = await ledgers.wallet(0);
  const lines = Array.from({ length: 50 }, () => randomLine(wallet));
  await write(lines);
  const query = { ...wholeStatement, limit: 20 };
  const first = await statementPage(sql, wallet, query);
  await write(Array.from({ length: 30 }, () => ({ ...randomLine(wallet), id: idAt(now + 1000) })));
  const rest = await joined(wallet, { ...query, cursor: first.next });
  assert.deepEqual([...first.lines, ...rest].map(order), filtered(lines, query).map(order));
});

test('a transaction that commits late is counted, once: totals wait for it', async () => {
  const wallet = await ledgers.wallet(0);
  await countTo(Date.now() - 1);
  const line = { ...randomLine(wallet), kind: 'charge', amount: -5, model: models[0] } as const;
  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const late = owner.begin(async (transaction) => {
    await transaction`SELECT now()`;
    begun.resolve();
    await end.promise;
    await transaction`
      INSERT INTO receipts (id, wallet, key_id, model, outcome, input_tokens, output_tokens, cost, charged, held, detail, seal)
      VALUES (${line.id}, ${wallet}, NULL, ${line.model}, 'settled', 10, 5, 5, 5, 5, '{}', '')`;
  });
  await begun.promise;
  await new Promise((resolve) => setTimeout(resolve, 30));
  const counted = async (): Promise<number> => {
    const [row] = await owner<{ lines: number }[]>`
      SELECT coalesce(sum(lines), 0)::int AS lines FROM day_totals WHERE wallet = ${wallet}`;
    return row?.lines ?? 0;
  };
  // Without waiting, these would count past the moment at which it began.
  for (let count = 0; count < 5; count += 1) await countDays(sql, 1);
  end.resolve();
  await late;
  assert.equal(await counted(), 0);
  const shown = (await dayPage(sql, wallet, { ...wholeStatement, group: 'day' })).lines;
  assert.deepEqual([shown.length, shown[0]?.amount], [1, -5]);
  for (let tries = 0; tries < 500 && (await counted()) === 0; tries += 1) {
    await countDays(sql, 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(await counted(), 1);
  assert.deepEqual((await dayPage(sql, wallet, { ...wholeStatement, group: 'day' })).lines, shown);
  assert.equal(await wrongDays(), 0);
});

test('when the clock is put back, the days that it passes again are counted anew', async () => {
  const wallet = await ledgers.wallet(0);
  await countTo(Date.now() - 1);
  await write([
    { ...randomLine(wallet), kind: 'charge', amount: -3, model: models[0], at: new Date() },
  ]);
  // As if the totals had come further than the clock is now.
  await owner`UPDATE day_totals_mark SET counted_to = now() + interval '1 hour', seen_at = now() + interval '1 hour', next_to = NULL`;
  const before = await dayPage(sql, wallet, { ...wholeStatement, group: 'day' });
  assert.equal(before.lines.length, 0);
  await countDays(sql, 1);
  const lines = (await dayPage(sql, wallet, { ...wholeStatement, group: 'day' })).lines;
  assert.deepEqual([lines.length, lines[0]?.amount], [1, -3]);
});

test('whatever is changed in a total is found', async () => {
  const wallet = await ledgers.wallet(0);
  await write(
    Array.from({ length: 5 }, () => ({ ...randomLine(wallet), kind: 'topup' as const, amount: 9 })),
  );
  await write([
    { ...randomLine(wallet), kind: 'charge', amount: -9, key: keys[0], model: models[0] },
  ]);
  await countTo(Date.now() - 1);
  assert.equal(await wrongDays(), 0);
  const broken = new Error('undone');
  const changes: Readonly<Record<string, string>> = {
    wallet: '-1',
    day: 'day - 1000',
    kind: "'bonus'",
    key_id: 'gen_random_uuid()',
    model: "'x'",
    lines: 'lines + 1',
    input_tokens: 'input_tokens + 1',
    output_tokens: 'output_tokens + 1',
    amount: 'amount + 1',
    first_id: 'gen_random_uuid()',
    last_id: "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
  };
  for (const [column, value] of Object.entries(changes))
    await owner
      .begin(async (transaction) => {
        await transaction.unsafe(`UPDATE day_totals SET ${column} = ${value}
          WHERE ctid = (SELECT ctid FROM day_totals WHERE wallet = ${wallet} LIMIT 1)`);
        const found =
          await transaction`SELECT * FROM ledger_wrong_days('2000-01-01', '2999-01-01')`;
        assert.ok(found.length > 0, column);
        throw broken;
      })
      .catch((error: unknown) => assert.equal(error, broken));
  await owner`DELETE FROM day_totals WHERE wallet = ${wallet}`;
  assert.ok((await wrongDays()) > 0);
});

test('the role of the program may read totals and count, and nothing else', async () => {
  await assert.rejects(sql`UPDATE day_totals SET amount = 0`, /permission denied/);
  await assert.rejects(sql`SELECT ledger_add_days(now(), now())`, /permission denied/);
  await assert.rejects(sql`SELECT ledger_recount_days('2026-01-01')`, /permission denied/);
});
