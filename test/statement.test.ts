/** What an account sees of its wallet after it has used it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../src/wallet/audit.ts';
import { nano } from '../src/wallet/money.ts';
import { creditWallet } from '../src/wallet/wallets.ts';
import { type Books, openBooks } from './books.ts';
import { startInstallation } from './installation.ts';
import { until } from './scratch_data.ts';

const installation = await startInstallation();
const books = await openBooks(installation);
after(async () => {
  await books[Symbol.asyncDispose]();
  await installation.remove();
});
const { baseUrl, akai } = installation;

interface Shown {
  readonly balance: number;
  readonly transactions: readonly Readonly<Record<string, unknown>>[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

test('a charge is described by the name of its model; the latest comes first, whatever it is', async () => {
  const { email, key } = installation;
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: 'anthropic/claude-3-5-sonnet',
      messages: [{ role: 'user', content: 'Hello' }],
    }),
  });
  assert.equal(response.status, 200, await response.text());
  const { balance, transactions } = await akai<Shown>('wallet', 'show', '--email', email);
  const [charge, topup] = transactions;
  assert.deepEqual(Object.keys(charge ?? {}), [
    'id',
    'amount',
    'type',
    'description',
    'status',
    'createdAt',
  ]);
  assert.equal(charge?.description, 'Chat: Claude 3.5 Sonnet');
  assert.equal(charge.id, response.headers.get('x-request-id')?.replace('req_', 'tx_'));
  assert.equal(topup?.description, 'Test credit');
  const spent = Number(charge.amount);
  assert.ok(spent < 0 && Math.abs(10 + spent - balance) < 1e-9);

  const wallet = await walletOf(books, email);
  const notes = Array.from({ length: 20 }, (_, index) => `credit ${index}`);
  for (const note of notes) {
    await creditWallet(books.sql, wallet, nano(1), { kind: 'bonus', note });
    // Ids tell milliseconds apart, no less.
    await sleep(2);
  }
  const latest = await akai<Shown>('wallet', 'show', '--email', email, '--limit', '5');
  assert.deepEqual(
    latest.transactions.map(({ description }) => description),
    notes.slice(-5).reverse(),
  );
});

async function walletOf({ sql }: Books, email: string): Promise<number> {
  const [wallet] = await sql<{ id: number }[]>`
    SELECT a.id FROM ledger_accounts a JOIN users u ON u.id = a.user_id WHERE u.email = ${email}`;
  assert.ok(wallet);
  return wallet.id;
}

test('an API key reads its account’s statement: by the page, by the day, as CSV', async () => {
  const email = 'reader@example.com';
  await akai('user', 'create', '--email', email, '--password', 'correct horse battery');
  await akai('wallet', 'credit', '--email', email, '--usd', '10');
  const { key } = await akai<{ key: string }>('key', 'create', '--email', email, '--name', 'one');
  const get = reader(key);
  const page = async (query: string): Promise<Shown> => {
    const response = await get(query);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  };
  const wallet = await walletOf(books, email);
  const hostile = '=HYPERLINK("http://example.com","ফ্রি")';
  await creditWallet(books.sql, wallet, nano(5), { kind: 'bonus', note: hostile });
  for (const content of ['one', 'two']) {
    const body = JSON.stringify({
      model: 'openai/gpt-4o-mini',
      messages: [{ role: 'user', content }],
    });
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body,
    });
    assert.equal(response.status, 200, await response.text());
  }

  const all = await page('');
  assert.deepEqual(
    all.transactions.map(({ type }) => type),
    ['USAGE', 'USAGE', 'BONUS', 'TOPUP'],
  );
  assert.equal(all.has_more, false);
  assert.equal(all.next_cursor, null);
  const first = await page('?limit=3');
  assert.equal(first.has_more, true);
  const second = await page(`?limit=3&cursor=${first.next_cursor}`);
  assert.deepEqual([...first.transactions, ...second.transactions], all.transactions);
  assert.equal((await page('?type=usage')).transactions.length, 2);
  assert.equal((await page('?type=TOPUP,BONUS')).transactions.length, 2);
  assert.equal((await page('?from=2999-01-01')).transactions.length, 0);
  const { keys } = await akai<{ keys: { id: string }[] }>('key', 'list', '--email', email);
  assert.equal((await page(`?key=${keys[0]?.id}`)).transactions.length, 2);
  assert.equal((await page(`?key=${crypto.randomUUID()}`)).transactions.length, 0);

  const days = await page('?group=day');
  const usage = days.transactions.find(({ type }) => type === 'USAGE');
  assert.equal(usage?.requests, 2);
  assert.equal(usage.description, '2 requests');
  const model = (await page('?group=model&type=USAGE')).transactions[0];
  assert.equal(model?.description, 'Chat: GPT-4o mini, 2 requests');
  assert.equal(model.amount, usage.amount);

  const csv = await get('?format=csv');
  assert.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8; header=present');
  const text = await csv.text();
  const rows = text.split('\r\n');
  assert.equal(rows.length, 1 + 4 + 1);
  assert.match(
    rows[0] ?? '',
    /^id,createdAt,type,amount,description,status,day,requests,model,key,inputTokens,outputTokens$/,
  );
  assert.ok(text.includes(`"'${hostile.replaceAll('"', '""')}"`), text);
  assert.match(rows[1] ?? '', /^tx_[0-9a-f]{32},[^,]+Z,USAGE,-0\.\d+,Chat: GPT-4o mini,success,,,/);
  assert.equal(await (await get('', { accept: 'text/csv' })).text(), text);
});

/** Asks for a statement with a key. */
function reader(key: string) {
  return (query: string, more: Record<string, string> = {}): Promise<Response> =>
    fetch(`${baseUrl}/wallet${query}`, { headers: { authorization: `Bearer ${key}`, ...more } });
}

