/**
 * The official OpenAI SDK asks models at Amazon Bedrock and Google Vertex AI, and probes ask offers in every dialect, of stand-ins as
 * strict as the real providers: what goes out and comes back, with which key, and what it costs.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import OpenAI from 'openai';
import { startSandboxProvider } from '../src/sandbox/provider.ts';
import { proveBooks } from './books.ts';
import { runAkai, startInstallation } from './installation.ts';

const provider = await startSandboxProvider({ paceMs: 0 });

/** Tokens for service accounts, and in front of the stand-ins whatever is asked with one. */
const authorizations: string[] = [];
/** Projects that were asked in. */
const projects: string[] = [];
const cloud = { tokens: 0, refuses: false, authorizations };
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  if (request.url === '/token') {
    cloud.tokens += 1;
    response.writeHead(cloud.refuses ? 400 : 200, { 'content-type': 'application/json' });
    const answer = { access_token: `token-${cloud.tokens}`, expires_in: 3600 };
    response.end(JSON.stringify(cloud.refuses ? { error: 'invalid_grant' } : answer));
    return;
  }
  const authorization = request.headers.authorization ?? '';
  cloud.authorizations.push(authorization);
  const { origin } = new URL(provider.baseUrl);
  const body = Buffer.concat(chunks).toString();
  const path = (request.url ?? '').replace(
    /\/projects\/([^/]+)\/locations\/global/,
    (_, project) => {
      projects.push(project);
      return '';
    },
  );
  const answered = await fetch(`${origin}${path}`, {
    method: 'POST',
    headers: { authorization },
    body,
  });
  const type = answered.headers.get('content-type') ?? '';
  response.writeHead(answered.status, { 'content-type': type });
  response.end(Buffer.from(await answered.arrayBuffer()));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
// as: a TCP server's address is no string
const cloudUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const serviceAccount = JSON.stringify({
  client_email: 'a@b.iam.gserviceaccount.com',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
});

const folder = mkdtempSync(join(tmpdir(), 'akai-models-'));
const ownModels = join(folder, 'models.json');
writeFileSync(
  ownModels,
  JSON.stringify([
    {
      model: 'local/tiny',
      provider: 'vllm',
      // A stand-in knows it by this name.
      upstream: 'gpt-4o-mini',
      contextLength: 8192,
      maxOutputTokens: 1000,
      prices: { input: '1.5', output: '2.5' },
    },
  ]),
);
const addresses = ['ANTHROPIC', 'BEDROCK', 'GOOGLE'].flatMap((stem) => [
  [`${stem}_BASE_URL`, provider.baseUrl],
  [`${stem}_API_KEY`, `${stem} key`],
]);
const installation = await startInstallation({
  env: {
    ...Object.fromEntries(addresses),
    VERTEX_API_KEY: serviceAccount,
    VERTEX_BASE_URL: `${cloudUrl}/v1`,
    GOOGLE_TOKEN_URL: `${cloudUrl}/token`,
    OWN_MODELS: ownModels,
    VLLM_BASE_URL: provider.baseUrl,
  },
});
after(async () => {
  await proveBooks(installation);
  await installation.remove();
  rmSync(folder, { recursive: true });
  await provider.close();
  server.closeAllConnections();
  server.close();
});

const client = new OpenAI({
  apiKey: installation.key,
  baseURL: installation.baseUrl,
  maxRetries: 0,
  timeout: 15_000,
});

const nova = 'amazon/nova-lite-v1';
/** Pico-USD a token. */
const prices = { input: 60_000, output: 240_000, cacheWrite: 60_000 };

async function assertCharged(id: string, usage: OpenAI.CompletionUsage | undefined) {
  assert.ok(usage);
  const headers = { authorization: `Bearer ${installation.key}` };
  const response = await fetch(`${installation.baseUrl}/generation?id=${id}`, { headers });
  const { data } = JSON.parse(await response.text());
  assert.equal(data.provider, 'bedrock');
  assert.deepEqual(data.flags, []);
  assert.equal(data.usage_reported_by, 'provider');
  const pico = usage.prompt_tokens * prices.input + usage.completion_tokens * prices.output;
  assert.equal(Math.round(Number(data.charged) * 1e9), Math.ceil(pico / 1000));
}

