/** A Python with the official `openai` package of PyPI, made once for each requirements.txt and kept in .cache/. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const requirements = join(import.meta.dirname, 'python/requirements.txt');
/** What the package asks for. */
const oldestMinor = 10;
const installTimeoutMs = 240_000;

/** Where Python is known to be there, tests that were skipped for want of it would hide a failure. */
export const isPythonRequired = process.env.REQUIRE_PYTHON === '1';

/** A path to run, or the reason why there is none. */
export type Python = { readonly path: string } | { readonly missing: string };

/** Whether the machine's Python can make environments; the reason when it cannot. */
async function obstacle(): Promise<string | null> {
  try {
    const question = 'import sys, venv, ensurepip; print(*sys.version_info[:2])';
    const { stdout } = await run('python3', ['-c', question]);
    const [major = 0, minor = 0] = stdout.trim().split(' ').map(Number);
    return major > 3 || (major === 3 && minor >= oldestMinor)
      ? null
      : `python3 is ${major}.${minor}, and the openai package needs 3.${oldestMinor} or newer`;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
      ? 'there is no python3 on this machine'
      : 'python3 has no venv (on Debian and Ubuntu: apt install python3-venv)';
  }
}

/** @throws Error when the packages cannot be installed */
export async function pythonWithOpenAI(): Promise<Python> {
  const name = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(root, '.cache', `python-${name}`);
  const path = join(folder, 'bin', 'python');
  if (existsSync(path)) return { path };
  const missing = await obstacle();
  if (missing) return { missing };
  mkdirSync(join(root, '.cache'), { recursive: true });
  // Made aside and renamed when it is complete: several test files may do this at once.
  const draft = `${folder}.${process.pid}`;
  try {
    await run('python3', ['-m', 'venv', draft]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check'];
    await run(join(draft, 'bin', 'python'), [...pip, '-r', requirements], {
      timeout: installTimeoutMs,
    });
    renameSync(draft, folder);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return { path };
}

/** Runs a program to its end; a failure carries what it printed. */
export async function runPython(path: string, args: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH, PYTHONIOENCODING: 'utf-8', PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout } = await run(path, [...args], { env, timeout: 120_000, maxBuffer: 10_000_000 });
  return stdout;
}
