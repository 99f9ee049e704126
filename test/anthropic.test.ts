/** The official OpenAI SDK asks a Claude model: what goes out and comes back by Anthropic's own form, and what it costs. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import OpenAI from 'openai';
import { audit } from '../src/wallet/audit.ts';
import { openBooks } from './books.ts';
import { startHostile } from './hostile.ts';
import { sse, whole } from './hostile_behaviours.ts';
import { startInstallation } from './installation.ts';

const model = 'anthropic/claude-sonnet-5.5';
/** Pico-USD a token. */
const prices = {
  input: 2_000_000,
  cacheRead: 100_000,
  cacheWrite: 2_500_000,
  cacheWrite1h: 4_000_000,
  output: 10_000_000,
};

const upstream = await startHostile();
const [stoodIn, scripted] = await Promise.all([
  startInstallation(),
  startInstallation({
    env: {
      ANTHROPIC_API_KEY: 'claude-key',
      ANTHROPIC_BASE_URL: upstream.baseUrl,
      RATE_LIMIT_RPM: '0',
    },
  }),
]);
const books = await openBooks(stoodIn);
after(async () => {
  await books[Symbol.asyncDispose]();
  await Promise.all([stoodIn.remove(), scripted.remove(), upstream.close()]);
});

const client = new OpenAI({
  apiKey: stoodIn.key,
  baseURL: stoodIn.baseUrl,
  maxRetries: 0,
  timeout: 15_000,
});

type Params = Omit<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming, 'stream'>;
type Json = Readonly<Record<string, unknown>>;

/** What the SDK's types do not know of. */
interface More {
  readonly reasoning?: string;
  readonly reasoning_details?: readonly Json[];
}
interface Usage extends OpenAI.CompletionUsage {
  readonly cost: number;
  readonly prompt_tokens_details: OpenAI.CompletionUsage.PromptTokensDetails & {
    readonly cache_write_tokens: number;
    readonly cache_creation?: Readonly<Record<string, number>>;
  };
}

/** Streamed or not, as one completion. */
async function ask(isStreamed: boolean, params: Partial<Params>): Promise<OpenAI.ChatCompletion> {
  // Others have it at the same price, and caches of their own.
  const provider = { only: ['anthropic'] };
  // as: `messages` is in each call here
  const body = { model, provider, ...params } as Params;
  if (!isStreamed) return client.chat.completions.create(body);
  const usage = { stream_options: { include_usage: true } };
  return client.chat.completions.stream({ ...body, ...usage }).finalChatCompletion();
}

/** Checks cost, charge and receipt to the nano-dollar. */
async function assertCharged({ id, usage: told }: OpenAI.ChatCompletion): Promise<Usage> {
  // as: our own members
  const usage = told as Usage;
  const details = usage.prompt_tokens_details;
  const read = details.cached_tokens ?? 0;
  const written = details.cache_write_tokens;
  const hour = details.cache_creation?.ephemeral_1h_input_tokens ?? 0;
  const pico =
    (usage.prompt_tokens - read - written) * prices.input +
    read * prices.cacheRead +
    (written - hour) * prices.cacheWrite +
    hour * prices.cacheWrite1h +
    usage.completion_tokens * prices.output;
  const nano = Math.ceil(pico / 1000);
  assert.equal(Math.round(usage.cost * 1e9), nano);
  const response = await fetch(`${stoodIn.baseUrl}/generation?id=${id}`, {
    headers: { authorization: `Bearer ${stoodIn.key}` },
  });
  const { data } = JSON.parse(await response.text());
  assert.deepEqual(
    [data.provider, data.upstream_model, data.flags, data.usage_reported_by],
    ['anthropic', 'claude-sonnet-5-5', [], 'provider'],
  );
  assert.equal(Math.round(Number(data.charged) * 1e9), nano);
  return usage;
}

/** With members that OpenAI does not have. */
function extended(message: object): OpenAI.Chat.ChatCompletionMessageParam {
  // as: the SDK passes on what it does not know
  return message as OpenAI.Chat.ChatCompletionMessageParam;
}

const weather: OpenAI.Chat.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const question = { role: 'user' as const, content: 'What is the weather in Dhaka?' };

