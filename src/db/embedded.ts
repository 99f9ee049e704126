/**
 * The embedded database as its users share it: a server and any number of commands come and go, each may be the one that
 * starts PostgreSQL, and the last to leave stops it.
 *
 * Who is there is told by advisory locks, which the system takes from a process however it ends. Everybody holds a shared
 * one while using the database; whoever leaves tries to get it alone, and stops PostgreSQL while holding it, so that nobody can
 * come in between: a newcomer is turned away by the stopping database and starts it anew. A server also holds one that is
 * only for one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, connect, isAway, type Sql } from './connection.ts';
import { ensureDataDir, findPlace, type Place, socketPath } from './place.ts';
import { ensureRunning, livingPostmaster, stopPostmaster } from './postmaster.ts';
import { errorCode, StartError } from './start-error.ts';

/** `serve`: the one server, which keeps PostgreSQL running. `command`: beside it, or without it. */
export type Use = 'serve' | 'command';

export interface Embedded {
  readonly address: Address;
  /** Leaves; stops PostgreSQL when nobody else uses it. */
  close(): Promise<void>;
}

type Say = (line: string) => void;

/** Any number; it only has to be ours. The second is what the lock is for. */
const lockFamily = 0x616b6169;
const presenceLock = 1;
const serverLock = 2;

interface Presence {
  readonly sql: Sql;
  /** Fulfilled when the connection is lost, and the locks with it. */
  readonly lost: Promise<void>;
}

async function createDatabase(address: Address): Promise<void> {
  const sql = connect(address, { max: 1, name: 'akai setup', database: 'postgres' });
  try {
    await sql`create database akai`;
  } catch (error) {
    // Another start made it at the same moment.
    if (!['42P04', '23505'].includes(errorCode(error))) throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** The pid of the process that holds the server's lock, as its connection names itself. */
async function serverPid(sql: Sql): Promise<number | null> {
  const rows = await sql<{ name: string }[]>`
    select a.application_name as name
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.classid = ${lockFamily} and l.objid = ${serverLock}`;
  const pid = /^akai serve (\d+)$/.exec(rows[0]?.name ?? '')?.[1];
  return pid ? Number(pid) : null;
}

/** Takes the lock of which there is one. Waits a moment: a server that was just stopped or killed may not have lost it yet. */
async function takeServerLock(sql: Sql, dataDir: string): Promise<void> {
  const began = performance.now();
  for (;;) {
    const rows = await sql<{ taken: boolean }[]>`
      select pg_try_advisory_lock(${lockFamily}::int, ${serverLock}::int) as taken`;
    if (rows[0]?.taken) return;
    const pid = await serverPid(sql);
    const patience = pid !== null && isRunning(pid) ? 500 : 10_000;
    if (performance.now() - began > patience)
      throw new StartError(
        `Another server${pid === null ? '' : ` (process ${pid})`} already uses the data directory ${dataDir}: stop it, or set DATA_DIR to another folder.`,
      );
    await sleep(50);
  }
}

async function enter(address: Address, dataDir: string, use: Use): Promise<Presence> {
  const { promise: lost, resolve } = Promise.withResolvers<void>();
  const sql = connect(address, { max: 1, name: `akai ${use} ${process.pid}`, onClose: resolve });
  try {
    await sql`select pg_advisory_lock_shared(${lockFamily}::int, ${presenceLock}::int)`;
    if (use === 'serve') await takeServerLock(sql, dataDir);
    return { sql, lost };
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
}

/** Starts PostgreSQL where necessary and enters; again when another process stops it at that very moment. */
async function startAndEnter(place: Place, dataDir: string, use: Use, say: Say): Promise<Presence> {
  const address = { path: socketPath(place) };
  const until = performance.now() + 60_000;
  for (;;) {
    await ensureRunning(place, say);
    try {
      return await enter(address, dataDir, use);
    } catch (error) {
      if (errorCode(error) === '3D000') await createDatabase(address);
      else if (!isAway(error) || performance.now() > until) throw error;
      else await sleep(50);
    }
  }
}

/** Gives up the locks; when nobody else holds the shared one, stops PostgreSQL. */
async function leave(place: Place, presence: Presence): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await presence.sql`select pg_advisory_unlock_all()`;
      const rows = await presence.sql<{ alone: boolean }[]>`
        select pg_try_advisory_lock(${lockFamily}::int, ${presenceLock}::int) as alone`;
      if (rows[0]?.alone) await stopPostmaster(place);
      break;
    } catch (error) {
      if (!isAway(error)) throw error;
      // It died at this very moment, or is just recovering.
      if (livingPostmaster(place) === null || attempt > 50) break;
      await sleep(100);
    }
  }
  await presence.sql.end({ timeout: 0 });
}

/** While a server runs, nobody else would start PostgreSQL again: whenever it is gone, this does. */
function supervise(
  first: Presence,
  again: () => Promise<Presence>,
  say: Say,
): () => Promise<Presence> {
  let presence = first;
  let stopping = false;
  const revive = async (): Promise<void> => {
    const began = performance.now();
    say('The connection to PostgreSQL broke; starting it again if it is gone …');
    await presence.sql.end({ timeout: 0 });
    for (let pause = 100; ; pause = Math.min(pause * 2, 5000)) {
      try {
        presence = await again();
        break;
      } catch (error) {
        if (stopping) return;
        say(
          `${error instanceof Error ? error.message : String(error)} Trying again in ${pause} ms.`,
        );
        await sleep(pause);
      }
    }
    say(`PostgreSQL is back after ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  };
  const stop = Promise.withResolvers<void>();
  const watching = (async () => {
    while (!stopping) {
      await Promise.race([presence.lost, stop.promise]);
      if (!stopping) await revive();
    }
  })();
  return async () => {
    stopping = true;
    stop.resolve();
    await watching;
    return presence;
  };
}

/**
 * Opens the embedded database of a data directory; makes and starts it when necessary.
 * @param say for progress, and, while serving, for what happens to PostgreSQL
 * @throws StartError in one sentence; nothing is left running then
 */
export async function openEmbedded(folder: string, use: Use, say: Say): Promise<Embedded> {
  const dataDir = ensureDataDir(folder);
  const place = await findPlace(dataDir, say);
  const presence = await startAndEnter(place, dataDir, use, say);
  const again = (): Promise<Presence> => startAndEnter(place, dataDir, use, say);
  const unwatch = use === 'serve' ? supervise(presence, again, say) : async () => presence;
  return {
    address: { path: socketPath(place) },
    close: async () => leave(place, await unwatch()),
  };
}
