/** Starts the real server as a user would, on its own data folder and a free port, and never leaves it running. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../src/db/connection.ts';
import { findPlace, socketPath } from '../src/db/place.ts';
import { compiled } from './compiled.ts';
import { makeCustomer } from './customer.ts';
import { copyPrepared } from './prepared.ts';

const mainFile = join(import.meta.dirname, '../src/main.ts');
/** As bin/akai starts it. */
const { serverFlags } = createRequire(import.meta.url)('../bin/with-node') as {
  // as: what that program says of itself
  readonly serverFlags: readonly string[];
};
const startTimeoutMs = 90_000;
const stopTimeoutMs = 40_000;

interface InstallationOptions {
  /** Settings on top of `PORT=0` and `DATA_DIR`. */
  readonly env?: Record<string, string>;
  /** A folder that an earlier installation left, to start again on its data; its key is reused. */
  readonly dataDir?: string;
  /** Begin with nothing at all, as a newcomer does, instead of a copy of a database that is ready. */
  readonly isFirst?: boolean;
  /** Use this PostgreSQL instead of the embedded one; several installations may share it. */
  readonly databaseUrl?: string;
}

export interface Installation extends AsyncDisposable {
  /** Base URL for SDKs, such as `http://localhost:40123/v1`. */
  readonly baseUrl: string;
  readonly origin: string;
  /** A key of a user with $10. */
  readonly key: string;
  readonly email: string;
  readonly pid: number;
  readonly dataDir: string;
  /** Everything that the server printed so far. */
  output(): string;
  /** Runs one command beside the server and returns its `--json` answer. @throws CommandError */
  akai<T = Record<string, unknown>>(...args: string[]): Promise<T>;
  /** SIGINT, as Ctrl-C would; returns the exit code. */
  stop(): Promise<number>;
  /** SIGKILL to the server only; an embedded PostgreSQL is left as an orphan. */
  kill(): Promise<void>;
  /** Stops what still runs and deletes the data. */
  remove(): Promise<void>;
}

interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

class CommandError extends Error {
  readonly result: CommandResult;
  constructor(args: readonly string[], result: CommandResult) {
    super(`akai ${args.join(' ')} ended with ${result.code}:\n${result.stdout}${result.stderr}`);
    this.result = result;
  }
}

/** Only what a process needs: a developer's own settings and provider keys must not reach a test. */
function bareEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'TZ'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function launch(
  args: readonly string[],
  env: Record<string, string>,
  cwd: string,
  stdin: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  const flags = args[0] === 'serve' ? serverFlags : [];
  return spawn(process.execPath, [...flags, mainFile, ...args], {
    // A folder without .env, so that the developer's stays out.
    cwd,
    env: { ...bareEnvironment(), ...compiled, ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
}

/** What must be gone when the test process ends, however it ends: the servers of each data folder, and the folder. */
const leftovers = new Map<string, ChildProcess[]>();

/** A data folder that PostgreSQL's own user may enter when the tests run as root; deleted when the test process ends. */
export async function temporaryDataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'akai-test-'));
  chmodSync(folder, 0o755);
  leftovers.set(folder, []);
  return folder;
}

/** Runs one command to its end, whatever its exit code; `env` comes on top of a bare environment, `input` to its standard input. */
export async function runAkai(
  args: readonly string[],
  env: Record<string, string>,
  options: { timeoutMs?: number; input?: string } = {},
): Promise<CommandResult> {
  const child = launch(args, env, tmpdir(), options.input === undefined ? 'ignore' : 'pipe');
  child.stdin?.on('error', () => {}).end(options.input);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? startTimeoutMs);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  return { code: typeof code === 'number' ? code : 128, stdout, stderr };
}

