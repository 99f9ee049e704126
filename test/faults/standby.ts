/** A second PostgreSQL that follows the first, and takes its place when it is dead. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type Sql } from '../../src/db/connection.ts';
import { findPlace, type Place, socketPath } from '../../src/db/place.ts';
import { ensureRunning } from '../../src/db/postmaster.ts';
import { temporaryDataDir } from '../installation.ts';
import { until } from '../scratch_data.ts';
import { endDatabase } from './stage.ts';

export interface Standby extends AsyncDisposable {
  readonly place: Place;
  readonly sql: Sql;
  /** Makes it the primary. The first must be dead. */
  promote(): Promise<void>;
}

const quiet = (): void => {};
/** What belongs to the process that runs, or comes over the wire. */
const notCopied = /\/(postmaster\.(pid|opts)|\.s\.PGSQL\.[^/]*|pg_wal\/[^/]+|pg_replslot\/[^/]+)$/;

/** Copies the cluster while it works, as its documentation of base backups says. */
async function copyCluster(primary: Sql, from: string, to: string): Promise<void> {
  const session = await primary.reserve();
  try {
    await session`SELECT pg_backup_start('standby', true)`;
    cpSync(from, to, { recursive: true, filter: (path) => !notCopied.test(path) });
    const [end] = await session<
      { labelfile: string }[]
    >`SELECT labelfile FROM pg_backup_stop(false)`;
    writeFileSync(join(to, 'backup_label'), end?.labelfile ?? '');
  } finally {
    session.release();
  }
}

/** What root has copied must belong to PostgreSQL's user. */
function giveTo({ user }: Place, cluster: string): void {
  spawnSync('chmod', ['-R', 'go=', cluster]);
  if (user) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, cluster]);
}

/** Starts one that has every commit before it is acknowledged. @param primary as the owner of the database of `place` */
export async function startStandby(place: Place, primary: Sql): Promise<Standby> {
  await primary`ALTER SYSTEM SET wal_keep_size = '256MB'`;
  await primary`SELECT pg_reload_conf()`;
  const folder = await temporaryDataDir();
  const cluster = join(folder, 'postgres');
  await copyCluster(primary, place.cluster, cluster);
  mkdirSync(join(cluster, 'pg_wal', 'archive_status'), { recursive: true });
  rmSync(join(cluster, 'recovery.signal'), { force: true });
  writeFileSync(join(cluster, 'standby.signal'), '');
  writeFileSync(
    join(cluster, 'postgresql.auto.conf'),
    [
      `primary_conninfo = 'host=${place.socketFolder} user=akai application_name=standby'`,
      // Every commit waits for it: after a restart of the primary it has to be back soon.
      "wal_retrieve_retry_interval = '50ms'\n",
    ].join('\n'),
  );
  giveTo(place, cluster);
  const own = await findPlace(folder, quiet);
  // It is "ready" when it has been promoted.
  const ready = ensureRunning(own, quiet);
  ready.catch(quiet);
  await until('the standby follows', async () => {
    const rows = await primary`SELECT FROM pg_stat_replication WHERE state = 'streaming'`;
    return rows.length > 0;
  });
  await primary`ALTER SYSTEM SET synchronous_standby_names = '*'`;
  await primary`SELECT pg_reload_conf()`;
  await until('the standby is waited for', async () => {
    const rows = await primary`SELECT FROM pg_stat_replication WHERE sync_state = 'sync'`;
    return rows.length > 0;
  });
  const sql = connect({ path: socketPath(own) }, { max: 4, name: 'test owner' });
  return {
    place: own,
    sql,
    promote: async () => {
      await sql`SELECT pg_promote(true, 30)`;
      await ready;
    },
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      await endDatabase(own, 'SIGQUIT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
