/** The official `openai` package of npm as a client: what it can do with us, and what it makes of every error. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import OpenAI, * as classes from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { type Failure, failures, startScene, type Trouble } from './scene.ts';

const scene = await startScene();
after(() => scene[Symbol.asyncDispose]());

const model = 'openai/gpt-4o-mini';
const hello = [{ role: 'user' as const, content: 'Hello from AK AI CORE' }];

function clientOf({ baseUrl, key }: Trouble, headers: Record<string, string | null> = {}): OpenAI {
  // Without a key the SDK would not even ask; without the header it does.
  const withoutKey = key === '' ? { Authorization: null } : {};
  const defaultHeaders = { ...headers, ...withoutKey };
  return new OpenAI({ apiKey: key || 'none', baseURL: baseUrl, maxRetries: 0, defaultHeaders });
}

const client = clientOf(scene.troubles.good);
const isRequestId = /^req_[0-9a-f]{32}$/;

/** Usage with the member that OpenAI does not have. */
function costOf(usage: OpenAI.CompletionUsage | null | undefined): number {
  assert.ok(usage && 'cost' in usage && typeof usage.cost === 'number');
  return usage.cost;
}

describe('answers', () => {
  test('in one piece, with its cost', async () => {
    const { data, response, request_id } = await client.chat.completions
      .create({ model, messages: hello })
      .withResponse();
    assert.equal(data.object, 'chat.completion');
    assert.equal(data.model, model);
    assert.match(data.id, /^chatcmpl-[0-9a-f]{32}$/);
    assert.equal(data.choices.length, 1);
    assert.equal(data.choices[0]?.message.role, 'assistant');
    assert.match(data.choices[0]?.message.content ?? '', /sandbox.*Hello from AK AI CORE/);
    assert.equal(data.choices[0]?.finish_reason, 'stop');
    const { usage } = data;
    assert.ok(usage);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    // $0.15 and $0.60 a million tokens; pico-dollars, so that the sum is exact.
    const pico = usage.prompt_tokens * 150_000 + usage.completion_tokens * 600_000;
    assert.equal(costOf(usage), Number((Math.ceil(pico / 1000) / 1e9).toFixed(9)));
    assert.equal(Number(response.headers.get('x-cost-usd')), costOf(usage));
    assert.match(request_id ?? '', isRequestId);
    assert.equal(response.headers.get('x-ratelimit-limit-requests'), '600');
  });

  test('are charged to the wallet, exactly', async () => {
    const balance = async (): Promise<number> =>
      (await scene.main.akai<{ balance: number }>('wallet', 'show', '--email', scene.main.email))
        .balance;
    const before = await balance();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => client.chat.completions.create({ model, messages: hello })),
    );
    const cost = answers.reduce((sum, { usage }) => sum + Math.round(costOf(usage) * 1e9), 0);
    assert.equal(Math.round(before * 1e9) - Math.round((await balance()) * 1e9), cost);
  });

  test('streamed, without usage unless it is asked for', async () => {
    const stream = await client.chat.completions.create({ model, messages: hello, stream: true });
    let text = '';
    let finish: string | null = null;
    const ids = new Set<string>();
    for await (const chunk of stream) {
      assert.equal(chunk.object, 'chat.completion.chunk');
      assert.equal(chunk.model, model);
      assert.ok(!('usage' in chunk) || chunk.usage === undefined, 'no chunk mentions usage');
      assert.equal(chunk.choices.length, 1);
      ids.add(chunk.id);
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.equal(ids.size, 1);
    assert.match(text, /Hello from AK AI CORE/);
    assert.equal(finish, 'stop');
  });

  test('streamed, with a last chunk of usage when it is asked for', async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    const last = chunks.at(-1);
    assert.deepEqual(last?.choices, []);
    assert.ok(costOf(last?.usage) > 0);
    for (const chunk of chunks.slice(0, -1)) assert.equal(chunk.usage ?? null, null);
  });

  test('through the SDK’s stream helper', async () => {
    const stream = client.chat.completions.stream({ model, messages: hello });
    assert.match((await stream.finalContent()) ?? '', /Hello from AK AI CORE/);
  });

  test('several, when n says so', async () => {
    const { choices } = await client.chat.completions.create({ model, messages: hello, n: 3 });
    assert.deepEqual(
      choices.map(({ index }) => index),
      [0, 1, 2],
    );
    const stream = client.chat.completions.stream({ model, messages: hello, n: 3 });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices.length, 3);
    for (const { message } of final.choices) assert.match(message.content ?? '', /Hello/);
  });

  test('that end at a stop text, or at the limit', async () => {
    const stopped = await client.chat.completions.create({
      model,
      messages: hello,
      stop: ['model'],
    });
    assert.equal(stopped.choices[0]?.finish_reason, 'stop');
    assert.doesNotMatch(stopped.choices[0]?.message.content ?? '', /model/);
    for (const limit of ['max_tokens', 'max_completion_tokens'] as const) {
      const short = await client.chat.completions.create({ model, messages: hello, [limit]: 5 });
      assert.ok('choices' in short);
      assert.equal(short.choices[0]?.finish_reason, 'length');
      assert.equal(short.usage?.completion_tokens, 5);
    }
  });

  test('in Bangla, to the letter, in one piece and streamed', async () => {
    const said = 'আমার সোনার বাংলা, আমি তোমায় ভালোবাসি ❤️';
    const messages = [{ role: 'user' as const, content: said }];
    const whole = await client.chat.completions.create({ model, messages });
    assert.ok(whole.choices[0]?.message.content?.includes(said));
    const stream = client.chat.completions.stream({ model, messages });
    assert.ok((await stream.finalContent())?.includes(said));
  });
});

