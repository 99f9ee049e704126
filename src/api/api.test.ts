/** The site's API through a real server: keys, wallet, and that the OpenAPI document tells the truth. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { z } from 'zod';
import { startInstallation } from '../../test/installation.ts';
import { type Answer, member, newVisitor, refused, Visitor } from '../../test/site_visitor.ts';
import { endpoints } from './api.ts';
import { openApiDocument } from './openapi.ts';

const installation = await startInstallation();
const { origin, akai } = installation;
after(() => installation.remove());

const unknownId = randomUUID();

test('a key is shown once, and works', async () => {
  const visitor = await newVisitor(origin);
  refused(await new Visitor(origin).post('/api/keys', { name: 'x' }), 401, 'missing_session');
  refused(await visitor.post('/api/keys', {}), 400, 'invalid_request', 'name');
  refused(
    await visitor.post('/api/keys', { name: 'x', userId: unknownId }),
    400,
    'invalid_request',
    'userId',
  );
  refused(
    await visitor.post('/api/keys', { name: 'x', allowedNetworks: ['10.0.0.7/8'] }),
    400,
    'invalid_request',
    'allowedNetworks.0',
  );
  refused(
    await visitor.post('/api/keys', { name: 'x', limits: { daily: '-1' } }),
    400,
    'invalid_request',
    'limits.daily',
  );
  refused(
    await visitor.post('/api/keys', { name: 'x', expiresAt: 'tomorrow' }),
    400,
    'invalid_request',
    'expiresAt',
  );
  const made = await visitor.post('/api/keys', {
    name: 'bot',
    allowedNetworks: ['127.0.0.1', '2001:db8::/32'],
    expiresAt: '2031-01-01T00:00:00+06:00',
    errorFormat: 'object',
    limits: { total: 5, daily: '0.000000001' },
  });
  assert.equal(made.status, 201);
  const { key } = made.body;
  assert.match(String(key), /^sk-or-\w{32}$/);
  assert.deepEqual(made.body.limits, { total: 5, daily: 1e-9, weekly: null, monthly: null });
  assert.equal(made.body.expiresAt, '2030-12-31T18:00:00.000Z');
  assert.deepEqual(made.body.allowedNetworks, ['127.0.0.1/32', '2001:db8::/32']);

  const asking = { headers: { authorization: `Bearer ${key}` } };
  assert.equal((await fetch(`${origin}/v1/models`, asking)).status, 200);
  const listed = await visitor.get('/api/keys');
  assert.ok(Array.isArray(listed.body.keys));
  assert.equal(listed.body.keys.length, 1);
  assert.equal(JSON.stringify(listed.body).includes(String(key)), false);
});

test('a key is changed and revoked by its owner only', async () => {
  const visitor = await newVisitor(origin);
  const wanted = {
    name: 'bot',
    allowedNetworks: ['127.0.0.1', '2001:db8::/32'],
    expiresAt: '2031-01-01',
    errorFormat: 'object',
    limits: { total: 5, daily: 1 },
  };
  const { key, id } = (await visitor.post('/api/keys', wanted)).body;
  const asking = { headers: { authorization: `Bearer ${key}` } };
  assert.equal((await fetch(`${origin}/v1/models`, asking)).status, 200);
  const path = `/api/keys/${id}`;
  const edited = await visitor.ask('PATCH', path, {
    name: 'new name',
    limits: { daily: null, weekly: 2 },
    expiresAt: null,
  });
  assert.equal(edited.status, 200);
  assert.deepEqual(edited.body.limits, { total: 5, daily: null, weekly: 2, monthly: null });
  assert.deepEqual(
    [edited.body.name, edited.body.expiresAt, edited.body.errorFormat, edited.body.allowedNetworks],
    ['new name', null, 'object', ['127.0.0.1/32', '2001:db8::/32']],
  );
  const shut = await visitor.ask('PATCH', path, { allowedNetworks: ['203.0.113.7'] });
  assert.deepEqual(shut.body.allowedNetworks, ['203.0.113.7/32']);

  const stranger = await newVisitor(origin);
  for (const method of ['GET', 'PATCH', 'DELETE'])
    refused(
      await stranger.ask(method, path, method === 'PATCH' ? { name: 'mine' } : undefined),
      403,
      'user_mismatch',
    );
  refused(await visitor.get(`/api/keys/${unknownId}`), 404, 'not_found');
  refused(await visitor.get('/api/keys/x'), 404, 'not_found');
  assert.equal((await visitor.get(path)).body.name, 'new name');

  const revoked = await visitor.ask('DELETE', path);
  assert.deepEqual([revoked.status, revoked.body.state], [200, 'revoked']);
  const again = await visitor.ask('DELETE', path);
  assert.equal(again.body.revokedAt, revoked.body.revokedAt);
  const until = Date.now() + 10_000;
  while ((await fetch(`${origin}/v1/models`, asking)).status !== 401) assert.ok(Date.now() < until);
});

test('the wallet is the documented JSON, and CSV', async () => {
  const visitor = await newVisitor(origin);
  assert.deepEqual((await visitor.get('/api/wallet')).body, {
    balance: 0,
    transactions: [],
    has_more: false,
    next_cursor: null,
  });
  await akai('wallet', 'credit', '--email', visitor.email, '--usd', '2.5', '--note', 'Gift');
  const { body } = await visitor.get('/api/wallet?limit=1&type=topup');
  assert.equal(body.balance, 2.5);
  assert.equal(member(body, 'transactions', '0', 'type'), 'TOPUP');
  refused(await visitor.get('/api/wallet?limit=0'), 400, 'invalid_request', 'limit');
  refused(await visitor.get('/api/wallet?nonsense=1'), 400, 'invalid_request', 'nonsense');
  const csv = await visitor.get('/api/wallet?format=csv');
  assert.match(csv.headers.get('content-type') ?? '', /^text\/csv/);
  assert.match(String(csv.body.text), /^id,createdAt,.*\r\ntx_.*,TOPUP,2\.5,Gift/);
  refused(await new Visitor(origin).get('/api/wallet'), 401, 'missing_session');
});

test('the OpenAPI document has every endpoint, and what is answered fits it', async () => {
  const visitor = await newVisitor(origin);
  const { body } = await visitor.get('/api/openapi.json');
  for (const { method, path } of endpoints)
    assert.ok(
      member(body, 'paths', path.replace(/:(\w+)/g, '{$1}'), method.toLowerCase()),
      `${method} ${path}`,
    );
  assert.ok(member(body, 'paths', '/v1/chat/completions', 'post'));
  assert.ok(member(body, 'paths', '/v1/models/{id}', 'get'));
  const json: unknown = JSON.parse(JSON.stringify(openApiDocument(endpoints, [], origin)));
  assert.equal(member(json, 'openapi'), '3.1.0');

  const made = await visitor.post('/api/keys', { name: 'fits' });
  const answers: [string, string, Answer][] = [
    ['post', '/api/keys', made],
    ['get', '/api/keys', await visitor.get('/api/keys')],
    ['get', '/api/keys/{id}', await visitor.get(`/api/keys/${made.body.id}`)],
    ['get', '/api/wallet', await visitor.get('/api/wallet')],
    ['get', '/api/auth/session', await visitor.get('/api/auth/session')],
    ['get', '/api/auth/sessions', await visitor.get('/api/auth/sessions')],
  ];
  for (const [method, path, { status, body: answered }] of answers) {
    const schema = member(
      body,
      'paths',
      path,
      method,
      'responses',
      String(status),
      'content',
      'application/json',
      'schema',
    );
    // as: what the document holds is JSON Schema, which the next line would refuse if it were not
    const read = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
    assert.deepEqual(read.safeParse(answered).error?.issues ?? [], [], `${method} ${path}`);
  }
});

function examplesOf(schema: z.ZodType | null): readonly unknown[] {
  const examples = schema?.meta()?.examples;
  return Array.isArray(examples) ? examples : [];
}

test('the examples of bodies are good', () => {
  let seen = 0;
  for (const { handler } of endpoints)
    for (const example of examplesOf(handler.body)) {
      seen += 1;
      assert.deepEqual(handler.body?.safeParse(example).error?.issues ?? [], []);
    }
  assert.ok(seen > 0);
});
