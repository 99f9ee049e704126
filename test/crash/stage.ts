/** Where a round plays: gateways and a PostgreSQL, and what may happen to them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, isAway, type Sql } from '../../src/db/connection.ts';
import { findPlace, type Place, socketPath } from '../../src/db/place.ts';
import { ensureRunning, livingPostmaster } from '../../src/db/postmaster.ts';
import { startDatabase } from '../embedded_database.ts';
import { temporaryDataDir } from '../installation.ts';
import { lives, until } from '../scratch_data.ts';
import { GatewayProcess } from './gateway_process.ts';
import { type Line, lineFaults, startLine } from './line.ts';
import type { Random } from './random.ts';

/** embedded: one gateway with its own PostgreSQL, which it restarts · shared: two gateways on one that the harness runs */
export type Layout = 'embedded' | 'shared';

/** Long enough that a machine which is busy with other things does not end one. */
export const leaseMs = 2000;
export const graceMs = 300;

const both = ['kill gateway', 'kill database', 'kill both', 'stop', 'freeze', 'restart'] as const;
/** What is done in each layout. freeze: SIGSTOP beyond the lease · stop: for less than that · restart: Ctrl-C and again. */
export const faultKinds: Readonly<Record<Layout, readonly string[]>> = {
  embedded: [...both, 'supplant'],
  shared: [...both, ...lineFaults],
};

/** Something that was done; ms since the epoch, `to` when it was over. */
export interface Fault {
  readonly kind: string;
  /** Null: all of them. */
  readonly gateway: string | null;
  readonly from: number;
  to: number;
}

export interface Stage extends AsyncDisposable {
  readonly layout: Layout;
  readonly gateways: readonly GatewayProcess[];
  /** As the database's owner. */
  readonly sql: Sql;
  readonly faults: Fault[];
  /** Does it, and resolves when everything runs again. */
  fail(kind: string, random: Random): Promise<void>;
}

const quiet = (): void => {};

/** Asks until there is an answer: connections that a dead PostgreSQL left are noticed one by one. @throws Error after 15 s */
export async function read<T>(query: () => Promise<T>): Promise<T> {
  let answer: Promise<T> | null = null;
  await until('the database answers', async () => {
    answer = query();
    return answer.then(
      () => true,
      (error: unknown) => {
        if (isAway(error)) return false;
        throw error;
      },
    );
  });
  if (!answer) throw new Error('nothing was asked');
  return answer;
}

/** Kills PostgreSQL. The gateway of an embedded one starts it again; a shared one is ours to start. */
async function killDatabase({ place, layout }: Parts): Promise<void> {
  const pid = livingPostmaster(place);
  if (pid !== null) {
    process.kill(pid, 'SIGKILL');
    await until('PostgreSQL is dead', () => livingPostmaster(place) !== pid);
  }
  if (layout === 'shared')
    // What the dead one left behind may still answer for it for a moment.
    await until('PostgreSQL runs again', async () => {
      await ensureRunning(place, quiet);
      return livingPostmaster(place) !== null;
    });
}

interface Parts {
  readonly layout: Layout;
  readonly place: Place;
  readonly line: Line | null;
  readonly gateways: GatewayProcess[];
  readonly env: Record<string, string>;
}

type Doing = (parts: Parts, gateway: GatewayProcess, random: Random) => Promise<void>;

async function pause(gateway: GatewayProcess, ms: number): Promise<void> {
  const { pid } = gateway;
  process.kill(pid, 'SIGSTOP');
  await sleep(ms);
  process.kill(pid, 'SIGCONT');
}

async function freeze(gateway: GatewayProcess, random: Random): Promise<void> {
  // Sometimes less than the grace period, so that nobody has recovered what it held when it awakes.
  await pause(gateway, leaseMs + random.pick([random.integer(50, graceMs), graceMs + 600]));
}

