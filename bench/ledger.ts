/**
 * What the wallet core alone can do: requests that hold and settle as fast as their commits come back, without HTTP and
 * without providers. The real `Ledger` in this process, the embedded PostgreSQL beside it, fsync on.
 */
import { readFileSync } from 'node:fs';
import type { Sql } from '../src/db/database.ts';
import { timeOrderedId } from '../src/ids.ts';
import { audit } from '../src/wallet/audit.ts';
import type { Ledger } from '../src/wallet/ledger.ts';
import { nano } from '../src/wallet/money.ts';
import { type LedgerProcess, Ledgers } from '../test/ledgers.ts';
import { cpuOf, pin, postgresCpu } from './processes.ts';
import { type Effort, inRounds, median } from './rounds.ts';

/** Charges a second that the project is after, on two processors. */
const targetRate = 20_000;
/** Requests a day for which the size of a year is told. */
const requestsADay = 1_000_000;

interface LedgerCase {
  readonly name: string;
  readonly wallets: number;
  /** Requests that hold or settle at any moment. */
  readonly inFlight: number;
}

const cases: readonly LedgerCase[] = [
  { name: 'one hot wallet, 128 in flight', wallets: 1, inFlight: 128 },
  { name: 'one hot wallet, 2,000 in flight', wallets: 1, inFlight: 2000 },
  { name: '10,000 wallets, 128 in flight', wallets: 10_000, inFlight: 128 },
  { name: '10,000 wallets, 2,000 in flight', wallets: 10_000, inFlight: 2000 },
];

interface Size {
  readonly parts: ReadonlyMap<string, number>;
  readonly wal: number;
}

/** Of one leg, then the medians of several. CPU in µs a request, times in ms. */
interface LedgerSpeed {
  readonly charges: number;
  readonly rate: number;
  readonly batchesASecond: number;
  readonly requestsABatch: number;
  readonly processCpu: number;
  readonly postgresCpu: number;
  readonly commitP50: number;
  readonly commitP99: number;
}

export interface LedgerFindings {
  readonly speeds: readonly { readonly name: string; readonly speed: LedgerSpeed }[];
  /** Bytes a request that stay, by table and part; and of the write-ahead log, which is reused. */
  readonly bytes: readonly { readonly name: string; readonly bytes: number }[];
  readonly walBytes: number;
  readonly audit: string;
}

/** What the gateway writes on the receipt of a usual request; the dearest part of its size. */
const detail =
  '{"finishReason":"stop","reason":null,"reportedBy":"provider","upstreamModel":"gpt-4o-mini",' +
  '"priceVersion":"openai/gpt-4o-mini@2026-11-10","tokens":{"input":61,"cacheRead":0,"cacheWrite":0,"cacheWrite1h":0,' +
  '"output":120,"reasoning":0},"prices":{"input":150000,"cacheRead":75000,"cacheWrite":150000,"cacheWrite1h":150000,' +
  '"output":600000,"reasoning":600000},"firstByteMs":340,"durationMs":1275}';

/** Times of the calls that commit batches; a call is a batch and its commit. */
class CommitMeter {
  readonly times: number[] = [];
  readonly lane: Sql;

  constructor(lane: Sql) {
    this.lane = new Proxy(lane, {
      get: (target, name) => (name === 'unsafe' ? this.#unsafe : Reflect.get(target, name)),
    });
    this.#sql = lane;
  }

  readonly #sql: Sql;
  readonly #unsafe = (...args: Parameters<Sql['unsafe']>): unknown => {
    const began = performance.now();
    const query = this.#sql.unsafe(...args);
    query.then(
      () => void this.times.push(performance.now() - began),
      () => {},
    );
    return query;
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
}

/** Requests that follow one another: as many as are wanted in flight. */
class Load {
  settled = 0;
  failure: unknown = null;
  readonly #ledger: Ledger;
  readonly #wallets: readonly number[];
  #stopped = false;

  constructor(ledger: Ledger, wallets: readonly number[]) {
    this.#ledger = ledger;
    this.#wallets = wallets;
  }

  start(inFlight: number): Promise<unknown> {
    return Promise.all(Array.from({ length: inFlight }, () => this.#requests()));
  }

  stop(): void {
    this.#stopped = true;
  }

  async #requests(): Promise<void> {
    try {
      while (!this.#stopped) await this.#request();
    } catch (error) {
      this.failure ??= error;
      this.#stopped = true;
    }
  }

  async #request(): Promise<void> {
    const id = timeOrderedId();
    const walletId = this.#wallets[Math.floor(Math.random() * this.#wallets.length)] ?? 0;
    const keyId = `0197a000-0000-7000-8000-${String(walletId).padStart(12, '0')}`;
    const wanted = nano(500_000);
    await this.#ledger.hold({
      id,
      walletId,
      wanted,
      least: wanted,
      keyId,
      model: 'openai/gpt-4o-mini',
    });
    await this.#ledger.settle({
      id,
      walletId,
      cost: nano(81_150),
      chargeable: nano(81_150),
      outcome: 'settled',
      provider: 'openai',
      inputTokens: 61,
      outputTokens: 120,
      detail,
    });
    this.settled += 1;
  }
}

