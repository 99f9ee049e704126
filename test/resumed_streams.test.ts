/** Streams whose clients lose their connections, two servers on one database: nothing is lost, nothing is paid twice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { type Hostile, startHostile } from './hostile.ts';
import { endlessStream, stream } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { model, usualCost } from './providers.ts';
import { until } from './scratch_data.ts';
import { openSharedDatabase, type SharedDatabase } from './shared_database.ts';
import { type Connection, StreamReader } from './stream_reader.ts';

const leaseMs = 2000;
const graceMs = 500;
const unattendedMs = 1500;

const stack = new AsyncDisposableStack();
let database: SharedDatabase;
let upstream: Hostile;
let first: Installation;
let second: Installation;

async function serve(): Promise<Installation> {
  const env = {
    OPENAI_API_KEY: 'test',
    OPENAI_BASE_URL: upstream.baseUrl,
    RATE_LIMIT_RPM: '0',
    AKAI_SECRET: 'one secret for every server of these tests',
    LEASE_MS: `${leaseMs}`,
    RECOVERY_GRACE_MS: `${graceMs}`,
    UNATTENDED_STREAM_MS: `${unattendedMs}`,
    KEEP_ALIVE_MS: '150',
    KEPT_ANSWER_BYTES: '200000',
  };
  return stack.use(await startInstallation({ databaseUrl: database.url, env }));
}

before(async () => {
  database = stack.use(await openSharedDatabase());
  upstream = await startHostile();
  stack.defer(() => upstream.close());
  [first, second] = await Promise.all([serve(), serve()]);
});
after(async () => {
  await until('every hold has ended', async () => (await count('holds')) === 0);
  const report = await first.akai('audit').finally(() => stack.disposeAsync());
  assert.equal(report.ok, true, JSON.stringify(report));
});

async function count(table: string): Promise<number> {
  const { owner } = database;
  const [row] = await owner<{ n: number }[]>`SELECT count(*) AS n FROM ${owner(table)}`;
  return row?.n ?? 0;
}

interface Receipt {
  readonly outcome: string;
  readonly charged: number;
  readonly output_tokens: number;
  readonly detail: { readonly reason: string | null };
}

async function receiptOf(requestId: string): Promise<Receipt> {
  const id = requestId.replace('req_', '');
  const found: Receipt[] = [];
  await until(`${requestId} has a receipt`, async () => {
    found.push(...(await database.owner<Receipt[]>`SELECT * FROM receipts WHERE id = ${id}`));
    return found.length > 0;
  });
  const [receipt] = found;
  assert.ok(receipt);
  return receipt;
}

/** A body that asks for a stream of its own; resumable unless a key makes it so. */
function bodyOf(options: object = {}): Record<string, unknown> {
  const messages = [{ role: 'user', content: 'Hi' }];
  return { model, stream: true, messages, stream_options: { resumable: true, ...options } };
}