for (const isStreamed of [false, true])
  describe(`a stand-in that is as strict as Anthropic, ${isStreamed ? 'streamed' : 'whole'}`, () => {
    test('is shown an image and a PDF, and is paid to the nano-dollar', async () => {
      const answer = await ask(isStreamed, {
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
        temperature: 0.2,
        seed: 7,
        stop: ['###'],
      });
      const [choice] = answer.choices;
      assert.match(choice?.message.content ?? '', /ছবিতে কী আছে/);
      assert.match(choice?.message.content ?? '', /2টি সংযুক্তি/);
      assert.equal(choice?.finish_reason, 'stop');
      assert.equal(answer.model, model);
      await assertCharged(answer);
    });

    test('thinks, and is given its signature back with the results of tools', async () => {
      const params = { tools: [weather], reasoning_effort: 'high' as const };
      const first = await ask(isStreamed, { ...params, messages: [question] });
      const usage = await assertCharged(first);
      assert.equal(usage.completion_tokens_details?.reasoning_tokens, 64);
      const message = first.choices[0]?.message;
      const call = message?.tool_calls?.[0];
      assert.ok(message && call && 'function' in call);
      assert.equal(first.choices[0]?.finish_reason, 'tool_calls');
      assert.match(call.id, /^toolu_/);
      // A streaming client joins what has one index.
      const { reasoning, details } = await reasoningOf(isStreamed, {
        ...params,
        messages: [question],
      });
      assert.match(reasoning, /^The stand-in thinks/);
      const back = (reasoning_details: readonly Json[]) =>
        ask(isStreamed, {
          ...params,
          messages: [
            question,
            extended({ role: 'assistant', content: null, tool_calls: [call], reasoning_details }),
            { role: 'tool', tool_call_id: call.id, content: '31 °C' },
          ],
        });
      const second = await back(details);
      assert.match(second.choices[0]?.message.content ?? '', /31 °C/);
      await assertCharged(second);
      const [detail] = details;
      await assert.rejects(back([{ ...detail, text: 'Something else.' }]), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.match(error.message, /Invalid `signature` in `thinking` block/);
        return true;
      });
    });

    test('has its cache written and read, each at its price', async () => {
      for (const ttl of ['5m', '1h'] as const) {
        const text = `${'The law of rivers. '.repeat(200)} ${ttl} ${isStreamed}`;
        const part = { type: 'text', text, cache_control: { type: 'ephemeral', ttl } };
        const system = extended({ role: 'system', content: [part] });
        const messages = [system, { role: 'user' as const, content: 'Which rivers?' }];
        const written = (await assertCharged(await ask(isStreamed, { messages })))
          .prompt_tokens_details;
        assert.ok(written.cache_write_tokens > 500);
        assert.equal(
          written.cache_creation?.[`ephemeral_${ttl}_input_tokens`],
          written.cache_write_tokens,
        );
        const read = (await assertCharged(await ask(isStreamed, { messages })))
          .prompt_tokens_details;
        assert.equal(read.cached_tokens, written.cache_write_tokens);
        assert.equal(read.cache_write_tokens, 0);
      }
    });

    test('keeps to a JSON schema', async () => {
      const schema = {
        type: 'object',
        properties: { river: { const: 'পদ্মা' }, km: { type: 'integer', minimum: 1 } },
        required: ['river', 'km'],
      };
      const answer = await ask(isStreamed, {
        messages: [question],
        response_format: { type: 'json_schema', json_schema: { name: 'river', schema } },
      });
      assert.equal(JSON.parse(answer.choices[0]?.message.content ?? '').river, 'পদ্মা');
      await assertCharged(answer);
    });

    test('and an older one by way of a tool', async () => {
      const schema = { type: 'object', properties: { km: { type: 'integer' } }, required: ['km'] };
      const answer = await ask(isStreamed, {
        model: 'anthropic/claude-3-5-sonnet',
        messages: [question],
        response_format: { type: 'json_schema', json_schema: { name: 'river', schema } },
      });
      assert.equal(typeof JSON.parse(answer.choices[0]?.message.content ?? '').km, 'number');
      assert.equal(answer.choices[0]?.finish_reason, 'stop');
      assert.equal(answer.choices[0]?.message.tool_calls, undefined);
    });

    test('refuses by name what it cannot do', async () => {
      const refused: readonly (readonly [RegExp, Partial<Params>])[] = [
        [/\bn\\?" is not supported/, { n: 2 }],
        [/decides for itself whether/, { tools: [weather], tool_choice: 'required' }],
      ];
      for (const [message, more] of refused)
        await assert.rejects(ask(isStreamed, { messages: [question], ...more }), (error) => {
          assert.ok(error instanceof OpenAI.BadRequestError);
          assert.match(error.message, message);
          return true;
        });
    });
  });

