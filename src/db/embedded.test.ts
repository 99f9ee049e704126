import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { copyPrepared } from '../../test/prepared.ts';
import { lives, ScratchData, until } from '../../test/scratch_data.ts';
import { openDatabase } from './database.ts';

const quiet = (): void => {};
const asRoot = process.getuid?.() === 0;

describe('one process', { concurrency: 2 }, () => {
  test('the first start makes the database, a later one finds it, neither leaves anything running', async () => {
    await using data = new ScratchData();
    const lines: string[] = [];
    const first = await openDatabase(data.config(), 'serve', (line) => lines.push(line));
    const pid = data.postmaster();
    assert.ok(pid !== null && lives(pid));
    assert.match(lines.join('\n'), /Making a new PostgreSQL database/);
    assert.equal(readFileSync(join(data.dataDir, 'akai.pid'), 'utf8'), `${process.pid}\n`);
    await first.close();
    assert.ok(!lives(pid));
    assert.equal(data.postmaster(), null);
    assert.deepEqual(readdirSync(data.dataDir).sort(), ['postgres', 'postgres.log']);

    lines.length = 0;
    const second = await openDatabase(data.config(), 'serve', (line) => lines.push(line));
    await second.close();
    assert.deepEqual(lines, [], 'A later start has nothing to make');
  });

  test('only its owner may come near the database, over the socket only, and commits are durable', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    const database = await openDatabase(data.config(), 'command', quiet);
    assert.equal(statSync(join(data.dataDir, 'postgres')).mode & 0o777, 0o700);
    const settings = await database.sql<{ name: string; setting: string }[]>`
      select name, setting from pg_settings
      where name in ('listen_addresses', 'fsync', 'synchronous_commit', 'full_page_writes', 'jit')`;
    assert.deepEqual(Object.fromEntries(settings.map(({ name, setting }) => [name, setting])), {
      listen_addresses: '',
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      jit: 'off',
    });
    const pid = data.postmaster() ?? 0;
    if (process.platform === 'linux' && process.getuid?.() === statSync(`/proc/${pid}`).uid)
      assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /HOME|KEY/);
    await database.close();
  });

  test('a path too long for a socket works, and leaves nothing in /tmp', async () => {
    await using data = new ScratchData(join('x'.repeat(80), 'y'.repeat(80), 'data'));
    const before = readdirSync('/tmp');
    const database = await openDatabase(data.config(), 'serve', quiet);
    const made = readdirSync('/tmp').filter(
      (name) => /^akai-[0-9a-f]{16}$/.test(name) && !before.includes(name),
    );
    assert.equal(made.length, 1);
    assert.equal(statSync(join('/tmp', made[0] ?? '')).mode & 0o777, 0o700);
    await database.close();
    assert.ok(!existsSync(join('/tmp', made[0] ?? '')));
  });
});

