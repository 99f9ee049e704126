import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { listen } from '../../test/listen.ts';
import { copyPrepared } from '../../test/prepared.ts';
import { ScratchData } from '../../test/scratch_data.ts';
import { connect, type Sql } from './connection.ts';
import { type Database, openDatabase } from './database.ts';

const quiet = (): void => {};

describe('an open database', () => {
  let data: ScratchData;
  let database: Database;
  before(async () => {
    data = new ScratchData();
    copyPrepared(data.dataDir);
    database = await openDatabase(data.config(), 'serve', quiet);
  });
  after(async () => {
    await database.close();
    await data[Symbol.asyncDispose]();
  });

  test('statements run as a role that may not change the record of migrations', async () => {
    assert.equal(database.restricted, true);
    for (const sql of [database.sql, database.connect({ max: 1, name: 'one more' })]) {
      const [row] = await sql<{ name: string }[]>`select current_user as name`;
      assert.equal(row?.name, 'akai_app');
      await assert.rejects(sql`delete from migrations`, { code: '42501' });
      await assert.rejects(sql`create table t (a int)`, { code: '42501' });
    }
  });

  test('a command may act as the owner, a server may not', async () => {
    const command = await openDatabase(data.config(), 'command', quiet);
    const [row] = await command.owner()<{ name: string; owner: string }[]>`
      select current_user as name, tableowner as owner from pg_tables where tablename = 'migrations'`;
    await command.close();
    assert.ok(row);
    assert.notEqual(row.name, 'akai_app');
    assert.equal(row.name, row.owner);
    assert.throws(() => database.owner(), /never acts as the owner/);
  });

  test('int8 arrives as an exact number, alone, in arrays and as a parameter, or not at all', async () => {
    const exact = Number.MAX_SAFE_INTEGER;
    const [row] = await database.sql<{ one: number; many: number[]; given: number }[]>`
      select ${exact}::int8 as one, array[1, ${exact}]::int8[] as many, ${-exact}::int8 as given`;
    assert.deepEqual({ ...row }, { one: exact, many: [1, exact], given: -exact });
    await assert.rejects(database.sql`select 9007199254740992::int8`, RangeError);
  });

  test('a pool is named', async () => {
    const [row] = await database.connect({ max: 1, name: 'my pool' })<{ name: string }[]>`
      select current_setting('application_name') as name`;
    assert.equal(row?.name, 'my pool');
  });

  test('another MODE is refused', async () => {
    await assert.rejects(openDatabase(data.config({ MODE: 'live' }), 'command', quiet), {
      name: 'StartError',
      message: /set up for MODE=sandbox, and that cannot change/,
    });
  });
});

/** A folder of migrations of its own in the scratch folder. */
function migrationFolder(data: ScratchData, files: Record<string, string>): URL {
  const folder = join(data.folder, 'migrations');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  cpSync(
    new URL('./migrations/001_installation.sql', import.meta.url),
    join(folder, '001_installation.sql'),
  );
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return pathToFileURL(`${folder}/`);
}

test('migrations: each once and whole; what was changed, lost, newer or broken is refused', async () => {
  await using data = new ScratchData();
  const open = async (files: Record<string, string>): Promise<string[]> => {
    const lines: string[] = [];
    const say = (line: string) => lines.push(line);
    const database = await openDatabase(
      data.config(),
      'command',
      say,
      migrationFolder(data, files),
    );
    await database.close();
    return lines;
  };
  const refused = (files: Record<string, string>, message: RegExp): Promise<void> =>
    assert.rejects(open(files), { name: 'StartError', message });

  const two = { '002_two.sql': 'create table two (a int); insert into two values (1);' };
  const three = { ...two, '003_three.sql': 'alter table two add b int;' };
  assert.match((await open(two)).join(), /Applied 2 migrations/);
  assert.doesNotMatch((await open(two)).join(), /Applied/);
  await refused(
    { '002_two.sql': 'create table two (a bigint);' },
    /002_two was changed after it was applied/,
  );
  await refused({ '002_zwei.sql': two['002_two.sql'] }, /002_two was changed .*now 002_zwei/);
  await refused({}, /newer release .*002_two/);
  await refused({ ...two, '004_four.sql': '' }, /004_four\.sql is out of order/);
  const broken = { ...two, '003_three.sql': 'alter table two add b int; select 1/0;' };
  await refused(broken, /003_three failed: division by zero/);
  assert.match(
    (await open(three)).join(),
    /Applied 1 migration\./,
    'Nothing of the broken one had stayed',
  );
});

