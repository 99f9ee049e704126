/** Two servers on one database: what happens through one is known to the other, and neither takes the other's money. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashKey, mintKey } from '../src/accounts/keys.ts';
import type { Sql } from '../src/db/connection.ts';
import { proveBooks } from './books.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { endlessStream, json, stream } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { model, usualCost } from './providers.ts';
import { openSharedDatabase } from './shared_database.ts';

const leaseMs = 2000;
const graceMs = 2500;

const stack = new AsyncDisposableStack();
let owner: Sql;
let upstream: Hostile;
let first: Installation;
let second: Installation;
let databaseUrl: string;

async function serve(): Promise<Installation> {
  const env = {
    OPENAI_API_KEY: 'test',
    OPENAI_BASE_URL: upstream.baseUrl,
    RATE_LIMIT_RPM: '0',
    AKAI_SECRET: 'one secret for every server of these tests',
    LEASE_MS: `${leaseMs}`,
    RECOVERY_GRACE_MS: `${graceMs}`,
  };
  return stack.use(await startInstallation({ databaseUrl, env }));
}

before(async () => {
  const database = stack.use(await openSharedDatabase());
  databaseUrl = database.url;
  owner = database.owner;
  upstream = await startHostile();
  stack.defer(() => upstream.close());
  [first, second] = await Promise.all([serve(), serve()]);
});
after(() => proveBooks(first).finally(() => stack.disposeAsync()));

function ask({ baseUrl }: Installation, key: string, body: object = {}): Promise<Response> {
  return fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...body }),
    signal: AbortSignal.timeout(20_000),
  });
}

async function statusOf(server: Installation, key: string): Promise<number> {
  const response = await ask(server, key);
  await response.arrayBuffer();
  return response.status;
}

/** Both servers answer so within a second. */
async function bothSay(status: number, key: string): Promise<void> {
  const began = performance.now();
  for (const server of [first, second]) {
    let said = await statusOf(server, key);
    while (said !== status) {
      assert.ok(performance.now() - began < 1000, `still ${said}, not ${status}, after a second`);
      await sleep(10);
      said = await statusOf(server, key);
    }
  }
}

async function balanceOf(email: string): Promise<{ balance: number; held: number }> {
  const [row] = await owner<{ balance: number; held: number }[]>`
    SELECT a.balance, a.held FROM ledger_accounts a JOIN users u ON u.id = a.user_id
    WHERE u.email = ${email}`;
  assert.ok(row);
  return { ...row };
}

test('a key made, restricted, freed and revoked through one server is so for both within a second', async () => {
  upstream.behave(json());
  const named = ['--email', first.email, '--name', 'shared'];
  const { id, key } = await first.akai<{ id: string; key: string }>('key', 'create', ...named);
  await bothSay(200, key);
  await owner`UPDATE api_keys SET allowed_networks = '{203.0.113.0/24}' WHERE id = ${id}`;
  await bothSay(403, key);
  await owner`UPDATE api_keys SET allowed_networks = '{}' WHERE id = ${id}`;
  await bothSay(200, key);
  await second.akai('key', 'revoke', '--id', id);
  await bothSay(401, key);
});

test('a key that both servers have refused, and remember, is good for both once it is made', async () => {
  upstream.behave(json());
  const key = mintKey();
  await bothSay(401, key);
  await owner`
    INSERT INTO api_keys (user_id, wallet_id, name, hash, last_four)
    SELECT u.id, a.id, 'made late', ${hashKey(key)}, ${key.slice(-4)}
    FROM users u JOIN ledger_accounts a ON a.user_id = u.id WHERE u.email = ${first.email}`;
  await bothSay(200, key);
});

test('40 requests at once over both servers on one wallet are charged exactly', async () => {
  const { balance } = await balanceOf(first.email);
  upstream.behave(json({ delayMs: 30 }));
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => statusOf(index % 2 ? second : first, first.key)),
  );
  assert.deepEqual([...new Set(answers)], [200]);
  for (let wait = 0; wait < 100 && (await balanceOf(first.email)).held > 0; wait += 1)
    await sleep(20);
  assert.deepEqual(await balanceOf(first.email), { balance: balance - 40 * usualCost, held: 0 });
});

/** The id in the books of an answer's request. */
function requestOf({ headers }: Response): string {
  return String(headers.get('x-request-id')).replace('req_', '');
}

interface OpenHold {
  readonly amount: number;
  readonly checkpoint: number;
  readonly instance: string;
}

async function openHold(id: string): Promise<OpenHold> {
  const [hold] = await owner<OpenHold[]>`SELECT * FROM holds WHERE id = ${id}`;
  assert.ok(hold, `${id} has no hold`);
  return hold;
}

interface Receipt {
  readonly outcome: string;
  readonly charged: number;
  readonly created_at: Date;
}

async function receiptOf(id: string): Promise<Receipt | null> {
  const [receipt] = await owner<Receipt[]>`SELECT * FROM receipts WHERE id = ${id}`;
  return receipt ?? null;
}

test('a server killed in mid-stream: the other settles its request after lease and grace, not before, and no neighbour’s', async () => {
  const doomed = await serve();
  upstream.behave(endlessStream({ paceMs: 5 }));
  const cut = await ask(doomed, first.key, { stream: true });
  const id = requestOf(cut);
  const reader = cut.body?.getReader();
  let received = 0;
  while (received < 20_000) received += (await reader?.read())?.value?.length ?? 0;
  upstream.behave(stream({ chunks: 1400, paceMs: 5 }));
  const long = await ask(first, first.key, { stream: true });
  const longText = long.text();
  longText.catch(() => {});

  const hold = await openHold(id);
  await doomed.kill();
  const killed = performance.now();
  await reader?.cancel().catch(() => {});
  while (!(await receiptOf(id))) {
    assert.ok(performance.now() - killed < 30_000, 'never recovered');
    await sleep(25);
  }
  const neighbour = requestOf(long);
  await openHold(neighbour);

  const receipt = await receiptOf(id);
  const [lease] = await owner<{ until: Date }[]>`
    SELECT lease_until AS until FROM instances WHERE id = ${hold.instance}`;
  assert.ok(receipt && lease);
  const waited = receipt.created_at.getTime() - lease.until.getTime();
  assert.ok(waited >= graceMs, `recovered ${waited} ms after its lease`);
  assert.ok(waited < graceMs + leaseMs + 5000, `recovered ${waited} ms after its lease`);
  assert.equal(receipt.outcome, 'recovered');
  assert.ok(hold.checkpoint > 0 && receipt.charged >= hold.checkpoint);
  assert.ok(receipt.charged < hold.amount, 'the checkpoint is charged, not the whole hold');

  const text = await longText;
  assert.ok(text.endsWith('data: [DONE]\n\n'), 'the neighbour’s stream was cut');
  const settled = await receiptOf(neighbour);
  assert.equal(settled?.outcome, 'settled');
  assert.equal(settled?.charged, usualCost);
});
