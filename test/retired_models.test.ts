/** Live, an account says what happens when it asks for a model that its vendor has retired. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Hostile, startHostile } from './hostile.ts';
import { json, stream } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { until } from './scratch_data.ts';
import { isObject } from './shape.ts';

const retired = 'openai/gpt-4';
const successor = 'openai/gpt-6.1-sol';

const stack = new AsyncDisposableStack();
let upstream: Hostile;
let installation: Installation;

before(async () => {
  upstream = await startHostile();
  stack.defer(() => upstream.close());
  const env = { MODE: 'live', OPENAI_API_KEY: 'test', OPENAI_BASE_URL: upstream.baseUrl };
  installation = stack.use(await startInstallation({ env }));
});
after(async () => {
  const report = await installation.akai('audit').finally(() => stack.disposeAsync());
  assert.equal(report.ok, true, JSON.stringify(report));
});

function ask(more: object = {}): Promise<Response> {
  const { baseUrl, key } = installation;
  return fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: retired,
      messages: [{ role: 'user', content: 'Hello' }],
      ...more,
    }),
    signal: AbortSignal.timeout(20_000),
  });
}

function choose(choice: string): Promise<unknown> {
  return installation.akai(
    'user',
    'set',
    '--email',
    installation.email,
    '--retired-models',
    choice,
  );
}

async function until200(): Promise<Response> {
  let answer = await ask();
  await until('the successor answers', async () => {
    if (answer.status !== 200) answer = await ask();
    return answer.status === 200;
  });
  return answer;
}

async function refusal(): Promise<string> {
  const answer = await ask();
  const body: unknown = await answer.json();
  assert.ok(isObject(body));
  return `${answer.status} ${body.error}`;
}

const refused = `404 Model not found: ${retired} was retired by its vendor. Use ${successor} instead.`;

test('at first it is refused, and the successor named', async () => {
  assert.equal(await refusal(), refused);
});

test('an account that wants so is answered by the successor: in the answer, its price, its header and its receipt', async () => {
  upstream.behave(json());
  await choose('replace');
  const answer = await until200();
  assert.equal(answer.headers.get('x-model-replaced'), `${retired} -> ${successor}`);
  // 24 and 10 tokens at USD 2 and 10 a million.
  assert.equal(answer.headers.get('x-cost-usd'), '0.000148');
  const body: unknown = await answer.json();
  assert.ok(isObject(body));
  assert.equal(body.model, successor);
  const { baseUrl, key } = installation;
  const headers = { authorization: `Bearer ${key}` };
  const receipt = await fetch(`${baseUrl}/generation?id=${body.id}`, { headers });
  const told: unknown = await receipt.json();
  assert.ok(isObject(told) && isObject(told.data));
  assert.equal(told.data.model, successor);

  upstream.behave(stream());
  const streamed = await ask({ stream: true });
  assert.equal(streamed.headers.get('x-model-replaced'), `${retired} -> ${successor}`);
  assert.match(await streamed.text(), new RegExp(`"model":"${successor}"`));
});

test('an account may be refused again, and no third thing', async () => {
  await choose('refuse');
  await until('it is refused again', async () => (await refusal()) === refused);
  await assert.rejects(choose('perhaps'), /--retired-models must be refuse or replace/);
});
