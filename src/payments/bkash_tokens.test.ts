import { strict as assert } from 'node:assert';
import { after, before, beforeEach, test } from 'node:test';
import { copyPrepared } from '../../test/prepared.ts';
import { ScratchData } from '../../test/scratch_data.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { type SandboxBkash, startSandboxBkash } from '../sandbox/bkash.ts';
import { type BkashAccess, TokenUnavailable } from './bkash_api.ts';
import { BkashTokens } from './bkash_tokens.ts';

const secret = 'x'.repeat(40);
let data: ScratchData;
let database: Database;
let standIn: SandboxBkash;
let access: BkashAccess;

before(async () => {
  data = new ScratchData();
  copyPrepared(data.dataDir);
  database = await openDatabase(data.config(), 'serve', () => {});
});

after(async () => {
  await standIn?.close();
  await database?.close();
  await data?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await standIn?.close();
  standIn = await startSandboxBkash();
  access = { ...standIn.credentials, baseUrl: standIn.baseUrl('v1'), generation: 'v1' };
});

/** As another process would have it: nothing in memory. */
const store = (changes: Partial<BkashAccess> = {}): BkashTokens =>
  new BkashTokens({ sql: database.sql, secret, access: { ...access, ...changes } });

const endsIn = (seconds: number) =>
  database.sql`UPDATE provider_tokens SET expires_at = clock_timestamp() + ${seconds}::int * interval '1 second'`;
const forgetCalls = () => database.sql`DELETE FROM provider_token_calls`;

const unavailable = (pattern: RegExp, until: boolean) => (error: unknown) => {
  assert.ok(error instanceof TokenUnavailable, String(error));
  assert.match(error.message, pattern);
  assert.equal(error.until !== null, until);
  return true;
};

test('one grant serves all: those who ask at once, other processes, and later ones', async () => {
  const stores = Array.from({ length: 6 }, () => store());
  const tokens = await Promise.all(
    [...stores, ...stores, ...stores].map((tokens) => tokens.current()),
  );
  assert.equal(new Set(tokens).size, 1);
  assert.equal(await store().current(), tokens[0]);
  assert.deepEqual(standIn.calls, ['grant']);
});

test('it is renewed by the refresh token before it ends, and only once', async () => {
  const first = await store().current();
  await endsIn(200);
  const renewed = await Promise.all([store().current(), store().current(), store().current()]);
  assert.equal(new Set(renewed).size, 1);
  assert.notEqual(renewed[0], first);
  assert.deepEqual(standIn.calls, ['grant', 'refresh']);
});

test('where the refresh token is refused, a new one is granted', async () => {
  await store().current();
  await endsIn(200);
  await forgetCalls();
  standIn.switches.tokenLimit = false;
  standIn.faults.add('refresh', { code: '9999' });
  await store().current();
  assert.deepEqual(standIn.calls, ['grant', 'refresh', 'grant']);
});

test('a third call within an hour is not made: one that still holds is used, else it says until when', async () => {
  const tokens = store();
  const first = await tokens.current();
  const second = await tokens.after(first);
  assert.notEqual(second, first);
  await assert.rejects(tokens.after(second), unavailable(/not available until \d\d:\d\d/, true));
  await assert.rejects(store().after(second), unavailable(/not available until \d\d:\d\d/, true));
  await endsIn(100);
  assert.equal(await store().current(), second);
  await endsIn(-1);
  await assert.rejects(store().current(), unavailable(/not available until \d\d:\d\d/, true));
  assert.deepEqual(standIn.calls, ['grant', 'refresh']);
  await forgetCalls();
  standIn.switches.tokenLimit = false;
  assert.notEqual(await store().current(), second);
  assert.equal(standIn.calls.length, 3);
});

test('who holds a token that was replaced meanwhile gets the other without a call', async () => {
  const [one, two] = [store(), store()];
  const first = await one.current();
  assert.equal(await two.current(), first);
  const second = await two.after(first);
  assert.equal(await one.after(first), second);
  assert.deepEqual(standIn.calls, ['grant', 'refresh']);
});

test('wrong credentials are said once; nothing is asked again and again', async () => {
  const wrong = store({ password: 'wrong' });
  await assert.rejects(wrong.current(), unavailable(/refuses our credentials/, false));
  await assert.rejects(wrong.current(), unavailable(/refuses our credentials/, false));
  for (let turn = 0; turn < 5; turn += 1)
    await assert.rejects(wrong.current(), unavailable(/not available until/, true));
  assert.deepEqual(standIn.calls, ['grant', 'grant']);
});

test('a call that nobody answers counts, and is not repeated for a while', async () => {
  standIn.faults.add('grant', 'lost');
  const tokens = store();
  for (let turn = 0; turn < 3; turn += 1)
    await assert.rejects(tokens.current(), unavailable(/cannot be reached/, false));
  assert.deepEqual(standIn.calls, ['grant']);
  const [row] = await database.sql`SELECT count(*)::int AS calls FROM provider_token_calls c
    WHERE NOT EXISTS (SELECT FROM provider_tokens t WHERE t.name = c.name) AND at > now() - interval '10 seconds'`;
  assert.ok(row?.calls >= 1);
});

test('what is broken is no token: half of an answer, a page, a token without text', async () => {
  standIn.switches.tokenLimit = false;
  for (const fault of ['truncated', 'html', { change: { id_token: '' } }] as const) {
    await forgetCalls();
    standIn.faults.add('grant', fault);
    await assert.rejects(store().current(), (error: unknown) => {
      assert.ok(error instanceof TokenUnavailable);
      // Nothing of a token may be kept as evidence.
      assert.doesNotMatch(JSON.stringify(error.evidence), /[\w-]{40}/);
      return true;
    });
  }
});

test('the database holds no token that can be read, and another secret opens none', async () => {
  const token = await store().current();
  const rows = await database.sql<{ sealed: Buffer }[]>`SELECT sealed FROM provider_tokens`;
  assert.ok(rows.length > 0);
  for (const { sealed } of rows) assert.ok(!sealed.includes(token.slice(0, 12)));
  const stranger = new BkashTokens({ sql: database.sql, secret: 'y'.repeat(40), access });
  assert.notEqual(await stranger.current(), token);
});
