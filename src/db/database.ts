/** Opens the database, embedded or the operator's own: migrated, of the right mode, with a role that may do no more than it must. */
import type { Config } from '../config.ts';
import { type Address, connect, isAway, type Sql } from './connection.ts';
import { openEmbedded, type Use } from './embedded.ts';
import { migrate } from './migrate.ts';
import { writePidFile } from './pid-file.ts';
import { ensureDataDir } from './place.ts';
import { errorCode, StartError } from './start-error.ts';

export type { Sql, Statements } from './connection.ts';

export interface Database {
  /** Pool of the application's role. */
  readonly sql: Sql;
  /** One more pool of the same role, ended by `close`. `name` is its application_name; `patienceMs` as in connection.ts. */
  connect(options: { max: number; name: string; patienceMs?: number }): Sql;
  /**
   * A connection of the owner, for a command that does what the application may not; ended by `close`.
   * @throws Error in a server, which must have none
   */
  owner(): Sql;
  readonly embedded: boolean;
  /** Whether our statements run as `akai_app`, which may not change the ledger; false where roles may not be made. */
  readonly restricted: boolean;
  /** Ends the pools (running statements have 5 s), leaves the database, stops PostgreSQL if it is ours to stop. */
  close(): Promise<void>;
}

type Say = (line: string) => void;

const role = 'akai_app';
const oldestServer = 150_000;
const defaultMigrations = new URL('./migrations/', import.meta.url);

interface Source {
  readonly address: Address;
  readonly embedded: boolean;
  close(): Promise<void>;
}

