import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { temporaryDataDir } from '../../test/installation.ts';
import { copyPrepared } from '../../test/prepared.ts';
import { type Config, loadConfig } from '../config.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { openWallet } from '../wallet/wallets.ts';
import { createAccount, findAccount } from './accounts.ts';
import { createAuth } from './auth.ts';
import { demoKey } from './demo.ts';
import { createKey, findKeyByHash, hashKey, keyLooksRight, listKeys, revokeKey } from './keys.ts';

const password = 'correct horse battery';
let dataDir: string;
let config: Config;
let database: Database;

before(async () => {
  dataDir = await temporaryDataDir();
  copyPrepared(dataDir);
  config = loadConfig({ DATA_DIR: dataDir, PORT: '0' }, ['openai']);
  database = await openDatabase(config, 'command', () => {});
});

after(async () => {
  await database?.close();
  await rm(dataDir, { recursive: true, force: true });
});

function refusal(code: string, message?: string | RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.code, code);
    if (message) assert.match(error.message, new RegExp(message));
    return true;
  };
}

const create = (email: string, options: { password?: string; admin?: boolean } = {}) =>
  createAccount(database.sql, config, { email, password, admin: false, ...options });

async function owner() {
  const account = await create(`${randomUUID()}@example.com`);
  return { userId: account.id, walletId: await openWallet(database.sql, account.id) };
}

test('an account made here signs in through the sign-in library, in any spelling of its address', async () => {
  const made = await create('  Rahima.Khatun@Example.COM ');
  assert.equal(made.email, 'rahima.khatun@example.com');
  const auth = await createAuth(database.sql, config);
  for (const email of ['rahima.khatun@example.com', 'RAHIMA.KHATUN@example.com']) {
    const { token, user } = await auth.api.signInEmail({ body: { email, password } });
    assert.equal(user.id, made.id);
    assert.ok(token);
  }
  const sessions = await database.sql`SELECT 1 FROM sessions WHERE user_id = ${made.id}`;
  assert.equal(sessions.length, 2);
  await assert.rejects(
    auth.api.signInEmail({ body: { email: made.email, password: `${password} ` } }),
    /Invalid email or password/i,
  );
});

test('a session of the library is found again by its cookie', async () => {
  const made = await create('session@example.com');
  const auth = await createAuth(database.sql, config);
  const answer = await auth.api.signInEmail({
    body: { email: made.email, password },
    asResponse: true,
  });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  const session = await auth.api.getSession({ headers: new Headers({ cookie }) });
  assert.equal(session?.user.id, made.id);
  assert.equal(session?.user.admin, false);
});

test('the library’s own sign-up cannot make an administrator, and sees accounts made here', async () => {
  const auth = await createAuth(database.sql, config);
  const body = { email: 'self@example.com', password, name: 'Self', admin: true };
  const { user } = await auth.api.signUpEmail({ body });
  assert.equal(user.email, body.email);
  assert.equal((await findAccount(database.sql, body.email))?.admin, false);
  await create('taken@example.com');
  await assert.rejects(
    auth.api.signUpEmail({ body: { email: 'Taken@example.com', password, name: 'Taken' } }),
    /already exists/i,
  );
});

