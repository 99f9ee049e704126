/** Keys that an account brings itself: what is asked with them costs our fee and no more, and the wallet never steps in unasked. */
import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { enableProviderKey, removeProviderKey } from '../src/accounts/provider_keys.ts';
import { verifyReceipt } from '../src/wallet/verify_receipt.ts';
import { endlessStream, failure, good, json } from './hostile_behaviours.ts';
import { type Installation, runAkai } from './installation.ts';
import { type Account, houseKey, ownText, startOwnScene } from './own_keys_scene.ts';
import { model, usualCost } from './providers.ts';

const scene = await startOwnScene();
const { owner, upstream, first, second, dear, env } = scene;
const { account, bring, ask, get, balanceOf, askedWith, seen } = scene;
after(() => scene.stop());
beforeEach(() => {
  upstream.forget();
  upstream.behave(good());
});

/** nano-USD: five percent, at which nothing is left to round. */
const fee = usualCost / 20;

describe('with a zero fee', () => {
  test('a wallet of nothing is enough, and a receipt is written all the same', async () => {
    const poor = await account();
    assert.equal((await ask(first, poor)).status, 402);
    await bring(poor);
    await bothSay(200, poor);
    for (const stream of [false, true]) {
      upstream.forget();
      const { status, text, id } = await ask(first, poor, { stream });
      assert.equal(status, 200, text);
      assert.deepEqual(askedWith(), [ownText]);
      const { data } = JSON.parse(await get(first, poor, `/generation?id=${id}`));
      assert.equal(data.outcome, 'settled');
      assert.equal(data.charged, '0');
      assert.equal(data.cost, '0');
      assert.equal(data.hold, '0');
      assert.equal(data.own_key, true);
      assert.equal(data.is_byok, true);
      assert.equal(data.list_cost, '0.0000096');
      assert.deepEqual([data.tokens_prompt, data.tokens_completion], [24, 10]);
      const signed = await get(first, poor, `/generation?id=${id}&format=receipt`);
      assert.deepEqual(verifyReceipt(signed, null).faults, []);
    }
    assert.equal(await balanceOf(poor), 0);
    const { transactions } = JSON.parse(await get(first, poor, '/wallet'));
    assert.match(transactions[0].description, /free: asked with a key of your own/);
    const quote = await fetch(`${first.baseUrl}/quote`, {
      method: 'POST',
      headers: { authorization: `Bearer ${poor.key}` },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
    });
    const quoted: { cost: { upper: { usd: string } }; wallet: { can_pay: boolean } } = JSON.parse(
      await quote.text(),
    );
    assert.equal(Number(quoted.cost.upper.usd), 0);
    assert.equal(quoted.wallet.can_pay, true);
  });

  test('an account without a key of its own is asked for with ours, and pays as ever', async () => {
    const other = await account('1');
    assert.equal((await ask(first, other)).status, 200);
    assert.deepEqual(askedWith(), [houseKey]);
    assert.equal(await balanceOf(other), 1_000_000_000 - usualCost);
  });
});

describe('with a fee', () => {
  test('it is charged to the nano-dollar, from a price that the receipt proves', async () => {
    const rich = await account('1');
    await bring(rich);
    for (const [asked, stream] of [false, true].entries()) {
      const { status, text, id } = await ask(dear, rich, {
        stream,
        stream_options: stream ? { include_usage: true } : undefined,
      });
      assert.equal(status, 200, text);
      const { data } = JSON.parse(await get(dear, rich, `/generation?id=${id}`));
      assert.equal(data.charged, '0.00000048');
      assert.equal(data.list_cost, '0.0000096');
      assert.equal(data.price_list.prices.input, '0.0000000075');
      const signed = await get(dear, rich, `/generation?id=${id}&format=receipt`);
      assert.deepEqual(verifyReceipt(signed, null).faults, []);
      const [version] = await owner<{ content: { feeOn: string; feeMillionths: number } }[]>`
        SELECT content FROM price_versions WHERE id = ${data.price_version}`;
      assert.equal(version?.content.feeMillionths, 50_000);
      const listed = await owner`SELECT FROM price_versions WHERE id = ${version.content.feeOn}`;
      assert.equal(listed.length, 1);
      assert.equal(await balanceOf(rich), 1_000_000_000 - fee * (asked + 1));
    }
    assert.deepEqual(new Set(askedWith()), new Set([ownText]));
    const { transactions } = JSON.parse(await get(dear, rich, '/wallet'));
    assert.match(transactions[0].description, /\(asked with a key of your own\)/);
  });

  test('a wallet that cannot pay it hears so', async () => {
    const poor = await account();
    await bring(poor);
    const { status, text } = await ask(dear, poor);
    assert.equal(status, 402);
    assert.equal(JSON.parse(text).limit_source, 'wallet');
  });

  test('a server killed in mid-stream costs the checkpoint of the fee, and no more', async () => {
    const rich = await account('1');
    await bring(rich);
    upstream.behave(endlessStream({ paceMs: 5 }));
    const cut = await fetch(`${dear.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${rich.key}` },
      body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
    });
    const id = String(cut.headers.get('x-request-id')).replace('req_', '');
    const reader = cut.body?.getReader();
    let received = 0;
    while (received < 20_000) received += (await reader?.read())?.value?.length ?? 0;
    await dear.kill();
    await reader?.cancel().catch(() => {});
    const killed = performance.now();
    type Row = { outcome: string; charged: number; output_tokens: number; input_tokens: number };
    let receipt: Row | undefined;
    while (!receipt) {
      assert.ok(performance.now() - killed < 30_000, 'never recovered');
      await sleep(25);
      [receipt] = await owner<Row[]>`SELECT * FROM receipts WHERE id = ${id}`;
    }
    assert.equal(receipt.outcome, 'recovered');
    const pico = receipt.input_tokens * 7500 + receipt.output_tokens * 30_000;
    assert.ok(receipt.charged > 0);
    assert.ok(
      Math.abs(receipt.charged - pico / 1000) <= 2,
      `${receipt.charged}, not ${pico / 1000}`,
    );
    assert.equal(await balanceOf(rich), 1_000_000_000 - receipt.charged);
  });
});

