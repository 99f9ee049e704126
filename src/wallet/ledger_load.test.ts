/** The ledger under load: many requests of two processes on the same wallets, with and without losing their connections. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdOf, type LedgerProcess, Ledgers, settlementOf } from '../../test/ledgers.ts';
import { audit } from './audit.ts';
import { nano } from './money.ts';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

/** One request from hold to settlement. Returns what it costs; nano-USD. */
async function request({ ledger }: LedgerProcess, wallet: number, number: number): Promise<number> {
  const hold = holdOf(wallet, 6000 + (number % 7) * 500);
  const cost = 1 + ((number * 37) % 250);
  await ledger.hold(hold);
  await ledger.checkpoints.raise({
    id: hold.id,
    amount: nano(cost),
    inputTokens: 1,
    outputTokens: 1,
  });
  // With what is there, if anything: two that each wait for the other's money would wait until they are refused.
  const growth = holdOf(wallet, 50, { id: hold.id, least: 0 });
  if (number % 3 === 0) await ledger.grow(growth, hold.wanted);
  assert.equal(await ledger.settle(settlementOf(hold, cost)), cost);
  return cost;
}

/** Each wallet has paid exactly its requests, and nothing is left open. */
async function proveExact(
  wallets: readonly number[],
  costs: readonly (readonly [wallet: number, cost: number])[],
  start: number,
): Promise<void> {
  for (const wallet of wallets) {
    const paid = costs.reduce((sum, [payer, cost]) => sum + (payer === wallet ? cost : 0), 0);
    assert.deepEqual(await ledgers.read(wallet), { balance: start - paid, held: 0 });
  }
  const [count] = await ledgers.owner<{ charges: number; receipts: number }[]>`
    SELECT count(*) FILTER (WHERE debit = ANY (${[...wallets]}::bigint[])) AS charges,
      (SELECT count(*) FROM receipts WHERE wallet = ANY (${[...wallets]}::bigint[])) AS receipts
    FROM transfers`;
  assert.deepEqual({ ...count }, { charges: costs.length, receipts: costs.length });
  const report = await audit(ledgers.database.sql);
  assert.ok(report.ok, JSON.stringify(report.findings));
}

/** That PostgreSQL has met so far. A connection hands in its counts when it closes. */
async function deadlocks(): Promise<number | undefined> {
  const [row] = await ledgers.owner<{ deadlocks: number }[]>`
    SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`;
  return row?.deadlocks;
}

async function walletsWith(start: number, count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => ledgers.wallet(start)));
}

test('600 requests of two processes on 20 wallets that they share: no deadlock, every charge exact', async () => {
  // Less than its requests want at once: many wait for each other's money.
  const start = 20_000;
  const wallets = await walletsWith(start, 20);
  const processes = [
    await ledgers.start({ holdWaitMs: 20_000 }),
    await ledgers.start({ holdWaitMs: 20_000 }),
  ];
  const costs: [number, number][] = [];
  // One after the other, so that there are many batches, each with wallets in an order of its own.
  const client = async (which: number, number: number): Promise<void> => {
    const process = processes[which];
    assert.ok(process);
    for (let turn = 0; turn < 20; turn += 1) {
      const wallet = wallets[Math.floor(Math.random() * 20)] ?? 0;
      costs.push([wallet, await request(process, wallet, number * 20 + turn)]);
    }
  };
  const clients = Array.from({ length: 15 }, (_, number) => [client(0, number), client(1, number)]);
  await Promise.all(clients.flat());
  await proveExact(wallets, costs, start);
  await Promise.all(processes.map((process) => process.stop()));
  await sleep(100);
  assert.equal(await deadlocks(), 0);
});

test('holds that grow together while their checkpoints are raised: no deadlock', async () => {
  const wallet = await ledgers.wallet(10_000_000);
  const process = await ledgers.start({ holdWaitMs: 20_000 });
  const holds = Array.from({ length: 60 }, () => holdOf(wallet, 2000));
  for (const hold of holds) await process.ledger.hold(hold);
  const mixed = (): typeof holds => holds.toSorted(() => Math.random() - 0.5);
  for (let round = 1; round <= 40; round += 1) {
    const grown = mixed().map(({ id }) =>
      process.ledger.grow(holdOf(wallet, 10, { id }), nano(2000 + (round - 1) * 10)),
    );
    const raised = mixed().map(({ id }) =>
      process.ledger.checkpoints.raise({
        id,
        amount: nano(round),
        inputTokens: 1,
        outputTokens: round,
      }),
    );
    await Promise.all([...grown, ...raised]);
  }
  await Promise.all(holds.map((hold) => process.ledger.settle(settlementOf(hold, 5))));
  await proveExact(
    [wallet],
    holds.map(() => [wallet, 5] as const),
    10_000_000,
  );
  await process.stop();
  await sleep(100);
  assert.equal(await deadlocks(), 0);
});

test('a ledger whose connections are cut again and again does everything once', async () => {
  const start = 100_000;
  const wallets = await walletsWith(start, 10);
  const process = await ledgers.start({ holdWaitMs: 20_000 });
  let cuts = 0;
  const over = new AbortController();
  const cutting = (async () => {
    while (!over.signal.aborted) {
      const cut = await ledgers.owner<{ state: string }[]>`
        SELECT state, pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name IN (${process.lane}, 'checkpoints')`;
      cuts += cut.filter(({ state }) => state === 'active').length;
      // Time enough to connect again and do something, or nothing would ever be done.
      await sleep(50 + Math.random() * 100);
    }
  })();
  const costs: [number, number][] = [];
  const serve = async (client: number): Promise<void> => {
    // A fast machine is through with twenty before five cuts have met a statement under way.
    for (let turn = 0; turn < 20 || (cuts < 5 && turn < 500); turn += 1) {
      const wallet = wallets[(client + turn) % 10] ?? 0;
      costs.push([wallet, await request(process, wallet, client * 500 + turn)]);
    }
  };
  try {
    await Promise.all(Array.from({ length: 20 }, (_, client) => serve(client)));
  } finally {
    over.abort();
    await cutting;
  }
  assert.ok(cuts >= 5, `${cuts} statements were cut off`);
  await proveExact(wallets, costs, start);
  await process.stop();
});