test('a second account with the address is refused, also when both are made at once', async () => {
  await create('twice@example.com');
  await assert.rejects(
    create('TWICE@example.com'),
    refusal('email_registered', 'Email already registered'),
  );
  const both = await Promise.allSettled([create('race@example.com'), create('race@example.com')]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const lost = both.find((result) => result.status === 'rejected');
  assert.ok(refusal('email_registered')(lost?.reason));
});

test('what cannot be an address or a password is refused before anything is stored', async () => {
  for (const email of ['', 'nobody', 'a@b', 'two@x.com, three@x.com'])
    await assert.rejects(create(email), refusal('invalid_request', 'not an e-mail address'));
  for (const wrong of ['', 'seven77', 'x'.repeat(129)])
    await assert.rejects(
      create('short@example.com', { password: wrong }),
      refusal('invalid_request', '8 to 128 characters'),
    );
  assert.equal(await findAccount(database.sql, 'short@example.com'), null);
});

test('an administrator is one from the start', async () => {
  await create('operator@example.com', { admin: true });
  assert.equal((await findAccount(database.sql, 'Operator@example.com'))?.admin, true);
});

test('a key is found by its hash with all that was asked for, and its text is nowhere in the database', async () => {
  const { sql } = database;
  const { userId, walletId } = await owner();
  const expiresAt = new Date('2031-01-02T03:04:05.678Z');
  const allowedNetworks = ['203.0.113.0/24', '2001:db8::/32', '198.51.100.7/32', '2001:db8::1/128'];
  const { id, key } = await createKey(sql, {
    userId,
    walletId,
    name: 'লেখা "key" {,}',
    allowedNetworks,
    expiresAt,
  });
  assert.ok(keyLooksRight(key));
  const record = await findKeyByHash(sql, hashKey(key));
  assert.ok(record && record.createdAt instanceof Date);
  const { createdAt: _, ...rest } = record;
  assert.deepEqual(rest, {
    id,
    userId,
    walletId,
    name: 'লেখা "key" {,}',
    lastFour: key.slice(-4),
    allowedNetworks,
    expiresAt,
    revokedAt: null,
    errorFormat: 'text',
    replaceRetired: false,
    demo: false,
  });
  const rows = await sql`SELECT api_keys::text AS row FROM api_keys`;
  assert.ok(rows.every((row) => !String(row.row).includes(key.slice(6, 32))));
  assert.equal(await findKeyByHash(sql, hashKey(`${key}x`)), null);
});

test('revoking keeps the first time, and the list shows it', async () => {
  const { sql } = database;
  const { userId, walletId } = await owner();
  const first = await createKey(sql, { userId, walletId, name: 'first' });
  await createKey(sql, { userId, walletId, name: 'second' });
  const revoked = await revokeKey(sql, first.id);
  assert.ok(revoked?.revokedAt);
  assert.deepEqual((await revokeKey(sql, first.id))?.revokedAt, revoked.revokedAt);
  assert.equal(await revokeKey(sql, randomUUID()), null);
  const listed = (await listKeys(sql, userId)).map(({ name, revokedAt }) => [
    name,
    revokedAt !== null,
  ]);
  assert.deepEqual(listed, [
    ['first', true],
    ['second', false],
  ]);
});

test('every change of a key is announced with its hash', async () => {
  const { sql } = database;
  const { userId, walletId } = await owner();
  const heard: string[] = [];
  const listener = database.connect({ max: 1, name: 'akai test' });
  await listener.listen('api_keys', (hash) => heard.push(hash));
  const { id, key } = await createKey(sql, { userId, walletId, name: 'heard' });
  const other = hashKey('another text');
  await revokeKey(sql, id);
  await sql`UPDATE api_keys SET hash = ${other} WHERE id = ${id}`;
  await sql`DELETE FROM api_keys WHERE id = ${id}`;
  const expected = [hashKey(key), hashKey(key), hashKey(key), other, other];
  for (let tries = 0; tries < 100 && heard.length < expected.length; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(
    heard,
    expected.map((hash) => hash.toString('hex')),
  );
});

test('the demo key stays the same, is filled again, and is gone where money is real', async () => {
  const { sql } = database;
  const key = await demoKey(database, config);
  assert.ok(key && keyLooksRight(key));
  assert.equal(await demoKey(database, config), key);
  const record = await findKeyByHash(sql, hashKey(key));
  assert.equal(record?.demo, true);
  const balance = async () => {
    const [row] =
      await sql`SELECT balance FROM ledger_accounts WHERE id = ${record?.walletId ?? 0}`;
    return row?.balance;
  };
  assert.equal(await balance(), 5_000_000_000);
  const real = { DATA_DIR: dataDir, OPENAI_API_KEY: 'k' };
  assert.equal(await demoKey(database, loadConfig(real, ['openai'])), null);
  assert.equal(await demoKey(database, loadConfig({ DATA_DIR: dataDir, MODE: 'live' }, [])), null);
});

test('a demo key that was revoked, or sealed under another secret, is replaced', async () => {
  const key = await demoKey(database, config);
  assert.ok(key);
  const elsewhere = loadConfig({ DATA_DIR: dataDir, AKAI_SECRET: 's'.repeat(32) }, ['openai']);
  const other = await demoKey(database, elsewhere);
  assert.ok(other && other !== key);
  assert.equal(await demoKey(database, config), key);
  const record = await findKeyByHash(database.sql, hashKey(key));
  await revokeKey(database.sql, record?.id ?? '');
  const next = await demoKey(database, config);
  assert.ok(next && next !== key && next !== other);
});
