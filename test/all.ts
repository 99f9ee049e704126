/** `npm test`: types, style, house rules, dead code, then every test; the last line is the sum of them all. */

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { compiled } from './compiled.ts';
import { prepareDatabase } from './prepared.ts';
import { pythonWithOpenAI } from './python.ts';

const root = join(import.meta.dirname, '..');
const biome = '@biomejs/biome/bin/biome';
const knip = 'knip/bin/knip.js';
const toolTimeoutMs = 180_000;
const fileTimeoutMs = 480_000;
/** Many files start a server and a PostgreSQL of their own, and wait for them half of their time. */
const jobsAtOnce = Math.min(availableParallelism() + 2, 6);

/** Whoever stops this stops what it started. */
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => {
    stopping.abort();
    failures.push('The run was stopped before its end');
    sum.failed += 1;
  });

const sum = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const skips: string[] = [];

function say(line: string): void {
  process.stdout.write(`${process.stdout.isTTY ? line : stripVTControlCharacters(line)}\n`);
}

function progress(ok: boolean, name: string, detail: string, startedMs: number): void {
  const mark = ok ? styleText('green', '✓') : styleText('red', '✗');
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  say(`${mark} ${name}  ${styleText('dim', `${detail}${seconds} s`)}`);
}

/** Runs one tool under this Node; it counts as one test. */
async function tool(name: string, script: string, args: readonly string[]): Promise<void> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [join(root, 'node_modules', script), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: toolTimeoutMs,
    signal: stopping.signal,
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve(null));
  });
  if (code === 0) sum.passed += 1;
  else {
    sum.failed += 1;
    failures.push(`${name} (exit code ${code})\n${indent(output.trim() || 'no output')}`);
  }
  progress(code === 0, name, '', startedMs);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The runner wraps what the test threw.
  const cause = 'cause' in error && error.cause instanceof Error ? error.cause : error;
  return cause.stack ?? cause.message;
}

/** Runs one file of tests in a process of its own and adds them to the sum. */
async function testFile(file: string): Promise<void> {
  const startedMs = performance.now();
  const signal = AbortSignal.any([AbortSignal.timeout(fileTimeoutMs), stopping.signal]);
  const stream = run({ cwd: root, files: [join(root, file)], isolation: 'process', signal });
  let count = 0;
  let failed = 0;
  let cancelled = 0;
  const output: string[] = [];
  const fail = (name: string, text: string): void => {
    failed += 1;
    sum.failed += 1;
    failures.push(`${file} › ${name}\n${indent(text)}`);
  };
  stream.on('test:stdout', (event) => void output.push(event.message));
  stream.on('test:stderr', (event) => void output.push(event.message));
  stream.on('test:pass', (event) => {
    if (event.details.type === 'suite' || event.name === event.file) return;
    count += 1;
    if (event.skip === undefined || event.skip === false) {
      sum.passed += 1;
      return;
    }
    sum.skipped += 1;
    const reason = event.skip === true || event.skip === '' ? 'no reason given' : event.skip;
    skips.push(`${file} › ${event.name}: ${reason}`);
  });
  stream.on('test:fail', (event) => {
    const { error } = event.details;
    if (signal.aborted) return;
    // A parent that fails only because of its child was counted with the child.
    if ('failureType' in error && error.failureType === 'subtestsFailed') return;
    count += 1;
    if ('failureType' in error && error.failureType === 'cancelledByParent') {
      cancelled += 1;
      sum.failed += 1;
      return;
    }
    fail(event.name === event.file ? 'the file itself' : event.name, describe(error));
  });
  for await (const _ of stream);
  if (stopping.signal.aborted) fail('the file itself', 'was stopped');
  else if (signal.aborted) fail('the file itself', `took more than ${fileTimeoutMs / 1000} s`);
  else if (count === 0) fail('the file itself', 'holds no tests, or ended before they ran');
  const ok = failed + cancelled === 0;
  if (cancelled > 0) failures.push(`${file} › ${cancelled} more tests, which could not begin`);
  progress(ok, file, `${count} ${count === 1 ? 'test' : 'tests'}, `, startedMs);
  if (!ok && output.length > 0)
    failures.push(`${file} printed\n${indent(output.join('').slice(-8000).trimEnd())}`);
}

/** Does them in their order, a few at once. */
async function doAll(jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      if (stopping.signal.aborted) return;
      await job();
    }
  };
  await Promise.all(Array.from({ length: jobsAtOnce }, worker));
}

/** Left to itself, at the end: it holds what happens against the moments of its faults, to within a lease. */
const alone = 'test/crash.test.ts';

/** Those that take longest begin, so that none goes on when all others have ended. */
const longest = [
  'test/faults/matrix.test.ts',
  'src/main.test.ts',
  'test/faults/clocks.test.ts',
  'test/faults/restarts.test.ts',
  'src/db/embedded.test.ts',
  // Behind the others, because they need Python.
  'test/docs.test.ts',
  'test/sdk-python.test.ts',
];

async function main(): Promise<number> {
  Object.assign(process.env, compiled);
  // Goes on beside the first tests. What is wrong with it is said by those that need it.
  void pythonWithOpenAI().catch(() => {});
  await Promise.all([
    prepareDatabase(join(temporary, 'prepared')),
    // Unpacks the browser, which two files that do so at once would spoil for each other.
    import('./browser.ts'),
  ]);
  const files = globSync('{src,test,bench}/**/*.test.ts', { cwd: root }).sort();
  const others = files.filter((file) => file !== alone && !longest.includes(file));
  await doAll([
    () => tool('types', 'typescript/bin/tsc', ['-p', '.']),
    () => tool('style', biome, ['check', '--error-on-warnings', '--colors=off']),
    () => tool('dead code', knip, ['--no-progress', '--treat-config-hints-as-errors']),
    ...[...longest, ...others].map((file) => () => testFile(file)),
  ]);
  if (!stopping.signal.aborted) await testFile(alone);

  if (skips.length > 0) say(`\nSkipped:\n${skips.map((skip) => `  ${skip}`).join('\n')}`);
  if (failures.length > 0) say(`\nFailed:\n\n${failures.join('\n\n')}\n`);
  const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : '';
  say(`${sum.passed} passed, ${sum.failed} failed${skipped}`);
  return sum.failed > 0 ? 1 : 0;
}

// A folder of their own for whatever tests put aside: what another user's run left in the common one is in nobody's way.
const temporary = mkdtempSync(join(tmpdir(), 'akai-'));
// PostgreSQL's user has to come through when this runs as root.
chmodSync(temporary, 0o755);
process.env.TMPDIR = temporary;
process.once('exit', () => {
  stopDatabases();
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

/** Databases that a test left behind because it was stopped half-way. */
function stopDatabases(): void {
  for (const file of globSync('**/postmaster.pid', { cwd: temporary })) {
    const [pid = '', folder = ''] = readFileSync(join(temporary, file), 'utf8').split('\n');
    const { stdout } = spawnSync('ps', ['-o', 'args=', '-p', pid], { encoding: 'utf8' });
    // The number may be another process's by now.
    if (stdout?.includes(folder)) process.kill(Number(pid), 'SIGQUIT');
  }
}

process.exitCode = await main();
