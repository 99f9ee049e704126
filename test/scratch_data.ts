/** A data folder for one test of the database: processes on it, what is in it, and nothing of either left afterwards. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, loadConfig } from '../src/config.ts';
import { compiled } from './compiled.ts';

const program = join(import.meta.dirname, 'database_process.ts');

export interface DatabaseProcess {
  readonly pid: number;
  output(): string;
  /** Resolves once `pattern` was printed. @throws Error when the process ends without */
  said(pattern: RegExp): Promise<void>;
  /** Sends `signal` and returns the exit code; null after SIGKILL. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** The exit code, when it ends by itself. */
  ended(): Promise<number | null>;
}

/** Resolves once `check` is true. @throws Error with `what` after a minute: machines are busy */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = performance.now() + 60_000;
  while (!(await check())) {
    if (performance.now() > giveUp) throw new Error(`Waited in vain until ${what}`);
    await sleep(10);
  }
}

/** Whether a process lives; one that ended and that nobody has collected does not. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || readFileSync(`/proc/${pid}/cmdline`).length > 0;
  } catch {
    return false;
  }
}

function observe(child: ChildProcess): DatabaseProcess {
  let printed = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const closed = once(child, 'close');
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const ended = async (): Promise<number | null> => {
    await closed;
    return child.exitCode;
  };
  return {
    pid: child.pid ?? 0,
    output: () => printed,
    said: (pattern) =>
      until(`${pattern} was printed`, () => {
        if (pattern.test(printed)) return true;
        if (isOver()) throw new Error(`The process ended without printing ${pattern}:\n${printed}`);
        return false;
      }),
    end: async (signal) => {
      if (!isOver()) child.kill(signal);
      return ended();
    },
    ended,
  };
}

export class ScratchData implements AsyncDisposable {
  /** What is deleted; `dataDir` is in it. */
  readonly folder: string;
  readonly dataDir: string;
  readonly #processes: DatabaseProcess[] = [];

  /** @param below path from the scratch folder to DATA_DIR */
  constructor(below = 'data') {
    this.folder = mkdtempSync(join(tmpdir(), 'akai-db-'));
    // PostgreSQL's own user has to come through when the tests run as root.
    chmodSync(this.folder, 0o755);
    this.dataDir = join(this.folder, below);
  }

  config(settings: Record<string, string> = {}): Config {
    return loadConfig({ DATA_DIR: this.dataDir, ...settings }, []);
  }

  /** Starts a process that opens the database and holds it until SIGINT. */
  launch(use: 'serve' | 'command', settings: Record<string, string> = {}): DatabaseProcess {
    const child = spawn(process.execPath, [program, use], {
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, ...compiled, DATA_DIR: this.dataDir, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const observed = observe(child);
    this.#processes.push(observed);
    return observed;
  }

  /** Like `launch`, and waits until the database is open. */
  async open(
    use: 'serve' | 'command',
    settings: Record<string, string> = {},
  ): Promise<DatabaseProcess> {
    const process = this.launch(use, settings);
    await process.said(/^OPEN$/m);
    return process;
  }

  /** The pid of the PostgreSQL on this data; null when its file says that there is none. */
  postmaster(): number | null {
    const file = join(this.dataDir, 'postgres', 'postmaster.pid');
    if (!existsSync(file)) return null;
    return Number.parseInt(readFileSync(file, 'utf8'), 10);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.end('SIGKILL')));
    const pid = this.postmaster();
    if (pid !== null && lives(pid)) {
      process.kill(pid, 'SIGQUIT');
      await until('PostgreSQL has stopped', () => !lives(pid));
    }
    const cluster = join(this.dataDir, 'postgres');
    if (existsSync(cluster)) rmSync(realpathSync(cluster), { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
