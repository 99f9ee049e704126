/** A database of its own for tests of the wallet core, and processes on it that can be made to die. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../src/db/connection.ts';
import { type Database, openDatabase, type Sql } from '../src/db/database.ts';
import { timeOrderedId } from '../src/ids.ts';
import type { Settlement } from '../src/wallet/batch.ts';
import { CheckpointLane } from '../src/wallet/checkpoints.ts';
import { Journal } from '../src/wallet/journal.ts';
import { Lease } from '../src/wallet/lease.ts';
import { Ledger, type LedgerSettings, type NewHold } from '../src/wallet/ledger.ts';
import { nano } from '../src/wallet/money.ts';
import { creditWallet, openWallet } from '../src/wallet/wallets.ts';
import { copyPrepared } from './prepared.ts';
import { ScratchData } from './scratch_data.ts';

/** What a server has of the wallet core; its connections are its own, as those of a process are. */
export interface LedgerProcess {
  readonly ledger: Ledger;
  readonly lease: Lease;
  /** application_name of the connection that commits. */
  readonly lane: string;
  /** Stops renewing the lease, which stays as it is. The ledger can still be used, as by a process that awakes late. */
  freeze(): Promise<void>;
  /** Freezes it, and ends its lease as many ms ago as asked. */
  expire(agoMs: number): Promise<void>;
  /** Gives the lease back as a stopping server does, and closes the connections. */
  stop(): Promise<void>;
}

interface ProcessSettings extends Partial<LedgerSettings> {
  readonly leaseMs?: number;
  readonly graceMs?: number;
  /** A connection of the test's own, which commits in place of the usual one. */
  readonly lane?: Sql;
  /** The same for the one that saves checkpoints. */
  readonly checkpoints?: Sql;
  /** The same for the one that renews the lease. */
  readonly renewing?: Sql;
}

export interface WalletRow {
  readonly balance: number;
  readonly held: number;
}

/** In nano-USD. */
export const floor = nano(100);
/** No beat comes in the middle of a test that does not ask for one. */
const quietLeaseMs = 120_000;

export class Ledgers implements AsyncDisposable {
  readonly database: Database;
  /** May do everything, and therefore nothing in the program uses it. */
  readonly owner: Sql;
  /** Where PostgreSQL listens. */
  readonly socket: string;
  /** What leases had to say. */
  readonly log: string[] = [];
  readonly #data: ScratchData;
  readonly #processes = new Set<LedgerProcess>();
  #count = 0;

  private constructor(data: ScratchData, database: Database, socket: string) {
    this.#data = data;
    this.database = database;
    this.socket = socket;
    this.owner = connect({ path: socket }, { max: 2, name: 'test owner' });
  }

  static async open(): Promise<Ledgers> {
    const data = new ScratchData();
    copyPrepared(data.dataDir);
    const database = await openDatabase(data.config(), 'serve', () => {});
    const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
    return new Ledgers(data, database, path);
  }

  /** The data directory. */
  get folder(): string {
    return this.#data.dataDir;
  }

  async start(settings: ProcessSettings = {}): Promise<LedgerProcess> {
    const { leaseMs = quietLeaseMs, graceMs = 0, holdWaitMs = 0 } = settings;
    this.#count += 1;
    const lane = `test lane ${this.#count}`;
    const connection = (name: string): Sql => this.database.connect({ max: 1, name });
    const leaseSql = settings.renewing ?? connection('lease');
    const laneSql = settings.lane ?? connection(lane);
    const checkpointSql = settings.checkpoints ?? connection('checkpoints');
    const own = [leaseSql, laneSql, checkpointSql];
    const log = (message: string): void => void this.log.push(message);
    const lease = new Lease(leaseSql, { leaseMs, graceMs, sole: false, log });
    const rules = { floor: settings.floor ?? floor, holdWaitMs };
    const journal = new Journal(join(this.#data.dataDir, 'streams'), lease.instance);
    const checkpoints = new CheckpointLane(checkpointSql, journal, () => lease.isAlive());
    const ledger = new Ledger(laneSql, checkpoints, lease, rules);
    await lease.start();
    let frozen: Promise<void> | null = null;
    const freeze = (): Promise<void> => {
      // Without its connection it can give nothing back.
      frozen ??= leaseSql.end({ timeout: 5 }).then(() => lease.stop().catch(() => {}));
      return frozen;
    };
    const process: LedgerProcess = {
      ledger,
      lease,
      lane,
      freeze,
      expire: async (agoMs) => {
        await freeze();
        await this.owner`UPDATE instances SET lease_until = now() - ${`${agoMs} ms`}::interval
          WHERE id = ${lease.instance}`;
      },
      stop: async () => {
        this.#processes.delete(process);
        if (!frozen) await lease.stop();
        await Promise.all(own.map((sql) => sql.end({ timeout: 1 })));
      },
    };
    this.#processes.add(process);
    return process;
  }

  /** A wallet of somebody new. @param amount nano-USD */
  async wallet(amount: number): Promise<number> {
    const wallet = await openWallet(this.database.sql, crypto.randomUUID());
    if (amount > 0)
      await creditWallet(this.database.sql, wallet, nano(amount), { kind: 'topup', note: 'test' });
    return wallet;
  }

  async read(wallet: number): Promise<WalletRow> {
    const [row] = await this.owner<WalletRow[]>`
      SELECT balance, held FROM ledger_accounts WHERE id = ${wallet}`;
    if (!row) throw new Error(`there is no wallet ${wallet}`);
    return { balance: row.balance, held: row.held };
  }

  /** How the request ended; null while it has not. */
  async receipt(id: string): Promise<{ outcome: string; cost: number; charged: number } | null> {
    const [row] = await this.owner<{ outcome: string; cost: number; charged: number }[]>`
      SELECT outcome, cost, charged FROM receipts WHERE id = ${id}`;
    return row ? { ...row } : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes].map((process) => process.stop()));
    await this.owner.end({ timeout: 1 });
    await this.database.close();
    await this.#data[Symbol.asyncDispose]();
  }
}

/** A hold of exactly `wanted` nano-USD, unless `least` says that less will do. */
export function holdOf(
  walletId: number,
  wanted: number,
  more: { id?: string; least?: number; model?: string } = {},
): NewHold {
  const { id = timeOrderedId(), least = wanted, model = 'test/model' } = more;
  return { id, walletId, wanted: nano(wanted), least: nano(least), keyId: null, model };
}

/** A settlement of a hold; nano-USD. Nothing is charged beyond `chargeable`. */
export function settlementOf(
  { id, walletId }: { id: string; walletId: number },
  cost: number,
  more: { chargeable?: number; detail?: string } = {},
): Settlement {
  return {
    id,
    walletId,
    cost: nano(cost),
    chargeable: nano(more.chargeable ?? cost),
    outcome: cost > 0 ? 'settled' : 'released',
    provider: 'test',
    inputTokens: 1,
    outputTokens: 1,
    detail: more.detail ?? '{}',
  };
}
