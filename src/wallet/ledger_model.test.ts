/** The ledger against thirty lines of arithmetic: whatever two processes do, die of and recover, the books say the same. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import {
  holdOf,
  type LedgerProcess,
  Ledgers,
  floor as nanoFloor,
  settlementOf,
} from '../../test/ledgers.ts';
import { ApiError } from '../errors.ts';
import { audit } from './audit.ts';
import { debitByHand } from './by_hand.ts';
import { SettlementLost } from './failure.ts';
import { nano } from './money.ts';

type Result = number | 'cannot pay' | 'lost' | 'other money';
type Request = { wallet: number; process: number; amount: number; checkpoint: number };

/** What the ledger should do, one request at a time. */
class Model {
  readonly balances: number[];
  readonly open = new Map<string, Request>();
  readonly charged = new Map<string, number>();
  readonly recovered = new Set<string>();
  /** What was taken back by hand, by its key. */
  readonly debits = new Map<number, { wallet: number; amount: number }>();
  revenue = 0;
  constructor(balances: readonly number[]) {
    this.balances = [...balances];
  }
  held(wallet: number): number {
    return [...this.open.values()].reduce(
      (sum, h) => sum + (h.wallet === wallet ? h.amount : 0),
      0,
    );
  }
  balance = (wallet: number): number => this.balances[wallet] ?? 0;
  take(wallet: number, wanted: number, least: number): number | 'cannot pay' {
    const granted = Math.min(wanted, this.balance(wallet) - this.held(wallet));
    return granted < least ? 'cannot pay' : granted;
  }
  hold(id: string, process: number, wallet: number, wanted: number, least: number): Result {
    const granted =
      this.balance(wallet) < nanoFloor ? 'cannot pay' : this.take(wallet, wanted, least);
    if (typeof granted === 'number')
      this.open.set(id, { wallet, process, amount: granted, checkpoint: 0 });
    return granted;
  }
  grow(id: string, wanted: number, least: number): Result {
    const hold = this.open.get(id);
    if (!hold) return 'lost';
    const granted = this.take(hold.wallet, wanted, least);
    if (typeof granted === 'number') hold.amount += granted;
    return granted;
  }
  checkpoint(id: string, amount: number): Result {
    const hold = this.open.get(id);
    if (!hold) return 'lost';
    hold.checkpoint = Math.max(hold.checkpoint, Math.min(hold.amount, amount));
    return 0;
  }
  settle(id: string, cost: number, chargeable: number): Result {
    const hold = this.open.get(id);
    if (!hold) return this.recovered.has(id) ? 'lost' : (this.charged.get(id) ?? 'lost');
    this.open.delete(id);
    this.charged.set(id, Math.min(chargeable, hold.amount));
    this.balances[hold.wallet] = this.balance(hold.wallet) - Math.min(chargeable, hold.amount);
    this.revenue += cost;
    return Math.min(chargeable, hold.amount);
  }
  debit(key: number, wallet: number, amount: number): Result {
    const earlier = this.debits.get(key);
    if (earlier && (earlier.wallet !== wallet || earlier.amount !== amount)) return 'other money';
    if (!earlier && amount > this.balance(wallet) - this.held(wallet)) return 'cannot pay';
    if (!earlier) this.balances[wallet] = this.balance(wallet) - amount;
    this.debits.set(key, { wallet, amount });
    return this.balance(wallet);
  }
  die(process: number): void {
    for (const [id, hold] of [...this.open].filter(([, { process: own }]) => own === process)) {
      this.settle(id, hold.checkpoint, hold.checkpoint);
      this.recovered.add(id);
    }
  }
}

type Step =
  | { do: 'hold'; by: number; wallet: number; wanted: number; spare: number }
  | { do: 'grow'; by: number; of: number; wanted: number; spare: number }
  | { do: 'checkpoint'; by: number; of: number; amount: number }
  | { do: 'settle'; by: number; of: number; cost: number; agreed: number }
  | { do: 'release'; by: number; of: number }
  | { do: 'debit'; by: number; key: number; wallet: number; amount: number }
  | { do: 'crash'; by: number };

const by = fc.nat(1);
const of = fc.nat(5);
const amount = fc.integer({ min: 1, max: 900 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('hold' as const),
      by,
      wallet: fc.nat(2),
      wanted: amount,
      spare: fc.nat(900),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('grow' as const),
      by,
      of,
      wanted: amount,
      spare: fc.nat(900),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('checkpoint' as const), by, of, amount }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      by,
      of,
      cost: amount,
      agreed: fc.nat(900),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), by, of }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('debit' as const),
      by,
      key: fc.nat(4),
      wallet: fc.nat(2),
      amount: fc.constantFrom(40, 300, 1200),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), by }) },
);

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

async function resultOf(work: Promise<number>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof SettlementLost) return 'lost';
    if (error instanceof ApiError && error.code === 'insufficient_credits') return 'cannot pay';
    if (error instanceof ApiError && error.code === 'idempotency_key_reused') return 'other money';
    throw error;
  }
}

/** One run: the books of three new wallets, the two processes that write them, and the model of both. */
class Run {
  readonly #wallets: readonly number[];
  readonly #model: Model;
  readonly #processes: LedgerProcess[];
  /** Every request so far, also those that are over: they are settled and raised again. */
  readonly #ids: string[] = [];
  readonly #walletOf = new Map<string, number>();
  readonly #name = crypto.randomUUID();

