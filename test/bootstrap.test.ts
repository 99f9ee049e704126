/** bin/with-node and bin/akai, in a small checkout of their own with an npm that only writes down what it was asked. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..');

/** Writes node_modules/.package-lock.json as npm does, after a while, and its arguments into npm.log. */
const fakeNpm = `
const fs = require('node:fs');
fs.appendFileSync('npm.log', process.argv.slice(2).join(' ') + '\\n');
if (fs.existsSync('npm.fails')) { console.error('npm is unhappy'); process.exit(3); }
setTimeout(() => {
  const lock = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
  const dev = process.argv.includes('--include=dev');
  for (const [place, entry] of Object.entries(lock.packages))
    if (place === '' || (entry.dev && !dev)) delete lock.packages[place];
  fs.mkdirSync('node_modules', { recursive: true });
  fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify(lock));
}, 300);
`;
const program = `
process.on('SIGINT', () => console.log('SIGINT'));
process.on('SIGTERM', () => { console.log('SIGTERM'); process.exit(7); });
const words: string[] = process.argv.slice(2);
console.log(JSON.stringify({ words, node: process.versions.node, folder: process.cwd() }));
if (words[0] === 'wait') setTimeout(() => {}, 20_000);
else process.exitCode = Number(words[0] ?? 0);
`;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

class Checkout implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'akai-bootstrap-'));

  constructor() {
    cpSync(join(root, 'bin'), join(this.folder, 'bin'), { recursive: true });
    mkdirSync(join(this.folder, 'src'));
    mkdirSync(join(this.folder, 'test'));
    this.write('package.json', '{ "type": "module" }');
    this.write('src/main.ts', program);
    this.write('test/all.ts', program);
    mkdirSync(join(this.folder, 'npm'));
    this.write('npm/package.json', '{ "type": "commonjs" }');
    this.write('npm/npm-cli.js', fakeNpm);
    this.lock('1.0.0');
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  lock(version: string): void {
    const packages = {
      '': {},
      'node_modules/needed': { version },
      'node_modules/for-tests': { version: '1.0.0', dev: true },
      'node_modules/elsewhere': { version: '1.0.0', optional: true, os: ['plan9'] },
    };
    this.write('package-lock.json', JSON.stringify({ packages }));
  }

  start(args: readonly string[], node = process.execPath, cwd = this.folder): ChildProcess {
    const child = spawn(node, args, {
      cwd,
      env: { PATH: process.env.PATH, npm_execpath: join(this.folder, 'npm/npm-cli.js') },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    child.stdout?.setEncoding('utf8');
    child.stderr?.setEncoding('utf8');
    return child;
  }

  async run(args: readonly string[], node?: string, cwd?: string): Promise<Outcome> {
    return outcome(this.start(args, node, cwd));
  }

  /** What npm was asked to do, one line each time. */
  asked(): string[] {
    const file = join(this.folder, 'npm.log');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function outcome(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: string) => (stdout += text));
  child.stderr?.on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

describe('installing', { concurrency: 2 }, () => {
  test('only what is missing, once: for the service without, for tests with development packages', async () => {
    using checkout = new Checkout();
    const first = await checkout.run(['bin/akai', '0']);
    assert.match(first.stderr, /Installing dependencies with npm, because node_modules is missing/);
    assert.equal(first.code, 0);
    assert.doesNotThrow(() => JSON.parse(first.stdout), 'stdout belongs to the program');
    assert.equal((await checkout.run(['bin/akai', '0'])).stderr, '');
    assert.match((await checkout.run(['bin/with-node', 'test/all.ts'])).stderr, /development/);
    assert.equal((await checkout.run(['bin/with-node', 'test/all.ts'])).stderr, '');
    assert.equal((await checkout.run(['bin/akai', '0'])).stderr, '');
    checkout.lock('1.0.1');
    assert.match((await checkout.run(['bin/akai', '0'])).stderr, /does not match package-lock/);
    assert.equal((await checkout.run(['bin/akai', '0'])).stderr, '');
    const [ci, add, again, ...more] = checkout.asked();
    assert.match(ci ?? '', /^ci --omit=dev --include=optional --ignore-scripts /);
    assert.match(add ?? '', /^install --no-save --include=dev /, 'Nothing in use is taken away');
    assert.match(again ?? '', /^ci --omit=dev /);
    assert.deepEqual(more, []);
  });

  test('once, when several start together, also when one of old died over it', async () => {
    using checkout = new Checkout();
    const lock = join(checkout.folder, '.cache', 'install.lock');
    mkdirSync(join(checkout.folder, '.cache'));
    writeFileSync(lock, '1-dead');
    utimesSync(lock, new Date(0), new Date(0));
    const runs = [1, 2, 3, 4].map(() => checkout.run(['bin/akai', '0']));
    assert.deepEqual(
      (await Promise.all(runs)).map(({ code }) => code),
      [0, 0, 0, 0],
    );
    assert.equal(checkout.asked().length, 1);
    assert.ok(!existsSync(lock));
  });

  test('a failure of npm is one sentence after its own words, and the next start tries again', async () => {
    using checkout = new Checkout();
    checkout.write('npm.fails', '');
    const failed = await checkout.run(['bin/akai', '0']);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /npm is unhappy\nnpm could not install .*ended with 3.*Try again/);
    rmSync(join(checkout.folder, 'npm.fails'));
    assert.equal((await checkout.run(['bin/akai', '0'])).code, 0);
  });
});

describe('running', { concurrency: 2 }, () => {
  test('arguments and exit code are passed on; akai works in the folder of the checkout', async () => {
    using checkout = new Checkout();
    const akai = join(checkout.folder, 'bin/akai');
    const { code, stdout } = await checkout.run([akai, '5', '--json', 'a b'], undefined, tmpdir());
    assert.equal(code, 5);
    assert.deepEqual(JSON.parse(stdout), {
      words: ['5', '--json', 'a b'],
      node: process.versions.node,
      folder: execFileSync('pwd', ['-P'], { cwd: checkout.folder, encoding: 'utf8' }).trim(),
    });
  });

  test('a signal that arrives twice at once counts once, and again later as another', async () => {
    using checkout = new Checkout();
    const child = checkout.start(['bin/akai', 'wait']);
    await untilRunning(child);
    const ending = outcome(child);
    child.kill('SIGINT');
    await sleep(50);
    child.kill('SIGINT');
    await sleep(700);
    child.kill('SIGINT');
    await sleep(50);
    child.kill('SIGTERM');
    const { code, stdout } = await ending;
    assert.equal(stdout, 'SIGINT\nSIGINT\nSIGTERM\n');
    assert.equal(code, 7);
  });
});

async function untilRunning(child: ChildProcess): Promise<void> {
  if (child.stdout) await once(child.stdout, 'data');
}

/** A Node that needs the pinned one: the user's own below `npm test`, or the system's. */
function olderNode(): string | null {
  for (const node of [process.env.npm_node_execpath, '/usr/bin/node', '/usr/local/bin/node']) {
    if (!node || !existsSync(node)) continue;
    const major = Number.parseInt(
      execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }),
      10,
    );
    if (major >= 20 && major < 24) return node;
  }
  return null;
}

