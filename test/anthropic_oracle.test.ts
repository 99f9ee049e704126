/**
 * Two programs that we did not write judge both ends of Anthropic's dialect: Anthropic's own SDK speaks to our stand-in, and
 * the Vercel AI SDK reads the same bytes as we do.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import Anthropic from '@anthropic-ai/sdk';
import { anthropic } from '../src/dialects/anthropic.ts';
import { type Fields, fields } from '../src/dialects/members.ts';
import { type Sandbox, startSandboxProvider } from '../src/sandbox/provider.ts';

let sandbox: Sandbox;
let client: Anthropic;
before(async () => {
  sandbox = await startSandboxProvider({ paceMs: 0 });
  const baseURL = sandbox.baseUrl.replace(/\/v1$/, '');
  client = new Anthropic({ apiKey: 'any', baseURL, maxRetries: 0, timeout: 10_000 });
});
after(() => sandbox.close());

const weather: Anthropic.Tool = {
  name: 'get_weather',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const base: Anthropic.MessageCreateParamsNonStreaming = {
  model: 'claude-haiku-5-5',
  max_tokens: 500,
  messages: [{ role: 'user', content: 'What is the weather in Dhaka?' }],
};

describe("Anthropic's own SDK", () => {
  test('is answered whole and streamed alike', async () => {
    const whole = await client.messages.create(base);
    const streamed = await client.messages.stream(base).finalMessage();
    assert.equal(whole.stop_reason, 'end_turn');
    assert.deepEqual(streamed.content.map(withoutNulls), whole.content.map(withoutNulls));
    assert.equal(streamed.usage.input_tokens, whole.usage.input_tokens);
    assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
    const [block] = whole.content;
    assert.match(block?.type === 'text' ? block.text : '', /weather in Dhaka/);
  });

  test('gives thinking and calls back as it got them', async () => {
    const params = {
      ...base,
      tools: [weather],
      thinking: { type: 'adaptive', display: 'summarized' },
    } as const;
    for (const first of [
      await client.messages.create({ ...params, tools: [weather] }),
      await client.messages.stream({ ...params, tools: [weather] }).finalMessage(),
    ]) {
      assert.deepEqual(
        first.content.map(({ type }) => type),
        ['thinking', 'tool_use'],
      );
      assert.equal(first.stop_reason, 'tool_use');
      const call = first.content.find((block) => block.type === 'tool_use');
      const result = {
        type: 'tool_result',
        tool_use_id: call?.id ?? '',
        content: '31 °C',
      } as const;
      const second = await client.messages.create({
        ...params,
        tools: [weather],
        messages: [
          ...base.messages,
          { role: 'assistant', content: first.content.map(withoutNulls) },
          { role: 'user', content: [result] },
        ],
      });
      assert.match(JSON.stringify(second.content), /31 °C/);
    }
  });

  test('is refused what Anthropic refuses', async () => {
    const [question] = base.messages;
    assert.ok(question);
    const call = { type: 'tool_use', id: 'a', name: 'get_weather', input: {} } as const;
    const cases: readonly (readonly [RegExp, object])[] = [
      [/max_tokens: Field required/, { max_tokens: undefined }],
      [/seed: Extra inputs are not permitted/, { seed: 1 }],
      [/sampling parameters are not supported/, { temperature: 1 }],
      [/maximum allowed number of output tokens/, { max_tokens: 1_000_000 }],
      [
        /must be non-empty/,
        { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] },
      ],
      [/first message must use the/, { messages: [{ role: 'assistant', content: 'Hi' }] }],
      [/'user' or 'assistant'/, { messages: [{ role: 'system', content: 'Hi' }] }],
      [
        /without `tool_result` blocks/,
        { messages: [question, { role: 'assistant', content: [call] }, question] },
      ],
      [
        /unexpected `tool_use_id`/,
        { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'b' }] }] },
      ],
      [
        /Invalid `signature`/,
        {
          messages: [
            question,
            { role: 'assistant', content: [{ type: 'thinking', thinking: 'a', signature: 'b' }] },
          ],
        },
      ],
      [
        /use adaptive thinking/,
        { thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 2000 },
      ],
      [
        /additionalProperties/,
        { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
      ],
      [/input_schema.type/, { tools: [{ name: 'x', input_schema: {} }] }],
      [/greater than or equal to 1/, { max_tokens: 0 }],
    ];
    for (const [message, more] of cases)
      await assert.rejects(client.messages.create({ ...base, ...more }), (error) => {
        assert.ok(error instanceof Anthropic.BadRequestError, String(error));
        assert.equal(error.type, 'invalid_request_error');
        assert.match(error.message, message);
        return true;
      });
    await assert.rejects(
      client.messages.create({ ...base, model: 'claude-none' }),
      Anthropic.NotFoundError,
    );
  });
});

/** The SDK fills in members that are only answered. */
function withoutNulls(block: Anthropic.ContentBlock): Anthropic.ContentBlockParam {
  const told = Object.entries(block).filter(([, value]) => value !== null);
  // as: an answered block without what is null is a block to send
  return Object.fromEntries(told) as unknown as Anthropic.ContentBlockParam;
}

