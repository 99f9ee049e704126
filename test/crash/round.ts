/** One round: people ask, things break, and when all runs again the books must agree with what everybody saw. */
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../../src/wallet/audit.ts';
import { until } from '../scratch_data.ts';
import { type Account, makeAccounts } from './accounts.ts';
import { ask, type Sighting } from './client.ts';
import { makeOrder } from './orders.ts';
import type { Provider } from './provider.ts';
import { Random } from './random.ts';
import { type Facts, type Reconciliation, reconcile } from './reconcile.ts';
import { type Fault, read, type Stage } from './stage.ts';

export interface RoundResult extends Reconciliation {
  readonly seed: number;
  readonly layout: string;
  readonly faults: readonly Fault[];
  readonly seconds: number;
  readonly sightings: readonly Sighting[];
}

const workers = 20;
/** Load before, between and after the faults; ms. */
const calmMs = [150, 900] as const;
const patienceMs = 9000;
const sampleMs = 15;

/** Numbers of orders: unique in this process. */
let orders = 0;

/** Sends request after request until `isOver`. */
async function work(
  stage: Stage,
  account: Account,
  random: Random,
  isOver: () => boolean,
  sightings: Sighting[],
): Promise<void> {
  while (!isOver()) {
    const gateway = random.pick(stage.gateways);
    const { address } = gateway;
    const key = address && account.keys.pop();
    if (!address || !key) {
      await sleep(10);
      continue;
    }
    orders += 1;
    const order = makeOrder(random, orders, account.poor);
    const named = { account: account.name, gateway: gateway.name };
    const sighting = await ask({ order, ...named, ...address, key, patienceMs });
    sightings.push(sighting);
    if (sighting.requestId !== null) account.keys.push(key);
    // A machine that refuses is asked again, but not as fast as it can refuse.
    if (sighting.seen === 'refused' || sighting.seen === 'nothing') await sleep(20);
  }
}

/** Looks at the wallets, and now and then at all the books, while everything moves. */
async function watch(stage: Stage, isOver: () => boolean): Promise<string[]> {
  const found: string[] = [];
  for (let looks = 0; !isOver(); looks += 1) {
    try {
      const rows = await stage.sql`
        SELECT id, balance, held FROM ledger_accounts
        WHERE kind = 'wallet' AND (balance < 0 OR held < 0 OR held > balance)`;
      found.push(...rows.map((row) => `below zero: ${JSON.stringify(row)}`));
      if (looks % 40 === 20) {
        const { findings } = await audit(stage.sql);
        found.push(...findings.map((finding) => `audit under load: ${JSON.stringify(finding)}`));
      }
    } catch {
      // The database is away.
    }
    await sleep(sampleMs);
  }
  return found;
}

async function readFacts(
  stage: Stage,
  accounts: readonly Account[],
): Promise<Omit<Facts, 'sightings' | 'servings' | 'faults' | 'accounts'>> {
  const wallets = accounts.map(({ walletId }) => walletId);
  const { sql } = stage;
  const [receipts, transfers, balances, report] = await Promise.all([
    sql<Facts['receipts']>`SELECT * FROM receipts WHERE wallet = ANY (${wallets}) ORDER BY id`,
    sql<Facts['transfers']>`
      SELECT t.* FROM transfers t WHERE kind IN ('charge', 'loss')
        AND (debit = ANY (${wallets}) OR id IN (SELECT id FROM receipts WHERE wallet = ANY (${wallets})))`,
    sql<
      Facts['balances']
    >`SELECT id, balance, held FROM ledger_accounts WHERE id = ANY (${wallets})`,
    audit(sql),
  ]);
  return { receipts, transfers, balances, findings: report.findings };
}

/** Whether every hold has been settled, released or recovered. */
async function noHolds(stage: Stage): Promise<boolean> {
  const rows = await read(() => stage.sql`SELECT id FROM holds LIMIT 1`);
  return rows.length === 0;
}

/** Plays one round. `kinds`: what happens, one after the other. */
export async function playRound(
  stage: Stage,
  provider: Provider,
  seed: number,
  kinds: readonly string[],
): Promise<RoundResult> {
  const began = performance.now();
  const random = new Random(seed);
  const accounts = await read(() => makeAccounts(stage.sql));
  const sightings: Sighting[] = [];
  stage.faults.length = 0;
  let over = false;
  const isOver = (): boolean => over;
  const load = Array.from({ length: workers }, (_, index) => {
    const account = accounts[index % accounts.length];
    if (!account) throw new Error('nobody asks');
    return work(stage, account, new Random(random.integer(0, 2 ** 31)), isOver, sightings);
  });
  let settled = false;
  const watching = watch(stage, () => settled);
  try {
    for (const kind of kinds) {
      await sleep(random.integer(...calmMs));
      await stage.fail(kind, random);
    }
    await sleep(random.integer(...calmMs));
  } catch (error) {
    settled = true;
    throw new Error(`seed ${seed}, ${stage.layout}: ${JSON.stringify(stage.faults)}`, {
      cause: error,
    });
  } finally {
    over = true;
    await Promise.all(load);
  }
  const left: string[] = [];
  await until('every hold has ended', () => noHolds(stage)).catch(async (error: Error) => {
    const holds = await stage.sql`
      SELECT h.*, i.lease_until, now() AS now FROM holds h LEFT JOIN instances i ON i.id = h.instance`;
    left.push(...holds.map((hold) => `${error.message}: ${JSON.stringify(hold)}`));
  });
  settled = true;
  const seenWrong = await watching;
  const facts = {
    ...(await read(() => readFacts(stage, accounts))),
    accounts,
    sightings,
    faults: [...stage.faults],
    servings: provider.servings,
  };
  const result = reconcile(facts);
  return {
    ...result,
    violations: [...seenWrong, ...left, ...result.violations],
    seed,
    layout: stage.layout,
    faults: facts.faults,
    sightings,
    seconds: (performance.now() - began) / 1000,
  };
}