const older = olderNode();
const platformPackage = `node-${process.platform === 'darwin' && process.arch === 'arm64' ? 'bin-' : ''}${process.platform}-${process.arch}`;

describe('under an older Node', { skip: older === null && 'no Node from 20 to 23 here' }, () => {
  const node = older ?? '';

  test('without the pinned one there is one clear sentence', async () => {
    using checkout = new Checkout();
    const { code, stderr, stdout } = await checkout.run(['bin/akai', '0'], node);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      new RegExp(`This is Node 2[0-3]\\..* package ${platformPackage} is missing`),
    );
  });

  test('the pinned one runs the file, and meets each signal once, however it was sent', async () => {
    using checkout = new Checkout();
    const bin = join(checkout.folder, 'node_modules', platformPackage, 'bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(process.execPath, join(bin, 'node'));
    const { code, stdout } = await checkout.run(['bin/akai', '5'], node);
    assert.equal(code, 5);
    assert.equal(JSON.parse(stdout).node, process.versions.node);

    const child = checkout.start(['bin/akai', 'wait'], node);
    await untilRunning(child);
    const ending = outcome(child);
    // As Ctrl-C in a terminal: to the whole process group.
    process.kill(-(child.pid ?? 0), 'SIGINT');
    await sleep(700);
    child.kill('SIGINT');
    await sleep(100);
    child.kill('SIGTERM');
    const ended = await ending;
    assert.equal(ended.stdout, 'SIGINT\nSIGINT\nSIGTERM\n');
    assert.equal(ended.code, 7);
  });
});

test('the lockfile names every optional package of every platform, or npm ci refuses it', () => {
  const lock: { packages: Record<string, { optionalDependencies?: Record<string, string> }> } =
    JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const missing = Object.entries(lock.packages).flatMap(([place, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) =>
        !lock.packages[`node_modules/${name}`] && !lock.packages[`${place}/node_modules/${name}`],
    ),
  );
  assert.ok(Object.keys(lock.packages).length > 50);
  assert.deepEqual(missing, []);
});