describe('what the provider has against a key', () => {
  const refusals: readonly [theirs: number, status: number, code: string][] = [
    [401, 403, 'own_key_rejected'],
    [403, 403, 'own_key_rejected'],
    [402, 402, 'own_key_unpaid'],
    [429, 429, 'own_key_rate_limited'],
  ];

  test('its owner hears, with the provider’s name and without the key; the wallet stays out of it', async () => {
    for (const [theirs, told, code] of refusals) {
      const rich = await account('1');
      await bring(rich);
      upstream.forget();
      upstream.behave(failure(theirs, { message: `no: ${ownText}`, retryAfter: '7' }));
      const { status, text, headers } = await ask(first, rich);
      assert.equal(status, told, text);
      const body = JSON.parse(text);
      assert.equal(body.code, code);
      assert.match(body.error, /OpenAI .*your own key \(…7777\).* It says: no: …/);
      if (told === 402) assert.equal(body.limit_source, 'own_key');
      if (told === 429) assert.equal(headers.get('retry-after'), '7');
      assert.deepEqual(askedWith(), [ownText]);
      assert.equal(await balanceOf(rich), 1_000_000_000);
      let { lastError } = await seen(rich);
      for (let wait = 0; wait < 200 && lastError === null; wait += 1) {
        await sleep(20);
        ({ lastError } = await seen(rich));
      }
      assert.equal(lastError, body.error);
    }
  });

  test('says nothing about the offer to others', async () => {
    const [rich, other] = [await account('1'), await account('1')];
    await bring(rich);
    upstream.behave(failure(401));
    for (let tries = 0; tries < 8; tries += 1) assert.equal((await ask(first, rich)).status, 403);
    upstream.behave(failure(500));
    for (let tries = 0; tries < 8; tries += 1) assert.equal((await ask(first, rich)).status, 503);
    upstream.behave(json());
    assert.equal((await ask(first, other)).status, 200);
    const path = `/models/${model}/endpoints`;
    const { data } = JSON.parse(await get(first, other, path));
    assert.ok(!/"status":"open"/.test(JSON.stringify(data)));
    // Nor is the key left alone: what its owner wants asked with it is asked.
    assert.equal((await ask(first, rich)).status, 200);
    assert.deepEqual(askedWith().at(-1), ownText);
    assert.equal((await owner`SELECT name FROM routing_rests`).length, 0);
  });

  test('another key of the account is asked next, in the order in which they came', async () => {
    const poor = await account();
    await bring(poor, 'sk-own-first-key-1111');
    await bring(poor);
    upstream.queue(failure(401));
    assert.equal((await ask(first, poor)).status, 200);
    assert.deepEqual(askedWith(), ['sk-own-first-key-1111', ownText]);
  });

  test('our key is asked in its place only where the account has said so of each', async () => {
    const rich = await account('1');
    await bring(rich, ownText, true);
    upstream.queue(failure(401));
    assert.equal((await ask(first, rich)).status, 200);
    assert.deepEqual(askedWith(), [ownText, houseKey]);
    assert.equal(await balanceOf(rich), 1_000_000_000 - usualCost);
    await bring(rich, 'sk-own-second-key-2222', false);
    await untilFresh(first, rich, 2);
    upstream.forget();
    upstream.behave(failure(500));
    assert.equal((await ask(first, rich)).status, 503);
    assert.deepEqual([...new Set(askedWith())], [ownText, 'sk-own-second-key-2222']);
  });

  test('a wallet that could not pay for ours does not stand in the way of the account’s own', async () => {
    const poor = await account();
    await bring(poor, ownText, true);
    for (const body of [{}, { stream: true }, { max_tokens: 50 }]) {
      upstream.forget();
      assert.equal((await ask(first, poor, body)).status, 200);
      assert.deepEqual(askedWith(), [ownText]);
    }
    upstream.forget();
    upstream.behave(failure(500));
    assert.equal((await ask(first, poor)).status, 503);
    assert.deepEqual([...new Set(askedWith())], [ownText]);
  });

  test('a key that cannot be opened is no reason to take the wallet’s money', async () => {
    const rich = await account('1');
    await bring(rich, ownText, false, 'the secret of another installation');
    const { status, text } = await ask(first, rich);
    assert.equal(status, 403, text);
    assert.equal(JSON.parse(text).code, 'own_key_unusable');
    assert.match(JSON.parse(text).error, /OpenAI \(…7777\) cannot be read any more/);
    assert.equal((await seen(rich)).readable, false);
    // Nor does the sealed text of one account open in a row of another.
    const thief = await account('1');
    await owner`
      INSERT INTO provider_keys (id, user_id, provider, sealed, last_four)
      SELECT gen_random_uuid(), ${thief.userId}, provider, sealed, last_four FROM provider_keys
      WHERE last_four = '2222'`;
    assert.equal((await ask(first, thief)).status, 403);
    assert.deepEqual(askedWith(), []);
  });
});

