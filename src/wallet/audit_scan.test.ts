/** The scan that goes on beside the requests: nothing escapes it for longer than a pass, and it never cries wolf. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { countAll, writeHonestBooks } from '../../test/honest_books.ts';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { audit, auditHistory, openFindings, recordedAudit } from './audit.ts';
import { AuditScan, type ScanRun } from './audit_scan.ts';
import { booksState } from './books_state.ts';
import { countDays } from './day_totals.ts';

let ledgers: Ledgers;
let wallet: number;

before(async () => {
  ledgers = await Ledgers.open();
  await writeHonestBooks(ledgers);
  wallet = await ledgers.wallet(100_000);
  const { ledger } = await ledgers.start();
  for (let count = 0; count < 60; count += 1) {
    const hold = holdOf(wallet, 500);
    await ledger.hold(hold);
    await ledger.settle(settlementOf(hold, 100 + count));
  }
  for (let count = 0; count < 20; count += 1) await ledgers.wallet(1000);
  await countAll(ledgers);
});
after(() => ledgers[Symbol.asyncDispose]());

function scanOf(rows: number, stepRows: number, claimMs = 0): AuditScan {
  return new AuditScan(ledgers.database.sql, { rows, stepRows, pauses: 0, claimMs });
}

async function run(scan: AuditScan): Promise<ScanRun> {
  const done = await scan.run();
  assert.ok(done, 'another process has the claim');
  return done;
}

/** Past triggers; the tables of money are owned by who may do that. */
async function falsify(table: string, change: string): Promise<void> {
  await ledgers.owner.begin(async (sql) => {
    await sql`ALTER TABLE ${sql(table)} DISABLE TRIGGER USER`;
    const { count } = await sql.unsafe(change);
    assert.equal(count, 1, change);
    await sql`ALTER TABLE ${sql(table)} ENABLE TRIGGER USER`;
  });
}

/** Most runs that a pass takes: 60 rows a run, of some 150 receipts and transfers. */
const runsOfPass = 8;

/** How many runs it takes until the ids of what is known to lie are as asked. */
async function runsUntil(
  scan: AuditScan,
  seen: (ids: readonly string[]) => boolean,
): Promise<number> {
  for (let runs = 1; runs <= 2 * runsOfPass; runs += 1) {
    await run(scan);
    if (seen((await openFindings(ledgers.database.sql)).map(({ id }) => id))) return runs;
  }
  return Number.POSITIVE_INFINITY;
}

test('a scan in small steps finds whatever lies within one pass, and knows when it no longer does', async () => {
  const scan = scanOf(60, 30);
  const [middle] = await ledgers.owner<{ id: string; partition: string; part: string }[]>`
    SELECT r.id, r.tableoid::regclass::text AS partition, t.tableoid::regclass::text AS part
    FROM receipts r JOIN transfers t ON t.id = r.id
    WHERE r.wallet = ${wallet} ORDER BY r.id OFFSET 30 LIMIT 1`;
  assert.ok(middle);
  const { id, partition, part } = middle;
  const lies: [string, RegExp, string, string, string][] = [
    [partition, new RegExp(id), `model = 'x'`, `model = 'test/model'`, `id = '${id}'`],
    [part, new RegExp(id), 'amount = amount + 1', 'amount = amount - 1', `id = '${id}'`],
    [
      'ledger_accounts',
      new RegExp(`^${wallet}$`),
      'balance = balance + 1',
      'balance = balance - 1',
      `id = ${wallet}`,
    ],
    ['holds', /-/, 'checkpoint = checkpoint + 1', 'checkpoint = checkpoint - 1', 'true'],
    [
      'day_totals',
      /charge/,
      'lines = lines + 1',
      'lines = lines - 1',
      `wallet = ${wallet} AND kind = 'charge'`,
    ],
  ];
  for (const [table, named, lie, truth, where] of lies) {
    for (let runs = 0; runs < 3; runs += 1) assert.equal((await run(scan)).open, 0);
    await falsify(table, `UPDATE ${table} SET ${lie} WHERE ${where}`);
    const runs = await runsUntil(scan, (ids) => ids.some((id) => named.test(id)));
    assert.ok(runs <= runsOfPass, `${table}: ${runs} runs`);
    assert.equal((await audit(ledgers.database.sql)).ok, false);
    await falsify(table, `UPDATE ${table} SET ${truth} WHERE ${where}`);
    const mended = await runsUntil(scan, (ids) => ids.length === 0);
    assert.ok(mended <= 2 * runsOfPass, `${table}: mended after ${mended} runs`);
  }
});

