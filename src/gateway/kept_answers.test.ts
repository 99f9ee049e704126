/** Those who wait for an answer that another request writes: how many, what they keep, and what they ask the database. */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type LedgerProcess, Ledgers } from '../../test/ledgers.ts';
import { listen } from '../../test/listen.ts';
import { until } from '../../test/scratch_data.ts';
import { AnswerStore, type Owner, type Page } from '../answers/store.ts';
import { ApiError } from '../errors.ts';
import { requestIdIn } from '../ids.ts';
import { Exchange } from './exchange.ts';
import { KeptAnswers } from './kept_answers.ts';
import type { Outlet } from './outlet.ts';

class CountingStore extends AnswerStore {
  reads = 0;

  override read(id: string, keyId: string, after: number): Promise<Page | null> {
    this.reads += 1;
    return super.read(id, keyId, after);
  }
}

interface Gateway {
  readonly store: CountingStore;
  /** POST: a request with an Idempotency-Key; GET: resumes `id` behind `after`; of `account` and `key`. */
  ask(method: string, query: Record<string, string>, body?: Buffer): Promise<Response>;
}

const bodies: WeakRef<Buffer>[] = [];
const servers: Server[] = [];
const stores: AnswerStore[] = [];
let ledgers: Ledgers;
let ledgerProcess: LedgerProcess;
/** How the one that runs writes its answer. */
let run: (outlet: Outlet) => Promise<void> = async () => {};

before(async () => {
  ledgers = await Ledgers.open();
  ledgerProcess = await ledgers.start();
});
after(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  for (const store of stores) store.stop();
  await ledgers[Symbol.asyncDispose]();
});

async function answer(kept: KeptAnswers, exchange: Exchange): Promise<void> {
  const query = new URLSearchParams(exchange.request.url?.split('?')[1] ?? '');
  const owner: Owner = { account: query.get('account') ?? '', keyId: query.get('key') ?? '' };
  if (exchange.request.method === 'GET')
    return kept.resume(exchange, query.get('id') ?? '', owner, Number(query.get('after')));
  const repeated = await first(kept, exchange, owner, query.get('idempotency') ?? '');
  if (repeated) await kept.repeat(exchange, repeated);
}

async function first(kept: KeptAnswers, exchange: Exchange, owner: Owner, key: string) {
  const body = await exchange.body(100_000_000);
  bodies.push(new WeakRef(body));
  return kept.answer(exchange, { owner, key, body }, (outlet) => run(outlet));
}

async function gatewayOf(): Promise<Gateway> {
  const sql = ledgers.database.connect({ max: 3, name: 'test kept' });
  const settings = {
    secret: 'a secret of at least 32 characters',
    instance: ledgerProcess.lease.instance,
  };
  const shares = { answerBytes: 1_000_000, accountBytes: 10_000_000 };
  const store = new CountingStore(sql, { ...settings, ...shares, log: () => {} });
  stores.push(store);
  await store.start();
  const kept = new KeptAnswers(store, {
    unattendedMs: 20_000,
    answerBytes: 1_000_000,
    keepAliveMs: 20_000,
    stalledClientMs: 20_000,
    touchMs: 5000,
  });
  const server = createServer((request, response) => {
    const exchange = new Exchange(request, response);
    answer(kept, exchange).catch((error: unknown) => {
      exchange.fail(error instanceof ApiError ? error : new ApiError('internal_error'));
    });
  });
  servers.push(server);
  const port = await listen(server);
  const ask: Gateway['ask'] = (method, query, body) =>
    fetch(`http://127.0.0.1:${port}/?${new URLSearchParams(query)}`, {
      method,
      signal: AbortSignal.timeout(12_000),
      ...(body ? { body: new Uint8Array(body) } : {}),
    });
  return { store, ask };
}

function fresh(): Record<string, string> {
  const [account, key, idempotency] = [1, 2, 3].map(() => crypto.randomUUID());
  return { account: account ?? '', key: key ?? '', idempotency: idempotency ?? '' };
}

function idOf(response: Response): string {
  const id = requestIdIn(response.headers.get('x-request-id') ?? '');
  assert.ok(id);
  return id;
}

