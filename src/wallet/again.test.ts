/** What tidies the books up may run again, at any time and in any process: once is enough, and more changes nothing. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Random } from '../../test/crash/random.ts';
import { countAll, moneyTables, writeHonestBooks } from '../../test/honest_books.ts';
import { holdOf, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { until } from '../../test/scratch_data.ts';
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

test('a refund of a superseded request goes to the wallet and to what its key may spend, once', async () => {
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
  const nothing = { total: 0, daily: 0, weekly: 0, monthly: 0 };
  for (const successor of [await chargedInstead(700), await chargedInstead(900)]) {
    await supersede(asked.id, successor);
    await refund();
    assert.equal((await ledgers.read(wallet)).balance, 10_000);
    assert.deepEqual(await keyUse(sql, keyId, wallet), { ...used, used: nothing });
  }
  await countAll(ledgers);
  assert.deepEqual((await audit(sql)).findings, []);
});

test('a charge of before midnight that is given back leaves today as it is', async () => {
  const wallet = await ledgers.wallet(10_000);
  const keyId = crypto.randomUUID();
  const { ledger } = await ledgers.start();
  const [yesterday, today] = [0, 0].map(() => ({ ...holdOf(wallet, 1000), keyId }));
  assert.ok(yesterday && today);
  for (const [hold, cost] of [
    [yesterday, 400],
    [today, 300],
  ] as const) {
    await ledger.hold(hold);
    await ledger.settle(settlementOf(hold, cost));
  }
  await owner.begin(async (transaction) => {
    const [row] = await transaction<{ part: string }[]>`
      SELECT tableoid::regclass::text AS part FROM receipts WHERE id = ${yesterday.id}`;
    const part = transaction(row?.part ?? '');
    await transaction`ALTER TABLE ${part} DISABLE TRIGGER USER`;
    await transaction`UPDATE ${part} SET created_at = created_at - interval '1 day' WHERE id = ${yesterday.id}`;
    await transaction`
      UPDATE ${part} SET seal = receipt_seal(id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens, cost, charged, held,
        created_at, detail) WHERE id = ${yesterday.id}`;
    await transaction`ALTER TABLE ${part} ENABLE TRIGGER USER`;
    await transaction`SELECT ledger_recount_days(ledger_day(now()) - 2)`;
  });
  const before = await keyUse(sql, keyId, wallet);
  assert.deepEqual([before.used.total, before.used.daily], [700, 300]);
  await supersede(yesterday.id, await chargedInstead(400));
  await refund();
  // Whether yesterday was of this week and month, or not: what is left of each is what was charged today.
  const left = { total: 300, daily: 300, weekly: 300, monthly: 300 };
  assert.deepEqual((await keyUse(sql, keyId, wallet)).used, left);
  await countAll(ledgers);
  assert.deepEqual((await audit(sql)).findings, []);
});

/** Of keys, each by what receipts and refunds say, beside what is counted of it. */
async function countedWrong(keys: readonly string[]): Promise<unknown[]> {
  const wrong = await owner`
    SELECT k.key_id, k.total_used, k.day_used, spent.total, spent.today, ledger_key_is_sound(k) AS sound
    FROM key_limits k, LATERAL (
      SELECT coalesce(sum(charged), 0)::bigint AS total, coalesce(sum(charged) FILTER (WHERE day = k.day), 0)::bigint AS today FROM (
        SELECT charged, ledger_day(created_at) AS day FROM receipts WHERE key_id = k.key_id
        UNION ALL SELECT -amount, day FROM request_refunds WHERE key_id = k.key_id
      ) lines
    ) spent
    WHERE k.key_id = ANY (${[...keys]}::uuid[])
      AND ((k.total_used, k.day_used, k.held) <> (spent.total, spent.today, 0) OR NOT k.counted OR NOT ledger_key_is_sound(k))`;
  return [...wrong];
}

const seed = Date.now() % 1_000_000;

test(`whatever is charged, given back and counted at once, keys have used what they paid (seed ${seed})`, async () => {
  const random = new Random(seed);
  const wallet = await ledgers.wallet(10_000_000);
  // One has room for a few at once, and for all only because charges come back; one is first asked about in between.
  const most = 30_000;
  const [tight, free, late] = [0, 0, 0].map(() => crypto.randomUUID());
  assert.ok(tight && free && late);
  await limitKey(sql, tight, wallet, {
    total: null,
    daily: nano(most),
    weekly: null,
    monthly: null,
  });
  await limitKey(sql, free, wallet, {
    total: nano(9_000_000),
    daily: null,
    weekly: null,
    monthly: null,
  });
  const processes = [
    await ledgers.start({ holdWaitMs: 20_000 }),
    await ledgers.start({ holdWaitMs: 20_000 }),
  ];
  let isOver = false;
  let highest = 0;
  const tidy = async (): Promise<void> => {
    while (!isOver) {
      await refund();
      const [row] = await owner<{ sum: number }[]>`
        SELECT held + day_used AS sum FROM key_limits WHERE key_id = ${tight}`;
      highest = Math.max(highest, row?.sum ?? 0);
    }
  };
  const request = async (index: number, keyId: string, least = 1): Promise<string> => {
    const { ledger } = processes[index % 2] ?? assert.fail();
    const hold = { ...holdOf(wallet, 2000), keyId };
    await ledger.hold(hold);
    await ledger.settle(settlementOf(hold, random.integer(least, 2000)));
    return hold.id;
  };
  const client = async (index: number): Promise<void> => {
    for (let count = 0; count < 20; count += 1) {
      const keyId: string = [tight, free, late][index % 3] ?? tight;
      const id = await request(index, keyId);
      // Another ran in its place: of both the dearer is paid.
      if (keyId === tight || random.chance(0.5)) {
        await supersede(id, await request(index + 1, free, 1000));
        await until('what it cost came back', async () => {
          const [known] = await owner`SELECT 1 FROM request_refunds WHERE request = ${id}`;
          return known !== undefined;
        });
      }
      if (keyId === late && count === 9) await keyUse(sql, late, wallet);
    }
  };
  const tidying = [tidy(), tidy()];
  await Promise.all(Array.from({ length: 9 }, (_, index) => client(index)));
  isOver = true;
  await Promise.all(tidying);
  await refund();
  assert.deepEqual(await countedWrong([tight, free, late]), []);
  assert.ok(highest <= most, `${highest} were held and used at once`);
  const [paid] = await owner<{ charged: number; refunded: number }[]>`
    SELECT (SELECT sum(charged)::bigint FROM receipts WHERE key_id = ${tight}) AS charged,
      (SELECT count(*) FROM request_refunds WHERE wallet = ${wallet}) AS refunded`;
  assert.ok((paid?.charged ?? 0) > most, `${paid?.charged} fitted without refunds`);
  assert.ok((paid?.refunded ?? 0) >= 60, `${paid?.refunded} refunds`);
  await countAll(ledgers);
  assert.deepEqual((await audit(sql)).findings, []);
});
