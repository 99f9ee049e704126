/** Streams on their way: slow readers, wallets that run out, keys that are revoked, servers that stop. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { chunk, endlessStream, good, json, sse, stream } from './hostile_behaviours.ts';
import { startInstallation } from './installation.ts';
import { lives } from './scratch_data.ts';
import { model, readAll, startStreamScene } from './stream_scene.ts';

const { upstream, installation, books, open, accountWith, stop } = await startStreamScene();
after(stop);

test('a slow reader slows the upstream down instead of filling memory', async () => {
  upstream.behave(() =>
    sse(
      (function* () {
        yield `data: ${chunk({ role: 'assistant', content: '' })}`;
        for (let i = 0; i < 2000; i += 1) yield `data: ${chunk({ content: 'x'.repeat(20_000) })}`;
        yield `data: ${chunk({}, 'stop')}`;
        yield 'data: [DONE]';
      })(),
    ),
  );
  upstream.forget();
  const { key } = await accountWith('100');
  const call = await open({ max_tokens: 16_000_000 }, key).catch(() => null);
  assert.ok(call);
  const received = await upstream.request();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const sent = received.bytesSent;
  assert.ok(sent < 20_000_000, `${sent} of 40,000,000 bytes were taken although nobody reads`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(received.bytesSent - sent < 1_000_000, 'it goes on taking');
  call.leave();
  await received.gone;
});

describe('a wallet that runs out', () => {
  test('in mid-stream: the stream ends properly, charged for what was delivered, never below zero', async () => {
    const { email, key } = await accountWith('0.51');
    upstream.behave(endlessStream({ paceMs: 0, text: 'word '.repeat(4000) }));
    const call = await open({ stream_options: { include_usage: true } }, key);
    const text = await readAll(call);
    assert.ok(text.endsWith('data: [DONE]\n\n'), text.slice(-300));
    const chunks = text
      .split('\n\n')
      .filter((event) => event.startsWith('data: {'))
      .map((event) => JSON.parse(event.slice(6)));
    const finish = chunks.find((c) => c.choices[0]?.finish_reason);
    assert.equal(finish.choices[0].finish_reason, 'length');
    const receipt = await books.receipt(call.requestId);
    assert.equal(receipt.outcome, 'estimated');
    const delivered = chunks.map((c) => c.choices[0]?.delta.content ?? '').join('').length;
    assert.equal(receipt.output_tokens, Math.ceil(delivered / 4));
    assert.equal(chunks.at(-1).usage.completion_tokens, receipt.output_tokens);
    const wallet = await installation.akai<{ balance: number }>('wallet', 'show', '--email', email);
    assert.ok(wallet.balance >= 0 && wallet.balance < 0.51);
  });

  test('500 requests at once on a small wallet: never below zero, and nobody is refused whose money came free in time', async () => {
    const { email, key } = await accountWith('0.60');
    upstream.behave(good({ delayMs: 5 }));
    const low = { balance: Number.POSITIVE_INFINITY, free: Number.POSITIVE_INFINITY };
    let isWatching = true;
    const watch = (async () => {
      while (isWatching) {
        const [row] = await books.sql<{ balance: number; free: number }[]>`
          SELECT balance, balance - held AS free FROM ledger_accounts
          WHERE user_id = (SELECT id FROM users WHERE email = ${email})`;
        low.balance = Math.min(low.balance, row?.balance ?? 0);
        low.free = Math.min(low.free, row?.free ?? 0);
      }
    })();
    const statuses = await Promise.all(
      Array.from({ length: 500 }, async (_, index) => {
        // Each holds about a tenth of the wallet.
        const body = {
          stream: index % 2 === 0,
          max_tokens: 100_000,
          messages: [{ role: 'user', content: 'Hi' }],
        };
        const call = await open(body, key);
        const text = await readAll(call);
        return call.response.statusCode === 200 && !text.includes('"error"')
          ? 200
          : call.response.statusCode;
      }),
    );
    isWatching = false;
    await watch;
    assert.ok(low.balance >= 0 && low.free >= 0, JSON.stringify(low));
    const [sum] = await books.sql<{ charged: number }[]>`
      SELECT coalesce(sum(charged), 0)::bigint AS charged FROM receipts
      WHERE wallet = (SELECT a.id FROM ledger_accounts a JOIN users u ON u.id = a.user_id WHERE u.email = ${email})`;
    const answered = statuses.filter((status) => status === 200).length;
    assert.equal(sum?.charged, answered * 9600, 'each answer is charged once');
    const refused = statuses.filter((status) => status === 402).length;
    assert.equal(answered + refused, 500, String(new Set(statuses)));
    assert.equal(refused, 0, `${refused} were refused although all of it fits one after the other`);
  });

  test('below the floor: 402 with the documented sentence; a top-up lets the next one through', async () => {
    const { email, key } = await accountWith('0.499999999');
    upstream.behave(json());
    const refused = await open({ stream: false }, key);
    assert.equal(refused.response.statusCode, 402);
    assert.match(
      await readAll(refused),
      /"error":"Insufficient credits. Please top up your account."/,
    );
    await installation.akai('wallet', 'credit', '--email', email, '--usd', '0.000000001');
    assert.equal((await open({ stream: false }, key)).response.statusCode, 200);
  });

  test('too poor for the model’s full length: the cap that is sent is what the wallet pays for', async () => {
    const { key } = await accountWith('0.6');
    upstream.behave(json());
    upstream.forget();
    const call = await open({ stream: false, model: 'openai/gpt-6.1-sol' }, key);
    assert.equal(call.response.statusCode, 200, await readAll(call));
    const cap = Number(call.response.headers['x-max-tokens-clamped']);
    assert.ok(cap > 0);
    const { body } = await upstream.request();
    assert.equal(body?.max_completion_tokens, cap);
    const receipt = await books.receipt(call.requestId);
    assert.ok(receipt.held <= 600_000_000);
  });
});

test('a provider that never stops is stopped at the length that was allowed', async () => {
  upstream.behave(endlessStream({ paceMs: 0, text: 'endless '.repeat(100) }));
  const call = await open({ max_tokens: 50, stream_options: { include_usage: true } });
  const text = await readAll(call);
  assert.ok(text.includes('"finish_reason":"length"'));
  const receipt = await books.receipt(call.requestId);
  assert.equal(receipt.detail.reason, 'the provider did not keep to the limit');
  assert.equal(receipt.detail.finishReason, 'length');
  assert.ok(receipt.charged <= receipt.held);
});

test('a key revoked in one process is refused by the server within a second', async () => {
  upstream.behave(json());
  const { email } = await accountWith('5');
  const made = await installation.akai<{ id: string; key: string }>(
    'key',
    'create',
    '--email',
    email,
    '--name',
    'short-lived',
  );
  assert.equal((await open({ stream: false }, made.key)).response.statusCode, 200);
  await installation.akai('key', 'revoke', '--id', made.id);
  const revoked = performance.now();
  for (;;) {
    const { response } = await open({ stream: false }, made.key);
    response.resume();
    if (response.statusCode === 401) break;
    assert.ok(performance.now() - revoked < 1000, 'still accepted after a second');
  }
});

test('a stopping server lets an open stream finish, then leaves nothing running', async () => {
  const own = await startInstallation({
    env: { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: upstream.baseUrl },
  });
  try {
    upstream.behave(stream({ chunks: 40, paceMs: 20 }));
    const pidFile = join(own.dataDir, 'postgres', 'postmaster.pid');
    const postmaster = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    assert.ok(lives(postmaster));
    const response = await fetch(`${own.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${own.key}` },
      body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hi' }] }),
    });
    const stopped = own.stop();
    const text = await response.text();
    assert.ok(text.endsWith('data: [DONE]\n\n'), text.slice(-200));
    assert.equal(await stopped, 0);
    assert.ok(!lives(own.pid), 'the server lives');
    assert.ok(!lives(postmaster), 'PostgreSQL lives');
    assert.ok(!existsSync(pidFile), 'PostgreSQL was not shut down');
  } finally {
    await own.remove();
  }
});