const tools: OpenAI.Chat.ChatCompletionTool[] = ['get_weather', 'read_clock'].map((name) => ({
  type: 'function',
  function: {
    name,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}));

describe('a model at Bedrock', () => {
  test('answers whole, with an image and a document', async () => {
    const answer = await client.chat.completions.create({
      model: nova,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'ছবিতে কী আছে?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            {
              type: 'file',
              file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' },
            },
          ],
        },
      ],
      temperature: 1.4,
      stop: ['###'],
      seed: 7,
    });
    const [choice] = answer.choices;
    assert.match(choice?.message.content ?? '', /ছবিতে কী আছে/);
    assert.equal(choice?.finish_reason, 'stop');
    assert.equal(answer.model, nova);
    await assertCharged(answer.id, answer.usage);
  });

  test('streams, byte for byte what it says whole', async () => {
    const request = { model: nova, messages: [{ role: 'user' as const, content: 'আমার সোনার বাংলা' }] };
    const whole = await client.chat.completions.create(request);
    const stream = client.chat.completions.stream({
      ...request,
      stream_options: { include_usage: true },
    });
    const streamed = await stream.finalChatCompletion();
    assert.equal(streamed.choices[0]?.message.content, whole.choices[0]?.message.content);
    assert.deepEqual(streamed.usage, whole.usage);
    await assertCharged(streamed.id, streamed.usage);
  });

  test('calls tools side by side, and goes on with their results', async () => {
    const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [
      { role: 'user', content: 'Use get_weather and read_clock for Dhaka.' },
    ];
    const asked = { model: nova, messages, tools, tool_choice: 'required' as const };
    const { choices } = await client.chat.completions.stream(asked).finalChatCompletion();
    const message = choices[0]?.message;
    assert.equal(choices[0]?.finish_reason, 'tool_calls');
    const calls = message?.tool_calls ?? [];
    assert.deepEqual(
      calls.map((call) => (call.type === 'function' ? call.function.name : '')),
      ['get_weather', 'read_clock'],
    );
    assert.ok(message);
    messages.push(message);
    for (const { id } of calls) messages.push({ role: 'tool', tool_call_id: id, content: '31°' });
    const next = await client.chat.completions.create({ model: nova, messages, tools });
    assert.match(next.choices[0]?.message.content ?? '', /31°/);
  });

  test('gives the JSON of a schema, and pays for what it writes to a cache', async () => {
    const schema = { type: 'object', properties: { sum: { type: 'integer' } }, required: ['sum'] };
    const content = [
      { type: 'text' as const, text: 'What is 2 + 3?', cache_control: { type: 'ephemeral' } },
    ];
    const answer = await client.chat.completions.create({
      model: nova,
      messages: [{ role: 'user', content }],
      response_format: { type: 'json_schema', json_schema: { name: 'sum', schema } },
    });
    const parsed = JSON.parse(answer.choices[0]?.message.content ?? '');
    assert.ok(Number.isInteger(parsed.sum));
    assert.match(JSON.stringify(answer.usage), /"cache_write_tokens":[1-9]/);
    await assertCharged(answer.id, answer.usage);
  });

  test('that cannot do what is asked says so, and nothing is charged', async () => {
    const asked = {
      model: 'writer/palmyra-x5',
      messages: [{ role: 'user' as const, content: 'Hi' }],
    };
    await assert.rejects(
      client.chat.completions.create({ ...asked, tools, tool_choice: 'required' }),
      /400 .*This model decides for itself/,
    );
    const { choices } = await client.chat.completions.create(asked);
    assert.ok(choices[0]?.message.content);
  });
});

/** One of each form that Vertex AI has. */
const atVertex = [
  'google/gemini-3.8-flash',
  'anthropic/claude-haiku-4.5',
  'x-ai/grok-4.20-non-reasoning',
];

describe('a model at Vertex AI', () => {
  for (const model of atVertex)
    test(`${model} is asked with a token of the service account, whole and streamed`, async () => {
      const request = { model, messages: [{ role: 'user' as const, content: 'ঢাকা' }] };
      const there = { ...request, provider: { only: ['vertex'] } };
      const whole = await client.chat.completions.create(there);
      const streamed = await client.chat.completions
        .stream({ ...there, stream_options: { include_usage: true } })
        .finalChatCompletion();
      assert.match(whole.choices[0]?.message.content ?? '', /ঢাকা/);
      assert.equal(streamed.choices[0]?.message.content, whole.choices[0]?.message.content);
      assert.deepEqual(streamed.usage, whole.usage);
    });

  test('one token serves them all', () => {
    assert.equal(cloud.tokens, 1);
    assert.deepEqual(new Set(cloud.authorizations), new Set(['Bearer token-1']));
    assert.equal(cloud.authorizations.length, 2 * atVertex.length);
  });
});

