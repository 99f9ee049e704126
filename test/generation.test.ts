/** Receipts over the wire: there before the last byte, true to the books, signed, and with a line for what was free. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { audit } from '../src/wallet/audit.ts';
import type { PublicReceipt, SignedReceipt } from '../src/wallet/receipt_form.ts';
import { openBooks } from './books.ts';
import { compiled } from './compiled.ts';
import { startHostile } from './hostile.ts';
import { chunk, failure, good, json, sse, stream, usage } from './hostile_behaviours.ts';
import { runAkai, startInstallation } from './installation.ts';

const model = 'openai/gpt-4o-mini';
const upstream = await startHostile();
// Prices of 0.15 and 0.60 USD a million, raised by an eighth.
const env = {
  OPENAI_API_KEY: 'test',
  OPENAI_BASE_URL: upstream.baseUrl,
  RATE_LIMIT_RPM: '0',
  MARGIN_PERCENT: '3',
  MODEL_MARGINS: `${model}=12.5`,
};
const installation = await startInstallation({ env });
const { baseUrl, key, email, akai, dataDir } = installation;
const books = await openBooks(installation);
const folder = mkdtempSync(join(tmpdir(), 'akai-receipts-'));
after(async () => {
  await books[Symbol.asyncDispose]();
  await installation.remove();
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

/** nano-USD of 24 and 10 tokens. */
const charge = (24 * 168_750 + 10 * 675_000) / 1000;

function ask(body: object = {}, secret = key): Promise<Response> {
  return fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...body }),
    signal: AbortSignal.timeout(15_000),
  });
}

