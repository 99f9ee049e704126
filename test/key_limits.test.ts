/** Limits of keys through the real server and command line: refusals, caps, GET /v1/key, GET /v1/credits. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createKey } from '../src/accounts/keys.ts';
import { type KeyLimit, limitKey } from '../src/wallet/key_limits.ts';
import { parseUsd } from '../src/wallet/money.ts';
import { openBooks } from './books.ts';
import { startInstallation } from './installation.ts';

const installation = await startInstallation();
const books = await openBooks(installation);
const { baseUrl, akai, email } = installation;
after(async () => {
  await books[Symbol.asyncDispose]();
  await installation.remove();
});

interface Made {
  readonly id: string;
  readonly key: string;
}
type Amounts = Partial<Record<KeyLimit, string>>;

const [owner] = await books.sql<{ userId: string; walletId: number }[]>`
  SELECT u.id AS "userId", a.id AS "walletId" FROM users u JOIN ledger_accounts a ON a.user_id = u.id
  WHERE u.email = ${email}`;
assert.ok(owner);

/** A key with limits in USD. */
async function make(amounts: Amounts = {}, more: { expiresAt?: Date } = {}): Promise<Made> {
  assert.ok(owner);
  const { sql } = books;
  const made = await createKey(sql, { ...owner, ...more, name: 'capped' });
  const amount = (text: string | undefined) => (text === undefined ? null : parseUsd(text));
  const { total, daily, weekly, monthly } = amounts;
  if (Object.keys(amounts).length > 0)
    await limitKey(sql, made.id, owner.walletId, {
      total: amount(total),
      daily: amount(daily),
      weekly: amount(weekly),
      monthly: amount(monthly),
    });
  return made;
}

const model = 'openai/gpt-4o-mini';

async function ask(key: string, more: object = {}, headers: Record<string, string> = {}) {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...more }),
  });
  const text = await response.text();
  // as: read by the assertions
  const body = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, text, body };
}