  private constructor(wallets: readonly number[], model: Model, processes: LedgerProcess[]) {
    this.#wallets = wallets;
    this.#model = model;
    this.#processes = processes;
  }

  static async start(balances: readonly number[]): Promise<Run> {
    const wallets: number[] = [];
    for (const balance of balances) wallets.push(await ledgers.wallet(balance));
    return new Run(wallets, new Model(balances), [await ledgers.start(), await ledgers.start()]);
  }

  async stop(): Promise<void> {
    for (const process of this.#processes) await process.stop();
  }

  async take(next: Step): Promise<void> {
    const process = this.#processes[next.by];
    assert.ok(process);
    if (next.do === 'crash') return this.#crash(next.by, process);
    if (next.do === 'hold') return this.#hold(next, process);
    if (next.do === 'debit') return this.#debit(next);
    const id = this.#ids.at(-1 - next.of);
    const walletId = this.#walletOf.get(id ?? '');
    if (id === undefined || walletId === undefined) return;
    const { ledger } = process;
    if (next.do === 'grow') {
      const least = Math.max(0, next.wanted - next.spare);
      const own = nano(this.#model.open.get(id)?.amount ?? 0);
      assert.equal(
        await resultOf(ledger.grow(holdOf(walletId, next.wanted, { id, least }), own)),
        this.#model.grow(id, next.wanted, least),
      );
    } else if (next.do === 'checkpoint') {
      const raised = ledger.checkpoints.raise({
        id,
        amount: nano(next.amount),
        inputTokens: 1,
        outputTokens: 1,
      });
      assert.equal(await resultOf(raised.then(() => 0)), this.#model.checkpoint(id, next.amount));
    } else {
      const cost = next.do === 'release' ? 0 : next.cost;
      const own = this.#model.open.get(id)?.amount ?? 0;
      // As the gateway does: more than is held is never asked for, it is lost.
      const chargeable = next.do === 'release' ? 0 : Math.min(cost, next.agreed, own);
      const settled = ledger.settle(settlementOf({ id, walletId }, cost, { chargeable }));
      assert.equal(await resultOf(settled), this.#model.settle(id, cost, chargeable));
    }
  }

  async #hold(next: Step & { do: 'hold' }, { ledger }: LedgerProcess): Promise<void> {
    const walletId = this.#wallets[next.wallet];
    assert.ok(walletId);
    const least = Math.max(0, next.wanted - next.spare);
    const hold = holdOf(walletId, next.wanted, { least });
    this.#ids.push(hold.id);
    this.#walletOf.set(hold.id, walletId);
    const expected = this.#model.hold(hold.id, next.by, next.wallet, next.wanted, least);
    assert.equal(await resultOf(ledger.hold(hold)), expected);
  }

  /** Two at once under one key, as by a person who is impatient. */
  async #debit({ key, wallet, amount }: Step & { do: 'debit' }): Promise<void> {
    const walletId = this.#wallets[wallet];
    assert.ok(walletId);
    const order = { walletId, amount: nano(amount), note: 'a slip' };
    const debit = async () => {
      const requestKey = `${this.#name} ${key}`;
      return (await debitByHand(ledgers.database.sql, { ...order, requestKey })).balance;
    };
    const expected = this.#model.debit(key, wallet, amount);
    const results = await Promise.all([resultOf(debit()), resultOf(debit())]);
    assert.deepEqual(results, [expected, expected]);
  }

  async #crash(index: number, process: LedgerProcess): Promise<void> {
    await process.freeze();
    const other = this.#processes[1 - index];
    assert.equal(await other?.lease.recover(), 0, 'its lease still runs');
    await process.expire(1000);
    const open = [...this.#model.open.values()].filter((hold) => hold.process === index).length;
    assert.equal(await other?.lease.recover(), open);
    this.#model.die(index);
    await process.stop();
    this.#processes[index] = await ledgers.start();
  }

  /** The books of this run say what the model says, and those of all runs are in order. */
  async check(): Promise<void> {
    for (const [index, wallet] of this.#wallets.entries())
      assert.deepEqual(
        await ledgers.read(wallet),
        { balance: this.#model.balance(index), held: this.#model.held(index) },
        `wallet ${index}`,
      );
    const [sums] = await ledgers.owner<{ legs: number; cost: number }[]>`
      SELECT (SELECT coalesce(sum(amount), 0) FROM (
          SELECT a.id, t.amount FROM transfers t JOIN ledger_accounts a ON a.id = t.credit
          UNION ALL SELECT a.id, -t.amount FROM transfers t JOIN ledger_accounts a ON a.id = t.debit
        ) legs)::bigint AS legs,
        (SELECT coalesce(sum(amount), 0)::bigint FROM transfers WHERE credit = 1
          AND id = ANY (${this.#ids}::uuid[])) AS cost`;
    assert.deepEqual({ ...sums }, { legs: 0, cost: this.#model.revenue });
    const report = await audit(ledgers.database.sql);
    assert.ok(report.ok, JSON.stringify(report.findings));
  }
}

test('two processes keep the books as the model does, through holds, growth, checkpoints, settlements, debits by hand and deaths', async () => {
  const balance = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3000 }));
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(balance, balance, balance),
      fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }),
      async (balances, steps) => {
        const run = await Run.start(balances);
        try {
          for (const next of steps) {
            await run.take(next);
            await run.check();
          }
        } finally {
          await run.stop();
        }
      },
    ),
    { numRuns: 12 },
  );
});