/** The stage: a new database, wallets with money, one process of the wallet core. */
class LedgerScene implements AsyncDisposable {
  readonly #ledgers: Ledgers;
  readonly #postmaster: number;
  readonly #process: LedgerProcess;
  readonly #meter: CommitMeter;

  private constructor(ledgers: Ledgers, process: LedgerProcess, meter: CommitMeter, pid: number) {
    this.#ledgers = ledgers;
    this.#process = process;
    this.#meter = meter;
    this.#postmaster = pid;
  }

  static async open(): Promise<LedgerScene> {
    const ledgers = await Ledgers.open();
    const meter = new CommitMeter(ledgers.database.connect({ max: 1, name: 'bench lane' }));
    const core = await ledgers.start({ lane: meter.lane, leaseMs: 30_000 });
    const pid = Number.parseInt(
      readFileSync(
        `${ledgers.socket.slice(0, ledgers.socket.lastIndexOf('/'))}/postmaster.pid`,
        'utf8',
      ),
      10,
    );
    const scene = new LedgerScene(ledgers, core, meter, pid);
    // Two processors, as the target says; who runs on which is left to the system.
    for (const one of [process.pid, pid]) pin(one, '0,1');
    return scene;
  }

  /** How fast it is, and what it adds to the books. */
  async measure({ wallets, inFlight }: LedgerCase, effort: Effort): Promise<[LedgerSpeed, Size]> {
    const ids = await this.#openWallets(wallets);
    const before = await this.#size();
    const load = new Load(this.#process.ledger, ids);
    const ended = load.start(inFlight);
    await this.#leg(load, 0.5);
    const legs = await inRounds(effort.rounds, () => this.#leg(load, effort.seconds));
    load.stop();
    await ended;
    if (load.failure !== null) throw load.failure;
    const middle = (read: (leg: LedgerSpeed) => number): number => median(legs.map(read));
    const speed = {
      charges: load.settled,
      rate: middle((leg) => leg.rate),
      batchesASecond: middle((leg) => leg.batchesASecond),
      requestsABatch: middle((leg) => leg.requestsABatch),
      processCpu: middle((leg) => leg.processCpu),
      postgresCpu: middle((leg) => leg.postgresCpu),
      commitP50: middle((leg) => leg.commitP50),
      commitP99: middle((leg) => leg.commitP99),
    };
    const after = await this.#size();
    const parts = [...after.parts].map(([name, size]): [string, number] => [
      name,
      size - (before.parts.get(name) ?? 0),
    ]);
    return [speed, { parts: new Map(parts), wal: after.wal - before.wal }];
  }

  async #leg(load: Load, seconds: number): Promise<LedgerSpeed> {
    const { times } = this.#meter;
    times.length = 0;
    const before = {
      settled: load.settled,
      own: cpuOf(process.pid),
      postgres: postgresCpu(this.#postmaster),
    };
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const took = (performance.now() - began) / 1000;
    const charges = load.settled - before.settled;
    const commits = [...times];
    return {
      charges,
      rate: charges / took,
      batchesASecond: commits.length / took,
      requestsABatch: charges / commits.length,
      processCpu: (cpuOf(process.pid) - before.own) / charges,
      postgresCpu: (postgresCpu(this.#postmaster) - before.postgres) / charges,
      commitP50: quantile(commits, 0.5),
      commitP99: quantile(commits, 0.99),
    };
  }

  /** Wallets with more money than a run can spend. */
  #openWallets(count: number): Promise<number[]> {
    return this.#ledgers.owner.begin(async (sql) => {
      // Planned while there are none, the statements within would read all wallets for each new one.
      await sql`SET LOCAL enable_seqscan = off`;
      const rows = await sql<{ id: number }[]>`
        SELECT id FROM (SELECT ledger_open_wallet(gen_random_uuid()) AS id FROM generate_series(1, ${count})) fresh
        WHERE ledger_credit(gen_random_uuid(), 'topup', 'clearing', id, 1000000000000, 'bench') > 0`;
      return rows.map(({ id }) => id);
    });
  }

  /** What the books take on the disk by now, by part, and the log that was written so far; bytes. */
  async #size(): Promise<Size> {
    const { owner } = this.#ledgers;
    const rows = await owner<{ name: string; bytes: number }[]>`
      SELECT name, sum(bytes)::bigint AS bytes FROM (
        SELECT root || ', rows' AS name, pg_table_size(relid) AS bytes
        FROM unnest(ARRAY['receipts', 'transfers']) AS root, pg_partition_tree(root::regclass) WHERE isleaf
        UNION ALL
        SELECT 'index ' || indexrelid::regclass, pg_relation_size(relid)
        FROM pg_index, pg_partition_tree(indexrelid) WHERE isleaf AND indrelid IN ('receipts'::regclass, 'transfers'::regclass)
      ) parts GROUP BY name ORDER BY name`;
    const [wal] = await owner<{ bytes: number }[]>`
      SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS bytes`;
    return { parts: new Map(rows.map(({ name, bytes }) => [name, bytes])), wal: wal?.bytes ?? 0 };
  }