describe('several processes', { concurrency: 2 }, () => {
  test('kill -9 of the server leaves PostgreSQL, and the next server takes it over', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    const first = await data.open('serve');
    const pid = data.postmaster();
    assert.equal(await first.end('SIGKILL'), null);
    assert.ok(pid !== null && lives(pid));
    const second = await data.open('serve');
    assert.equal(data.postmaster(), pid);
    assert.equal(readFileSync(join(data.dataDir, 'akai.pid'), 'utf8'), `${second.pid}\n`);
    assert.equal(await second.end('SIGINT'), 0);
    assert.ok(!lives(pid));
    assert.ok(!existsSync(join(data.dataDir, 'akai.pid')));
  });

  test('kill -9 of both: the next start recovers, also when another program has the number now', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    const first = await data.open('serve');
    const pid = data.postmaster() ?? 0;
    await first.end('SIGKILL');
    process.kill(pid, 'SIGKILL');
    const stranger = spawn('sleep', ['60']);
    try {
      const file = join(realpathSync(join(data.dataDir, 'postgres')), 'postmaster.pid');
      const socketLock = join(data.dataDir, 'postgres', '.s.PGSQL.5432.lock');
      for (const name of [file, socketLock])
        writeFileSync(name, readFileSync(name, 'utf8').replace(/^\d+/, String(stranger.pid)));
      const second = await data.open('serve');
      assert.notEqual(data.postmaster(), stranger.pid);
      assert.equal(await second.end('SIGINT'), 0);
      assert.equal(stranger.exitCode, null, 'The stranger was left alone');
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  test('kill -9 of PostgreSQL under a server: it is back at once, with what was committed', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    const lines: string[] = [];
    const database = await openDatabase(data.config(), 'serve', (line) => lines.push(line));
    const [before] = await database.sql<{ id: string }[]>`select id from installation`;
    for (const round of [1, 2]) {
      process.kill(data.postmaster() ?? 0, 'SIGKILL');
      const began = performance.now();
      await until('the pool answers again', async () => {
        const rows = await database.sql<{ id: string }[]>`select id from installation`.catch(
          () => [],
        );
        return rows[0] !== undefined && rows[0].id === before?.id;
      });
      assert.ok(performance.now() - began < 20_000, `Round ${round} took too long`);
      await until(
        'the log says so',
        () => lines.filter((line) => /is back/.test(line)).length === round,
      );
    }
    const second = data.launch('serve');
    assert.equal(await second.ended(), 1, 'The restarted database still has its one server');
    await database.close();
    assert.equal(data.postmaster(), null);
  });

  test('a second server on the same data is refused, by name, and harms nothing', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    const first = await data.open('serve');
    const second = data.launch('serve');
    assert.equal(await second.ended(), 1);
    assert.equal(
      second.output(),
      `StartError: Another server (process ${first.pid}) already uses the data directory ${data.dataDir}: stop it, or set DATA_DIR to another folder.\n`,
    );
    assert.equal(readFileSync(join(data.dataDir, 'akai.pid'), 'utf8'), `${first.pid}\n`);
    assert.equal(await first.end('SIGINT'), 0);
  });

  test('a command works beside a server and never stops it; whoever leaves last stops PostgreSQL', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    const command = await data.open('command');
    const pid = data.postmaster() ?? 0;
    const server = await data.open('serve');
    assert.equal(data.postmaster(), pid, 'The server shares what the command started');
    assert.equal(await command.end('SIGINT'), 0);
    assert.ok(lives(pid));
    const late = await data.open('command');
    assert.equal(await server.end('SIGINT'), 0);
    assert.ok(lives(pid), 'The command may finish its work');
    assert.equal(await late.end('SIGINT'), 0);
    assert.ok(!lives(pid));
  });

  test('many commands and a server that come and go at once, on new data', async () => {
    await using data = new ScratchData();
    for (const round of [1, 2, 3]) {
      const uses = ['command', 'serve', 'command', 'command', 'command'] as const;
      const processes = uses.map((use) => data.launch(use));
      await Promise.all(
        processes.map(async (one) => {
          await one.said(/^OPEN$/m);
          assert.equal(await one.end('SIGINT'), 0, `Round ${round}: ${one.output()}`);
        }),
      );
      assert.equal(data.postmaster(), null, `Round ${round} left PostgreSQL running`);
    }
    assert.deepEqual(readdirSync(data.dataDir).sort(), ['postgres', 'postgres.log']);
  });
});

