/** Brings a database to the state that this release expects: numbered .sql files, each applied once, in order, whole or not at all. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Sql } from './connection.ts';
import { StartError } from './start-error.ts';

interface Migration {
  /** The file's name without `.sql`, such as `002_accounts`. */
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
}

/** Held within each migration's transaction, so that of servers that start together one migrates and the others wait. */
const migrationLock = 0x616b6d67;

function readMigrations(folder: URL): Migration[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  return files.map((file, index) => {
    if (!new RegExp(`^${String(index + 1).padStart(3, '0')}_[a-z0-9_]+\\.sql$`).test(file))
      throw new StartError(`Migration ${file} is out of order: number ${index + 1} was expected.`);
    const text = readFileSync(new URL(file, folder), 'utf8');
    const sha256 = createHash('sha256').update(text).digest('hex');
    return { name: file.slice(0, -'.sql'.length), text, sha256 };
  });
}

/** Compares what was applied with the files; returns the files still to apply. */
function remaining(
  migrations: readonly Migration[],
  applied: readonly Omit<Migration, 'text'>[],
): Migration[] {
  for (const [index, { name, sha256 }] of applied.entries()) {
    const file = migrations[index];
    if (!file)
      throw new StartError(
        `This database was used by a newer release (it has migration ${name}): update this installation.`,
      );
    if (file.name !== name || file.sha256 !== sha256)
      throw new StartError(
        `Migration ${name} was changed after it was applied to this database (now ${file.name}): bring the file back, and add a new migration instead.`,
      );
  }
  return migrations.slice(applied.length);
}

async function readApplied(sql: Sql): Promise<Omit<Migration, 'text'>[]> {
  const exists = await sql<
    { found: boolean }[]
  >`select to_regclass('migrations') is not null as found`;
  if (!exists[0]?.found) return [];
  return sql<{ name: string; sha256: string }[]>`select name, sha256 from migrations order by name`;
}

/**
 * Applies what is missing.
 * @param sql connection of the database's owner
 * @param restricted whether the role `akai_app` can be used; recorded, since migrations grant to it only where it exists
 * @returns how many migrations were applied
 * @throws StartError when a migration was changed, is missing, or fails
 */
export async function migrate(sql: Sql, restricted: boolean, folder: URL): Promise<number> {
  const migrations = readMigrations(folder);
  const pending = remaining(migrations, await readApplied(sql));
  let count = 0;
  for (const _ of pending) {
    const applied = await sql.begin(async (transaction) => {
      await transaction`select pg_advisory_xact_lock(${migrationLock})`;
      await transaction`
        create table if not exists migrations (
          name text primary key,
          sha256 text not null,
          restricted boolean not null,
          applied_at timestamptz not null default now()
        )`;
      // Read again under the lock: another server may have been faster.
      const done = await transaction<
        { name: string; sha256: string }[]
      >`select name, sha256 from migrations order by name`;
      const next = remaining(migrations, done)[0];
      if (!next) return false;
      try {
        await transaction.unsafe(next.text);
      } catch (error) {
        throw new StartError(
          `Migration ${next.name} failed: ${error instanceof Error ? error.message : error}.`,
          {
            cause: error,
          },
        );
      }
      await transaction`insert into migrations (name, sha256, restricted) values (${next.name}, ${next.sha256}, ${restricted})`;
      return true;
    });
    if (applied) count += 1;
  }
  return count;
}
