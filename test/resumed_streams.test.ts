/** Answers that are kept, between two gateways: joined, resumed, cancelled, left alone, and lost with the process that wrote them. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { endlessStream, json, stream } from './hostile_behaviours.ts';
import type { Installation } from './installation.ts';
import { bodyOf, contentOf, pathOf, startKeptScene, unattendedMs } from './kept_scene.ts';
import { model, usualCost } from './providers.ts';
import { until } from './scratch_data.ts';
import { StreamReader } from './stream_reader.ts';

const { database, upstream, first, second, serve, via, receiptOf, refundsOf, call, stop } =
  await startKeptScene();
after(stop);

test('a server dies in mid-stream: the same key gets a new answer, and the recovered charge is given back', async () => {
  const doomed = await serve();
  const key = `crash ${crypto.randomUUID()}`;
  const body = { ...bodyOf(), stream_options: null };
  upstream.behave(endlessStream({ paceMs: 5 }));
  const cut = new StreamReader(body, key);
  await cut.read(via(doomed), 20_000);
  await sleep(300);
  await doomed.kill();
  upstream.behave(stream());
  let again = new StreamReader(body, key);
  await until('the repeat is answered', async () => {
    // While the lease of the dead runs, what it had written is all there is.
    again = new StreamReader(body, key);
    await again.read(via(second));
    return again.isWhole;
  });
  assert.notEqual(again.requestId, cut.requestId);
  assert.ok(again.text.endsWith('data: [DONE]\n\n'));
  const recovered = await receiptOf(cut.requestId);
  assert.equal(recovered.outcome, 'recovered');
  assert.ok(recovered.charged > 0);
  assert.equal((await receiptOf(again.requestId)).charged, usualCost);
  await until('it is given back', async () => (await refundsOf(cut)).length > 0);
  await database.owner`SELECT ledger_refund_superseded()`;
  const [refund, ...more] = await refundsOf(cut);
  assert.deepEqual(more, []);
  // At most what was charged instead.
  assert.equal(refund?.amount, Math.min(recovered.charged, usualCost));
  assert.ok(refund.note.includes(again.requestId));
  // What the dead one had written is not read to an end any more.
  const gone = await call(first, 'GET', `${pathOf(cut)}?last_event_id=1000000`);
  assert.equal(gone.status, 410, gone.text);
  const replay = new StreamReader(body, key);
  await replay.read(via(first));
  assert.equal(replay.text, again.text);
});

test('a server is stopped in mid-stream: what it had is there, the end is not, and the same key gets it all', async () => {
  const stopping = await serve({ DRAIN_TIMEOUT_MS: '200' });
  const key = `stop ${crypto.randomUUID()}`;
  const body = { ...bodyOf(), stream_options: null };
  upstream.behave(endlessStream({ paceMs: 5 }));
  const cut = new StreamReader(body, key);
  const reading = cut.read(via(stopping));
  await until('it is under way', () => cut.received > 5000);
  assert.equal(await stopping.stop(), 0);
  await reading;
  assert.ok(!cut.isWhole && cut.lastEvent > 10);
  const rest = new StreamReader(body, null);
  rest.address = cut.address;
  await rest.read(via(second));
  assert.ok(!rest.isWhole && rest.text.startsWith(cut.text.slice(0, 1000)));
  assert.equal((await call(second, 'GET', `${pathOf(cut)}?last_event_id=99999`)).status, 410);
  upstream.behave(stream());
  const again = new StreamReader(body, key);
  await again.read(via(second));
  assert.ok(again.isWhole && again.text.endsWith('data: [DONE]\n\n'));
  const { outcome, charged } = await receiptOf(cut.requestId);
  assert.equal(outcome, 'estimated');
  await until('it is given back', async () => (await refundsOf(cut)).length > 0);
  assert.equal((await refundsOf(cut))[0]?.amount, Math.min(charged, usualCost));
});

test('an answer in one piece is waited for through the other server', async () => {
  upstream.behave(json({ delayMs: 500 }));
  const key = `one piece ${crypto.randomUUID()}`;
  const before = upstream.received.length;
  const ask = async ({ baseUrl }: Installation): Promise<[string | null, string]> => {
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${first.key}`, 'idempotency-key': key },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
    });
    assert.equal(response.status, 200);
    return [response.headers.get('x-request-id'), await response.text()];
  };
  const answers = await Promise.all([ask(first), ask(second), ask(first), ask(second)]);
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal(upstream.received.length - before, 1);
});

test('the database is away in mid-stream: the stream goes on, and is kept whole', async () => {
  upstream.behave(stream({ chunks: 100, paceMs: 20 }));
  const key = `away ${crypto.randomUUID()}`;
  const body = { ...bodyOf(), stream_options: null };
  const reader = new StreamReader(body, key);
  const reading = reader.read(via(first));
  await sleep(500);
  await database.away(700);
  await reading;
  assert.ok(reader.isWhole);
  assert.equal(contentOf(reader.text), 'word '.repeat(100));
  const again = new StreamReader(body, key);
  await until('the other server is back, too', async () => {
    await again.read(via(second));
    return again.isWhole;
  });
  assert.ok(again.text === reader.text && again.requestId === reader.requestId);
  assert.equal((await receiptOf(reader.requestId)).charged, usualCost);
});

test('cancelled through the other server: the provider is stopped, what was delivered is charged, and the end says so', async () => {
  upstream.forget();
  upstream.behave(endlessStream({ paceMs: 5 }));
  const reader = new StreamReader(bodyOf({ include_usage: true }), null);
  const reading = reader.read(via(first));
  const received = await upstream.request();
  await until('it is under way', () => reader.received > 0);
  assert.ok(reader.address === null || received.finished === false);
  const [running] = await database.owner<{ id: string }[]>`
    SELECT id FROM answers WHERE state = 'running' ORDER BY id DESC LIMIT 1`;
  assert.ok(running);
  const path = `/streams/req_${running.id.replaceAll('-', '')}`;
  const cancelled = await call(second, 'DELETE', path);
  assert.deepEqual(JSON.parse(cancelled.text), {
    id: path.slice('/streams/'.length),
    object: 'stream',
    cancelled: true,
  });
  const began = performance.now();
  await received.gone;
  assert.ok(performance.now() - began < 10_000);
  await reading;
  assert.ok(reader.isWhole);
  assert.match(reader.text, /"ended_by":"cancelled"/);
  assert.ok(reader.text.endsWith('data: [DONE]\n\n'));
  const receipt = await receiptOf(reader.requestId);
  assert.equal(receipt.outcome, 'estimated');
  assert.equal(receipt.detail.reason, 'the client cancelled it');
  assert.match(reader.text, /"finish_reason":"length"/);
  assert.equal(receipt.detail.finishReason, 'length');
  assert.equal(receipt.output_tokens, Math.ceil(contentOf(reader.text).length / 4));
  assert.equal((await call(second, 'GET', path)).text, reader.text);
  assert.equal((await call(second, 'DELETE', path)).status, 200);
});

test('nobody reads it: it goes on for the time that is set, no longer; whoever reads it keeps it going', async () => {
  upstream.forget();
  upstream.behave(endlessStream({ paceMs: 20 }));
  const reader = new StreamReader(bodyOf(), null);
  await reader.read(via(first), 2000);
  const received = await upstream.request();
  const kept = reader.read(via(second), 60_000);
  const left = performance.now();
  await sleep(2 * unattendedMs);
  assert.equal(received.closedAt, null, 'a stream that is read was stopped');
  upstream.forget();
  const other = new StreamReader(bodyOf(), null);
  await other.read(via(first), 2000);
  const alone = await upstream.request();
  await alone.gone;
  const waited = (alone.closedAt ?? 0) - alone.at;
  assert.ok(waited > unattendedMs && waited < 3 * unattendedMs + 500, `${waited} ms`);
  assert.equal((await receiptOf(other.requestId)).outcome, 'estimated');
  assert.match((await call(second, 'GET', pathOf(other))).text, /"ended_by":"client_left"/);
  await call(first, 'DELETE', pathOf(reader));
  await kept;
  assert.ok(performance.now() - left > 2 * unattendedMs);
});

test('a stream without the wish ends with its client, as ever', async () => {
  upstream.forget();
  upstream.behave(endlessStream({ paceMs: 5 }));
  const response = await fetch(`${first.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${first.key}` },
    body: JSON.stringify({ ...bodyOf(), stream_options: null }),
  });
  assert.equal(response.headers.get('x-stream-url'), null);
  const text = response.body?.getReader();
  const part = Buffer.from((await text?.read())?.value ?? []).toString();
  assert.doesNotMatch(part, /^id:/m);
  const received = await upstream.request();
  await text?.cancel();
  const began = performance.now();
  await received.gone;
  assert.ok(performance.now() - began < 500);
  assert.deepEqual(received.body?.stream_options, { include_usage: true });
});

test('what is not the key’s, be it the account’s, or no stream, is not found; a wrong Last-Event-ID is refused', async () => {
  upstream.behave(stream());
  const reader = new StreamReader(bodyOf(), null);
  await reader.read(via(first));
  const email = 'stranger@example.com';
  await first.akai('user', 'create', '--email', email, '--password', 'correct horse battery');
  const { key } = await first.akai<{ key: string }>(
    ...(['key', 'create', '--email', email, '--name', 'test'] as const),
  );
  const own = await first.akai<{ key: string }>(
    ...(['key', 'create', '--email', first.email, '--name', 'second'] as const),
  );
  for (const method of ['GET', 'DELETE'])
    for (const [path, asking] of [
      [pathOf(reader), key],
      [pathOf(reader), own.key],
      [`/streams/req_${'0'.repeat(32)}`, first.key],
      ['/streams/nonsense', first.key],
    ] as const)
      assert.equal((await call(second, method, path, asking)).status, 404);
  const bad = await call(first, 'GET', pathOf(reader), first.key, { 'last-event-id': 'x' });
  assert.equal(bad.status, 400);
  assert.equal(JSON.parse(bad.text).param, 'Last-Event-ID');
  const none = await call(first, 'GET', `${pathOf(reader)}?last_event_id=${reader.lastEvent}`);
  assert.deepEqual([none.status, none.text], [200, '']);
});

test('an answer that is too large is delivered, once: its repeat is told so, and is not charged', async () => {
  const key = `large ${crypto.randomUUID()}`;
  const body = { ...bodyOf(), stream_options: null };
  upstream.behave(stream({ chunks: Array<string>(60).fill('x'.repeat(5000)), paceMs: 5 }));
  const reader = new StreamReader(body, key);
  await reader.read(via(first));
  assert.equal(contentOf(reader.text).length, 300_000);
  const before = upstream.received.length;
  for (const server of [first, second]) {
    const again = new StreamReader(body, key);
    await again.read(via(server));
    assert.equal(again.status, 409);
  }
  assert.equal(upstream.received.length, before);
  assert.equal((await call(first, 'GET', pathOf(reader))).status, 409);
  const [left] = await database.owner<{ n: number }[]>`
    SELECT count(*) AS n FROM answer_parts WHERE answer = ${reader.requestId.replace('req_', '')}`;
  assert.equal(left?.n, 0);
});

test('nothing that a model wrote stands in the database as it is; old answers are deleted', async () => {
  upstream.behave(stream({ chunks: ['canary-in-the-answer '] }));
  const reader = new StreamReader(bodyOf(), null);
  await reader.read(via(first));
  const { owner } = database;
  const id = reader.requestId.replace('req_', '');
  const parts = await owner<{ sealed: Buffer }[]>`
    SELECT sealed FROM answer_parts WHERE answer = ${id}
    UNION ALL SELECT head FROM answers WHERE id = ${id}`;
  assert.ok(parts.length >= 2);
  for (const { sealed } of parts)
    assert.ok(!sealed.includes('canary') && !sealed.includes('event-stream'));
  const total = async (): Promise<number> =>
    (await owner<{ n: number }[]>`SELECT sum(bytes)::bigint AS n FROM answer_totals`)[0]?.n ?? 0;
  const expected = await owner<{ n: number }[]>`SELECT sum(bytes)::bigint AS n FROM answers`;
  assert.equal(await total(), expected[0]?.n);
  await owner`UPDATE answers SET expires_at = now() - interval '1 second' WHERE id = ${id}`;
  assert.equal((await call(first, 'GET', pathOf(reader))).status, 404);
  await owner`SELECT answer_expire(1000)`;
  const rest = await owner<{ n: number }[]>`SELECT sum(bytes)::bigint AS n FROM answers`;
  assert.equal(await total(), rest[0]?.n);
  const orphans = await owner`SELECT 1 FROM answer_parts WHERE answer = ${id}`;
  assert.equal(orphans.length, 0);
});

test('silence is filled with comments that end no event; the official SDK reads on', async () => {
  const slow = stream({ chunks: ['one ', 'two ', 'three'], eventsPerWrite: 3, paceMs: 400 });
  upstream.behave(slow);
  for (const options of [{ resumable: true }, {}]) {
    const response = await fetch(`${first.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${first.key}` },
      body: JSON.stringify({ ...bodyOf(), stream_options: options }),
    });
    const text = await response.text();
    assert.match(text, /\n\n(?:: keep-alive\n)+(?:id: \d+\n)?data: /);
    assert.doesNotMatch(text, /keep-alive\n\n/);
  }
  const client = new OpenAI({ apiKey: first.key, baseURL: first.baseUrl, maxRetries: 0 });
  const options: object = { resumable: true };
  const { data, response } = await client.chat.completions
    .create(
      {
        model,
        stream: true,
        messages: [{ role: 'user', content: 'Hi' }],
        stream_options: { include_usage: true, ...options },
      },
      { headers: { 'Idempotency-Key': 'the SDK says so' } },
    )
    .withResponse();
  assert.match(response.headers.get('x-stream-url') ?? '', /^\/v1\/streams\/req_[0-9a-f]{32}$/);
  let said = '';
  let usage: unknown = null;
  for await (const chunk of data) {
    said += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(said, 'one two three');
  assert.ok(usage);
});
