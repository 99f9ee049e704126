/**
 * The official OpenAI SDK asks models of Amazon Bedrock, and probes ask offers in every dialect, of stand-ins as strict as the real
 * providers: what goes out and comes back, and what it costs.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import OpenAI from 'openai';
import { startSandboxProvider } from '../src/sandbox/provider.ts';
import { startInstallation } from './installation.ts';

const provider = await startSandboxProvider({ paceMs: 0 });
const addresses = ['ANTHROPIC', 'BEDROCK', 'GOOGLE'].flatMap((stem) => [
  [`${stem}_BASE_URL`, provider.baseUrl],
  [`${stem}_API_KEY`, `${stem} key`],
]);
const installation = await startInstallation({ env: Object.fromEntries(addresses) });
after(async () => {
  await installation.remove();
  await provider.close();
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

/** Every offer that probes reach here, by dialect. */
const probed = {
  anthropic: 'anthropic/claude-haiku-4.5',
  google: 'google/gemini-3.8-flash',
  bedrock: nova,
};
for (const [name, model] of Object.entries(probed))
  test(`probes pass in the dialect of ${name}`, async () => {
    const { probes } = await installation.akai<{
      probes: { offer: string; probe: string; passed: boolean | null; reason: string }[];
    }>('probes', 'run', '--model', model);
    const own = probes.filter(({ offer }) => offer.endsWith(`@${name}`));
    assert.ok(own.length >= 3);
    for (const { probe, passed, reason } of own) assert.equal(passed, true, `${probe}: ${reason}`);
  });
