/** A server that a test started ends with the test, however that ends; its data is gone then, too. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lives, until } from './scratch_data.ts';

const module = join(import.meta.dirname, 'installation.ts');

/** Runs a program that starts an installation, prints where it is, and goes on with `rest`. */
function program(rest: string): ChildProcess {
  const text = `
    import { startInstallation } from ${JSON.stringify(module)};
    import { readFileSync } from 'node:fs';
    const installation = await startInstallation();
    const { pid, dataDir } = installation;
    const postmaster = Number.parseInt(readFileSync(dataDir + '/postgres/postmaster.pid', 'utf8'));
    console.log(JSON.stringify({ pid, postmaster, dataDir }));
    ${rest}`;
  return spawn(process.execPath, ['--input-type=module', '--eval', text], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

async function check(child: ChildProcess, whenStarted: () => void): Promise<void> {
  let printed = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const closed = once(child, 'close');
  await Promise.race([closed, until('it started', () => printed.includes('\n')).then(whenStarted)]);
  await closed;
  const { pid, postmaster, dataDir } = JSON.parse(printed);
  assert.ok(!lives(pid), 'the server lives');
  assert.ok(!lives(postmaster), 'PostgreSQL lives');
  assert.ok(!existsSync(dataDir), 'the data is still there');
}

test('it ends when the test throws', async () => {
  const child = program("throw new Error('as a test might')");
  await check(child, () => {});
  assert.notEqual(child.exitCode, 0);
});

test('it ends when the test forgets it', async () => {
  await check(program(''), () => {});
});

test('it ends when the test is stopped', async () => {
  const child = program('setInterval(() => {}, 1000);');
  await check(child, () => child.kill('SIGTERM'));
});

test('it ends when the server was killed', async () => {
  await check(program('await installation.kill();'), () => {});
});
