/** A full disk under the database: 503, nothing wrong is charged, what had begun is finished when there is room again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../../src/db/start-error.ts';
import { type Books, openBooks } from '../books.ts';
import { costOfUsage } from '../crash/prices.ts';
import { type Installation, startInstallation } from '../installation.ts';
import { model } from '../providers.ts';
import { Script, type ScriptedProvider, startScripted } from './provider.ts';
import { Visit } from './visit.ts';

const folder = mkdtempSync(join(tmpdir(), 'akai-disk-'));
// PostgreSQL's own user has to come through when the tests run as root.
chmodSync(folder, 0o755);
/** Room for a new database, its logs, and little more. */
const mount = ['-t', 'tmpfs', '-o', 'size=160m,mode=0755', 'tmpfs', folder];
const isMounted = spawnSync('mount', mount, { stdio: 'ignore' }).status === 0;
const ballast = join(folder, 'ballast');
const skip = isMounted ? false : 'a small disk can be made by root only, where the system lets it';

process.once('exit', () => {
  if (isMounted) spawnSync('umount', ['-l', folder], { stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
});

let installation: Installation;
let provider: ScriptedProvider;
let books: Books;
const scripts: Script[] = [];

const stack = new AsyncDisposableStack();

before(async () => {
  if (!isMounted) return;
  provider = stack.use(await startScripted());
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir, { mode: 0o755 });
  installation = stack.use(
    await startInstallation({
      dataDir,
      // In-flight requests wait for room as long as the test takes.
      env: { OPENAI_BASE_URL: provider.baseUrl, OPENAI_API_KEY: 'test', LEASE_MS: '40000' },
    }),
  );
  books = stack.use(await openBooks(installation));
  stack.defer(() => rmSync(ballast, { force: true }));
});
after(() => stack.disposeAsync());

function ask(stream: boolean): { visit: Visit; script: Script } {
  const name = `request ${scripts.length}`;
  const script = new Script(stream, { prompt: 30, completion: 20 + scripts.length });
  scripts.push(script);
  provider.scripts.set(name, script);
  return { script, visit: new Visit(installation.origin, installation.key, name, stream) };
}

async function answered(stream: boolean): Promise<Visit> {
  const { visit, script } = ask(stream);
  script.goOn();
  while (!visit.isOver) await sleep(10);
  return visit;
}

function fill(): void {
  for (const size of [1_000_000, 10_000])
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(size));
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC') throw error;
    }
}

/** Uses up what room the database has left in its own files: the log of its writes needs a new one. */
async function useUp(): Promise<void> {
  for (let files = 0; files < 12; files += 1)
    try {
      await books.sql`SELECT pg_switch_wal(), pg_logical_emit_message(true, 'test', 'something')`;
    } catch {
      return;
    }
}

test('a full disk: 503, and all is right when there is room again', { skip }, async (context) => {
  const before = await answered(true);
  assert.ok(before.isComplete, before.text);
  const running = [ask(true), ask(true)];
  for (const { script } of running) await script.called;
  for (const { script } of running) script.say(100);
  while (running.some(({ visit }) => visit.contentBytes < 100)) await sleep(10);

  fill();
  await useUp();
  for (const { script } of running) script.finish();
  const full: Visit[] = [];
  const began = performance.now();
  while (full.filter(({ status }) => status === 503).length < 4) {
    assert.ok(performance.now() - began < 60_000, 'the disk is full and nobody minds');
    full.push(...(await Promise.all([answered(false), answered(true)])));
    await useUp();
  }
  for (const visit of full)
    assert.ok(visit.isComplete || visit.code === 'database_unavailable', visit.text);

  rmSync(ballast);
  const freed = performance.now();
  let again = await answered(true);
  while (!again.isComplete) {
    assert.ok(performance.now() - freed < 60_000, `it does not recover: ${again.text}`);
    await sleep(100);
    again = await answered(true);
  }
  for (const { visit } of running) {
    while (!visit.isOver) await sleep(10);
    assert.ok(visit.isComplete, `a stream was cut: ${visit.text.slice(-300)}`);
  }
  await books.settled();
  const whole = [before, again, ...full, ...running.map(({ visit }) => visit)].filter(
    ({ isComplete }) => isComplete,
  );
  const rows = await books.sql<{ id: string; charged: number }[]>`
    SELECT replace(id::text, '-', '') AS id, charged FROM receipts WHERE charged > 0`;
  assert.deepEqual(rows.map(({ id }) => id).sort(), whole.map(({ requestId }) => requestId).sort());
  const costs = new Set(scripts.map(({ usage }) => costOfUsage(model, { ...usage, cached: 0 })));
  assert.ok(rows.every(({ charged }) => costs.has(charged)));
  assert.equal((await installation.akai('audit')).ok, true);
  context.diagnostic(
    `${full.length} requests on a full disk, well again ${Math.round(performance.now() - freed)} ms after there was room`,
  );
});