test('what lies stays known, also where an earlier release read it with another part of the books', async () => {
  const scan = scanOf(60, 30);
  const { owner } = ledgers;
  const [receipt] = await owner<{ id: string; partition: string }[]>`
    SELECT id, tableoid::regclass::text AS partition FROM receipts WHERE wallet = ${wallet} ORDER BY id OFFSET 30 LIMIT 1`;
  const { id, partition } = receipt ?? assert.fail();
  const rename = (model: string): Promise<void> =>
    falsify(partition, `UPDATE ${partition} SET model = '${model}' WHERE id = '${id}'`);
  await owner`
    INSERT INTO audit_findings (check_name, row_id, scope, detail, resolved_at)
    VALUES ('a receipt is as it was written', ${id}, 'whole', 'then', now())
    ON CONFLICT (check_name, row_id) DO UPDATE SET scope = 'whole'`;
  await rename('x');
  assert.ok((await runsUntil(scan, (ids) => ids.includes(id))) <= runsOfPass);
  for (let runs = 0; runs < runsOfPass; runs += 1) {
    await run(scan);
    const known = (await openFindings(ledgers.database.sql)).map((finding) => finding.id);
    assert.ok(known.includes(id), `forgotten after ${runs} runs`);
  }
  await rename('test/model');
  assert.ok((await runsUntil(scan, (ids) => ids.length === 0)) <= 2 * runsOfPass);
});

test('a pass adds up what the metrics show', async () => {
  await run(scanOf(1_000_000, 1_000_000));
  await run(scanOf(1_000_000, 1_000_000));
  const { scans, holds, held, findings } = await booksState(ledgers.database.sql);
  assert.deepEqual([holds, held, findings], [1, 1000, 0]);
  const totals = Object.assign({}, ...scans.map((scan) => scan.totals));
  const [expected] = await ledgers.owner<{ wallets: number; charged: number; revenue: number }[]>`
    SELECT (SELECT sum(balance)::bigint FROM ledger_accounts) AS wallets,
      (SELECT sum(amount)::bigint FROM transfers WHERE kind = 'charge') AS charged,
      (SELECT sum(CASE credit WHEN 1 THEN amount ELSE 0 END - CASE debit WHEN 1 THEN amount ELSE 0 END)::bigint FROM transfers) AS revenue`;
  assert.equal(totals['balance wallets'], expected?.wallets);
  assert.equal(totals['amount charge'], expected?.charged);
  assert.equal(totals['balance revenue'], expected?.revenue);
  assert.deepEqual([totals['requests recovered'], totals['requests released']], [1, 1]);
  const rows = scans.map(({ scope, rows: count, ageSeconds }) => [
    scope,
    (count ?? 0) > 0,
    ageSeconds !== null,
  ]);
  assert.deepEqual(rows, [
    ['days', true, true],
    ['payments', false, true],
    ['requests', true, true],
    ['vouchers', false, true],
    ['wallets', true, true],
    ['whole', true, true],
  ]);
});

test('of several processes one scans; one that comes in between spoils nothing', async () => {
  const [one, other] = [scanOf(1000, 10, 60_000), scanOf(1000, 10, 60_000)];
  const both = await Promise.all([one.run(), other.run()]);
  assert.equal(both.filter((ended) => ended === null).length, 1);
  assert.equal(await other.run(), null);
  await ledgers.owner`UPDATE audit_state SET claimed_until = '-infinity'`;
  const crowd = await Promise.all([1, 2, 3].map(() => scanOf(1000, 7).run()));
  for (const ended of crowd) assert.deepEqual(ended?.findings ?? [], []);
  const [open] = await ledgers.owner<{ count: number }[]>`
    SELECT count(*) FROM audit_findings WHERE resolved_at IS NULL`;
  assert.equal(open?.count, 0);
});

test('audits are remembered, the whole ones each; nobody changes how they went', async () => {
  const { owner } = ledgers;
  const { sql } = ledgers.database;
  await recordedAudit(owner);
  await falsify(
    'ledger_accounts',
    `UPDATE ledger_accounts SET ended = ended + 1 WHERE id = ${wallet}`,
  );
  assert.equal((await recordedAudit(owner)).ok, false);
  await falsify(
    'ledger_accounts',
    `UPDATE ledger_accounts SET ended = ended - 1 WHERE id = ${wallet}`,
  );
  await recordedAudit(owner);
  const latest = (await auditHistory(sql, 3)).map(({ kind, findings }) => [kind, findings]);
  assert.deepEqual(latest, [
    ['full', 0],
    ['full', 1],
    ['full', 0],
  ]);
  for (const change of [
    'UPDATE audit_runs SET seconds = 0',
    'DELETE FROM audit_runs',
    'TRUNCATE audit_runs',
  ]) {
    await assert.rejects(sql.unsafe(change), { code: '42501' }, change);
    await assert.rejects(
      ledgers.owner.unsafe(change),
      { code: '42501', message: /append-only/ },
      change,
    );
  }
});

