/** What a request may cost: by its own `max_cost`, by the limit that the client set, by what the wallet has. And quotes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findAccount } from '../src/accounts/accounts.ts';
import { createKey } from '../src/accounts/keys.ts';
import { fundsOf } from '../src/wallet/funds.ts';
import { parseUsd } from '../src/wallet/money.ts';
import { creditWallet, openWallet } from '../src/wallet/wallets.ts';
import { type Books, endProven, openBooks } from './books.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { endlessStream, json } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { capIn, obedient } from './obedient.ts';

const model = 'openai/gpt-4o';
/** Pico-USD a token of that model. */
const inputPrice = 2_500_000;
const outputPrice = 10_000_000;
const reasoningModel = 'openai/gpt-6.1-sol';

let upstream: Hostile;
let installation: Installation;
let books: Books;

before(async () => {
  upstream = await startHostile();
  installation = await startInstallation({
    env: {
      OPENAI_API_KEY: 'test',
      OPENAI_BASE_URL: upstream.baseUrl,
      RATE_LIMIT_RPM: '0',
      MINIMUM_BALANCE_USD: '0',
      HOLD_WAIT_MS: '300',
    },
  });
  books = await openBooks(installation);
});
after(async () => {
  await endProven(installation, books);
  await upstream.close();
});

/** JSON of a shape that the assertions find out. */
type Parsed = ReturnType<typeof JSON.parse>;

interface Said {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of an answer in one piece. */
  readonly body: Parsed;
  /** Of a stream. */
  readonly chunks: readonly Parsed[];
  readonly id: string;
}

async function ask(
  body: object,
  key = installation.key,
  { path = '/chat/completions', headers = {} } = {},
): Promise<Said> {
  const response = await fetch(installation.baseUrl + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...body }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  const isStream = text.startsWith('data: ');
  const events = text.split('\n\n').filter((event) => event.startsWith('data: {'));
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isStream ? null : JSON.parse(text),
    chunks: isStream ? events.map((event) => JSON.parse(event.slice(6))) : [],
    id: response.headers.get('x-request-id') ?? '',
  };
}

/** A key that pays from a wallet of its own. */
async function keyWith(usd: string): Promise<{ key: string; wallet: number }> {
  const wallet = await openWallet(books.sql, crypto.randomUUID());
  await creditWallet(books.sql, wallet, parseUsd(usd), { kind: 'topup', note: 'test' });
  const owner = await findAccount(books.sql, installation.email);
  assert.ok(owner);
  const named = { userId: owner.id, walletId: wallet, name: 'test' };
  return { wallet, key: (await createKey(books.sql, named)).key };
}

async function balanceOf(wallet: number): Promise<number> {
  return (await fundsOf(books.sql, wallet)).balance;
}

async function lastUpstream(): Promise<{ cap: number; body: Readonly<Record<string, unknown>> }> {
  const received = upstream.received.at(-1);
  assert.ok(received?.body);
  return { cap: capIn(received), body: received.body };
}

async function losses(id: string): Promise<number> {
  const rows = await books.sql`SELECT 1 FROM transfers WHERE id = ${id.slice(4)} AND kind = 'loss'`;
  return rows.length;
}

