/** Where the embedded database lives: its folder, its user, its socket. Makes a new one complete, or not at all. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Binaries, findBinaries } from './binaries.ts';
import { errorCode, StartError } from './start-error.ts';
import { mayEnter, ordinaryUser, type SystemUser } from './system-user.ts';

export interface Place {
  /** PostgreSQL's data directory, without symbolic links. */
  readonly cluster: string;
  readonly socketFolder: string;
  readonly logFile: string;
  /** Whom PostgreSQL runs as; null: ourselves. */
  readonly user: SystemUser | null;
  readonly binaries: Binaries;
}

/** PostgreSQL's own name of the socket; the number is no port here, only part of the name. */
export function socketPath(place: Pick<Place, 'socketFolder'>): string {
  return path.join(place.socketFolder, '.s.PGSQL.5432');
}

const major = '18';
/** For root, where the user of PostgreSQL may not enter the folder of the checkout or of the data. */
const sharedHome = '/var/lib/akai';
/** The system's limit is 107 bytes on Linux and 103 on macOS. */
const longestSocketPath = 103;

const isRoot = (): boolean => process.getuid?.() === 0;

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no folder can be made there',
  EROFS: 'its file system is read-only',
  ENOTDIR: 'it is not a folder',
  EEXIST: 'it is not a folder',
  ENOSPC: 'its disk is full',
  EDQUOT: 'its disk quota is used up',
};

/**
 * DATA_DIR as an absolute path, made when missing.
 * @throws StartError when it cannot be made or written
 */
