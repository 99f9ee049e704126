/** The official OpenAI SDK asks a Gemini model: what goes out and comes back by Google's own form, and what it costs. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import OpenAI from 'openai';
import { audit } from '../src/wallet/audit.ts';
import { openBooks } from './books.ts';
import { startHostile } from './hostile.ts';
import { sse, whole } from './hostile_behaviours.ts';
import { startInstallation } from './installation.ts';

const model = 'google/gemini-3.8-flash';
/** Pico-USD a token. */
const prices = { input: 750_000, cached: 75_000, output: 3_750_000 };

const upstream = await startHostile();
const [stoodIn, scripted] = await Promise.all([
  startInstallation(),
  startInstallation({
    env: { GOOGLE_API_KEY: 'google-key', GOOGLE_BASE_URL: upstream.baseUrl, RATE_LIMIT_RPM: '0' },
  }),
]);
const books = await openBooks(stoodIn);
after(async () => {
  await books[Symbol.asyncDispose]();
  await Promise.all([stoodIn.remove(), scripted.remove(), upstream.close()]);
});

const clientOf = ({ baseUrl, key }: typeof stoodIn): OpenAI =>
  new OpenAI({ apiKey: key, baseURL: baseUrl, maxRetries: 0, timeout: 15_000 });
const client = clientOf(stoodIn);

type Usage = OpenAI.CompletionUsage & { readonly cost: number };

/** Nano-USD. */
function costOf(usage: OpenAI.CompletionUsage | null | undefined): number {
  assert.ok(usage);
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const pico =
    (usage.prompt_tokens - cached) * prices.input +
    cached * prices.cached +
    usage.completion_tokens * prices.output;
  const nano = Math.ceil(pico / 1000);
  // as: our own member
  assert.equal(Math.round((usage as Usage).cost * 1e9), nano);
  return nano;
}

async function assertCharged(id: string, usage: OpenAI.CompletionUsage | null | undefined) {
  const response = await fetch(`${stoodIn.baseUrl}/generation?id=${id}`, {
    headers: { authorization: `Bearer ${stoodIn.key}` },
  });
  const { data } = JSON.parse(await response.text());
  // Both have it at one price.
  assert.match(data.provider, /^(google|vertex)$/);
  assert.equal(data.upstream_model, 'gemini-3.8-flash');
  assert.deepEqual(data.flags, []);
  assert.equal(data.usage_reported_by, 'provider');
  assert.equal(Math.round(Number(data.charged) * 1e9), costOf(usage));
}

const weather: OpenAI.Chat.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

const weatherRequest = {
  model,
  messages: [{ role: 'user' as const, content: 'What is the weather in Dhaka?' }],
  tools: [weather],
};

type Json = Readonly<Record<string, unknown>>;

async function askForWeather(isStreamed: boolean): Promise<OpenAI.ChatCompletion> {
  if (!isStreamed) return client.chat.completions.create(weatherRequest);
  const usage = { stream_options: { include_usage: true } };
  return client.chat.completions.stream({ ...weatherRequest, ...usage }).finalChatCompletion();
}

type Params = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;

describe('sound', () => {
  const data = Buffer.alloc(9000).toString('base64');
  const sound = { type: 'input_audio' as const, input_audio: { data, format: 'wav' as const } };
  const messages: Params['messages'] = [
    { role: 'user', content: [{ type: 'text', text: 'কে বলছে?' }, sound] },
  ];

  test('is charged at its own price, whoever has one, and listed with it', async () => {
    // Nano-USD a token: of text, of sound, of the answer.
    const priced = {
      'google/gemini-3.1-flash-lite': [250, 500, 1500],
      'openai/gpt-audio-mini': [600, 10_000, 2400],
    } as const;
    for (const [id, [text, ofSound, output]] of Object.entries(priced)) {
      const answer = await client.chat.completions.create({ model: id, messages });
      const { usage } = answer;
      const sounds = usage?.prompt_tokens_details?.audio_tokens ?? 0;
      assert.ok(usage && sounds > 0, id);
      const nano =
        (usage.prompt_tokens - sounds) * text + sounds * ofSound + usage.completion_tokens * output;
      // as: our own member
      assert.equal(Math.round((usage as Usage).cost * 1e9), nano, id);
      const listed = JSON.stringify(await client.models.retrieve(id));
      assert.match(listed, /"input_modalities":\[[^\]]*"audio"/, id);
      assert.match(listed, /"audio":"0\.\d+"/, id);
    }
  });

  test('is refused where its price is not known, and nothing is charged', async () => {
    for (const id of [model, 'openai/gpt-4o-mini', 'anthropic/claude-haiku-4.5'])
      await assert.rejects(
        client.chat.completions.create({ model: id, messages }),
        /400 .*Audio input is not available for this model/,
        id,
      );
    assert.doesNotMatch(JSON.stringify(await client.models.retrieve(model)), /"audio"/);
  });

  test('is needed where a model answers nothing else', async () => {
    const text = [{ role: 'user' as const, content: 'Hi' }];
    await assert.rejects(
      client.chat.completions.create({ model: 'openai/gpt-audio-mini', messages: text }),
      /400 .*This model answers prompts with sound only/,
    );
  });

  test('goes to the one of several models that takes it', async () => {
    const asked = { model, models: ['google/gemini-2.5-flash'], messages };
    const answer = await client.chat.completions.create(asked);
    assert.equal(answer.model, 'google/gemini-2.5-flash');
  });
});

