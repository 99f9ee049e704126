/** Without a token the metrics are for this machine, and only where nobody else can seem to be it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { loadConfig } from '../config.ts';
import { mayReadMetrics } from './metrics.ts';

/** As asked from this machine, with nothing added: so does also a proxy on it that adds nothing. */
async function mayRead(
  environment: Readonly<Record<string, string | undefined>>,
  headers: Record<string, string> = {},
  remoteAddress = '127.0.0.1',
): Promise<boolean> {
  const app = new Hono();
  const config = loadConfig(environment, []);
  app.get('/metrics', (c) => c.json(mayReadMetrics(c, config)));
  const asked = new Request('http://localhost:3000/metrics', { headers });
  const answer = await app.fetch(asked, { incoming: { socket: { remoteAddress } } });
  return (await answer.text()) === 'true';
}

test('a sandbox for this machine shows them to this machine', async () => {
  for (const environment of [
    {},
    { PUBLIC_URL: 'http://localhost:3000' },
    { PUBLIC_URL: 'http://[::1]:3000', HOST: '::1' },
  ])
    assert.equal(await mayRead(environment), true, JSON.stringify(environment));
  assert.equal(await mayRead({}, {}, '192.0.2.7'), false);
  assert.equal(await mayRead({}, { via: '1.1 proxy' }), false);
});

test('where a proxy may be in front, nobody is shown them without the token', async () => {
  for (const environment of [
    { MODE: 'live' },
    { TRUSTED_PROXIES: '1' },
    { PUBLIC_URL: 'https://akaicore.space' },
    { HOST: '0.0.0.0' },
  ]) {
    assert.equal(await mayRead(environment), false, JSON.stringify(environment));
    const guarded = { ...environment, METRICS_TOKEN: 'a-token-of-the-test' };
    assert.equal(await mayRead(guarded), false);
    assert.equal(await mayRead(guarded, { authorization: 'Bearer another' }), false);
    assert.equal(await mayRead(guarded, { authorization: 'Bearer a-token-of-the-test' }), true);
  }
});
