/** Idempotency-Key: the same key and body get the same answer for one charge, whatever happens in between. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { failure, json, stream } from './hostile_behaviours.ts';
import { model, usualCost } from './providers.ts';
import { until } from './scratch_data.ts';
import { startStreamScene } from './stream_scene.ts';

const { upstream, installation, books, accountWith, stop } = await startStreamScene();
after(stop);

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly requestId: string;
}

const messages = [{ role: 'user', content: 'Hello' }];

async function ask(
  idempotencyKey: string | null,
  body: object = {},
  key: string = installation.key,
): Promise<Answer> {
  const named: Record<string, string> =
    idempotencyKey === null ? {} : { 'idempotency-key': idempotencyKey };
  const response = await fetch(`${installation.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...named },
    body: JSON.stringify({ model, messages, ...body }),
    signal: AbortSignal.timeout(15_000),
  });
  const requestId = response.headers.get('x-request-id') ?? '';
  return {
    status: response.status,
    headers: response.headers,
    text: await response.text(),
    requestId,
  };
}

function freshKey(): string {
  return `order ${crypto.randomUUID()}`;
}

/** Requests that reach the provider while `work` runs. */
async function upstreamRequests(work: () => Promise<unknown>): Promise<number> {
  const before = upstream.received.length;
  await work();
  return upstream.received.length - before;
}

test('what nobody asked to keep is not kept', async () => {
  upstream.behave(json({ text: 'nothing of this' }));
  assert.equal((await ask(null)).status, 200);
  upstream.behave(stream({}));
  assert.equal((await ask(null, { stream: true })).status, 200);
  for (const table of ['answers', 'answer_parts', 'superseded_requests']) {
    const kept = await books.sql`SELECT 1 FROM ${books.sql(table)}`;
    assert.equal(kept.length, 0, table);
  }
});

describe('an answer in one piece', () => {
  test('the same key and body again: the same answer, one call, one charge', async () => {
    upstream.behave(json({ text: 'ঢাকা, of course' }));
    const key = freshKey();
    const first = await ask(key);
    assert.equal(first.status, 200, first.text);
    assert.equal(first.headers.get('idempotency-replayed'), null);
    upstream.behave(json({ text: 'something else' }));
    const calls = await upstreamRequests(async () => {
      for (let repeat = 0; repeat < 3; repeat += 1) {
        const again = await ask(key);
        assert.equal(again.text, first.text);
        assert.equal(again.requestId, first.requestId);
        assert.equal(again.headers.get('idempotency-replayed'), 'true');
        assert.equal(again.headers.get('x-stream-url'), null);
        assert.equal(again.headers.get('x-cost-usd'), first.headers.get('x-cost-usd'));
      }
    });
    assert.equal(calls, 0);
    assert.equal((await books.receipt(first.requestId)).charged, usualCost);
  });

  test('ten at once: one call to the provider, one answer for all', async () => {
    upstream.behave(json({ delayMs: 300 }));
    const key = freshKey();
    let answers: Answer[] = [];
    const calls = await upstreamRequests(async () => {
      answers = await Promise.all(Array.from({ length: 10 }, () => ask(key)));
    });
    assert.equal(calls, 1);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
    assert.equal(new Set(answers.map(({ requestId }) => requestId)).size, 1);
    const replays = answers.filter(({ headers }) => headers.get('idempotency-replayed'));
    assert.equal(replays.length, 9);
  });

  test('its client leaves: it is finished all the same, and the repeat gets it', async () => {
    upstream.behave(json({ delayMs: 300 }));
    const key = freshKey();
    const controller = new AbortController();
    const calls = await upstreamRequests(async () => {
      const gone = fetch(`${installation.baseUrl}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${installation.key}`, 'idempotency-key': key },
        body: JSON.stringify({ model, messages }),
        signal: controller.signal,
      });
      setTimeout(() => controller.abort(), 100);
      await assert.rejects(gone);
      const answer = await ask(key);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('idempotency-replayed'), 'true');
      assert.equal((await books.receipt(answer.requestId)).charged, usualCost);
    });
    assert.equal(calls, 1);
  });
});

describe('what does not match', () => {
  test('another body: 409, also while the first is under way', async () => {
    upstream.behave(json({ delayMs: 500 }));
    const key = freshKey();
    const calls = upstream.received.length;
    const first = ask(key);
    await until('the provider was asked', () => upstream.received.length > calls);
    for (const wait of [first, null]) {
      const other = await ask(key, { temperature: 1 });
      assert.equal(other.status, 409, other.text);
      assert.equal(JSON.parse(other.text).code, 'idempotency_key_reused');
      await wait;
    }
    const streamed = await ask(key, { stream: true });
    assert.equal(streamed.status, 409);
  });

  test('another account may use the same key', async () => {
    upstream.behave(json());
    const key = freshKey();
    const first = await ask(key);
    const { key: other } = await accountWith('5');
    const second = await ask(key, {}, other);
    assert.equal(second.status, 200);
    assert.notEqual(second.requestId, first.requestId);
    assert.equal(second.headers.get('idempotency-replayed'), null);
  });

  test('a key that is none: 400', async () => {
    for (const key of ['', 'x'.repeat(256), 'caf\u00e9']) {
      const { status, text } = await ask(key);
      assert.equal(status, 400, text);
      assert.equal(JSON.parse(text).param, 'Idempotency-Key');
    }
    upstream.behave(json());
    assert.equal((await ask('x'.repeat(255))).status, 200);
  });
});