async function get(
  path: string,
  key: string,
): Promise<{ text: string; data: Record<string, unknown> }> {
  const response = await fetch(`${baseUrl}${path}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  // as: read by the assertions
  return { text, data: (JSON.parse(text) as { data: Record<string, unknown> }).data };
}

test('a request beyond a limit of its key: 402 that names the limit, when it starts anew and what would fit', async () => {
  const { key } = await make({ daily: '0.0001', total: '5' });
  const refused = await ask(key, { max_tokens: 10_000 });
  assert.equal(refused.status, 402);
  const {
    error,
    code,
    limit_source,
    limit,
    limit_remaining,
    limit_resets_at,
    affordable_max_tokens,
  } = refused.body;
  assert.match(String(error), /^Insufficient credits: .* daily limit of this API key/);
  assert.deepEqual(
    [code, limit_source, limit, limit_remaining],
    ['insufficient_credits', 'key', 'daily', 0.0001],
  );
  const resets = new Date(String(limit_resets_at));
  assert.equal(resets.toISOString().slice(11), '18:00:00.000Z');
  assert.ok(resets.getTime() > Date.now() && resets.getTime() <= Date.now() + 86_400_000);
  assert.ok(Number(affordable_max_tokens) > 0);
  // The number is true; each digit less in the body leaves it a little more.
  const tokens = Number(affordable_max_tokens);
  assert.equal((await ask(key, { max_tokens: tokens + 20 })).status, 402);
  assert.equal((await ask(key, { max_tokens: tokens })).status, 200);

  const object = await ask(key, { max_tokens: 10_000 }, { 'x-error-format': 'object' });
  // as: OpenAI's error object
  const inner = object.body.error as Record<string, unknown>;
  assert.deepEqual(
    [object.status, inner.type, inner.code, inner.limit_source, inner.limit],
    [402, 'insufficient_credits', 'insufficient_credits', 'key', 'daily'],
  );
  // A stream that begins small is refused too where its own limit can never be reached.
  assert.equal((await ask(key, { max_tokens: 10_000, stream: true })).body.limit_source, 'key');
});

test('an administrator pays like anybody: 402 from an empty wallet, and at the limit of a key', async () => {
  const admin = 'admin@example.com';
  const password = 'correct horse battery';
  await akai('user', 'create', '--email', admin, '--password', password, '--admin');
  const create = ['key', 'create', '--email', admin, '--name'] as const;
  const { key } = await akai<Made>(...create, 'open');
  const limited = await akai<Made>(...create, 'limited', '--limit-usd', '0.0001');
  const poor = await ask(key);
  assert.deepEqual([poor.status, poor.body.limit_source], [402, 'wallet']);
  await akai('wallet', 'credit', '--email', admin, '--usd', '5');
  assert.equal((await ask(key)).status, 200);
  const beyond = await ask(limited.key, { max_tokens: 10_000 });
  assert.deepEqual([beyond.status, beyond.body.limit_source], [402, 'key']);
});

test('a key that may spend nothing hears which limit says so', async () => {
  const { key } = await make({ total: '0' });
  const { status, body } = await ask(key);
  assert.deepEqual(
    [status, body.limit, body.limit_resets_at, body.limit_remaining],
    [402, 'total', null, 0],
  );
});

test('without a limit of its own a request is capped to what the key may spend', async () => {
  const { key } = await make({ monthly: '0.0004' });
  for (const stream of [false, true]) {
    const { status, headers, text } = await ask(key, { stream });
    assert.equal(status, 200, text);
    const cap = Number(headers.get('x-max-tokens-clamped'));
    assert.ok(cap > 0 && cap < 700, `clamped to ${cap}`);
  }
  await books.settled();
  const { data } = await get('/key', key);
  assert.ok(Number(data.usage) > 0 && Number(data.usage) <= 0.0004);
});

test('GET /v1/key shows limits, use, resets and what else the key has', async () => {
  const made = await make({ total: '2', weekly: '1.5' }, { expiresAt: new Date('2099-01-01') });
  const { body } = await ask(made.key);
  // as: usage of an answer
  const { cost } = body.usage as { cost: number };
  const { data, text } = await get('/key', made.key);
  assert.equal(data.id, made.id);
  assert.equal(data.label, 'capped');
  assert.equal(data.last_four, made.key.slice(-4));
  assert.equal(data.expires_at, '2099-01-01T00:00:00.000Z');
  assert.deepEqual(
    [data.usage, data.usage_daily, data.usage_weekly, data.usage_monthly, data.held],
    [cost, cost, cost, cost, 0],
  );
  assert.equal(data.limit, 2);
  assert.ok(text.includes(`"limit_remaining":${(1.5 - cost).toFixed(9).replace(/0+$/, '')}`), text);
  // as: as documented
  const limits = data.limits as Record<string, Record<string, unknown>>;
  assert.deepEqual(Object.keys(limits), ['total', 'daily', 'weekly', 'monthly']);
  assert.deepEqual(
    limits.daily && [limits.daily.limit, limits.daily.remaining, limits.daily.used],
    [null, null, cost],
  );
  const resets = new Date(String(limits.weekly?.resets_at));
  assert.equal(new Date(resets.getTime() + 6 * 3_600_000).getUTCDay(), 1);
  assert.equal(Date.parse(String(limits.weekly?.resets_at_dhaka)), resets.getTime());
  assert.match(String(limits.weekly?.resets_at_dhaka), /T00:00:00\+06:00$/);
  assert.deepEqual([limits.total?.resets_at, limits.total?.limit], [null, 2]);
  assert.equal((await fetch(`${baseUrl}/key`)).status, 401);
});

test('a key without limits sees its use, also what it spent before it asked', async () => {
  const { key } = await make();
  const first = await ask(key);
  const second = await ask(key);
  const costs = [first, second].map(({ body }) => (body.usage as { cost: number }).cost); // as: usage of an answer
  const { data } = await get('/key', key);
  assert.deepEqual([data.limit, data.limit_remaining], [null, null]);
  assert.equal(data.usage, Number(((costs[0] ?? 0) + (costs[1] ?? 0)).toFixed(9)));
  await ask(key);
  const later = await get('/key', key);
  assert.ok(Number(later.data.usage) > Number(data.usage));
});

test('GET /v1/credits adds up, also after a debit by the operator', async () => {
  await books.settled();
  await akai('wallet', 'debit', '--email', email, '--usd', '0.25', '--note', 'a slip');
  const { data } = await get('/credits', installation.key);
  const [row] = await books.sql<{ credited: number; charged: number; balance: number }[]>`
    SELECT (SELECT sum(amount)::bigint - 250000000 FROM transfers WHERE credit = a.id) AS credited,
      (SELECT sum(amount)::bigint FROM transfers WHERE debit = a.id AND kind = 'charge') AS charged, balance
    FROM ledger_accounts a JOIN users u ON u.id = a.user_id WHERE u.email = ${email}`;
  assert.ok(row);
  assert.deepEqual(data, {
    total_credits: row.credited / 1e9,
    total_usage: row.charged / 1e9,
    balance: row.balance / 1e9,
    held: 0,
  });
});

test('akai key limit changes what is named and takes effect at once; key list shows it', async () => {
  const made = await akai<Made>(
    'key',
    'create',
    '--email',
    email,
    '--name',
    'x',
    '--limit-usd',
    '3',
  );
  const changed = await akai<{ limits: object }>(
    'key',
    'limit',
    '--id',
    made.id,
    '--daily-usd',
    '0',
  );
  assert.deepEqual(changed.limits, { total: 3, daily: 0, weekly: null, monthly: null });
  assert.equal((await ask(made.key)).body.limit, 'daily');
  const { keys } = await akai<{ keys: { id: string; limits: object; used: object }[] }>(
    'key',
    'list',
    '--email',
    email,
  );
  const listed = keys.find(({ id }) => id === made.id);
  assert.deepEqual(listed?.limits, changed.limits);
  assert.deepEqual(listed?.used, { total: 0, daily: 0, weekly: 0, monthly: 0 });
  await akai('key', 'limit', '--id', made.id, '--daily-usd', 'none', '--total-usd', 'none');
  assert.equal((await ask(made.key)).status, 200);
  await assert.rejects(
    akai('key', 'limit', '--id', made.id, '--daily-usd', 'much'),
    /--daily-usd takes an amount/,
  );
  await assert.rejects(akai('key', 'limit', '--id', made.id), /Say which limit/);
  await assert.rejects(
    akai('key', 'limit', '--id', crypto.randomUUID(), '--daily-usd', '1'),
    /no key with the id/,
  );
});

test('many requests at once stay within the limit and use it', async () => {
  const { key } = await make({ total: '0.002' });
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => ask(key, { max_tokens: 400 })),
  );
  await books.settled();
  const { data } = await get('/key', key);
  assert.ok(Number(data.usage) <= 0.002);
  for (const { status, body } of answers)
    if (status !== 200) assert.equal(body.limit_source, 'key', JSON.stringify(body));
  assert.ok(answers.some(({ status }) => status === 200));
});

test('a quote minds the limits of the key as the request will meet them', async () => {
  const quoted = async (key: string, more: object) => {
    const response = await fetch(`${baseUrl}/quote`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...more }),
    });
    assert.equal(response.status, 200);
    // as: read by the assertions
    return (await response.json()) as {
      key_limit: unknown;
      wallet: { can_pay: boolean };
      max_tokens_clamped: number | null;
    };
  };
  const open = await make();
  const free = await quoted(open.key, { max_tokens: 1000 });
  assert.deepEqual([free.key_limit, free.wallet.can_pay], [null, true]);
  const { key } = await make({ total: '1', daily: '0.0003' });
  for (const more of [
    { max_tokens: 1000 },
    { max_tokens: 1000, stream: true },
    { max_tokens: 50 },
  ]) {
    const said = await quoted(key, more);
    const { status } = await ask(key, more);
    assert.equal(said.wallet.can_pay, status === 200, JSON.stringify(said));
  }
  const { key_limit } = await quoted(key, {});
  // as: a fresh look at the same answer
  const { limit, remaining, free: left } = key_limit as { [member in string]: string };
  assert.equal(limit, 'daily');
  assert.ok(Number(remaining) > 0 && Number(remaining) < 0.0003, remaining ?? '');
  assert.equal(left, remaining);
  const { key: unclamped } = await make({ daily: '0.0003' });
  const { max_tokens_clamped } = await quoted(unclamped, {});
  const answer = await ask(unclamped);
  assert.equal(answer.headers.get('x-max-tokens-clamped'), String(max_tokens_clamped));
  const { key: empty } = await make({ monthly: '0' });
  assert.equal((await quoted(empty, { max_tokens: 1 })).wallet.can_pay, false);
  assert.equal((await akai('audit')).ok, true);
});