/** Resolves with the origin once the server says that it is ready. */
async function untilReady(child: ChildProcess, output: () => string): Promise<string> {
  const giveUp = Date.now() + startTimeoutMs;
  for (;;) {
    const origin = /ready at (http:\/\/\S+)/.exec(output())?.[1];
    if (origin) return origin.replace(/\/$/, '');
    if (!lives(child)) throw new Error(`The server ended before it was ready:\n${output()}`);
    if (Date.now() > giveUp) throw new Error(`The server was not ready in time:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

function lives(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // already gone
  }
}

/** Where the embedded database is: in the folder, or where a link in it leads. */
function clusterOf(dataDir: string): string | null {
  const cluster = join(dataDir, 'postgres');
  return existsSync(cluster) ? realpathSync(cluster) : null;
}

/** Ends an embedded PostgreSQL that its server left behind, and deletes everything. */
function deleteData(dataDir: string): void {
  const cluster = clusterOf(dataDir);
  if (cluster) {
    const pidFile = join(cluster, 'postmaster.pid');
    const pid = existsSync(pidFile) ? Number.parseInt(readFileSync(pidFile, 'utf8'), 10) : 0;
    if (pid > 1) signal(pid, 'SIGQUIT');
    for (let tries = 0; tries < 60 && existsSync(pidFile); tries += 1) sleepSync(50);
    rmSync(cluster, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** The last resort, for a test that threw or was stopped: nothing asynchronous can run here any more. */
function endEverything(): void {
  for (const [dataDir, children] of leftovers) {
    const servers = children.filter(lives).map(({ pid = 0 }) => pid);
    for (const pid of servers) signal(pid, 'SIGINT');
    const pidFile = join(dataDir, 'akai.pid');
    for (let tries = 0; servers.length > 0 && tries < 60 && existsSync(pidFile); tries += 1)
      sleepSync(50);
    for (const pid of servers) signal(pid, 'SIGKILL');
    deleteData(dataDir);
  }
}

process.once('exit', endEverything);
for (const [name, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(name, () => process.exit(code));

/** A waiting server must not keep the test process alive: it ends by itself, and the server with it. */
function letGo(child: ChildProcess): void {
  child.unref();
  for (const stream of [child.stdout, child.stderr])
    if (stream && 'unref' in stream && typeof stream.unref === 'function') stream.unref();
}

async function ended(child: ChildProcess, name: NodeJS.Signals): Promise<number> {
  if (lives(child)) {
    child.ref();
    const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    const exit = once(child, 'exit');
    child.kill(name);
    await exit;
    clearTimeout(timer);
  }
  return child.exitCode ?? 128;
}

interface Credentials {
  readonly email: string;
  readonly key: string;
}

/** The funded user of these tests; remembered beside the data for a second start on it. */
async function fundedKey(dataDir: string, databaseUrl: string | undefined): Promise<Credentials> {
  const file = join(dataDir, 'test-credentials.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const address = databaseUrl
    ? { url: databaseUrl }
    : { path: socketPath(await findPlace(dataDir, () => {})) };
  const sql = connect(address, { max: 1, name: 'test account' });
  try {
    const { email, key } = await makeCustomer(sql, '10');
    writeFileSync(file, JSON.stringify({ email, key }));
    return { email, key };
  } finally {
    await sql.end();
  }
}

/** Starts a server and a funded key on it. @throws Error with the server's output when it does not start */
export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const dataDir = options.dataDir ?? (await temporaryDataDir());
  const database: Record<string, string> = options.databaseUrl
    ? { DATABASE_URL: options.databaseUrl }
    : {};
  if (!options.dataDir && !options.databaseUrl && !options.isFirst) copyPrepared(dataDir);
  const env: Record<string, string> = { PORT: '0', DATA_DIR: dataDir, ...database, ...options.env };
  const child = launch(['serve'], env, dataDir);
  const pid = child.pid;
  if (pid === undefined) throw new Error('The server could not be started.');
  leftovers.set(dataDir, [...(leftovers.get(dataDir) ?? []), child]);
  let printed = '';
  const collect = (text: string): void => {
    printed += text;
  };
  child.stdout?.setEncoding('utf8').on('data', collect);
  child.stderr?.setEncoding('utf8').on('data', collect);

  const akai = async <T>(...args: string[]): Promise<T> => {
    const result = await runAkai([...args, '--json'], env);
    if (result.code !== 0) throw new CommandError(args, result);
    return JSON.parse(result.stdout);
  };
  const remove = async (): Promise<void> => {
    await ended(child, 'SIGINT');
    deleteData(dataDir);
    leftovers.delete(dataDir);
  };
  try {
    const origin = await untilReady(child, () => printed);
    const { email, key } = await fundedKey(dataDir, env.DATABASE_URL);
    letGo(child);
    return {
      baseUrl: `${origin}/v1`,
      origin,
      key,
      email,
      pid,
      dataDir,
      akai,
      remove,
      output: () => printed,
      stop: () => ended(child, 'SIGINT'),
      kill: async () => void (await ended(child, 'SIGKILL')),
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
