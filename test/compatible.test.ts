/** The official OpenAI SDK asks providers that nearly speak OpenAI's form: what they get, what it reads, and which errors are whose. */
import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import OpenAI from 'openai';
import { proveBooks } from './books.ts';
import { startHostile } from './hostile.ts';
import { chunk, completion, failure, sse, usage, whole } from './hostile_behaviours.ts';
import { startInstallation } from './installation.ts';

const upstream = await startHostile();
const names = ['AZURE', 'MISTRAL', 'ZHIPU', 'ALIBABA', 'GROQ'];
const installation = await startInstallation({
  env: Object.fromEntries([
    ['RATE_LIMIT_RPM', '0'],
    ...names.flatMap((name) => [
      [`${name}_API_KEY`, `key-of-${name.toLowerCase()}`],
      [`${name}_BASE_URL`, upstream.baseUrl],
    ]),
  ]),
});
after(async () => {
  await proveBooks(installation);
  await Promise.all([installation.remove(), upstream.close()]);
});
beforeEach(() => upstream.forget());

const client = new OpenAI({
  apiKey: installation.key,
  baseURL: installation.baseUrl,
  maxRetries: 0,
  timeout: 15_000,
});

type Params = Omit<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming, 'stream' | 'messages'>;

/** @param providers to ask, in this order */
function asking(model: string, providers: readonly string[], more: Partial<Params> = {}) {
  const provider = { order: providers, only: providers };
  const messages = [{ role: 'user' as const, content: 'Capital?' }];
  return { model, messages, provider, ...more };
}

const tool = {
  type: 'function' as const,
  function: { name: 'f', strict: true, parameters: { type: 'object', properties: {} } },
};

describe('the SDK', () => {
  test('streams calls that Mistral sends without an index, and thinking in parts', async () => {
    const call = (id: string, text: string) => ({ id, function: { name: 'f', arguments: text } });
    const thinking = [{ type: 'thinking', thinking: [{ type: 'text', text: 'ঢাকা?' }] }];
    const calls = [call('D681PevKs', '{"a":1}'), call('E681PevKs', '{}')];
    upstream.behave(() =>
      sse(
        [
          chunk({ role: 'assistant', content: '' }),
          chunk({ content: thinking }),
          chunk({ content: '', tool_calls: calls }, 'tool_calls', { usage }),
          '[DONE]',
        ].map((data) => `data: ${data}`),
      ),
    );
    const params = asking('mistralai/magistral-medium-latest', ['mistral'], {
      tools: [tool],
      user: 'somebody',
    });
    let thought = '';
    const stream = client.chat.completions.stream(params).on('chunk', ({ choices }) => {
      const [choice] = choices;
      if (choice && 'reasoning' in choice.delta) thought += choice.delta.reasoning;
    });
    const { choices } = await stream.finalChatCompletion();
    assert.deepEqual(
      choices[0]?.message.tool_calls?.map((made) => [made.type, made.id]),
      [
        ['function', 'D681PevKs'],
        ['function', 'E681PevKs'],
      ],
    );
    assert.equal(thought, 'ঢাকা?');
    const { body, headers } = await upstream.request();
    assert.equal(headers.authorization, 'Bearer key-of-mistral');
    assert.deepEqual(Object.keys(body ?? {}).sort(), ['messages', 'model', 'stream', 'tools']);
  });

  test('reads reasoning under one name, whoever answers', async () => {
    const message = { role: 'assistant', content: 'Dhaka.', reasoning_content: 'Hm.' };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    upstream.behave([whole(completion('', { choices }))]);
    const answer = await client.chat.completions.create(
      asking('z-ai/glm-5.2', ['alibaba'], { reasoning_effort: 'high' }),
    );
    assert.partialDeepStrictEqual(answer.choices[0]?.message, {
      content: 'Dhaka.',
      reasoning: 'Hm.',
    });
    const { body } = await upstream.request();
    assert.equal(body?.enable_thinking, true);
    assert.equal(body?.reasoning_effort, undefined);
  });

  test('is asked for by the key header of Azure', async () => {
    upstream.behave([whole(completion())]);
    await client.chat.completions.create(asking('openai/gpt-4o-mini', ['azure']));
    const { headers } = await upstream.request();
    assert.equal(headers['api-key'], 'key-of-azure');
    assert.equal(headers.authorization, undefined);
  });
});

describe('an error', () => {
  test('of our account with one provider is not the client’s: the next is asked', async () => {
    upstream.behave(({ headers }) =>
      headers.authorization === 'Bearer key-of-zhipu'
        ? failure(400, { code: '1113', message: 'Please top up' })
        : [whole(completion())],
    );
    const answer = await client.chat.completions.create(
      asking('z-ai/glm-5.2', ['zhipu', 'alibaba']),
    );
    assert.equal(answer.choices[0]?.message.content, 'The capital is Dhaka.');
    assert.equal(upstream.received.length, 2);
  });

  test('of our account with the only provider is a 503 that does not quote it', async () => {
    upstream.behave(failure(400, { code: 'Arrearage', message: 'Access denied' }));
    await assert.rejects(
      client.chat.completions.create(asking('z-ai/glm-5.2', ['alibaba'])),
      (error) => error instanceof OpenAI.APIError && error.status === 503,
    );
  });

  test('for what a provider lacks is a 400 that names it, unless another has it', async () => {
    upstream.behave([whole(completion())]);
    const biased = (providers: readonly string[]) =>
      client.chat.completions.create(
        asking('qwen/qwen3.6-27b', providers, { logit_bias: { '1': 5 } }),
      );
    await assert.rejects(
      biased(['groq']),
      (error) => error instanceof OpenAI.BadRequestError && /logit_bias/.test(error.message),
    );
    assert.equal(upstream.received.length, 0);
    await biased(['groq', 'alibaba']);
    const { body, headers } = await upstream.request();
    assert.equal(headers.authorization, 'Bearer key-of-alibaba');
    assert.deepEqual(body?.logit_bias, { '1': 5 });
  });
});
