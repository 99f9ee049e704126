/** What tidies the books up may run again, at any time and in any process: once is enough, and more changes nothing. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { countAll, moneyTables, writeHonestBooks } from '../../test/honest_books.ts';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { audit } from './audit.ts';
import { keyUse, limitKey } from './key_limits.ts';
import { nano } from './money.ts';

const ledgers = await Ledgers.open();
const { owner } = ledgers;
const { sql } = ledgers.database;
after(() => ledgers[Symbol.asyncDispose]());

/** Every row of every table of money. */
async function picture(): Promise<string[]> {
  const tables = await Promise.all(
    moneyTables.map((table) =>
      owner.unsafe<{ line: string }[]>(
        `SELECT '${table} ' || row_to_json(x)::text AS line FROM ${table} x ORDER BY 1`,
      ),
    ),
  );
  return tables.flatMap((rows) => rows.map(({ line }) => line));
}

/** As when the same key runs anew because the first request was not finished. */
async function supersede(id: string, successor: string): Promise<void> {
  await owner`
    INSERT INTO superseded_requests (id, successor, key_id, key_hash, body_hash)
    VALUES (${id}, ${successor}, gen_random_uuid(), '', '')`;
}

/** A request that ran instead, and was charged as much, to a wallet of its own. */
async function chargedInstead(cost: number): Promise<string> {
  const { ledger } = await ledgers.start();
  const hold = holdOf(await ledgers.wallet(10_000), 1000);
  await ledger.hold(hold);
  await ledger.settle(settlementOf(hold, cost));
  return hold.id;
}

async function refund(): Promise<void> {
  await sql`SELECT ledger_refund_superseded()`;
}

test('recovery, the days, refunds and settlements again: not one row of the books changes', async () => {
  const books = await writeHonestBooks(ledgers);
  const [dying, awake, other] = [
    await ledgers.start(),
    await ledgers.start(),
    await ledgers.start(),
  ];
  const successor = await chargedInstead(900);
  const asked = holdOf(books.payer, 1000);
  await dying.ledger.hold(asked);
  await dying.ledger.checkpoints.raise({
    id: asked.id,
    amount: nano(60),
    inputTokens: 1,
    outputTokens: 2,
  });
  await dying.expire(1000);
  const tidy = async (): Promise<void> => {
    for (const { lease } of [awake, other]) await lease.recover();
    await supersede(asked.id, successor);
    await supersede(books.charged, successor);
    await refund();
    await countAll(ledgers);
    await owner`SELECT ledger_recount_days(${books.bonusDay})`;
    await countAll(ledgers);
  };
  const before = await picture();
  await tidy();
  const once = await picture();
  // A receipt, its charge, two refunds.
  assert.equal(count(once), count(before) + 4);
  const settled = settlementOf({ id: books.charged, walletId: books.payer }, 300);
  for (let again = 0; again < 3; again += 1) {
    await tidy();
    await awake.ledger.settle(settled);
  }
  assert.deepEqual(await picture(), once);
  assert.deepEqual((await audit(sql)).findings, []);
});

function count(lines: readonly string[]): number {
  return lines.filter((line) => /^(receipts|transfers) /.test(line)).length;
}

test('a refund of a superseded request goes to the wallet, once; what its key has used stays', async () => {
  const wallet = await ledgers.wallet(10_000);
  const { ledger } = await ledgers.start();
  const keyId = crypto.randomUUID();
  const limits = { total: nano(5000), daily: nano(4000), weekly: null, monthly: null };
  await limitKey(sql, keyId, wallet, limits);
  const asked = { ...holdOf(wallet, 1000), keyId };
  await ledger.hold(asked);
  await ledger.settle(settlementOf(asked, 700));
  const used = await keyUse(sql, keyId, wallet);
  assert.deepEqual([used.used.total, used.used.daily, used.held], [700, 700, 0]);
  assert.equal((await ledgers.read(wallet)).balance, 9300);
  const successor = await chargedInstead(700);
  for (let time = 0; time < 2; time += 1) {
    await supersede(asked.id, successor);
    await refund();
    assert.equal((await ledgers.read(wallet)).balance, 10_000);
    assert.deepEqual(await keyUse(sql, keyId, wallet), used);
  }
  await countAll(ledgers);
  assert.deepEqual((await audit(sql)).findings, []);
});