  /** @throws Error when the books do not add up */
  async prove(): Promise<string> {
    const began = performance.now();
    const report = await audit(this.#ledgers.owner);
    if (!report.ok) throw new Error(`the books are wrong: ${JSON.stringify(report.findings[0])}`);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    return `${report.receipts} receipts, ${report.transfers} transfers, ${report.wallets} wallets and ${report.holds} open holds agree (${seconds} s)`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#ledgers[Symbol.asyncDispose]();
  }
}

/**
 * Runs all cases, or those with `only` in their names.
 * @param say takes lines of progress
 */
export async function measureLedger(
  effort: Effort,
  say: (line: string) => void,
  only = '',
): Promise<LedgerFindings> {
  await using scene = await LedgerScene.open();
  const speeds: LedgerFindings['speeds'][number][] = [];
  let bytes: LedgerFindings['bytes'] = [];
  let walBytes = 0;
  for (const one of cases.filter(({ name }) => name.includes(only))) {
    const [speed, grown] = await scene.measure(one, effort);
    say(
      `${one.name}: ${Math.round(speed.rate)} charges/s (${speed.processCpu.toFixed(1)} + ${speed.postgresCpu.toFixed(1)} µs)`,
    );
    speeds.push({ name: one.name, speed });
    // The last case is the one that looks most like a service with many users.
    bytes = [...grown.parts].map(([name, size]) => ({ name, bytes: size / speed.charges }));
    walBytes = grown.wal / speed.charges;
  }
  return { speeds, bytes, walBytes, audit: await scene.prove() };
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = head.map((_cell, index) => (index === 0 ? '---' : '---:'));
  return [head, rule, ...rows].map(line).join('\n');
}

/** The text of LEDGER.md. @param circumstances lines on when, where and how */
export function ledgerReport(findings: LedgerFindings, circumstances: readonly string[]): string {
  const { speeds, bytes, walBytes } = findings;
  const total = bytes.reduce((sum, part) => sum + part.bytes, 0);
  const gbAYear = (each: number): string => `${((each * requestsADay * 365) / 1e9).toFixed(0)} GB`;
  const best = Math.max(...speeds.map(({ speed }) => speed.rate));
  const rows = speeds.map(({ name, speed }) => [
    name,
    speed.rate.toFixed(0),
    speed.batchesASecond.toFixed(0),
    speed.requestsABatch.toFixed(0),
    speed.processCpu.toFixed(1),
    speed.postgresCpu.toFixed(1),
    speed.commitP50.toFixed(1),
    speed.commitP99.toFixed(1),
  ]);
  const sizes = [...bytes, { name: 'together', bytes: total }].map((part) => [
    part.name,
    part.bytes.toFixed(0),
    gbAYear(part.bytes),
  ]);
  return `# The ledger by itself

Written by \`npm run bench -- --ledger\`: requests that hold and settle as fast as their commits come back, through the
program's own ledger and its embedded PostgreSQL, fsync on; no HTTP. A charge is a request with its hold, its receipt and its
transfer, each sealed. Medians of the rounds.

${circumstances.map((line) => `- ${line}`).join('\n')}

## Settled charges a second

${table(['', 'charges /s', 'batches /s', 'charges a batch', 'process µs', 'PostgreSQL µs', 'commit p50 ms', 'commit p99 ms'], rows)}

Aim: ${targetRate} a second on two processors. Best here: ${best.toFixed(0)}${best >= targetRate ? ', met' : ', NOT MET'}. The µs are processor time a charge; the process also makes the load.

## Bytes a charge

${table(['', 'bytes', `a year of ${requestsADay / 1e6} M a day`], sizes)}

The write-ahead log, which is reused and does not stay, takes ${walBytes.toFixed(0)} bytes a charge.

## Books

${findings.audit}.
`;
}