describe('what cannot be used is refused in one sentence and left as it was', {
  concurrency: 2,
}, () => {
  const refusal = async (data: ScratchData, pattern: RegExp): Promise<void> => {
    await assert.rejects(openDatabase(data.config(), 'serve', quiet), (error) => {
      assert.ok(error instanceof Error);
      assert.equal(error.name, 'StartError', String(error.stack));
      assert.match(error.message, pattern);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  };

  test('a file in the place of the data directory', async () => {
    await using data = new ScratchData();
    writeFileSync(data.dataDir, 'mine');
    await refusal(data, /data directory .* cannot be used: it is not a folder/);
    assert.equal(readFileSync(data.dataDir, 'utf8'), 'mine');
  });

  test('an unwritable data directory', {
    skip: asRoot && 'root may write everywhere',
  }, async () => {
    await using data = new ScratchData();
    mkdirSync(data.dataDir, { mode: 0o500 });
    await refusal(data, /data directory .* cannot be used: permission denied/);
    assert.deepEqual(readdirSync(data.dataDir), []);
    chmodSync(data.dataDir, 0o700);
  });

  test('a folder in which nothing can be made', {
    skip: process.platform !== 'linux',
  }, async () => {
    await using data = new ScratchData();
    await assert.rejects(openDatabase(data.config({ DATA_DIR: '/proc/akai' }), 'serve', quiet), {
      name: 'StartError',
      message: /\/proc\/akai cannot be used/,
    });
  });

  test('a folder that holds something else', async () => {
    await using data = new ScratchData();
    mkdirSync(join(data.dataDir, 'postgres'), { recursive: true });
    writeFileSync(join(data.dataDir, 'postgres', 'mine'), 'mine');
    await refusal(data, /holds no database\. Move it away/);
    assert.deepEqual(readdirSync(join(data.dataDir, 'postgres')), ['mine']);
  });

  test('a database of another PostgreSQL', async () => {
    await using data = new ScratchData();
    mkdirSync(join(data.dataDir, 'postgres'), { recursive: true });
    writeFileSync(join(data.dataDir, 'postgres', 'PG_VERSION'), '17\n');
    await refusal(data, /holds a database of PostgreSQL 17, and this release brings PostgreSQL 18/);
  });

  test('a database that PostgreSQL itself refuses', async () => {
    await using data = new ScratchData();
    copyPrepared(data.dataDir);
    await (await openDatabase(data.config(), 'command', quiet)).close();
    const control = join(realpathSync(join(data.dataDir, 'postgres')), 'global', 'pg_control');
    const good = readFileSync(control);
    writeFileSync(control, Buffer.alloc(good.length));
    await refusal(data, /^PostgreSQL did not start: .* Its log is .*postgres\.log\.$/);
    writeFileSync(control, good);
    await (await openDatabase(data.config(), 'command', quiet)).close();
  });
});

describe('a backup', () => {
  const docs = readFileSync(new URL('../../docs/self-hosting.md', import.meta.url), 'utf8');
  const command = /^cp .* data data-backup$/m.exec(docs)?.[0] ?? 'false';
  for (const linked of [false, true])
    test(`as documented, of a data folder that holds ${linked ? 'a link to its database' : 'its database'}`, async () => {
      await using data = new ScratchData();
      copyPrepared(data.dataDir);
      const first = await openDatabase(data.config(), 'serve', quiet);
      const [before] = await first.sql<{ id: string }[]>`select id from installation`;
      await first.close();
      const cluster = join(data.dataDir, 'postgres');
      const elsewhere = join(data.folder, 'elsewhere');
      if (linked) {
        renameSync(cluster, elsewhere);
        symlinkSync(elsewhere, cluster);
      }
      execFileSync('sh', ['-c', command], { cwd: data.folder });
      for (const lost of [data.dataDir, elsewhere]) rmSync(lost, { recursive: true, force: true });
      renameSync(join(data.folder, 'data-backup'), data.dataDir);
      const second = await openDatabase(data.config(), 'serve', quiet);
      const [after] = await second.sql<{ id: string }[]>`select id from installation`;
      assert.ok(before && after?.id === before.id);
      await second.close();
    });
});

describe('as root', { skip: !asRoot && 'needs root' }, () => {
  test('a folder that no other user may enter: the data goes elsewhere, and is found again', async () => {
    await using data = new ScratchData(join('closed', 'data'));
    mkdirSync(join(data.folder, 'closed'), { mode: 0o700 });
    const lines: string[] = [];
    const first = await openDatabase(data.config(), 'serve', (line) => lines.push(line));
    const [before] = await first.sql<{ id: string }[]>`select id from installation`;
    await first.close();
    const link = join(data.dataDir, 'postgres');
    assert.ok(lstatSync(link).isSymbolicLink());
    const cluster = realpathSync(link);
    assert.match(cluster, /^\/var\/lib\/akai\/[0-9a-f]{8}-\w{6}$/);
    assert.equal(
      lines.filter((line) => line.includes(cluster)).length,
      1,
      'It says so in one line',
    );
    const user = Number(execFileSync('id', ['-u', 'akai'], { encoding: 'utf8' }));
    assert.equal(statSync(cluster).uid, user);
    const second = await openDatabase(data.config(), 'serve', quiet);
    const [after] = await second.sql<{ id: string }[]>`select id from installation`;
    assert.equal(after?.id, before?.id);
    await second.close();
  });
});