describe('max_cost', () => {
  test('in one piece: it sets the cap that is sent, is not sent itself, and is neither held nor charged beyond', async () => {
    upstream.behave(obedient({ tokens: 5000 }));
    const said = await ask({ max_cost: '0.01', max_tokens: 4000 });
    assert.equal(said.status, 200, said.text);
    const { cap, body } = await lastUpstream();
    assert.ok(!('max_cost' in body));
    assert.ok(cap > 500 && cap < 1000, String(cap));
    assert.equal(said.headers.get('x-max-tokens-clamped'), String(cap));
    assert.equal(said.body.usage.max_tokens_clamped, cap);
    const receipt = await books.receipt(said.id);
    assert.ok(receipt.held <= 10_000_000, String(receipt.held));
    // One token more would have been beyond it.
    assert.ok(receipt.held + outputPrice / 1000 > 10_000_000);
    assert.equal(receipt.charged, (24 * inputPrice + cap * outputPrice) / 1000);
  });

  test('a provider that claims more than its cap is paid by the operator', async () => {
    const usage = { prompt_tokens: 24, completion_tokens: 50_000, total_tokens: 50_024 };
    upstream.behave(json({ usage }));
    const said = await ask({ max_cost: 0.01 });
    const receipt = await books.receipt(said.id);
    assert.ok(receipt.charged <= 10_000_000 && receipt.cost > 10_000_000);
    assert.equal(await losses(said.id), 1);
  });

  test('a stream that does not stop holds and costs no more, and ends properly', async () => {
    upstream.behave(endlessStream({ paceMs: 0, text: 'word'.repeat(1000) }));
    const said = await ask({ max_cost: '0.005', stream: true });
    assert.ok(said.text.endsWith('data: [DONE]\n\n'), said.text.slice(-300));
    const receipt = await books.receipt(said.id);
    assert.ok(receipt.held <= 5_000_000 && receipt.charged <= 5_000_000, JSON.stringify(receipt));
  });

  test('a stream that keeps to its cap says what ended it', async () => {
    upstream.behave(obedient({ tokens: 5000 }));
    const usageToo = { stream: true, stream_options: { include_usage: true } };
    const said = await ask({ max_cost: '0.02', ...usageToo });
    const { cap } = await lastUpstream();
    const finish = said.chunks.find((each) => each.choices[0]?.finish_reason);
    assert.equal(finish.choices[0].finish_reason, 'length');
    assert.equal(finish.ended_by, 'max_cost');
    assert.equal(said.chunks.at(-1).usage.max_tokens_clamped, cap);
    const text = said.chunks.map((each) => each.choices[0]?.delta.content ?? '').join('');
    assert.equal(text.length, cap * 4, 'all of it is delivered');
    const receipt = await books.receipt(said.id);
    assert.equal(receipt.charged, (24 * inputPrice + cap * outputPrice) / 1000);
    assert.ok(receipt.held <= 20_000_000);
  });

  test('that pays for less than a prompt and a token: 402 with the least that would do, and that does', async () => {
    upstream.behave(obedient({ tokens: 5 }));
    upstream.forget();
    const refused = await ask({ max_cost: '0.0000001' });
    assert.equal(refused.status, 402);
    assert.equal(refused.body.limit_source, 'max_cost');
    assert.equal(refused.body.param, 'max_cost');
    assert.equal(upstream.received.length, 0);
    const lowest = refused.body.lowest_max_cost;
    const enough = await ask({ max_cost: lowest });
    assert.equal(enough.status, 200, enough.text);
    assert.equal((await lastUpstream()).cap, 1);
    const short = (Math.round(Number(lowest) * 1e9) - 1) / 1e9;
    assert.equal((await ask({ max_cost: short })).status, 402);
  });

  test('with several choices it is for all of them', async () => {
    upstream.behave(json());
    const said = await ask({ max_cost: '0.01', n: 3 });
    const { cap } = await lastUpstream();
    assert.ok(cap > 100 && cap < 334, String(cap));
    assert.ok((await books.receipt(said.id)).held <= 10_000_000);
  });

  test('that is higher than anything the request may cost changes nothing', async () => {
    upstream.behave(obedient({ tokens: 5 }));
    const said = await ask({ max_cost: 3, max_tokens: 50 });
    assert.equal((await lastUpstream()).cap, 50);
    assert.equal(said.headers.get('x-max-tokens-clamped'), null);
    assert.ok(!('max_tokens_clamped' in said.body.usage));
  });
});

describe('a limit that the wallet cannot pay', () => {
  for (const stream of [false, true])
    test(`is refused with one that it can: ${stream ? 'stream' : 'JSON'}`, async () => {
      const { key } = await keyWith('0.05');
      upstream.behave(obedient({ tokens: 16_000 }));
      upstream.forget();
      const refused = await ask({ max_tokens: 16_000, stream }, key);
      assert.equal(refused.status, 402);
      assert.match(refused.body.error, /^Insufficient credits\. Please top up your account\. /);
      assert.equal(refused.body.limit_source, 'wallet');
      const tokens = refused.body.affordable_max_tokens;
      assert.ok(tokens > 4000 && tokens < 5000, refused.text);
      assert.ok(refused.body.error.includes(String(tokens)));
      // A shorter number makes a shorter request.
      assert.equal((await ask({ max_tokens: tokens + 2, stream }, key)).status, 402);
      assert.equal(upstream.received.length, 0);
      const headers = { 'x-error-format': 'object' };
      const object = await ask({ max_tokens: 16_000, stream }, key, { headers });
      assert.equal(object.body.error.affordable_max_tokens, tokens);
      const enough = await ask({ max_tokens: tokens, stream }, key);
      assert.equal(enough.status, 200);
      const receipt = await books.receipt(enough.id);
      assert.equal(receipt.charged, (24 * inputPrice + tokens * outputPrice) / 1000);
      assert.equal(await losses(enough.id), 0);
    });

  test('of which not even the prompt can be paid: 402 that says so', async () => {
    const { key } = await keyWith('0.0001');
    const refused = await ask({ max_tokens: 10 }, key);
    assert.equal(refused.status, 402);
    assert.equal(refused.body.affordable_max_tokens, 0);
    assert.equal((await ask({}, key)).status, 402);
  });
});

