/** Starts, recognises and stops the embedded PostgreSQL. It outlives us when we are killed, and is then taken over, not started twice. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Place, socketPath } from './place.ts';
import { errorCode, StartError } from './start-error.ts';

/** On the command line rather than in postgresql.conf, so that a new release brings its own to old data. */
const serverSettings: Readonly<Record<string, string>> = {
  listen_addresses: '', // No network: only who may enter the socket's folder gets in.
  unix_socket_permissions: '0700',
  fsync: 'on', // These three: an acknowledged commit survives a power cut. It is other people's money.
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '200', // Several gateways with their pools; an idle connection costs about 2 MB.
  shared_buffers: '256MB', // Taken only as it fills. The hot tables of a small installation fit.
  jit: 'off', // Compiling costs more than any of our short statements.
  io_method: 'sync', // PostgreSQL 18's own three I/O processes help large scans, which we have none of.
  wal_writer_delay: '10ms', // What is committed without waiting for the disk gets there this soon.
  wal_compression: 'on', // Whole pages are logged after each checkpoint; compressed they are a quarter.
  client_connection_check_interval: '1s', // A killed gateway's statement ends, and frees its locks, within a second.
  timezone: 'UTC', // The same text for the same time on every machine.
  log_timezone: 'UTC',
  lc_messages: 'C', // The messages that we look for in the log.
  log_checkpoints: 'off', // Noise in a log that nobody reads unless something broke.
  log_line_prefix: '%m [%p] ',
};

const longestLog = 10_000_000;

interface PidFile {
  readonly pid: number;
  /** `starting`, `stopping` or `ready`; '' before PostgreSQL has written it. */
  readonly status: string;
}

function pidFilePath(place: Place): string {
  return path.join(place.cluster, 'postmaster.pid');
}