function contentOf(text: string): string {
  return text
    .split('\n\n')
    .map((event) => /^data: (\{.*)$/m.exec(event)?.[1])
    .map((data) => (data === undefined ? '' : (JSON.parse(data).choices[0]?.delta.content ?? '')))
    .join('');
}

async function call(
  { baseUrl }: Installation,
  method: string,
  path: string,
  key = first.key,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(`${baseUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...headers },
    signal: AbortSignal.timeout(15_000),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** Every server, with the one key of these tests. */
function via({ baseUrl }: Installation): Connection {
  return { baseUrl, key: first.key };
}

function pathOf(reader: StreamReader): string {
  return (reader.address ?? '').slice('/v1'.length);
}

test('1,000 cuts at random offsets: the joined text is the uncut one to the byte, for one charge each', async () => {
  const streams = 40;
  const cutsEach = 25;
  const words = Array.from({ length: 120 }, (_, index) => `w${index} `);
  upstream.behave(stream({ chunks: words, paceMs: 12 }));
  const seed = Date.now() % 1_000_000;
  let state = seed;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  const before = upstream.received.length;
  let cuts = 0;
  const readers = await Promise.all(
    Array.from({ length: streams }, async (_, index) => {
      const body =
        index % 2 ? bodyOf({ include_usage: true }) : { ...bodyOf(), stream_options: null };
      const reader = new StreamReader(body, index % 2 ? null : `cut ${seed} ${index}`);
      for (let cut = 0; cut < cutsEach; cut += 1) {
        // Without its address a stream can only be found again by its key.
        const isNew = reader.address === null && index % 2 === 1;
        await reader.read(via(random(2) ? first : second), isNew ? 1 + random(1200) : random(1200));
        cuts += reader.isWhole ? 0 : 1;
        if (reader.isWhole) break;
      }
      for (let tries = 0; !reader.isWhole && tries < 5; tries += 1)
        await reader.read(via(random(2) ? first : second));
      return reader;
    }),
  );
  assert.ok(cuts >= 1000, `${cuts} cuts`);
  assert.equal(upstream.received.length - before, streams, `seed ${seed}`);
  for (const reader of readers) {
    const uncut = await Promise.all(
      [first, second].map((server) => call(server, 'GET', pathOf(reader))),
    );
    for (const { text } of uncut) assert.ok(reader.text === text, `seed ${seed}`);
    assert.equal(contentOf(reader.text), words.join(''));
    assert.ok(reader.text.endsWith('data: [DONE]\n\n'));
    const ids = [...reader.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    assert.deepEqual(
      ids,
      ids.map((_, index) => index + 1),
    );
    assert.equal((await receiptOf(reader.requestId)).charged, usualCost);
  }
  const ids = readers.map(({ requestId }) => requestId.replace('req_', ''));
  const charges = await database.owner`
    SELECT id FROM transfers WHERE kind = 'charge' AND id = ANY (${ids}::uuid[])`;
  assert.equal(charges.length, streams);
});

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
  const refunds = () => database.owner<{ amount: number; note: string }[]>`
    SELECT amount, note FROM transfers WHERE kind = 'refund' AND note LIKE ${`${cut.requestId}%`}`;
  await until('it is given back', async () => (await refunds()).length > 0);
  await database.owner`SELECT ledger_refund_superseded()`;
  const [refund, ...more] = await refunds();
  assert.deepEqual(more, []);
  assert.equal(refund?.amount, recovered.charged);
  assert.ok(refund.note.includes(again.requestId));
  // What the dead one had written is not read to an end any more.
  const gone = await call(first, 'GET', `${pathOf(cut)}?last_event_id=1000000`);
  assert.equal(gone.status, 410, gone.text);
  const replay = new StreamReader(body, key);
  await replay.read(via(first));
  assert.equal(replay.text, again.text);
});

test('cancelled through the other server: the provider is stopped, what was delivered is charged, and the end says so', async () => {
  upstream.forget();
  upstream.behave(endlessStream({ paceMs: 5 }));
  const reader = new StreamReader(bodyOf({ include_usage: true }), null);
  const reading = reader.read(via(first));
  const received = await upstream.request();
  await sleep(400);
  assert.ok(reader.address === null || received.finished === false);
  const [running] = await database.owner<{ id: string }[]>`
    SELECT id FROM answers WHERE state = 'running' ORDER BY id DESC LIMIT 1`;
  assert.ok(running);
  const path = `/streams/req_${running.id.replaceAll('-', '')}`;
  assert.equal((await call(second, 'DELETE', path)).status, 200);
  const began = performance.now();
  await received.gone;
  assert.ok(performance.now() - began < 1000);
  await reading;
  assert.ok(reader.isWhole);
  assert.match(reader.text, /"ended_by":"cancelled"/);
  assert.ok(reader.text.endsWith('data: [DONE]\n\n'));
  const receipt = await receiptOf(reader.requestId);
  assert.equal(receipt.outcome, 'estimated');
  assert.equal(receipt.detail.reason, 'the client cancelled it');
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

test('what is not the account’s, or no stream, is not found; a wrong Last-Event-ID is refused', async () => {
  upstream.behave(stream());
  const reader = new StreamReader(bodyOf(), null);
  await reader.read(via(first));
  const email = 'stranger@example.com';
  await first.akai('user', 'create', '--email', email, '--password', 'correct horse battery');
  const { key } = await first.akai<{ key: string }>(
    ...(['key', 'create', '--email', email, '--name', 'test'] as const),
  );
  for (const method of ['GET', 'DELETE'])
    for (const [path, asking] of [
      [pathOf(reader), key],
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
      { idempotencyKey: 'the SDK says so' },
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