/** Asks until so many keys are tried: within a second. */
async function untilFresh(server: Installation, who: Account, keys: number): Promise<void> {
  const began = performance.now();
  for (;;) {
    upstream.forget();
    upstream.behave(failure(500));
    await ask(server, who);
    if (new Set(askedWith()).size === keys) return;
    assert.ok(performance.now() - began < 1000, 'not within a second');
  }
}

/** Both servers answer so within a second. */
async function bothSay(status: number, who: Account): Promise<void> {
  const began = performance.now();
  for (const server of [first, second])
    for (;;) {
      const said = (await ask(server, who)).status;
      if (said === status) break;
      assert.ok(performance.now() - began < 1000, `still ${said}, not ${status}, after a second`);
      await sleep(10);
    }
}

test('brought, disabled, enabled and removed, it is so for both servers within a second', async () => {
  const poor = await account();
  await bothSay(402, poor);
  const { id, userId } = await bring(poor);
  await bothSay(200, poor);
  await enableProviderKey(owner, { id, userId }, false, 'the test');
  await bothSay(402, poor);
  await enableProviderKey(owner, { id, userId }, true, 'the test');
  await bothSay(200, poor);
  assert.equal(await removeProviderKey(owner, { id, userId: crypto.randomUUID() }, 'x'), null);
  await removeProviderKey(owner, { id, userId }, 'the test');
  await bothSay(402, poor);
  const changes = await owner<{ change: string; who: string }[]>`
    SELECT change, who FROM provider_key_changes WHERE key_id = ${id} ORDER BY id`;
  assert.deepEqual(
    changes.map(({ change, who }) => `${change} by ${who}`),
    ['added', 'disabled', 'enabled', 'removed'].map((change) => `${change} by the test`),
  );
});

test('no row of any table holds the text of a key', async () => {
  const tables = await owner<{ name: string }[]>`
    SELECT quote_ident(relname) AS name FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')`;
  const hex = Buffer.from(ownText).toString('hex');
  const holding: string[] = [];
  for (const { name } of tables) {
    const rows = await owner.unsafe(
      `SELECT 1 FROM ${name} AS row WHERE strpos(row::text, $1) > 0 OR strpos(row::text, $2) > 0 LIMIT 1`,
      [ownText, hex],
    );
    if (rows.length > 0) holding.push(name);
  }
  assert.deepEqual(holding, []);
  // The search finds what is there.
  const seenHere = await owner`
    SELECT FROM provider_keys AS row WHERE strpos(row::text, '7777') > 0 LIMIT 1`;
  assert.equal(seenHere.length, 1);
});

test('the command line takes a key from the standard input only, and never shows it', async () => {
  const poor = await account();
  const named = ['provider-key', 'add', '--email', poor.email, '--provider', 'openai', '--json'];
  const refused = await runAkai([...named, '--key', ownText], env, { input: ownText });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr + refused.stdout, /history of the shell/);
  const added = await runAkai([...named, '--note', 'mine'], env, { input: `${ownText}\n` });
  assert.equal(added.code, 0, added.stderr);
  const { id } = JSON.parse(added.stdout);
  assert.equal((await ask(first, poor)).status, 200);
  assert.deepEqual(askedWith(), [ownText]);
  const { keys } = await first.akai<{ keys: object[] }>(
    ...['provider-key', 'list', '--email', poor.email],
  );
  assert.deepEqual(keys, [
    { ...keys[0], id, lastFour: '7777', note: 'mine', fallback: false, enabled: true },
  ]);
  for (const { stdout, stderr } of [refused, added])
    assert.ok(!`${stdout}${stderr}`.includes(ownText));
  await first.akai('provider-key', 'remove', '--email', poor.email, '--id', id);
  await bothSay(402, poor);
  const elsewhere = [...named.slice(0, -2), 'groq'];
  const off = await runAkai(elsewhere, env, { input: ownText });
  assert.equal(off.code, 1);
  assert.match(off.stderr, /switched off in this sandbox/);
});
