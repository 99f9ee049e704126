/** Keys while the database is slow or away: one question for all who ask, and what was known goes on being good. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Ledgers } from '../../test/ledgers.ts';
import { until } from '../../test/scratch_data.ts';
import { createKey, mintKey } from '../accounts/keys.ts';
import { loadConfig } from '../config.ts';
import type { Sql } from '../db/connection.ts';
import { ApiError } from '../errors.ts';
import { KeyDirectory } from './authenticate.ts';
import { OwnKeys } from './own_keys.ts';

const ledgers = await Ledgers.open();
const { owner } = ledgers;
after(() => ledgers[Symbol.asyncDispose]());

async function newKey(): Promise<{ id: string; key: string }> {
  const userId = crypto.randomUUID();
  await owner`
    INSERT INTO users (id, name, email, email_verified, created_at, updated_at)
    VALUES (${userId}, 'x', ${`${userId}@example.com`}, true, now(), now())`;
  const walletId = await ledgers.wallet(0);
  return createKey(owner, { userId, walletId, name: 'test' });
}

function directoryOn(sql: Sql): KeyDirectory {
  const config = loadConfig({}, []);
  return new KeyDirectory(
    sql,
    true,
    new OwnKeys(sql, config, 'no key was sealed with it', () => {}),
  );
}

test('a hundred requests with a key that nobody remembers ask the database once', async () => {
  const { id, key } = await newKey();
  const name = 'test crowd of keys';
  const directory = directoryOn(ledgers.database.connect({ max: 20, name }));
  const { promise: isLocked, resolve: locked } = Promise.withResolvers<void>();
  const { promise: isEnough, resolve: enough } = Promise.withResolvers<void>();
  const lock = owner.begin(async (transaction) => {
    await transaction`LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE`;
    locked();
    await isEnough;
  });
  await isLocked;
  const found = Array.from({ length: 100 }, async () => directory.find(key));
  const asking = async (): Promise<number> => {
    const rows = await owner`
      SELECT 1 FROM pg_stat_activity WHERE application_name = ${name} AND wait_event_type = 'Lock'`;
    return rows.length;
  };
  await until('the database is asked', async () => (await asking()) > 0);
  // Time for others to come, were there any.
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await asking(), 1);
  enough();
  await lock;
  for (const entry of await Promise.all(found)) assert.equal(entry?.record.id, id);
});

test('while the database is away a known key stays good, and an unknown one hears 503, not that it is wrong', async (t) => {
  const { id, key } = await newKey();
  const sql = ledgers.database.connect({ max: 1, name: 'test keys' });
  const directory = directoryOn(sql);
  assert.equal((await directory.find(key))?.record.id, id);
  await sql.end();
  const now = performance.now.bind(performance);
  // Long after what is remembered is asked for again.
  t.mock.method(performance, 'now', () => now() + 3_600_000);
  assert.equal((await directory.find(key))?.record.id, id);
  assert.equal((await directory.find(key))?.record.id, id);
  const unknown = async () => directory.find(mintKey());
  await assert.rejects(
    unknown,
    (error) => error instanceof ApiError && error.code === 'database_unavailable',
  );
});