/** While the server sleeps its PostgreSQL dies, another server takes its place, and then it awakes. */
const supplant: Doing = async (parts, gateway) => {
  const { env, gateways } = parts;
  const { pid } = gateway;
  process.kill(pid, 'SIGSTOP');
  const successor = await GatewayProcess.create('successor', env, gateway.dataDir);
  gateways.push(successor);
  try {
    await killDatabase(parts);
    await successor.start();
    process.kill(pid, 'SIGCONT');
    await sleep(leaseMs);
  } finally {
    gateways.pop();
    await successor.kill();
    await gateway.kill();
  }
  await gateway.start();
};

const doings: Readonly<Record<string, Doing>> = {
  'kill gateway': async (_, gateway) => {
    await gateway.kill();
    await gateway.start();
  },
  'kill database': (parts) => killDatabase(parts),
  'kill both': async (parts, gateway) => {
    await Promise.all([gateway.kill(), killDatabase(parts)]);
    await gateway.start();
  },
  stop: (_, gateway, random) => pause(gateway, random.integer(50, 800)),
  freeze: (_, gateway, random) => freeze(gateway, random),
  restart: async (_, gateway) => {
    const code = await gateway.stop();
    if (code !== 0) throw new Error(`Ctrl-C ended with ${code}:\n${gateway.output()}`);
    await gateway.start();
  },
  supplant,
  cut: async ({ line }) => line?.fail('cut', 0),
  mute: async ({ line }, _, random) => {
    line?.fail('mute', 0);
    await sleep(random.integer(20, 500));
    line?.heal();
  },
  late: async ({ line }, _, random) => {
    const delayMs = random.integer(20, 1500);
    line?.fail('late', delayMs);
    await sleep(delayMs);
    line?.heal();
  },
};

const wholeSystem = new Set(['kill database', 'kill both', 'supplant', ...lineFaults]);

/** @param upstreamUrl base URL of the provider */
export async function openStage(layout: Layout, upstreamUrl: string): Promise<Stage> {
  const env = {
    OPENAI_BASE_URL: upstreamUrl,
    OPENAI_API_KEY: 'test',
    RATE_LIMIT_RPM: '0',
    LEASE_MS: String(leaseMs),
    RECOVERY_GRACE_MS: String(graceMs),
    HOLD_WAIT_MS: '500',
    DRAIN_TIMEOUT_MS: '3000',
    LOG_LEVEL: 'warn',
  };
  const folder = await temporaryDataDir();
  const shared = layout === 'shared' ? await startShared(folder) : null;
  const first = await GatewayProcess.create('A', env, folder, shared?.url);
  const gateways = shared
    ? [first, await GatewayProcess.create('B', env, null, shared.url)]
    : [first];
  await Promise.all(gateways.map((gateway) => gateway.start()));
  const place = await findPlace(folder, quiet);
  const sql = connect({ path: socketPath(place) }, { max: 6, name: 'crash rounds' });
  const parts: Parts = { layout, place, line: shared?.line ?? null, gateways, env };
  const faults: Fault[] = [];
  return {
    layout,
    gateways,
    sql,
    faults,
    fail: async (kind, random) => {
      const gateway = random.pick(gateways);
      const name = wholeSystem.has(kind) ? null : gateway.name;
      const fault = { kind, gateway: name, from: Date.now(), to: Number.POSITIVE_INFINITY };
      faults.push(fault);
      await doings[kind]?.(parts, gateway, random);
      await read(() => sql`SELECT 1`);
      fault.to = Date.now();
    },
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      // The one in whose folder a shared PostgreSQL lives last.
      for (const gateway of gateways.toReversed()) await gateway.remove();
      await shared?.line[Symbol.asyncDispose]();
      const pid = livingPostmaster(place);
      if (pid !== null && lives(pid)) throw new Error(`PostgreSQL ${pid} was left running`);
    },
  };
}

/** A PostgreSQL behind a line. It lives in the folder of the first gateway, which deletes it in the end. */
async function startShared(folder: string): Promise<{ line: Line; url: string }> {
  const place = await startDatabase(folder);
  const line = await startLine(socketPath(place));
  return { line, url: `postgres://akai:test@127.0.0.1:${line.port}/akai` };
}