/** The reasoning of an answer, put together as a client would that reads `reasoning_details`. */
async function reasoningOf(
  isStreamed: boolean,
  params: Partial<Params>,
): Promise<{ reasoning: string; details: readonly Json[] }> {
  // as: `messages` is in each call here
  const body = { model, ...params } as Params;
  if (!isStreamed) {
    const { choices } = await client.chat.completions.create(body);
    // as: members that OpenAI does not know
    const message = choices[0]?.message as More | undefined;
    return { reasoning: message?.reasoning ?? '', details: message?.reasoning_details ?? [] };
  }
  let reasoning = '';
  const details: Record<string, unknown>[] = [];
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    // as: members that OpenAI does not know
    const delta = chunk.choices[0]?.delta as More | undefined;
    reasoning += delta?.reasoning ?? '';
    for (const detail of delta?.reasoning_details ?? []) {
      const at = Number(detail.index);
      const { text = '' } = details[at] ?? {};
      details[at] = { ...details[at], ...detail, text: `${text}${detail.text ?? ''}` };
    }
  }
  return { reasoning, details };
}

test('the books are clean', async () => {
  await books.settled();
  assert.deepEqual((await audit(books.sql)).findings, []);
});

describe('Anthropic itself', () => {
  const post = (stream = false): Promise<Response> =>
    fetch(`${scripted.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${scripted.key}` },
      body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
      signal: AbortSignal.timeout(15_000),
    });
  const refusal = (status: number, type: string, message: string, headers = {}) =>
    whole(JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_1' }), {
      status,
      headers,
    });
  const message = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-sonnet-5-5',
    content: [{ type: 'text', text: 'Hi!' }],
    stop_reason: 'end_turn',
    usage: { input_tokens: 9, output_tokens: 3 },
  };
  const events = (...data: readonly Json[]) =>
    sse(data.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}`));

  test('is asked at its own address, by its own key and version, for the most that the model can', async () => {
    upstream.forget();
    upstream.behave([whole(JSON.stringify(message))]);
    assert.match(await (await post()).text(), /"content":"Hi!"/);
    const [received] = upstream.received;
    assert.match(received?.path ?? '', /\/v1\/messages$/);
    assert.equal(received?.headers['x-api-key'], 'claude-key');
    assert.equal(received?.headers['anthropic-version'], '2023-06-01');
    assert.equal(received?.headers.authorization, undefined);
    assert.equal(typeof received?.body?.max_tokens, 'number');
  });

  test('tells why it refuses: the client, where that is at fault', async () => {
    const tooLong = 'prompt is too long: 1000250 tokens > 1000000 maximum';
    upstream.behave([refusal(400, 'invalid_request_error', tooLong)]);
    const response = await post();
    assert.equal(response.status, 400);
    assert.match(await response.text(), /prompt is too long: 1000250 tokens/);
    upstream.behave([refusal(413, 'request_too_large', 'Request exceeds the maximum size')]);
    assert.equal((await post()).status, 413);
    upstream.behave([refusal(429, 'rate_limit_error', 'Too many', { 'retry-after': '7' })]);
    const limited = await post();
    assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '7']);
  });

  test('is asked nothing that is nested deeper than a stack', async () => {
    const levels = 200_000;
    const schema = `${'{"items":'.repeat(levels)}{}${'}'.repeat(levels)}`;
    const format = `{"type":"json_schema","json_schema":{"name":"a","schema":${schema}}}`;
    const { baseUrl, key } = scripted;
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: `{"model":"${model}","messages":[{"role":"user","content":"a"}],"response_format":${format}}`,
    });
    assert.equal(response.status, 400);
    assert.match(await response.text(), /nested too deeply/);
  });

  test('and nobody else hears of its trouble with us', async () => {
    const low = 'Your credit balance is too low to access the Anthropic API.';
    for (const answer of [
      refusal(529, 'overloaded_error', 'Overloaded'),
      refusal(401, 'authentication_error', 'invalid x-api-key'),
      refusal(402, 'billing_error', low),
      refusal(400, 'invalid_request_error', low),
      refusal(404, 'not_found_error', 'model: claude-sonnet-5-5'),
      whole(JSON.stringify({ type: 'error', error: { type: 'api_error', message: 'no' } })),
    ]) {
      upstream.behave([answer]);
      const response = await post();
      assert.equal(response.status, 503);
      assert.doesNotMatch(await response.text(), /credit balance|x-api-key/);
    }
  });

  test('may go wrong after its 200: before a word and behind it', async () => {
    const start = { type: 'message_start', message: { ...message, content: [] } };
    const overloaded = {
      type: 'error',
      error: { type: 'overloaded_error', message: 'Overloaded' },
    };
    upstream.behave(events(start, { type: 'ping' }, overloaded));
    assert.equal((await post(true)).status, 503);
    const block = {
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'text', text: '' },
    };
    const delta = {
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text: 'Hel' },
    };
    upstream.behave(events(start, block, delta, overloaded));
    const text = await (await post(true)).text();
    assert.match(text, /"content":"Hel"/);
    assert.match(text, /"finish_reason":"error"/);
    assert.doesNotMatch(text, /Overloaded/);
  });
});