describe('no limit, and a wallet that cannot pay the model’s full length', () => {
  for (const [stream, asked] of [
    [false, model],
    [true, model],
    [true, reasoningModel],
  ] as const)
    test(`what is sent is capped, announced and charged: ${asked} ${stream ? 'stream' : 'JSON'}`, async () => {
      const { key, wallet } = await keyWith('0.05');
      upstream.behave(obedient({ tokens: 100_000 }));
      const usageToo = stream ? { stream_options: { include_usage: true } } : {};
      const said = await ask({ model: asked, stream, ...usageToo }, key);
      assert.equal(said.status, 200, said.text);
      const { cap } = await lastUpstream();
      assert.ok(cap > 4000 && cap < 5000, String(cap));
      assert.equal(said.headers.get('x-max-tokens-clamped'), String(cap));
      const { usage } = said.body ?? said.chunks.at(-1);
      assert.equal(usage.max_tokens_clamped, cap);
      if (stream) {
        const finish = said.chunks.find((each) => each.choices[0]?.finish_reason);
        assert.equal(finish.ended_by, 'insufficient_credits');
        assert.ok(said.text.endsWith('data: [DONE]\n\n'));
      }
      const receipt = await books.receipt(said.id);
      assert.equal(receipt.output_tokens, cap);
      assert.equal(receipt.charged, receipt.cost);
      assert.equal(await losses(said.id), 0);
      const balance = await balanceOf(wallet);
      assert.ok(balance >= 0 && balance < 10_000_000, String(balance));
    });
});

