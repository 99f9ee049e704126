/** What an operator is told of keys, breakers and overrides; and a mistake in the overrides does not stop the service. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startHostile } from './hostile.ts';
import { failure, good } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { twoOffers } from './providers.ts';
import { openSharedDatabase, type SharedDatabase } from './shared_database.ts';

const stack = new AsyncDisposableStack();
let database: SharedDatabase;
let first: Installation;
let start: () => Promise<Installation>;

before(async () => {
  database = stack.use(await openSharedDatabase());
  const [groq, deepinfra] = await Promise.all([startHostile(), startHostile()]);
  for (const hostile of [groq, deepinfra]) stack.defer(() => hostile.close());
  groq.behave(failure(401));
  deepinfra.behave(good());
  const env = {
    GROQ_API_KEY: 'key-one,key-two',
    GROQ_BASE_URL: groq.baseUrl,
    DEEPINFRA_API_KEY: 'test',
    DEEPINFRA_BASE_URL: deepinfra.baseUrl,
    AKAI_SECRET: 'one secret for every server of these tests',
  };
  start = async () => stack.use(await startInstallation({ databaseUrl: database.url, env }));
  first = await start();
});
after(() => stack.disposeAsync());

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

interface Check {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
}

async function check(name: string): Promise<Check | undefined> {
  const { checks } = await first.akai<{ checks: Check[] }>('doctor');
  return checks.find((one) => one.name === name);
}

test('doctor and metrics tell how many keys there are, which rest, and which breakers are open', async () => {
  assert.equal((await check('Circuit breakers'))?.detail, 'all closed');
  for (let request = 0; request < 6; request += 1)
    await ask(first, { provider: { only: ['groq'] } });
  const metrics = await (await fetch(`${first.origin}/metrics`)).text();
  for (const line of [
    'akai_provider_keys{provider="groq"} 2',
    'akai_provider_keys_resting{provider="groq"} 2',
    'akai_provider_keys_resting{provider="deepinfra"} 0',
    'akai_offers_open 1',
    `akai_offer_open{offer="${twoOffers}@groq"} 1`,
  ])
    assert.ok(metrics.includes(`${line}\n`), `${line} is missing in\n${metrics}`);
  const keys = await check('Provider keys');
  assert.equal(keys?.state, 'warning');
  assert.match(keys?.detail ?? '', /groq 2, deepinfra 1; resting: groq#\w{8} for \d+ s more/);
  const breakers = await check('Circuit breakers');
  assert.equal(breakers?.state, 'warning');
  assert.ok(breakers?.detail.includes(`${twoOffers}@groq`));
});

test('prices and margins that cannot be read are left out, said in the log and by doctor, and stop nothing', async () => {
  const rows = [
    { model: twoOffers, provider: 'groq', enabled: null, prices: '"cheap"', margin: null },
    { model: twoOffers, provider: 'deepinfra', enabled: null, prices: null, margin: 'much' },
    {
      ...{ model: 'openai/gpt-oss-120b', provider: 'groq', enabled: false, margin: null },
      prices: '{"input":"9000000000","output":"1"}',
    },
  ];
  for (const { model, provider, enabled, prices, margin } of rows)
    await database.owner`
      INSERT INTO offer_overrides (model, provider, enabled, prices, margin)
      VALUES (${model}, ${provider}, ${enabled}, ${prices}::text::json, ${margin})`;
  const second = await start();
  assert.equal((await ask(second)).status, 200);
  const told = await check('Set for offers');
  assert.equal(told?.state, 'warning');
  for (const { model, provider } of rows) {
    assert.ok(told?.detail.includes(`${model}@${provider}`), told?.detail);
    assert.ok(second.output().includes(`${model}@${provider}`), 'the log does not say it');
  }
  // What can be read of a row holds.
  const switchedOff = await ask(second, {
    model: 'openai/gpt-oss-120b',
    provider: { only: ['groq'] },
  });
  assert.equal(switchedOff.status, 404);
  await database.owner`DELETE FROM offer_overrides`;
});