async function get(path: string, secret = key): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${secret}` };
  const response = await fetch(`${baseUrl}${path}`, { headers });
  return { status: response.status, text: await response.text() };
}

async function receiptOf(id: string): Promise<PublicReceipt & { total_cost: number }> {
  const { status, text } = await get(`/generation?id=${id}`);
  assert.equal(status, 200, text);
  return JSON.parse(text).data;
}

const requestIdOf = (response: Response): string => response.headers.get('x-request-id') ?? '';

/** Reads a stream until `mark` has come. */
async function readUntil(response: Response, mark: string): Promise<ReadableStreamDefaultReader> {
  const reader = response.body?.getReader();
  assert.ok(reader);
  let text = '';
  while (!text.includes(mark)) {
    const { value, done } = await reader.read();
    assert.ok(!done, `no ${mark} in ${text}`);
    text += Buffer.from(value).toString();
  }
  return reader;
}

async function readRest(reader: ReadableStreamDefaultReader): Promise<void> {
  while (!(await reader.read()).done);
}

/** Runs `one` so many times, ten at a time. */
async function many(count: number, one: () => Promise<void>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
}

describe('a receipt is there before the last byte of the answer', () => {
  test('of streams: whoever sees the finish can read it, and nobody before', async () => {
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const lines = [
      `data: ${chunk({ role: 'assistant', content: 'word ' })}`,
      `data: ${chunk({}, 'stop', { usage })}`,
      'data: [DONE]',
    ];
    upstream.behave(() => [...sse(lines)].toSpliced(4, 0, { until: held }));
    const response = await ask({ stream: true });
    const id = requestIdOf(response);
    const reader = await readUntil(response, 'word ');
    const early = await get(`/generation?id=${id}`);
    assert.equal(early.status, 404);
    assert.match(early.text, /still under way/);
    finish();
    await readRest(reader);
    assert.equal((await receiptOf(id)).outcome, 'settled');

    upstream.behave(good());
    await many(200, async () => {
      const each = await ask({ stream: true, stream_options: { include_usage: true } });
      const open = await readUntil(each, '"finish_reason":"stop"');
      const receipt = await receiptOf(requestIdOf(each));
      assert.equal(receipt.total_cost, charge / 1e9);
      await readRest(open);
    });
  });

  test('of answers in one piece: whoever sees its head can read it', async () => {
    upstream.behave(good());
    await many(200, async () => {
      const response = await ask();
      const receipt = await receiptOf(requestIdOf(response));
      assert.equal(receipt.total_cost, charge / 1e9);
      await response.arrayBuffer();
    });
  });
});

test('a receipt says what the books say, under every id of the request, to its own account only', async () => {
  upstream.behave(json({ delayMs: 50 }));
  const response = await ask({ max_tokens: 100 });
  const answer: { id: string; usage: { cost: number } } = JSON.parse(await response.text());
  const id = requestIdOf(response);
  const receipt = await receiptOf(answer.id);
  const row = await books.receipt(id);
  assert.equal(receipt.id, answer.id);
  assert.equal(receipt.request_id, id);
  assert.equal(receipt.charged, '0.0000108');
  assert.equal(receipt.total_cost, answer.usage.cost);
  assert.equal(row.charged, charge);
  assert.equal(Number(receipt.hold), row.held / 1e9);
  assert.deepEqual(receipt.lines, [
    { class: 'input', count: 24, usd_each: '0.00000016875', usd: '0.00000405' },
    { class: 'output', count: 10, usd_each: '0.000000675', usd: '0.00000675' },
  ]);
  assert.equal(receipt.provider, 'openai');
  assert.equal(receipt.upstream_model, 'gpt-4o-mini');
  assert.equal(receipt.finish_reason, 'stop');
  assert.equal(receipt.usage_reported_by, 'provider');
  assert.deepEqual(receipt.price_list?.prices, {
    input: '0.00000016875',
    output: '0.000000675',
    cacheRead: '0.000000084375',
  });
  const { first_byte_ms: first, total_ms: total } = receipt;
  assert.ok(first !== null && first >= 45 && total >= first && total < 15_000, `${first} ${total}`);
  const shown = JSON.parse((await get(`/models/${model}`)).text);
  assert.equal(shown.pricing.prompt, '0.00000016875');

  const uuid = id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  for (const same of [id, uuid, id.slice(4).toUpperCase()])
    assert.deepEqual(await receiptOf(same), receipt);
  for (const wrong of ['req_0', crypto.randomUUID(), "'; DROP TABLE receipts", 'chatcmpl-'])
    assert.equal((await get(`/generation?id=${encodeURIComponent(wrong)}`)).status, 404, wrong);
  assert.equal((await get('/generation')).status, 400);
  assert.equal((await get(`/generation?id=${id}&format=pdf`)).status, 400);
  assert.equal((await get(`/generation?id=${id}`, 'sk-or-nobody')).status, 401);
  const other = `${crypto.randomUUID()}@example.com`;
  await akai('user', 'create', '--email', other, '--password', 'correct horse battery');
  const stranger = await akai<{ key: string }>('key', 'create', '--email', other, '--name', 'x');
  assert.equal((await get(`/generation?id=${id}`, stranger.key)).status, 404);
  const second = await akai<{ key: string }>('key', 'create', '--email', email, '--name', 'x');
  assert.equal((await get(`/generation?id=${id}`, second.key)).status, 200);
});

test('what was free has a line of zero and a reason', async () => {
  upstream.behave(failure(500, { message: 'broken inside' }));
  const failed = await ask();
  assert.equal(failed.status, 503);
  await failed.arrayBuffer();
  await books.settled();
  const receipt = await receiptOf(requestIdOf(failed));
  assert.equal(receipt.outcome, 'released');
  assert.equal(receipt.charged, '0');
  assert.match(receipt.reason ?? '', /^No active providers/);
  // What the provider said of itself is in the books, and stays there.
  assert.deepEqual(receipt.failed_attempts, [{ provider: 'openai', result: 'unavailable' }]);
  const { detail } = await books.receipt(requestIdOf(failed));
  const inside = [{ provider: 'openai', status: 500, reason: 'broken inside' }];
  assert.deepEqual(detail.failedAttempts, inside);
  assert.equal(receipt.attempts, 1);

  upstream.behave(stream({ breakAfter: 3 }));
  const broken = await ask({ stream: true });
  await broken.text();
  await books.settled();
  const cut = await receiptOf(requestIdOf(broken));
  assert.deepEqual([cut.outcome, cut.total_cost], ['released', 0]);
  assert.equal(cut.reason, 'the provider broke off');
});

test('what came back later is on the receipt', async () => {
  upstream.behave(good());
  const responses = [await ask(), await ask()];
  const [one = '', other = ''] = responses.map(requestIdOf);
  await Promise.all(responses.map((response) => response.arrayBuffer()));
  const note = `${one} was not finished: ${other} ran instead`;
  await books.sql`
    INSERT INTO superseded_requests (id, successor, key_id, key_hash, body_hash)
    VALUES (${one.slice(4)}, ${other.slice(4)}, gen_random_uuid(), '', '')`;
  await books.sql`SELECT ledger_refund_superseded()`;
  const receipt = await receiptOf(one);
  assert.equal(receipt.refunded, receipt.charged);
  assert.equal(receipt.refund_reason, note);
  assert.equal((await receiptOf(other)).refunded, '0');
});

test('usage that nobody has a price for is flagged, and listed for review', async () => {
  const odd = {
    ...usage,
    searches: 3,
    prompt_tokens_details: { audio_tokens: 4, smell_tokens: 2, cached_tokens: 8 },
  };
  upstream.behave(json({ usage: odd }));
  const response = await ask();
  await response.arrayBuffer();
  const id = requestIdOf(response);
  const receipt = await receiptOf(id);
  const flags = ['searches', 'prompt_tokens_details.smell_tokens', 'no price for audioInput'];
  assert.deepEqual(receipt.flags, flags);
  assert.deepEqual(
    receipt.lines.map((line) => [line.class, line.count]),
    [
      ['input', 12],
      ['cacheRead', 8],
      ['audioInput', 4],
      ['output', 10],
    ],
  );
  const review = await akai<{ receipts: { id: string; flags: string[] }[] }>('receipts', 'review');
  assert.deepEqual(
    review.receipts.map((found) => [found.id, found.flags]),
    [[id, flags]],
  );
});

describe('a signed receipt', () => {
  const file = (name: string, content: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  // Nothing of the installation: not even its folder.
  const verify = (...args: string[]) =>
    runAkai(['verify', ...args], { DATA_DIR: join(folder, 'x') });

  test('is verified without server or database, and a change of it is found', async () => {
    upstream.behave(good());
    const response = await ask();
    await response.arrayBuffer();
    const { text } = await get(`/generation?id=${requestIdOf(response)}&format=receipt`);
    const signed: SignedReceipt = JSON.parse(text);
    // Without a key: whoever is shown a receipt may ask.
    const keys = await (await fetch(`${baseUrl}/receipt-keys`)).json();
    const keyFile = file('keys.json', keys);
    const right = await verify(file('receipt.json', signed), '--public-key', keyFile);
    assert.equal(right.code, 0, right.stdout + right.stderr);
    // By a path from where it is typed, which is not where the program works.
    const typed = execFileSync(
      process.execPath,
      [
        join(import.meta.dirname, '../bin/akai'),
        'verify',
        'receipt.json',
        '--public-key',
        'keys.json',
      ],
      { cwd: folder, encoding: 'utf8', env: compiled },
    );
    assert.match(typed, /receipt.json is right/);
    const cheaper = { ...signed, receipt: { ...signed.receipt, charged: '0.000001' } };
    const wrong = await verify(file('wrong.json', cheaper), '--public-key', keyFile);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stdout, /not true that the signature fits the content/);
    assert.match(wrong.stdout, /not true that charge and operator’s part are the cost/);
    assert.equal((await verify(join(folder, 'nowhere.json'))).code, 1);
    assert.equal((await verify()).code, 2);
  });

  test('is signed with one key, whose private half stands nowhere in the clear', async () => {
    const rows =
      await books.sql`SELECT name, sealed FROM installation_secrets WHERE name LIKE 'receipt key %'`;
    assert.equal(rows.length, 1);
    const known = await books.sql`SELECT id FROM receipt_keys`;
    assert.equal(known.length, 1);
    assert.doesNotMatch(String(rows[0]?.sealed), /PRIVATE KEY/);
    assert.doesNotMatch(readFileSync(join(dataDir, 'secret'), 'utf8'), /PRIVATE KEY/);
  });
});

test('every price that was charged can be looked up for ever', async () => {
  const { sql } = books;
  const [missing] = await sql`
    SELECT count(*)::int AS count, count(v.id)::int AS known FROM receipts r
    LEFT JOIN price_versions v ON v.id = r.detail ->> 'priceVersion' WHERE r.outcome <> 'released'`;
  assert.ok(missing && missing.count > 400);
  assert.equal(missing.known, missing.count);
  const [version] =
    await sql`SELECT * FROM price_versions WHERE id LIKE ${`${model}@openai-%`} AND content ->> 'feeOn' IS NULL`;
  assert.equal(version?.content.marginMillionths, 125_000);
  assert.equal(version?.content.providerPrices.input, 150_000);
  assert.equal(version?.content.userPrices.input, 168_750);
  for (const change of ['UPDATE % SET id = id', 'DELETE FROM %', 'TRUNCATE %'])
    for (const table of ['price_versions', 'receipt_keys'])
      await assert.rejects(sql.unsafe(change.replace('%', table)), /is append-only/);
  const add = (id: string, content: string) =>
    sql`SELECT price_versions_add(ARRAY[${id}], ARRAY[${content}]) AS added`;
  const again = await add(version?.id, JSON.stringify(version?.content));
  assert.equal(again[0]?.added, 0);
  // A name that is not of its content: that of another, or of none.
  for (const id of [version?.id, 'acme/one@acme-0123456789abcdef'])
    await assert.rejects(add(id, '{}'), { code: '23514' });
});

test('the books are right after all of this', async () => {
  await books.settled();
  assert.deepEqual((await audit(books.sql)).findings, []);
});