test("a model of the operator's own is listed, answers without a key, and costs what he says", async () => {
  const listed = await client.models.retrieve('local/tiny');
  assert.equal(listed.owned_by, 'local');
  assert.match(JSON.stringify(listed), /"prompt":"0.0000015","completion":"0.0000025"/);
  const answer = await client.chat.completions.create({
    model: 'local/tiny',
    messages: [{ role: 'user', content: 'Hi' }],
  });
  const { usage } = answer;
  assert.ok(usage && answer.choices[0]?.message.content);
  const nano = Math.ceil(usage.prompt_tokens * 1500 + usage.completion_tokens * 2500);
  assert.match(JSON.stringify(usage), new RegExp(`"cost":${nano / 1e9}\\b`));
});

/** Every offer that probes reach here, by dialect. */
const probed = [
  ['anthropic', 'anthropic/claude-haiku-4.5'],
  ['vertex', 'anthropic/claude-haiku-4.5'],
  ['google', 'google/gemini-3.8-flash'],
  ['vertex', 'google/gemini-3.8-flash'],
  ['bedrock', nova],
] as const;
for (const [name, model] of probed)
  test(`probes of ${model} pass at ${name}`, async () => {
    const { probes } = await installation.akai<{
      probes: { offer: string; probe: string; passed: boolean | null; reason: string }[];
    }>('probes', 'run', '--model', model);
    const own = probes.filter(({ offer }) => offer.endsWith(`@${name}`));
    assert.ok(own.length >= 3);
    for (const { probe, passed, reason } of own) assert.equal(passed, true, `${probe}: ${reason}`);
  });

test("a service account that is not accepted any more is the operator's trouble", async () => {
  cloud.refuses = true;
  await using other = await startInstallation({
    env: {
      VERTEX_API_KEY: serviceAccount,
      VERTEX_BASE_URL: `${cloudUrl}/v1`,
      GOOGLE_TOKEN_URL: `${cloudUrl}/token`,
    },
  });
  const response = await fetch(`${other.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${other.key}` },
    body: JSON.stringify({
      model: 'x-ai/grok-4.20',
      messages: [{ role: 'user', content: 'Hi' }],
      max_tokens: 5,
    }),
  });
  assert.equal(response.status, 503);
  assert.doesNotMatch(await response.text(), /invalid_grant|gserviceaccount/);
});

test('a service account may be the own key of an account: asked in its own project, and paid to Google by its owner', async () => {
  cloud.refuses = false;
  const env = {
    VERTEX_BASE_URL: `${cloudUrl}/v1/projects/of-the-operator/locations/global`,
    GOOGLE_TOKEN_URL: `${cloudUrl}/token`,
    OWN_KEYS: 'on',
  };
  await using other = await startInstallation({ env });
  const add = ['provider-key', 'add', '--email', other.email, '--provider', 'vertex', '--json'];
  const bring = (account: object) =>
    runAkai(add, { ...env, DATA_DIR: other.dataDir }, { input: JSON.stringify(account, null, 2) });
  const own = { ...JSON.parse(serviceAccount), type: 'service_account', private_key_id: 'id-4711' };
  const refused = await bring({ ...own, project_id: '../admin' });
  assert.match(refused.stderr, /JSON of a service account/);
  const nameless = await bring({ ...own, project_id: 'of-salma', private_key_id: '' });
  assert.equal(JSON.parse(nameless.stdout).lastFour, own.client_email.slice(-4), nameless.stderr);
  const brought = await bring({ ...own, project_id: 'of-salma' });
  assert.equal(JSON.parse(brought.stdout).lastFour, '4711', brought.stderr);
  assert.ok(!`${brought.stdout}${other.output()}`.includes('PRIVATE KEY'));
  for (const [model, stream] of [
    ['google/gemini-3.8-flash', false],
    ['anthropic/claude-haiku-4.5', true],
  ] as const) {
    const asked = await fetch(`${other.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${other.key}` },
      body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
    });
    assert.equal(asked.status, 200, await asked.text());
    assert.equal(projects.at(-1), 'of-salma');
    assert.equal(cloud.authorizations.at(-1), `Bearer token-${cloud.tokens}`);
  }
  const headers = { authorization: `Bearer ${other.key}` };
  const wallet = await fetch(`${other.baseUrl}/credits`, { headers });
  assert.equal(JSON.parse(await wallet.text()).data.total_usage, 0);
});

test('a key without the word Bearer is told what is missing', async () => {
  const response = await fetch(`${installation.baseUrl}/models`, {
    headers: { authorization: installation.key },
  });
  assert.equal(response.status, 401);
  const { code, error } = JSON.parse(await response.text());
  assert.equal(code, 'invalid_api_key');
  assert.match(error, /must have the word Bearer before the key/);
});
