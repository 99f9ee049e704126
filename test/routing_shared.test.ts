/** Breakers and benched keys are known to every process of a database; several keys share the work. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { proveBooks } from './books.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { behaviours, failure, good, json, sse, stream } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { twoOffers } from './providers.ts';
import { openSharedDatabase } from './shared_database.ts';

const stack = new AsyncDisposableStack();
let groq: Hostile;
let deepinfra: Hostile;
let first: Installation;
let second: Installation;
let third: (more?: Readonly<Record<string, string>>) => Promise<Installation>;

before(async () => {
  const database = stack.use(await openSharedDatabase());
  [groq, deepinfra] = await Promise.all([startHostile(), startHostile()]);
  for (const hostile of [groq, deepinfra]) stack.defer(() => hostile.close());
  const env = {
    GROQ_API_KEY: 'key-one, key-two,key-three',
    GROQ_BASE_URL: groq.baseUrl,
    DEEPINFRA_API_KEY: 'test',
    DEEPINFRA_BASE_URL: deepinfra.baseUrl,
    RATE_LIMIT_RPM: '0',
    FIRST_TOKEN_TIMEOUT_MS: '500',
    AKAI_SECRET: 'one secret for every server of these tests',
  };
  third = async (more = {}) =>
    stack.use(await startInstallation({ databaseUrl: database.url, env: { ...env, ...more } }));
  [first, second] = await Promise.all([third(), third()]);
});
after(() => proveBooks(first).finally(() => stack.disposeAsync()));

async function ask({ baseUrl, key }: Installation, body: object = {}): Promise<Response> {
  const messages = [{ role: 'user', content: 'Hello' }];
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: twoOffers, messages, max_tokens: 5, ...body }),
    signal: AbortSignal.timeout(20_000),
  });
  await response.text();
  return response;
}

interface Endpoint {
  readonly tag: string;
  readonly status: string;
  readonly latency_ms: number | null;
  readonly throughput: number | null;
  readonly uptime_last_30m: number | null;
  readonly pricing: Readonly<Record<string, unknown>>;
  readonly price_source: { readonly name: string; readonly as_of: string };
}

async function endpointOf({ baseUrl, key }: Installation, provider: string) {
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${baseUrl}/models/${twoOffers}/endpoints`, { headers });
  // as: the form of this answer
  const { data } = (await response.json()) as { data: { endpoints: Endpoint[] } };
  return data.endpoints.find(({ tag }) => tag === provider);
}

async function statusOf(installation: Installation, provider: string): Promise<unknown> {
  return (await endpointOf(installation, provider))?.status;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 250; tries += 1) {
    if (await holds()) return;
    await sleep(20);
  }
  assert.fail(what);
}

const keysAsked = (hostile: Hostile): string[] =>
  hostile.received.map(({ headers }) => headers.authorization?.slice('Bearer '.length) ?? '');

test('a breaker that opens in one process is open in the others, and in one that starts later', async () => {
  groq.behave(good());
  deepinfra.behave(failure(500));
  for (let request = 0; request < 6; request += 1)
    await ask(first, { provider: { order: ['deepinfra'] } });
  assert.equal(await statusOf(first, 'deepinfra'), 'open');
  await until(
    'the second heard nothing',
    async () => (await statusOf(second, 'deepinfra')) === 'open',
  );
  const later = await third();
  assert.notEqual(await statusOf(later, 'deepinfra'), 'closed');
  deepinfra.behave(good());
  assert.equal((await ask(later, { provider: { only: ['deepinfra'] } })).status, 200);
  for (const server of [first, second, later])
    await until('it stays open', async () => (await statusOf(server, 'deepinfra')) === 'closed');
});

test('what one process has measured of an offer is shown by the others', async () => {
  const figures = async (server: Installation): Promise<unknown[]> => {
    const { uptime_last_30m, latency_ms, throughput } = (await endpointOf(server, 'groq')) ?? {};
    return [uptime_last_30m, latency_ms, throughput];
  };
  groq.behave(stream({ chunks: 12, paceMs: 5 }));
  const only = { provider: { only: ['groq'] } };
  for (let request = 0; request < 3; request += 1) await ask(first, { ...only, stream: true });
  groq.behave(failure(500));
  await ask(first, only);
  groq.behave(good());
  const [uptime, ...speeds] = await figures(first);
  assert.ok(Number(uptime) > 0 && Number(uptime) < 1);
  for (const speed of speeds) assert.ok(Number(speed) > 0);
  await until('the second shows other figures', async () =>
    isDeepStrictEqual(await figures(second), [uptime, ...speeds]),
  );
});

test('keys take turns; one that is not accepted rests, in every process', async () => {
  groq.behave(good());
  groq.forget();
  const only = { provider: { only: ['groq'] } };
  for (let request = 0; request < 6; request += 1) await ask(first, only);
  assert.deepEqual(new Set(keysAsked(groq)), new Set(['key-one', 'key-two', 'key-three']));
  groq.behave(({ headers }) =>
    headers.authorization === 'Bearer key-two' ? failure(401) : json(),
  );
  for (let request = 0; request < 6; request += 1)
    assert.equal((await ask(first, only)).status, 200);
  groq.forget();
  for (let request = 0; request < 6; request += 1) await ask(first, only);
  assert.ok(!keysAsked(groq).includes('key-two'));
  await until('the second still asks with it', async () => {
    groq.forget();
    for (let request = 0; request < 6; request += 1) await ask(second, only);
    return !keysAsked(groq).includes('key-two');
  });
});

test('a key that asked too often makes room for the next; all of them, for a 429', async () => {
  groq.behave(({ headers }) =>
    headers.authorization === 'Bearer key-one' ? failure(429, { retryAfter: '30' }) : json(),
  );
  const only = { provider: { only: ['groq'] } };
  for (let request = 0; request < 4; request += 1)
    assert.equal((await ask(first, only)).status, 200);
  groq.behave(failure(429, { retryAfter: '30' }));
  const refused = await ask(first, only);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get('retry-after'), '30');
});

test('a key asks no more than the operator lets it; what none may ask goes to another provider', async () => {
  const limits = 'groq=2,1,1;deepinfra=/1';
  const limited = await third({
    PROVIDER_KEY_LIMITS: limits,
    NOVITA_API_KEY: 'test',
    // Whoever speaks TLS to it gets no answer: the connection is never there.
    NOVITA_BASE_URL: groq.baseUrl.replace('http:', 'https:'),
    CONNECT_TIMEOUT_MS: '300',
    FIRST_BYTE_TIMEOUT_MS: '300000',
  });
  for (const hostile of [groq, deepinfra]) {
    hostile.behave(good());
    hostile.forget();
  }
  const only = { provider: { only: ['groq'] } };
  for (let request = 0; request < 4; request += 1)
    assert.equal((await ask(limited, only)).status, 200);
  assert.deepEqual(keysAsked(groq).toSorted(), ['key-one', 'key-one', 'key-three', 'key-two']);
  const refused = await ask(limited, only);
  assert.equal(refused.status, 429);
  const seconds = Number(refused.headers.get('retry-after'));
  assert.ok(seconds > 0 && seconds <= 30, `Retry-After is ${seconds}`);
  assert.equal((await ask(limited, { provider: { order: ['groq'] } })).status, 200);
  assert.equal(groq.received.length, 4);
  const gate = Promise.withResolvers<void>();
  deepinfra.forget();
  deepinfra.behave(() => [{ until: gate.promise }, ...json()]);
  const alone = { provider: { only: ['deepinfra'] } };
  const first = ask(limited, alone);
  await deepinfra.request();
  assert.equal((await ask(limited, alone)).status, 429);
  gate.resolve();
  assert.equal((await first).status, 200);
  assert.equal(deepinfra.received.length, 1);
  // Who cannot be connected to is given up for the next one.
  assert.equal((await ask(limited, { provider: { order: ['novita', 'deepinfra'] } })).status, 200);
  assert.equal(deepinfra.received.length, 2);
});

test('a stream that only says that it lives is given up for the next offer', async () => {
  groq.behave(good());
  deepinfra.behave(() =>
    sse(
      (function* () {
        for (;;) yield ': still here';
      })(),
      { paceMs: 50 },
    ),
  );
  const asked = { stream: true, provider: { order: ['deepinfra'] } };
  const response = await ask(first, asked);
  assert.equal(response.status, 200);
  assert.equal(deepinfra.received.at(-1)?.finished, false);
  deepinfra.behave(behaviours.noFinish);
});

const wrongSettings = [
  ['--model', 'nobody/nothing'],
  ['--model', twoOffers],
  ['--model', twoOffers, '--provider', 'openai', '--place', '1'],
  ['--model', twoOffers, '--provider', 'groq', '--place', '0'],
  ['--model', twoOffers, '--provider', 'groq', '--input', '1'],
  ['--model', twoOffers, '--input', '1', '--output', '1'],
  ['--model', twoOffers, '--margin', '1001'],
  ...['[{"aboveInputTokens":9}]', '[{"aboveInputTokens":9,"input":1,"output":1}]', 'cheap'].map(
    (text) => [
      ...['--model', twoOffers, '--provider', 'groq', '--input', '1', '--output', '1'],
      ...['--tiers', text],
    ],
  ),
];

test('what the operator sets for offers is in force everywhere within a second, and written down', async () => {
  for (const hostile of [groq, deepinfra]) hostile.behave(good());
  const set = (...args: string[]) =>
    first.akai('offer', 'set', '--model', twoOffers, '--by', 'rahim', ...args);
  await ask(second, { provider: { only: ['groq'] } });
  await ask(second, { provider: { only: ['deepinfra'] } });
  const answersFirst = async (): Promise<string> => {
    for (const hostile of [groq, deepinfra]) hostile.forget();
    await ask(second);
    return groq.received.length > 0 ? 'groq' : 'deepinfra';
  };
  await set('--provider', 'groq', '--place', '1');
  await until('the place is not known', async () => (await answersFirst()) === 'groq');
  await set('--provider', 'groq', '--enabled', 'no');
  await until('it is still asked', async () => (await answersFirst()) === 'deepinfra');
  await set('--provider', 'deepinfra', '--input', '1000', '--output', '2000', '--margin', '10');
  const priced = async (): Promise<string | null> => {
    const { baseUrl, key } = second;
    const messages = [{ role: 'user', content: 'Hello' }];
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: twoOffers, messages, max_tokens: 10 }),
    });
    await response.text();
    return response.headers.get('x-cost-usd');
  };
  // 24 and 10 tokens at 1.1 and 2.2 thousandths of a dollar.
  await until('the old price is charged', async () => (await priced()) === '0.0484');
  const tiers = '[{"aboveInputTokens":23,"input":"2000","output":"4000"}]';
  const prices = ['--input', '1000', '--output', '2000', '--tiers', tiers];
  await set('--provider', 'deepinfra', ...prices);
  await until('the tier is not charged', async () => (await priced()) === '0.0968');
  const shown = await endpointOf(second, 'deepinfra');
  assert.deepEqual(shown?.pricing, {
    ...{ prompt: '0.0011', completion: '0.0022' },
    tiers: [{ above_prompt_tokens: 23, prompt: '0.0022', completion: '0.0044' }],
  });
  assert.equal(shown?.price_source.name, 'the operator of this installation');
  assert.match(shown?.price_source.as_of ?? '', /^20\d\d-\d\d-\d\d$/);
  await set('--enabled', 'no', '--provider', 'deepinfra');
  await until('it is sold', async () => (await ask(second)).status === 503);
  // The operator hears of it, but not as of something that broke.
  const heard = second.output().match(/.*No active providers available.*/g) ?? [];
  assert.ok(heard.length > 0);
  for (const line of heard) assert.doesNotMatch(line, /"stack"/);
  for (const provider of ['groq', 'deepinfra'])
    await set(
      ...['--provider', provider, '--enabled', 'default', '--prices', 'default'],
      ...['--margin', 'default', '--place', 'default'],
    );
  await until('it is not sold again', async () => (await ask(second)).status === 200);
  const { overrides } = await first.akai<{ overrides: unknown[] }>('offer', 'list');
  assert.deepEqual(overrides, []);
  const { changes } = await first.akai<{ changes: { who: string }[] }>('offer', 'history');
  assert.equal(changes.length, 14);
  assert.ok(changes.every(({ who }) => who === 'rahim'));
  for (const wrong of wrongSettings) await assert.rejects(first.akai('offer', 'set', ...wrong));
  assert.equal((await first.akai('audit')).ok, true);
});