/** What was said, by whoever read it. */
interface Heard {
  text: string;
  reasoning: string;
  calls: { id: unknown; name: unknown; input: unknown }[];
  finish: unknown;
  usage: readonly unknown[];
}

function heardByUs(bytes: Buffer, request: Fields): Heard {
  const reader = anthropic.readStream(1e6, { text: JSON.stringify(request), parsed: request });
  const heard: Heard = { text: '', reasoning: '', calls: [], finish: null, usage: [] };
  const inputs: string[] = [];
  for (const event of [...reader.push(bytes), ...reader.end()]) {
    if (event === 'data: [DONE]') continue;
    const chunk = fields(JSON.parse(Buffer.from(event.slice(6), 'latin1').toString()));
    const [choice] = Array.isArray(chunk.choices) ? chunk.choices.map(fields) : [];
    const delta = fields(choice?.delta);
    if (typeof delta.content === 'string') heard.text += delta.content;
    if (typeof delta.reasoning === 'string') heard.reasoning += delta.reasoning;
    for (const call of Array.isArray(delta.tool_calls) ? delta.tool_calls : []) {
      const { name, arguments: piece } = fields(call.function);
      if (call.id) heard.calls.push({ id: call.id, name, input: '' });
      inputs[call.index] = (inputs[call.index] ?? '') + piece;
    }
    heard.finish = choice?.finish_reason ?? heard.finish;
    if (chunk.usage) heard.usage = countsOf(fields(chunk.usage));
  }
  heard.calls = heard.calls.map((call, index) => ({
    ...call,
    input: JSON.parse(inputs[index] ?? ''),
  }));
  return heard;
}

function countsOf(usage: Fields): unknown[] {
  const prompt = fields(usage.prompt_tokens_details);
  const { reasoning_tokens } = fields(usage.completion_tokens_details);
  return [
    usage.prompt_tokens,
    prompt.cached_tokens,
    prompt.cache_write_tokens,
    usage.completion_tokens,
    reasoning_tokens,
  ];
}

const finishes: Readonly<Record<string, string>> = {
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
};

async function heardByThem(bytes: Buffer): Promise<Heard> {
  const headers = { 'content-type': 'text/event-stream' };
  const provider = createAnthropic({
    apiKey: 'any',
    fetch: async () => new Response(new Uint8Array(bytes), { headers }),
  });
  const { stream } = await provider('claude-sonnet-4-6').doStream({
    prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
  });
  const heard: Heard = { text: '', reasoning: '', calls: [], finish: null, usage: [] };
  for await (const part of stream) {
    if (part.type === 'text-delta') heard.text += part.delta;
    if (part.type === 'reasoning-delta') heard.reasoning += part.delta;
    if (part.type === 'tool-call')
      heard.calls.push({
        id: part.toolCallId,
        name: part.toolName,
        input: JSON.parse(part.input || '{}'),
      });
    if (part.type !== 'finish') continue;
    const { inputTokens, outputTokens } = part.usage;
    heard.finish = finishes[part.finishReason.unified] ?? part.finishReason.unified;
    heard.usage = [
      inputTokens.total,
      inputTokens.cacheRead ?? 0,
      inputTokens.cacheWrite ?? 0,
      outputTokens.total,
      outputTokens.reasoning ?? 0,
    ];
  }
  return heard;
}

async function streamOf(params: object): Promise<Buffer> {
  const response = await fetch(`${sandbox.baseUrl}/messages`, {
    method: 'POST',
    headers: { 'x-api-key': 'any', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ ...base, ...params, stream: true }),
  });
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

const folder = join(import.meta.dirname, '../src/dialects/fixtures/anthropic');

describe('the AI SDK reads what we read', () => {
  // Of a stream that fails, or is not shown whole, there is nothing to compare.
  const files = readdirSync(folder).filter((file) =>
    /^stream_(?!fails|that|of_|without|reasoning_excluded)/.test(file),
  );
  assert.ok(files.length >= 4);
  for (const file of files)
    test(`in ${file}`, async () => {
      const { request, answer } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      const events: (string | { event: string; data: Fields })[] = answer.events;
      const text = events
        .map((event) =>
          typeof event === 'string'
            ? event
            : `event: ${event.event}\ndata: ${JSON.stringify(event.data)}`,
        )
        .join('\n\n');
      const bytes = Buffer.from(`${text}\n\n`);
      assert.deepEqual(heardByUs(bytes, request), await heardByThem(bytes));
    });

  test('from our stand-in: words, thoughts, calls, caches', async () => {
    const cached = [
      { type: 'text', text: 'Be brief. '.repeat(100), cache_control: { type: 'ephemeral' } },
    ];
    for (const params of [
      {},
      { max_tokens: 9 },
      { thinking: { type: 'adaptive', display: 'summarized' }, tools: [weather] },
      { tools: [{ name: 'now', input_schema: { type: 'object' } }], tool_choice: { type: 'any' } },
      { system: cached },
      { system: cached },
    ]) {
      const bytes = await streamOf(params);
      assert.deepEqual(heardByUs(bytes, {}), await heardByThem(bytes));
    }
  });
});