test('in the sandbox every offer of a model can be asked for', async () => {
  const id = 'openai/gpt-oss-120b';
  const messages = [{ role: 'user' as const, content: 'Hi' }];
  for (const provider of ['groq', 'bedrock', 'vertex', 'cerebras']) {
    const asked = { model: id, messages, provider: { only: [provider] } };
    const answer = await client.chat.completions.create(asked);
    const response = await fetch(`${stoodIn.baseUrl}/generation?id=${answer.id}`, {
      headers: { authorization: `Bearer ${stoodIn.key}` },
    });
    const { data } = JSON.parse(await response.text());
    assert.equal(data.provider, provider);
    assert.match(
      answer.choices[0]?.message.content ?? '',
      new RegExp(`${provider.toUpperCase()}_API_KEY`),
    );
  }
});

describe('a stand-in that is as strict as Google', () => {
  test('answers whole, with an image, thoughts paid for and told apart', async () => {
    const answer = await client.chat.completions.create({
      model,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'ছবিতে কী আছে?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
          ],
        },
      ],
      reasoning_effort: 'high',
      temperature: 0.2,
      stop: ['###'],
      seed: 7,
    });
    const [choice] = answer.choices;
    assert.match(choice?.message.content ?? '', /ছবিতে কী আছে/);
    assert.equal(choice?.finish_reason, 'stop');
    assert.match(JSON.stringify(choice?.message), /"reasoning":"\*\*Standing in/);
    assert.equal(answer.model, model);
    assert.equal(answer.usage?.completion_tokens_details?.reasoning_tokens, 64);
    assert.match(JSON.stringify(answer.usage), /"image_tokens":85/);
    await assertCharged(answer.id, answer.usage);
  });

  test('a tool round trip keeps the signature, streamed and whole, by either way back', async () => {
    for (const isStreamed of [true, false])
      for (const way of ['tool_calls', 'reasoning_details'] as const) {
        const first = await askForWeather(isStreamed);
        const message = first.choices[0]?.message;
        const call = message?.tool_calls?.[0];
        assert.ok(message && call && 'function' in call);
        assert.equal(first.choices[0]?.finish_reason, 'tool_calls');
        await assertCharged(first.id, first.usage);
        const more: Json = JSON.parse(JSON.stringify({ ...message, ...call }));
        assert.match(JSON.stringify(more.extra_content), /thought_signature/);
        const plain = { id: call.id, type: call.type, function: call.function };
        const { extra_content, reasoning_details } = more;
        const back =
          way === 'tool_calls'
            ? { tool_calls: [{ ...plain, extra_content }] }
            : { tool_calls: [plain], reasoning_details };
        const second = await client.chat.completions.create({
          ...weatherRequest,
          messages: [
            ...weatherRequest.messages,
            // as: members that OpenAI does not know
            { role: 'assistant', ...back } as OpenAI.Chat.ChatCompletionMessageParam,
            { role: 'tool', tool_call_id: call.id, content: '31 °C' },
          ],
        });
        assert.match(second.choices[0]?.message.content ?? '', /31 °C/);
        await assertCharged(second.id, second.usage);
      }
  });

  test('a wrong signature is refused by Google, none is not', async () => {
    const ask = (extra: object) => {
      const named = { name: 'get_weather', arguments: '{}' };
      const call = { id: 'a', type: 'function' as const, function: named, ...extra };
      return client.chat.completions.create({
        model,
        messages: [
          { role: 'user', content: 'Weather?' },
          { role: 'assistant', tool_calls: [call] },
          { role: 'tool', tool_call_id: 'a', content: '31 °C' },
        ],
      });
    };
    const wrong = { extra_content: { google: { thought_signature: 'AAAA' } } };
    await assert.rejects(ask(wrong), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.match(error.message, /signature is not valid/);
      return true;
    });
    assert.ok((await ask({})).choices[0]?.message.content);
  });

  test('a stream is charged with what the cache had, and its schema is kept', async () => {
    const schema = {
      type: 'object',
      properties: { river: { const: 'পদ্মা' }, km: { type: 'integer' } },
      required: ['river', 'km'],
    };
    const ask = async () => {
      const stream = await client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: `A river. ${'water '.repeat(1500)}` }],
        response_format: { type: 'json_schema', json_schema: { name: 'river', schema } },
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = await Array.fromAsync(stream);
      const text = chunks.map((each) => each.choices[0]?.delta.content ?? '').join('');
      assert.equal(JSON.parse(text).river, 'পদ্মা');
      const last = chunks.at(-1);
      await assertCharged(last?.id ?? '', last?.usage);
      return last?.usage?.prompt_tokens_details?.cached_tokens ?? 0;
    };
    assert.equal(await ask(), 0);
    assert.ok((await ask()) >= 1024);
  });

  test('what Gemini cannot do is refused with its name', async () => {
    const ask = client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'Hi' }],
      logit_bias: { '1': 5 },
    });
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.match(error.message, /logit_bias/);
      return true;
    });
  });

  test('and the books are clean', async () => {
    await books.settled();
    assert.deepEqual((await audit(books.sql)).findings, []);
  });
});