test('audits beside requests that settle by the hundred find nothing', async () => {
  const { ledger } = await ledgers.start();
  const busy = await Promise.all([1, 2, 3, 4].map(() => ledgers.wallet(100_000_000)));
  const began = performance.now();
  let settled = 0;
  let audits = 0;
  const passed = (): number => performance.now() - began;
  /** Longer where the machine is busy. */
  const isOver = (): boolean =>
    passed() > 60_000 || (passed() > 5000 && settled > 200 && audits > 2);
  const client = async (index: number): Promise<void> => {
    while (!isOver()) {
      const hold = holdOf(busy[index % busy.length] ?? 0, 2000);
      await ledger.hold(hold);
      if (settled % 3 === 0)
        await ledger.checkpoints.raise({
          id: hold.id,
          amount: hold.least,
          inputTokens: 5,
          outputTokens: 5,
        });
      await ledger.settle(settlementOf(hold, settled % 5 === 0 ? 0 : 1700));
      settled += 1;
      // By then there is enough to audit, which takes the longer the more there is.
      if (passed() > 5000) await sleep(100);
    }
  };
  const clients = Promise.all(Array.from({ length: 40 }, (_, index) => client(index)));
  const scan = scanOf(1_000_000, 200);
  const lies: unknown[] = [];
  const auditor = async (): Promise<void> => {
    while (!isOver()) {
      lies.push(...(await audit(ledgers.database.sql)).findings);
      lies.push(...((await scan.run())?.findings ?? []));
      await countDays(ledgers.database.sql, 50);
      audits += 1;
    }
  };
  await Promise.all([clients, auditor()]);
  assert.deepEqual(lies.slice(0, 3), []);
  assert.ok(settled > 200 && audits > 2, `${settled} settled, ${audits} audits`);
  assert.equal((await audit(ledgers.database.sql)).ok, true);
});

test('what an audit of very many findings left out is not taken for mended', async () => {
  const { owner } = ledgers;
  const finish = async (first: number, count: number): Promise<number> => {
    const findings = Array.from({ length: count }, (_, index) => ({
      name: 'nothing lies',
      id: `row ${first + index}`,
      scope: 'whole',
      detail: 'it does',
    }));
    const [ended] = await owner<{ open: number }[]>`
      SELECT audit_record(clock_timestamp(), 1, 1, ${JSON.stringify(findings)}::text::jsonb) AS open`;
    return ended?.open ?? 0;
  };
  assert.equal(await finish(0, 1000), 1000);
  assert.equal(await finish(500, 1000), 1500);
  assert.equal(await finish(0, 999), 999);
  assert.equal(await finish(0, 0), 0);
});

test('the service cannot call right what it did not check, nor take back what the owner found', async () => {
  const { sql } = ledgers.database;
  const { owner } = ledgers;
  const claim = `audit_record(now(), 1, 1, '[]')`;
  for (const statement of [
    `SELECT ${claim}`,
    `SELECT audit_find(NULL, '[]', true)`,
    `INSERT INTO audit_runs (kind, started_at, seconds, rows, findings) VALUES ('full', now(), 1, 1, 0)`,
    'UPDATE audit_findings SET resolved_at = now()',
  ])
    await assert.rejects(sql.unsafe(statement), { code: '42501' }, statement);
  const [change, back] = ['ended = ended + 1', 'ended = ended - 1'].map(
    (set) => `UPDATE ledger_accounts SET ${set} WHERE id = ${wallet}`,
  );
  const open = async (): Promise<number> => (await openFindings(sql)).length;
  await falsify('ledger_accounts', change ?? '');
  assert.equal((await recordedAudit(owner)).ok, false);
  await falsify('ledger_accounts', back ?? '');
  const pass = `SELECT audit_note(scope, position, '', 1, '{}', '[]', true, '0') FROM audit_scans`;
  for (let runs = 0; runs < 3; runs += 1) {
    await sql.unsafe(pass);
    await run(scanOf(1_000_000, 1_000_000));
  }
  assert.equal(await open(), 1, 'claimed passes took it back');
  assert.equal((await recordedAudit(owner)).ok, true);
  assert.equal(await open(), 0);
});