function readPidFile(place: Place): PidFile | null {
  let lines: string[];
  try {
    lines = readFileSync(pidFilePath(place), 'utf8').split('\n');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
  return { pid: Number(lines[0]) || 0, status: lines[7]?.trim() ?? '' };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/** Whether `pid` is a living PostgreSQL on this data, and no other program that was given the number since. */
function isPostmaster(pid: number, place: Place): boolean {
  if (pid <= 0 || !exists(pid)) return false;
  try {
    // The surest sign, also after the folder was renamed; not readable for root in some containers.
    if (readlinkSync(`/proc/${pid}/cwd`) === place.cluster) return true;
  } catch {
    // Decided by the command line.
  }
  const words = commandLine(pid);
  return words.includes('postgres') && words.includes(place.cluster);
}

/** Whether somebody listens on the socket: a PostgreSQL in another container on the same volume shows only so. */
function socketAnswers(place: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath(place));
    const end = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** The pid of the PostgreSQL that runs on this data; null when none does. */
export function livingPostmaster(place: Place): number | null {
  const file = readPidFile(place);
  return file && isPostmaster(file.pid, place) ? file.pid : null;
}

/**
 * A pid file of a dead PostgreSQL is no obstacle to PostgreSQL, unless another program has the number now. Then the
 * number is replaced by an impossible one rather than the file removed, since PostgreSQL also reads from it where to look
 * for processes of the dead one that still write.
 */
function disown(place: Place, file: PidFile): void {
  if (file.pid > 0 && !exists(file.pid)) return;
  if (file.pid === 0) {
    // Another start is just writing it, or died in that instant long ago.
    const { mtimeMs } = statSync(pidFilePath(place));
    if (Date.now() - mtimeMs > 5000) rmSync(pidFilePath(place), { force: true });
    return;
  }
  const text = readFileSync(pidFilePath(place), 'utf8');
  writeFileSync(pidFilePath(place), text.replace(/^.*/, '999999999'));
  rmSync(`${socketPath(place)}.lock`, { force: true });
}

function openLog(place: Place): { descriptor: number; offset: number } {
  const size = statSync(place.logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > longestLog) renameSync(place.logFile, `${place.logFile}.1`);
  return { descriptor: openSync(place.logFile, 'a', 0o600), offset: size > longestLog ? 0 : size };
}

interface Start {
  readonly child: ChildProcess;
  /** What it has written to the log since it was started. */
  words(): string;
  /** Why it could not even be run; null when it could. */
  failure(): Error | null;
}

function start(place: Place): Start {
  const { descriptor, offset } = openLog(place);
  const settings = { ...serverSettings, unix_socket_directories: place.socketFolder };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const identity = place.user ? { uid: place.user.uid, gid: place.user.gid } : {};
  let failure: Error | null = null;
  try {
    const child = spawn(place.binaries.postgres, ['-D', place.cluster, ...options], {
      ...identity,
      cwd: '/',
      // A group of its own: Ctrl-C in the terminal is for us, who still need it while we drain.
      detached: true,
      stdio: ['ignore', descriptor, descriptor],
      // Nothing of ours: the environment holds the providers' keys.
      env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' },
    });
    child.once('error', (error) => {
      failure = error;
    });
    child.unref();
    const words = (): string => readFileSync(place.logFile).subarray(offset).toString();
    return { child, words, failure: () => failure };
  } finally {
    closeSync(descriptor);
  }
}

function whyNotStarted(place: Place, begun: Start): StartError | 'try again' {
  const failure = begun.failure();
  if (failure) return new StartError(`PostgreSQL could not be run: ${failure.message}.`);
  const words = begun.words();
  // Another process started it at the same moment, or processes of one that was killed have yet to notice.
  if (/lock file .* (already exists|is empty)|pre-existing shared memory block/.test(words))
    return 'try again';
  if (/No space left on device/.test(words))
    return new StartError(
      `The disk that holds ${place.cluster} is full: PostgreSQL cannot start until there is room.`,
    );
  const fatal = /(?:FATAL|PANIC):\s+(.*)/.exec(words)?.[1] ?? 'it said nothing';
  return new StartError(`PostgreSQL did not start: ${fatal}. Its log is ${place.logFile}.`);
}

/** Says `sentence` when a wait has taken 3 s, and every 10 s after. */
function patience(say: (line: string) => void, sentence: string): () => void {
  let next = performance.now() + 3000;
  return () => {
    if (performance.now() < next) return;
    next = performance.now() + 10_000;
    say(sentence);
  };
}

/**
 * Makes sure that PostgreSQL runs and accepts connections: takes over a living one, starts a dead one. Any number of
 * processes may do so at once; PostgreSQL itself decides whose start counts.
 * @throws StartError when it does not start
 */
export async function ensureRunning(place: Place, say: (line: string) => void): Promise<void> {
  const triedUntil = performance.now() + 30_000;
  const waiting = patience(
    say,
    'Waiting for PostgreSQL (after a crash it first repeats what was not yet written) …',
  );
  for (;;) {
    const file = readPidFile(place);
    if (file && isPostmaster(file.pid, place)) {
      if (file.status === 'ready') return;
      waiting();
      await sleep(10);
      continue;
    }
    if (await socketAnswers(place)) return;
    if (file) disown(place, file);
    const begun = start(place);
    const ended = (): boolean =>
      begun.failure() !== null || begun.child.exitCode !== null || begun.child.signalCode !== null;
    while (!ended()) {
      const now = readPidFile(place);
      if (now?.pid === begun.child.pid && now?.status === 'ready') return;
      waiting();
      await sleep(10);
    }
    const reason = whyNotStarted(place, begun);
    if (reason instanceof StartError) throw reason;
    if (performance.now() > triedUntil)
      throw new StartError(`PostgreSQL did not start: ${begun.words().trim().split('\n').at(-1)}.`);
    await sleep(100);
  }
}

/** Stops PostgreSQL: open transactions are rolled back, everything committed is on disk. Returns when it is gone. */
export async function stopPostmaster(place: Place): Promise<void> {
  const pid = livingPostmaster(place);
  if (pid === null) return;
  process.kill(pid, 'SIGINT'); // What PostgreSQL calls fast shutdown.
  const impatientAt = performance.now() + 60_000;
  let insisted = false;
  while (isPostmaster(pid, place)) {
    if (!insisted && performance.now() > impatientAt) {
      insisted = true;
      process.kill(pid, 'SIGQUIT'); // Immediate: loses nothing committed, and costs a recovery at the next start.
    }
    await sleep(10);
  }
  if (place.socketFolder !== place.cluster)
    rmSync(place.socketFolder, { recursive: true, force: true });
}