test('nonsense is refused, and named', async () => {
  const get = reader(installation.key);
  const own = Buffer.from(`request charge ${crypto.randomUUID()}`).toString('base64url');
  assert.equal((await get(`?cursor=${own}`)).status, 200);
  for (const [query, param] of [
    ['?limit=0', 'limit'],
    ['?limit=1001', 'limit'],
    ['?limit=ten', 'limit'],
    ['?from=2026-02-31', 'from'],
    ['?from=2026-02-03T10:00', 'from'],
    ['?to=yesterday', 'to'],
    ['?from=2026-02-03&to=2026-02-02', 'from'],
    ['?type=MONEY', 'type'],
    ['?key=laptop', 'key'],
    ['?group=week', 'group'],
    ['?cursor=zzz', 'cursor'],
    [`?group=day&cursor=${own}`, 'cursor'],
    ['?limit=1&limit=2', 'limit'],
    ['?format=pdf', 'format'],
    ['?page=2', 'page'],
  ] as const) {
    const refused = await get(query);
    const answer: { error: string; param: string } = JSON.parse(await refused.text());
    assert.equal(refused.status, 400, query);
    assert.equal(answer.param, param, query);
    assert.ok(answer.error.includes(`"${param}"`), answer.error);
  }
  assert.equal((await fetch(`${baseUrl}/wallet`)).status, 401);
});

test('a client that does not read its export counts as under way, and is cut off; one that reads gets all of it', async () => {
  const lines = 60_000;
  const email = 'paused@example.com';
  const limited = await startInstallation({
    env: { IDLE_TIMEOUT_MS: '1500', ACCOUNT_CONCURRENCY: '1', AUDIT_INTERVAL_MS: '0' },
  });
  const own = await openBooks(limited);
  try {
    await limited.akai('user', 'create', '--email', email, '--password', 'correct horse battery');
    const { key } = await limited.akai<{ key: string }>(
      ...['key', 'create', '--email', email, '--name', 'one'],
    );
    await own.sql`INSERT INTO transfers (id, kind, debit, credit, amount, note, created_at, seal)
      SELECT id, 'bonus', 3, ${await walletOf(own, email)}, 1, repeat('x', 200), now(), '\\x00'
      FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, ${lines}::int)) made`;
    const url = `${limited.baseUrl}/wallet?format=csv`;
    const authorization = { authorization: `Bearer ${key}` };
    const whole = await (await fetch(url, { headers: authorization })).text();
    assert.equal(whole.split('\r\n').length, 1 + lines + 1);

    const paused = request(url, { headers: authorization }).end();
    const [answer]: IncomingMessage[] = await once(paused, 'response');
    assert.ok(answer);
    const second = await fetch(`${limited.baseUrl}/key`, { headers: authorization });
    assert.equal(second.status, 429, await second.text());
    await until('the paused client is cut off', async () => {
      const { status } = await fetch(`${limited.baseUrl}/key`, { headers: authorization });
      return status === 200;
    });
    await assert.rejects(answer.toArray(), { code: 'ECONNRESET' });
    assert.doesNotMatch(limited.output(), /MaxListeners/);
  } finally {
    await own[Symbol.asyncDispose]();
    await limited.remove();
  }
});

test('the books are right after all of this', async () => {
  await books.settled();
  assert.deepEqual((await audit(books.sql)).findings, []);
});