test('of one answer 20 may wait in a process, of one account 50; others hear 429, and none keeps its body', async () => {
  const gateway = await gatewayOf();
  const end = Promise.withResolvers<void>();
  run = async (outlet) => {
    await end.promise;
    outlet.json('{"it":"is"}', []);
  };
  const query = fresh();
  bodies.length = 0;
  const asked = Array.from({ length: 3 }, (_, of) => ({ ...query, idempotency: `${of}` }));
  const owners = asked.map((one) => gateway.ask('POST', one, Buffer.alloc(1_000_000)));
  await until('they run', () => bodies.length === 3);
  await sleep(100);
  const waiting = asked.flatMap((one) =>
    Array.from({ length: 21 }, () => gateway.ask('POST', one, Buffer.alloc(1_000_000))),
  );
  await until('all are there', () => bodies.length === 66);
  await sleep(300);
  setFlagsFromString('--expose_gc');
  runInNewContext('gc')();
  await sleep(50);
  runInNewContext('gc')();
  const held = bodies.filter((body) => body.deref() !== undefined).length;
  end.resolve();
  const answers = await Promise.all(waiting);
  const refused = answers.filter(({ status }) => status === 429);
  assert.equal(refused.length, 13);
  assert.equal(refused[0]?.headers.get('retry-after'), '1');
  assert.equal(answers.slice(0, 21).filter(({ status }) => status === 200).length, 20);
  for (const one of await Promise.all(owners)) assert.equal(one.status, 200);
  assert.ok(held <= 6, `${held} of 66 bodies are still held`);
  // Their places are free again.
  assert.equal((await gateway.ask('POST', asked[0] ?? {}, Buffer.alloc(1_000_000))).status, 200);
});

test('ten that wait ask the database as one, ever more seldom where this process writes, and hear of the end at once', async () => {
  const [writer, other] = [await gatewayOf(), await gatewayOf()];
  const end = Promise.withResolvers<void>();
  run = async (outlet) => {
    await end.promise;
    outlet.json('{"it":"is"}', []);
  };
  const query = fresh();
  const body = Buffer.from('{}');
  const owner = writer.ask('POST', query, body);
  await until('it runs', async () => {
    const rows = await ledgers.owner`SELECT 1 FROM answers WHERE account = ${query.account ?? ''}`;
    return rows.length === 1;
  });
  const waiting = [writer, other].flatMap((gateway) =>
    Array.from({ length: 10 }, async () => {
      const response = await gateway.ask('POST', query, body);
      return [response.status, await response.text(), performance.now()] as const;
    }),
  );
  await sleep(3000);
  assert.ok(writer.store.reads < 20, `${writer.store.reads} reads where it is written`);
  assert.ok(other.store.reads < 60, `${other.store.reads} reads elsewhere`);
  const ended = performance.now();
  end.resolve();
  for (const [status, text, at] of await Promise.all(waiting)) {
    assert.deepEqual([status, text], [200, '{"it":"is"}']);
    assert.ok(at - ended < 450, `${at - ended} ms`);
  }
  assert.equal((await owner).status, 200);
});

test('an answer in one piece is given whole, whatever event is asked for', async () => {
  const gateway = await gatewayOf();
  run = async (outlet) => outlet.json('{"it":"is"}', []);
  const query = fresh();
  const id = idOf(await gateway.ask('POST', query, Buffer.from('{}')));
  for (const after of ['1', '7']) {
    const again = await gateway.ask('GET', { ...query, id, after });
    assert.deepEqual([again.status, await again.text()], [200, '{"it":"is"}']);
  }
});

test('an event beyond the end: refused while the stream runs, the end at once when it is over', async () => {
  const gateway = await gatewayOf();
  const end = Promise.withResolvers<void>();
  run = async (outlet) => {
    outlet.head(['content-type', 'text/event-stream']);
    outlet.write('data: 1\n\ndata: 2\n\n');
    await end.promise;
    outlet.end('data: 3\n\n');
  };
  const query = fresh();
  const response = await gateway.ask('POST', query, Buffer.from('{}'));
  const id = idOf(response);
  const began = performance.now();
  // Ahead of what is stored by a moment only, as who had it from the writer itself.
  const near = gateway.ask('GET', { ...query, id, after: '2' });
  const beyond = await gateway.ask('GET', { ...query, id, after: '1000' });
  assert.equal(beyond.status, 400);
  assert.match(await beyond.text(), /last event so far is 2/);
  assert.ok(performance.now() - began < 6000);
  end.resolve();
  assert.equal(await (await near).text(), 'id: 3\ndata: 3\n\n');
  await response.text();
  const over = await gateway.ask('GET', { ...query, id, after: '1000' });
  assert.deepEqual([over.status, await over.text()], [200, '']);
});