describe('failures are not remembered', () => {
  test('503, then the same key runs anew', async () => {
    const key = freshKey();
    upstream.behave(failure(500));
    const failed = await ask(key);
    assert.equal(failed.status, 503);
    upstream.behave(json());
    const answered = await ask(key);
    assert.equal(answered.status, 200);
    assert.notEqual(answered.requestId, failed.requestId);
    assert.equal(answered.headers.get('idempotency-replayed'), null);
  });

  test('400 and 402, too; the body of a failed one binds nobody', async () => {
    const key = freshKey();
    assert.equal((await ask(key, { temperature: 9 })).status, 400);
    const { key: poor } = await accountWith('0.01');
    assert.equal((await ask(key, {}, poor)).status, 402);
    upstream.behave(json());
    assert.equal((await ask(key)).status, 200);
  });

  test('one that waits for an answer that fails hears the same error', async () => {
    const key = freshKey();
    upstream.behave([{ waitMs: 300 }, ...failure(500)]);
    const answers = await Promise.all([ask(key), ask(key), ask(key)]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [503, 503, 503],
    );
    assert.equal(new Set(answers.map(({ requestId }) => requestId)).size, 1);
  });

  test('a stream that breaks off without usage', async () => {
    const key = freshKey();
    upstream.behave(stream({ chunks: 20, usage: 'none', breakAfter: 5, breakWith: ['RESET'] }));
    const broken = await ask(key, { stream: true });
    assert.match(broken.text, /"finish_reason":"error"/);
    assert.equal((await books.receipt(broken.requestId)).charged, 0);
    upstream.behave(stream());
    const whole = await ask(key, { stream: true });
    assert.ok(whole.text.endsWith('data: [DONE]\n\n'));
    assert.notEqual(whole.requestId, broken.requestId);
  });
});

test('charged, and dead before its answer was kept: it runs anew, and the first charge is given back', async () => {
  upstream.behave(json());
  const key = freshKey();
  const first = await ask(key);
  const id = first.requestId.replace('req_', '');
  // As if its process had died between the two commits.
  await books.sql`DELETE FROM answer_parts WHERE answer = ${id}`;
  await books.sql`
    UPDATE answers SET state = 'running', head = NULL, instance = gen_random_uuid() WHERE id = ${id}`;
  const again = await ask(key);
  assert.equal(again.status, 200);
  assert.notEqual(again.requestId, first.requestId);
  assert.equal((await books.receipt(again.requestId)).charged, usualCost);
  const refunds = () => books.sql<{ amount: number }[]>`
    SELECT amount FROM transfers WHERE kind = 'refund' AND note LIKE ${`${first.requestId}%`}`;
  await until('it is given back', async () => (await refunds()).length > 0);
  assert.deepEqual(
    (await refunds()).map(({ amount }) => amount),
    [usualCost],
  );
  // The same once more gives nothing back twice.
  await books.sql`
    INSERT INTO superseded_requests SELECT ${id}, id, key_id, key_hash, body_hash
    FROM answers WHERE id = ${again.requestId.replace('req_', '')}`;
  await books.sql`SELECT ledger_refund_superseded()`;
  assert.equal((await refunds()).length, 1);
});

describe('a stream', () => {
  test('is joined from its beginning while it runs, and repeated when it is over', async () => {
    upstream.behave(stream({ chunks: 40, paceMs: 15 }));
    const key = freshKey();
    const body = { stream: true, stream_options: { include_usage: true } };
    const calls = await upstreamRequests(async () => {
      const first = ask(key, body);
      await new Promise((resolve) => setTimeout(resolve, 250));
      const joined = await ask(key, body);
      const { text, requestId } = await first;
      assert.ok(text.endsWith('data: [DONE]\n\n'), text.slice(-200));
      assert.equal(joined.text, text);
      const again = await ask(key, body);
      assert.equal(again.text, text);
      assert.equal(again.requestId, requestId);
      assert.equal(again.headers.get('content-type'), 'text/event-stream; charset=utf-8');
      assert.equal((await books.receipt(requestId)).charged, usualCost);
    });
    assert.equal(calls, 1);
  });
});