test('a stream whose wallet others empty ends properly, and pays for the last token that was delivered', async () => {
  const { key, wallet } = await keyWith('0.10');
  // Beside the cap, so that only the wallet can end it.
  upstream.behave(endlessStream({ paceMs: 1, text: 'word'.repeat(16) }));
  const response = await fetch(`${installation.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
  });
  assert.equal(response.status, 200);
  const other = crypto.randomUUID();
  await books.sql`INSERT INTO instances (id, lease_until) VALUES (${other}, now() + interval '1 hour')`;
  const { free } = await fundsOf(books.sql, wallet);
  assert.ok(free > 50_000_000);
  await books.sql`
    SELECT ledger_hold_one(${other}, gen_random_uuid(), ${wallet}, ${free}, ${free}, NULL, 'other', false, 0, 0)`;
  const text = await response.text();
  await books.sql`UPDATE instances SET lease_until = '-infinity' WHERE id = ${other}`;
  await books.sql`SELECT ledger_recover(interval '0')`;
  assert.ok(text.endsWith('data: [DONE]\n\n'), text.slice(-300));
  assert.match(text, /"finish_reason":"length"[^\n]*"ended_by":"insufficient_credits"/);
  const delivered = text.split('word').length - 1;
  const receipt = await books.receipt(response.headers.get('x-request-id') ?? '');
  assert.equal(receipt.outcome, 'estimated');
  assert.equal(receipt.output_tokens, delivered);
  assert.equal(
    receipt.cost,
    Math.ceil((receipt.input_tokens * inputPrice + delivered * outputPrice) / 1000),
  );
  assert.equal(receipt.charged, receipt.cost, 'every token that was delivered is paid for');
  assert.ok(receipt.charged <= receipt.held && receipt.held < 60_000_000);
});

test('25 reasoning streams at once on $0.60: each sends a cap, and none is a loss', async () => {
  const { key } = await keyWith('0.60');
  // It would think for ever.
  upstream.behave(obedient({ tokens: 1_000_000, reasoning: 900_000, delayMs: 5 }));
  upstream.forget();
  const all = await Promise.all(
    Array.from({ length: 25 }, (_, index) =>
      ask({ model: reasoningModel, stream: true, ...(index % 2 ? { max_tokens: 1500 } : {}) }, key),
    ),
  );
  assert.ok(all.some(({ status }) => status === 200));
  for (const { status, id, text } of all) {
    assert.ok(status === 200 || status === 402, text);
    assert.equal(await losses(id), 0);
  }
  for (const received of upstream.received) assert.ok(Number.isFinite(capIn(received)));
  await books.settled();
});

test('a stream holds at first what the model’s answers mostly are, and learns it', async () => {
  const { key } = await keyWith('5');
  const held = async (): Promise<number> =>
    (await books.receipt((await ask({ stream: true }, key)).id)).held;
  upstream.behave(obedient({ tokens: 2000 }));
  for (let count = 0; count < 30; count += 1) await held();
  const long = await held();
  upstream.behave(obedient({ tokens: 5 }));
  for (let count = 0; count < 150; count += 1) await held();
  const short = await held();
  assert.ok(long >= (2000 * outputPrice) / 1000, String(long));
  assert.ok(short < long / 2, `${short} after short answers, ${long} after long ones`);
});

describe('a quote', () => {
  const quoted = (body: object, key?: string): Promise<Said> => ask(body, key, { path: '/quote' });

  test('holds and charges nothing, and the true cost lies within it', async () => {
    const receipts = async (): Promise<number> =>
      (await books.sql`SELECT count(*)::int AS n FROM receipts`)[0]?.n;
    for (const body of [
      { max_tokens: 200 },
      { max_tokens: 1 },
      { max_tokens: 300, n: 1, messages: [{ role: 'user', content: 'ঢাকা '.repeat(200) }] },
      { max_cost: '0.02' },
      { model: reasoningModel, max_tokens: 400 },
      { stream: true, max_tokens: 400 },
    ]) {
      const before = await receipts();
      upstream.forget();
      const { status, body: quote, text } = await quoted(body);
      assert.equal(status, 200, text);
      assert.equal(upstream.received.length, 0);
      assert.equal(await receipts(), before);
      upstream.behave(obedient({ tokens: 300, promptTokens: 20 }));
      const said = await ask(body);
      const { charged, held } = await books.receipt(said.id);
      const { lower, likely, upper } = quote.cost;
      const nano = (usd: string): number => Math.round(Number(usd) * 1e9);
      assert.ok(nano(lower.usd) <= nano(likely.usd) && nano(likely.usd) <= nano(upper.usd), text);
      assert.ok(nano(lower.usd) <= charged && charged <= nano(upper.usd), `${charged}: ${text}`);
      assert.ok(held <= nano(upper.usd));
      assert.equal(quote.wallet.can_pay, true);
      assert.equal(quote.usd_bdt_rate, '122.00');
      for (const { usd, bdt } of [lower, likely, upper])
        assert.equal(BigInt(nano(usd)) * 122n, BigInt(Math.round(Number(bdt) * 1e9)));
    }
  });

  test('says what cap would be sent, and whether the wallet can pay', async () => {
    const { key } = await keyWith('0.05');
    const open = await quoted({}, key);
    assert.equal(open.body.wallet.can_pay, true);
    upstream.behave(obedient({ tokens: 5 }));
    await ask({}, key);
    const { cap } = await lastUpstream();
    assert.equal(open.body.max_tokens_clamped, cap);
    assert.equal((await quoted({ max_tokens: 16_000 }, key)).body.wallet.can_pay, false);
    assert.equal((await quoted({ max_tokens: 100 }, key)).body.wallet.can_pay, true);
    assert.equal((await quoted({ max_tokens: 100 }, key)).body.max_tokens_clamped, null);
  });

  test('refuses what the request would be refused for', async () => {
    assert.equal((await quoted({ temperature: 3 })).status, 400);
    assert.equal((await quoted({ max_cost: 'much' })).body.param, 'max_cost');
    assert.equal((await quoted({ max_cost: '0.0000001' })).body.limit_source, 'max_cost');
    assert.equal((await quoted({ model: 'openai/gpt-5-imaginary' })).status, 404);
    assert.equal((await quoted({}, 'sk-or-nobody')).status, 401);
  });
});