export function ensureDataDir(dataDir: string): string {
  const absolute = path.resolve(dataDir);
  try {
    mkdirSync(path.dirname(absolute), { recursive: true });
    if (!existsSync(absolute)) {
      mkdirSync(absolute, { mode: 0o700 });
      // Root's own secrets in it are 0600; the user of PostgreSQL has to pass through to its folder.
      if (isRoot()) chmodSync(absolute, 0o711);
    }
    if (!statSync(absolute).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    accessSync(absolute, constants.R_OK | constants.W_OK | constants.X_OK);
    return absolute;
  } catch (error) {
    const code = errorCode(error);
    throw new StartError(
      `The data directory ${absolute} cannot be used: ${reasons[code] ?? code}. Set DATA_DIR to a folder that this user may write.`,
      { cause: error },
    );
  }
}

/** The user to run an existing database as: its owner. */
function ownerOf(cluster: string, shown: string): SystemUser | null {
  const { uid, gid } = statSync(cluster);
  if (!isRoot()) {
    if (uid === process.getuid?.()) return null;
    throw new StartError(
      `The database in ${shown} belongs to another user (number ${uid}): start as that user, or set DATA_DIR to a folder of your own.`,
    );
  }
  if (uid === 0)
    throw new StartError(
      `The database in ${shown} belongs to root, and PostgreSQL refuses to run as root: give it to an ordinary user with chown -R.`,
    );
  const owner = { uid, gid };
  if (mayEnter(owner, cluster)) return owner;
  throw new StartError(
    `The database in ${shown} belongs to user number ${uid}, who may not enter that folder: move the data folder to where that user may go and set DATA_DIR to it, or give leave to pass (chmod o+x) through the folders above it.`,
  );
}

function checkExisting(link: string): string {
  const problem = (what: string): StartError => new StartError(`${link} ${what}`);
  let cluster: string;
  let version: string;
  try {
    cluster = realpathSync(link);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw problem(`cannot be read (${errorCode(error)}).`);
    throw problem(
      'points to a database that is gone: bring it back, or remove the link to begin with a new one.',
    );
  }
  try {
    version = readFileSync(path.join(cluster, 'PG_VERSION'), 'utf8').trim();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw problem(
        'is in the way: it holds no database. Move it away, or set DATA_DIR to another folder.',
      );
    throw problem(
      `cannot be read (${reasons[code] ?? code}): start as the user who made it, or set DATA_DIR to another folder.`,
    );
  }
  if (version !== major)
    throw problem(
      `holds a database of PostgreSQL ${version}, and this release brings PostgreSQL ${major}: carry the data over with pg_dump, or set DATABASE_URL.`,
    );
  return cluster;
}

/** Settings that belong to the database, not to the machine: C.UTF-8 sorts alike everywhere and after every system update. */
const initdbArguments = [
  '--username=akai',
  '--auth=trust', // The socket's folder is closed to everybody else, and there is no other way in.
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--data-checksums',
  '--no-instructions',
];

async function initialise(
  folder: string,
  user: SystemUser | null,
  binaries: Binaries,
): Promise<void> {
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  try {
    if (user) chownSync(folder, user.uid, user.gid);
    await promisify(execFile)(binaries.initdb, ['-D', folder, ...initdbArguments], {
      ...identity,
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' },
    });
  } catch (error) {
    const words =
      error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    if (/No space left on device|ENOSPC|quota exceeded/i.test(words))
      throw new StartError(
        `The disk is full: a new database in ${path.dirname(folder)} needs about 50 MB. Make room, or set DATA_DIR to another disk.`,
      );
    const line =
      /(?:FATAL|error|PANIC):\s+(.*)/i.exec(words)?.[1] ?? words.trim().split('\n').at(-1);
    throw new StartError(`A new database could not be made in ${path.dirname(folder)}: ${line}.`);
  }
}

/** Made beside its final name and put there in one step, so that an interrupted start leaves nothing half made. */
async function makeCluster(
  dataDir: string,
  user: SystemUser | null,
  binaries: Binaries,
  say: (line: string) => void,
): Promise<void> {
  const link = path.join(dataDir, 'postgres');
  const reachable = !user || mayEnter(user, dataDir);
  const began = performance.now();
  const folder = reachable ? mkdtempSync(`${link}.new-`) : newSharedFolder(dataDir);
  if (!reachable)
    say(
      `The database's files go to ${folder}, because its user may not enter ${dataDir}; ${link} leads there.`,
    );
  say('Making a new PostgreSQL database …');
  try {
    await initialise(folder, user, binaries);
    if (reachable) renameSync(folder, link);
    else symlinkSync(folder, link);
    say(`Made it in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    // Another start was faster: its database is as good.
    if (!['EEXIST', 'ENOTEMPTY'].includes(errorCode(error))) throw error;
  }
}

function newSharedFolder(dataDir: string): string {
  mkdirSync(sharedHome, { recursive: true });
  chmodSync(sharedHome, 0o755);
  const hash = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 8);
  // With something random, since older data of a DATA_DIR that was emptied must neither come back nor be lost.
  return mkdtempSync(path.join(sharedHome, `${hash}-`));
}

/** What starts that were killed left behind. */
function removeUnfinished(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    const folder = path.join(dataDir, name);
    if (!name.startsWith('postgres.new-')) continue;
    if (Date.now() - lstatSync(folder).mtimeMs > 600_000)
      rmSync(folder, { recursive: true, force: true });
  }
}

/** In the data directory, which is ours alone; where that makes the path too long, in a closed folder in /tmp. */
function socketFolderOf(cluster: string, user: SystemUser | null): string {
  if (Buffer.byteLength(socketPath({ socketFolder: cluster })) <= longestSocketPath) return cluster;
  const hash = createHash('sha256').update(cluster).digest('hex').slice(0, 16);
  const folder = path.join('/tmp', `akai-${hash}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
    if (user) chownSync(folder, user.uid, user.gid);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  // Somebody else's folder would let somebody else answer as our database.
  const found = lstatSync(folder);
  const owner = user?.uid ?? process.getuid?.();
  if (!found.isDirectory() || found.uid !== owner || (found.mode & 0o077) !== 0)
    throw new StartError(
      `${folder}, where the database's socket has to go because the path of the data directory is too long, belongs to somebody else: remove it, or choose a shorter DATA_DIR.`,
    );
  return folder;
}

/**
 * Finds the embedded database of `dataDir`, or makes it.
 * @param dataDir absolute, from `ensureDataDir`
 * @throws StartError when it cannot be used; nothing was changed then
 */
export async function findPlace(dataDir: string, say: (line: string) => void): Promise<Place> {
  const link = path.join(dataDir, 'postgres');
  const exists = (): boolean => lstatSync(link, { throwIfNoEntry: false }) !== undefined;
  const home = isRoot() ? sharedHome : dataDir;
  removeUnfinished(dataDir);
  if (!exists()) {
    const user = isRoot() ? ordinaryUser(say) : null;
    await makeCluster(dataDir, user, findBinaries(user, home, say), say);
  }
  const cluster = checkExisting(link);
  const user = ownerOf(cluster, link);
  const binaries = findBinaries(user, home, say);
  const socketFolder = socketFolderOf(cluster, user);
  return { cluster, socketFolder, logFile: path.join(dataDir, 'postgres.log'), user, binaries };
}