describe('tools and formats', () => {
  const tools = ['get_weather', 'get_time'].map((name) => ({
    type: 'function' as const,
    function: {
      name,
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  }));

  test('a tool is called and its answer used', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'user', content: 'The weather in Dhaka?' },
    ];
    const first = await client.chat.completions.create({ model, messages, tools });
    assert.equal(first.choices[0]?.finish_reason, 'tool_calls');
    const message = first.choices[0]?.message;
    const call = message?.tool_calls?.[0];
    assert.ok(message && call?.type === 'function');
    assert.equal(call.function.name, 'get_weather');
    assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
    messages.push(message, { role: 'tool', tool_call_id: call.id, content: '31 °C' });
    const second = await client.chat.completions.create({ model, messages, tools });
    assert.match(second.choices[0]?.message.content ?? '', /31 °C/);
  });

  test('two tools are called in one stream', async () => {
    const stream = client.chat.completions.stream({
      model,
      tools,
      messages: [{ role: 'user', content: 'Weather and time in Sylhet?' }],
    });
    const message = await stream.finalMessage();
    const calls = (message.tool_calls ?? []).filter((call) => call.type === 'function');
    assert.deepEqual(
      calls.map((call) => call.function.name),
      ['get_weather', 'get_time'],
    );
    assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
    for (const call of calls) assert.ok(JSON.parse(call.function.arguments));
  });

  test('an answer follows a JSON schema', async () => {
    const river = z.object({ name: z.string(), km: z.int(), delta: z.boolean() });
    const { choices } = await client.chat.completions.parse({
      model,
      messages: hello,
      response_format: zodResponseFormat(river, 'river'),
    });
    assert.doesNotThrow(() => river.parse(choices[0]?.message.parsed));
  });
});

describe('models', () => {
  test('are listed', async () => {
    const list = await Array.fromAsync(await client.models.list());
    assert.ok(list.length >= 20);
    for (const { id, object } of list) {
      assert.match(id, /^[\w.-]+\/[\w.-]+$/);
      assert.equal(object, 'model');
    }
  });

  test('are found by id, with the slash encoded as the SDK does', async () => {
    const found = await client.models.retrieve(model);
    assert.deepEqual([found.id, found.created, found.owned_by], [model, 1715644800, 'openai']);
    const plain = await fetch(`${scene.main.baseUrl}/models/${model}`, {
      headers: { authorization: `Bearer ${scene.main.key}` },
    });
    assert.deepEqual(await plain.json(), JSON.parse(JSON.stringify(found)));
    const nobody = await rejection(client.models.retrieve('openai/nothing'));
    assert.ok(nobody instanceof classes.NotFoundError);
  });

  test('need a key', async () => {
    const stranger = await rejection(clientOf(scene.troubles.missing).models.list());
    assert.ok(stranger instanceof classes.AuthenticationError);
  });
});

async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it should have been refused');
}

/** Asks until it is refused with this status. */
async function refused(
  failure: Failure,
  headers: Record<string, string>,
  stream: boolean,
): Promise<classes.APIError> {
  const sdk = clientOf(scene.troubles[failure.trouble], headers);
  for (let tries = failure.tries ?? 1; tries > 0; tries -= 1) {
    const error = await rejection(
      sdk.chat.completions.create({ model, messages: hello, stream, ...failure.request }),
    );
    assert.ok(error instanceof classes.APIError, String(error));
    if (error.status === failure.status || tries === 1) return error;
  }
  return assert.fail('unreachable');
}

const exceptions: Readonly<Record<string, unknown>> = { ...classes };

describe('errors', async () => {
  for (const failure of failures) {
    const { status, code, says, exception, trouble } = failure;
    test(`${status} ${code}${failure.request ? ` (${Object.keys(failure.request)})` : ''}`, async () => {
      if (trouble === 'broken') await scene.breakStrict();
      for (const stream of [false, true]) {
        const text = await refused(failure, {}, stream);
        assert.equal(text.constructor, exceptions[exception]);
        assert.equal(text.status, status);
        assert.ok(
          typeof text.error === 'string' && text.error.startsWith(says),
          String(text.error),
        );
        assert.equal(text.code, undefined);
        assert.equal(text.headers?.get('x-error-code'), code);
        assert.match(text.requestID ?? '', isRequestId);
        assert.equal(text.headers?.get('x-should-retry'), String(status === 429 || status >= 500));

        const object = await refused(failure, { 'x-error-format': 'object' }, stream);
        assert.equal(object.constructor, exceptions[exception]);
        assert.equal(object.code, code);
        assert.ok(object.message.startsWith(`${status} ${says}`), object.message);
        assert.equal(typeof object.type, 'string');
        assert.match(object.requestID ?? '', isRequestId);
      }
      if (status === 429) {
        const { headers } = await refused(failure, {}, false);
        assert.ok(Number(headers?.get('retry-after')) >= 1);
        assert.equal(headers?.get('x-ratelimit-remaining-requests'), '0');
      }
    });
  }
});