test('servers that start together on one new database migrate it once', async () => {
  await using data = new ScratchData();
  await using server = await listening(data);
  const opened = await Promise.all(
    [1, 2, 3, 4].map(() =>
      openDatabase(data.config({ DATABASE_URL: server.url() }), 'serve', quiet),
    ),
  );
  const files = readdirSync(new URL('./migrations/', import.meta.url)).filter((name) =>
    name.endsWith('.sql'),
  );
  for (const { embedded, restricted, sql } of opened) {
    assert.deepEqual({ embedded, restricted }, { embedded: false, restricted: true });
    const [row] = await sql<{ count: number }[]>`select count(*) from migrations`;
    assert.equal(row?.count, files.length);
  }
  await Promise.all(opened.map((database) => database.close()));
});

interface Listening extends AsyncDisposable {
  /** DATABASE_URL of the database `own`. */
  url(user?: string, database?: string): string;
  readonly admin: Sql;
}

/** Puts the embedded PostgreSQL of `data` behind a port, as the operator's own would be. */
async function listening(data: ScratchData): Promise<Listening> {
  copyPrepared(data.dataDir);
  await (await openDatabase(data.config(), 'command', quiet)).close();
  const holder = await data.open('command');
  const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
  const relay = net.createServer((client) => {
    const upstream = net.connect(path);
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });
  const port = await listen(relay);
  const admin = connect({ path }, { max: 1, name: 'test' });
  await admin`create database own`;
  return {
    url: (user = 'akai', database = 'own') =>
      `postgres://${user}:secret@127.0.0.1:${port}/${database}`,
    admin,
    [Symbol.asyncDispose]: async () => {
      await admin.end({ timeout: 0 });
      relay.close();
      await holder.end('SIGINT');
    },
  };
}

describe('DATABASE_URL', () => {
  test('a user who may not make roles: it goes on without, and stays so when the role appears later', async () => {
    await using data = new ScratchData();
    await using server = await listening(data);
    await server.admin`drop owned by akai_app`;
    await server.admin`create role plain login`;
    await server.admin`create database plain owner plain`;
    const admin = connect(
      { path: join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432') },
      { max: 1, name: 'test' },
    );
    await admin`drop owned by akai_app`;
    await admin`drop role akai_app`;
    await admin.end();
    const settings = data.config({ DATABASE_URL: server.url('plain', 'plain') });
    const first = await openDatabase(settings, 'serve', quiet);
    assert.equal(first.restricted, false);
    assert.equal((await first.sql`select mode from installation`)[0]?.mode, 'sandbox');
    await first.close();
    await server.admin`create role akai_app`;
    await server.admin`grant akai_app to plain`;
    const second = await openDatabase(settings, 'serve', quiet);
    assert.equal(second.restricted, false, 'Its tables were never granted to the role');
    assert.equal((await second.sql`select mode from installation`)[0]?.mode, 'sandbox');
    await second.close();
  });

  test('what is wrong is said in one sentence, without the password', async () => {
    await using data = new ScratchData();
    await using server = await listening(data);
    const refused = (url: string, message: RegExp): Promise<void> =>
      assert.rejects(
        openDatabase(data.config({ DATABASE_URL: url }), 'command', quiet),
        (error) => {
          assert.ok(error instanceof Error);
          assert.equal(error.name, 'StartError', String(error.stack));
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /secret|\n/);
          return true;
        },
      );
    await refused('http://example.com/', /DATABASE_URL must look like/);
    await refused('nonsense', /DATABASE_URL must look like/);
    await refused(
      'postgres://akai:secret@127.0.0.1:9/own',
      /127\.0\.0\.1:9\/own .* cannot be reached/,
    );
    await refused(server.url('akai', 'missing'), /\/missing of DATABASE_URL does not exist/);
    await refused(server.url('nobody'), /refused the user/);
  });
});
