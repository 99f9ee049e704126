/**
 * A server dies in mid-stream, or loses its database for so long that it must stop: the receipt of what it had delivered says who
 * answered, at which prices, and for how many tokens; and proves itself.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Sql } from '../src/db/connection.ts';
import type { SignedReceipt } from '../src/wallet/receipt_form.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { endlessStream } from './hostile_behaviours.ts';
import { type Installation, runAkai, startInstallation, temporaryDataDir } from './installation.ts';
import { model } from './providers.ts';
import { until } from './scratch_data.ts';
import { openSharedDatabase, type SharedDatabase } from './shared_database.ts';

const stack = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), 'akai-recovered-'));
stack.defer(() => rmSync(folder, { recursive: true, force: true }));
let database: SharedDatabase;
let upstream: Hostile;
let server: Installation;

async function serve(dataDir: string): Promise<Installation> {
  const env = {
    OPENAI_API_KEY: 'test',
    OPENAI_BASE_URL: upstream.baseUrl,
    RATE_LIMIT_RPM: '0',
    AKAI_SECRET: 'one secret for every server of these tests',
    LEASE_MS: '1500',
    RECOVERY_GRACE_MS: '500',
    MODEL_MARGINS: `${model}=12.5`,
  };
  return startInstallation({ databaseUrl: database.url, dataDir, env });
}

before(async () => {
  database = stack.use(await openSharedDatabase());
  upstream = await startHostile(endlessStream({ paceMs: 5 }));
  stack.defer(() => upstream.close());
  server = await serve(await temporaryDataDir());
});
after(async () => {
  const report = await server.akai('audit').finally(async () => {
    await server.remove();
    await stack.disposeAsync();
  });
  assert.equal(report.ok, true, JSON.stringify(report));
});

interface Begun {
  readonly id: string;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
}

async function begin({ baseUrl, key }: Installation): Promise<Begun> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
    signal: AbortSignal.timeout(20_000),
  });
  assert.equal(response.status, 200);
  assert.ok(response.body);
  const id = String(response.headers.get('x-request-id')).replace('req_', '');
  return { id, reader: response.body.getReader() };
}

interface HoldRow {
  readonly checkpoint: number;
  readonly basis: { readonly provider: string } | null;
}

async function holdOf(id: string): Promise<HoldRow | null> {
  const [row] = await database.owner<HoldRow[]>`
    SELECT checkpoint, basis FROM holds WHERE id = ${id}`;
  return row ?? null;
}

/** Waits for the receipt of a request, and checks all that it says. */
async function proven(id: string, reason: string): Promise<void> {
  await until('the request is recovered', async () => (await holdOf(id)) === null);
  const headers = { authorization: `Bearer ${server.key}` };
  const address = `${server.baseUrl}/generation?id=${id}&format=receipt`;
  const response = await fetch(address, { headers });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const { receipt }: SignedReceipt = JSON.parse(text);
  const { outcome, provider, upstream_model, usage_reported_by, finish_reason, attempts } = receipt;
  assert.deepEqual(
    { outcome, provider, upstream_model, usage_reported_by, finish_reason, attempts },
    {
      outcome: 'recovered',
      provider: 'openai',
      upstream_model: 'gpt-4o-mini',
      usage_reported_by: 'checkpoint',
      finish_reason: null,
      attempts: 1,
    },
    text,
  );
  assert.equal(receipt.reason, reason);
  assert.match(receipt.price_version ?? '', /^openai\/gpt-4o-mini@openai-[0-9a-f]{16}$/);
  const { tokens_prompt: prompt, tokens_completion: completion } = receipt;
  assert.ok(prompt > 0 && completion >= 256, text);
  const lines = receipt.lines.map((line) => [line.class, line.count, line.usd_each]);
  assert.deepEqual(lines, [
    ['input', prompt, '0.00000016875'],
    ['output', completion, '0.000000675'],
  ]);
  const cost = (prompt * 168_750 + completion * 675_000) / 1000;
  assert.equal(Math.round(Number(receipt.charged) * 1e9), Math.ceil(cost));
  assert.equal(receipt.paid_by_operator, '0');
  const file = join(folder, `${id}.json`);
  writeFileSync(file, text);
  const keys = join(folder, 'keys.json');
  writeFileSync(keys, await (await fetch(`${server.baseUrl}/receipt-keys`)).text());
  const verdict = await runAkai(['verify', file, '--public-key', keys], { DATA_DIR: folder });
  assert.equal(verdict.code, 0, verdict.stdout + verdict.stderr);
}

/** Holds the row of a hold, so that no checkpoint of it is saved, until it is let go. */
async function locked(id: string): Promise<() => Promise<void>> {
  const taken = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const done = database.owner.begin(async (sql) => {
    await sql`SELECT 1 FROM holds WHERE id = ${id} FOR UPDATE`;
    taken.resolve();
    await over.promise;
  });
  await taken.promise;
  return async () => {
    over.resolve();
    await done;
  };
}

/** Ends what waits for a lock on behalf of servers: what the dead one had sent must not be applied. */
async function endWaiting(sql: Sql): Promise<void> {
  await sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE '%ledger_checkpoint%'`;
  await until('nobody waits', async () => {
    const rows = await sql`
      SELECT 1 FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE '%ledger_checkpoint%'`;
    return rows.length === 0;
  });
}

test('killed before the database had heard of the stream: by its journal', async () => {
  const release = Promise.withResolvers<void>();
  const steps = endlessStream({ paceMs: 5 });
  upstream.behave(async function* (received) {
    yield { until: release.promise };
    yield* typeof steps === 'function' ? steps(received) : steps;
  });
  const opened = begin(server);
  opened.catch(() => {});
  let id = '';
  await until('its hold is there', async () => {
    const [row] = await database.owner<{ id: string }[]>`SELECT id FROM holds`;
    id = row?.id ?? '';
    return id !== '';
  });
  const letGo = await locked(id);
  release.resolve();
  const { reader } = await opened;
  await reader.read();
  const { dataDir } = server;
  await server.kill();
  await endWaiting(database.owner);
  await letGo();
  assert.deepEqual({ ...(await holdOf(id)) }, { checkpoint: 0, basis: null });
  upstream.behave(steps);
  server = await serve(dataDir);
  await proven(id, 'the server stopped while it was answering');
});

test('killed when the database knew of it: by another server', async () => {
  const doomed = await serve(await temporaryDataDir());
  const { id, reader } = await begin({ ...doomed, key: server.key });
  await until('its checkpoint grows', async () => {
    await reader.read();
    const hold = await holdOf(id);
    return (hold?.checkpoint ?? 0) > 400_000;
  });
  assert.equal((await holdOf(id))?.basis?.provider, 'openai');
  await doomed.kill();
  await proven(id, 'the server stopped while it was answering');
  await doomed.remove();
});

test('the database was away for longer than the lease: by the server itself, which lives', async () => {
  const { id, reader } = await begin(server);
  await until('its checkpoint is saved', async () => ((await holdOf(id))?.checkpoint ?? 0) > 0);
  const ended = (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
  await database.away(3000);
  await ended;
  await proven(id, 'the database was away');
});