describe('Google itself', () => {
  const ask = (stream = false) =>
    fetch(`${scripted.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${scripted.key}` },
      body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
      signal: AbortSignal.timeout(15_000),
    });
  const error = (status: number, message: string, name: string, ...details: object[]) =>
    whole(JSON.stringify({ error: { code: status, message, status: name, details } }), { status });

  test('is asked at its own address, by its own key', async () => {
    upstream.forget();
    const answer = {
      candidates: [{ content: { parts: [{ text: 'Hi!' }] }, finishReason: 'STOP' }],
    };
    upstream.behave([whole(JSON.stringify(answer))]);
    assert.equal((await ask()).status, 200);
    upstream.behave(sse([`data: ${JSON.stringify(answer)}`]));
    assert.match(await (await ask(true)).text(), /"Hi!"/);
    const [first, second] = upstream.received;
    assert.match(first?.path ?? '', /\/models\/gemini-3\.8-flash:generateContent$/);
    assert.match(second?.path ?? '', /\/models\/gemini-3\.8-flash:streamGenerateContent\?alt=sse$/);
    assert.equal(first?.headers['x-goog-api-key'], 'google-key');
    assert.equal(first?.headers.authorization, undefined);
  });

  test('says in the body when to come again', async () => {
    const retry = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.4s' };
    upstream.behave([error(429, 'You exceeded your current quota.', 'RESOURCE_EXHAUSTED', retry)]);
    const response = await ask();
    assert.equal(response.status, 429);
    assert.equal(response.headers.get('retry-after'), '35');
    // Those of a day are over, whatever Google says of seconds.
    const quotaId = 'GenerateRequestsPerDayPerProjectPerModel-FreeTier';
    const daily = {
      '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
      violations: [{ quotaId }],
    };
    upstream.behave([error(429, 'You exceeded your quota.', 'RESOURCE_EXHAUSTED', daily, retry)]);
    assert.equal((await ask()).status, 503);
  });

  test('refuses our key with a 400, which is not the client’s fault', async () => {
    const reason = {
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: 'API_KEY_INVALID',
    };
    const message = 'API key not valid. Please pass a valid API key.';
    upstream.behave([error(400, message, 'INVALID_ARGUMENT', reason)]);
    assert.equal((await ask()).status, 503);
    const location = 'User location is not supported for the API use.';
    upstream.behave([error(400, location, 'FAILED_PRECONDITION')]);
    assert.equal((await ask()).status, 503);
    upstream.behave([error(400, 'Invalid value at temperature.', 'INVALID_ARGUMENT')]);
    assert.equal((await ask()).status, 400);
  });

  test('may go wrong: a call that is none, an error after its 200', async () => {
    const malformed = { candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL', index: 0 }] };
    upstream.behave([whole(JSON.stringify(malformed))]);
    assert.equal((await ask()).status, 503);
    upstream.behave(sse([`data: ${JSON.stringify(malformed)}`]));
    assert.equal((await ask(true)).status, 503);
    const begun = { candidates: [{ content: { parts: [{ text: 'Hel' }] }, index: 0 }] };
    const failed = { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } };
    upstream.behave(sse([begun, failed].map((each) => `data: ${JSON.stringify(each)}`)));
    const text = await (await ask(true)).text();
    assert.match(text, /"content":"Hel"/);
    assert.match(text, /"finish_reason":"error"/);
    assert.doesNotMatch(text, /overloaded/);
  });
});