/** Where DATABASE_URL leads, without user and password. */
function shownUrl(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}${port ? `:${port}` : ''}${pathname}`;
}

function urlSource(url: string): Source {
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol))
    throw new StartError('DATABASE_URL must look like postgres://user:password@host/database.');
  return { address: { url }, embedded: false, close: async () => {} };
}

function explain(error: unknown, url: string): unknown {
  const code = errorCode(error);
  if (error instanceof StartError || !url) return error;
  const sentences: Readonly<Record<string, string>> = {
    '28P01': 'refused the password',
    '28000': 'refused the user',
    '3D000': 'does not exist',
    ENOTFOUND: 'cannot be found: is the host name right?',
    EAI_AGAIN: 'cannot be found: is the host name right?',
  };
  const sentence = sentences[code] ?? (isAway(error) ? `cannot be reached (${code})` : null);
  if (sentence === null) return error;
  return new StartError(`The database ${shownUrl(url)} of DATABASE_URL ${sentence}.`, {
    cause: error,
  });
}

/** Waits a little for a database that is started together with us. */
async function serverVersion(owner: Sql, use: Use, say: Say): Promise<number> {
  const until = performance.now() + (use === 'serve' ? 10_000 : 0);
  for (let first = true; ; first = false) {
    try {
      const rows = await owner<
        { version: number }[]
      >`select current_setting('server_version_num')::int as version`;
      return rows[0]?.version ?? 0;
    } catch (error) {
      if (!isAway(error) || performance.now() > until) throw error;
      if (first) say('Waiting for the database of DATABASE_URL …');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Makes the application's role where it is missing. False where this user may not do that, or may not act as it. */
async function prepareRole(owner: Sql): Promise<boolean> {
  try {
    await owner.begin(async (sql) => {
      await sql`select pg_advisory_xact_lock(hashtext(${role}))`;
      const found = await sql`select from pg_roles where rolname = ${role}`;
      if (found.length === 0) await sql`create role ${sql(role)} nologin`;
      const member = await sql<
        { member: boolean }[]
      >`select pg_has_role(current_user, ${role}, 'member') as member`;
      if (!member[0]?.member) await sql`grant ${sql(role)} to current_user`;
      await sql`grant usage on schema public to ${sql(role)}`;
      await sql`set local role ${sql(role)}`;
    });
    return true;
  } catch (error) {
    if (['42501', '0LP01', '42710', '23505'].includes(errorCode(error))) return false;
    throw error;
  }
}

/** True when every migration was applied while the role was there, so that it has all its grants. */
async function hasAllGrants(owner: Sql): Promise<boolean> {
  const rows = await owner<
    { complete: boolean }[]
  >`select bool_and(restricted) as complete from migrations`;
  return rows[0]?.complete === true;
}

/** A pooler in front of the database may refuse the parameter that chooses the role. */
async function roleIsAccepted(address: Address): Promise<boolean> {
  const trial = connect(address, { max: 1, name: 'akai setup', role });
  try {
    const rows = await trial<{ name: string }[]>`select current_user as name`;
    return rows[0]?.name === role;
  } catch (error) {
    if (isAway(error)) throw error;
    return false;
  } finally {
    await trial.end({ timeout: 1 });
  }
}

async function checkMode(owner: Sql, mode: Config['mode']): Promise<void> {
  await owner`insert into installation (mode) values (${mode}) on conflict do nothing`;
  const rows = await owner<{ mode: string }[]>`select mode from installation`;
  const recorded = rows[0]?.mode;
  if (recorded !== mode)
    throw new StartError(
      `This database was set up for MODE=${recorded}, and that cannot change: start with MODE=${recorded}, or set ${mode.toUpperCase()} up in a database of its own (DATA_DIR or DATABASE_URL).`,
    );
}

/** Everything that needs the owner's rights; afterwards nothing has them. Returns whether the role can be used. */
async function prepare(
  source: Source,
  config: Config,
  use: Use,
  say: Say,
  migrations: URL,
): Promise<boolean> {
  const owner = connect(source.address, { max: 1, name: 'akai setup' });
  try {
    const version = await serverVersion(owner, use, say);
    if (version < oldestServer)
      throw new StartError(
        `The database of DATABASE_URL is PostgreSQL ${Math.floor(version / 10_000)}; 15 or newer is needed.`,
      );
    const roleExists = await prepareRole(owner);
    const applied = await migrate(owner, roleExists, migrations);
    if (applied > 0) say(`Applied ${applied} ${applied === 1 ? 'migration' : 'migrations'}.`);
    await checkMode(owner, config.mode);
    return roleExists && (await hasAllGrants(owner));
  } finally {
    await owner.end({ timeout: 1 });
  }
}

/**
 * Opens the database of `config`.
 * @param use `serve` keeps an embedded PostgreSQL running and is alone on it; `command` works beside a server, or without
 * @param say takes lines of progress and, while serving, what happens to an embedded PostgreSQL
 * @param migrations folder of the .sql files; only tests give another
 * @throws StartError with one sentence; nothing is left running then
 */
export async function openDatabase(
  config: Config,
  use: Use,
  say: Say,
  migrations = defaultMigrations,
): Promise<Database> {
  const url = config.databaseUrl;
  const source: Source = url
    ? urlSource(url)
    : { ...(await openEmbedded(config.dataDir, use, say)), embedded: true };
  const pools: Sql[] = [];
  try {
    const restricted =
      (await prepare(source, config, use, say, migrations)) &&
      (source.embedded || (await roleIsAccepted(source.address)));
    const keep = (pool: Sql): Sql => {
      pools.push(pool);
      return pool;
    };
    const open = (options: { max: number; name: string; patienceMs?: number }): Sql =>
      keep(connect(source.address, { ...options, ...(restricted ? { role } : {}) }));
    const sql = open({ max: 10, name: `akai ${use}` });
    const removePidFile = use === 'serve' ? writePidFile(ensureDataDir(config.dataDir)) : () => {};
    return {
      sql,
      connect: open,
      owner: () => {
        if (use === 'serve') throw new Error('A server never acts as the owner of its database.');
        return keep(connect(source.address, { max: 1, name: 'akai owner' }));
      },
      embedded: source.embedded,
      restricted,
      close: async () => {
        await Promise.all(pools.map((pool) => pool.end({ timeout: 5 })));
        await source.close();
        removePidFile();
      },
    };
  } catch (error) {
    await source.close();
    throw explain(error, url);
  }
}
