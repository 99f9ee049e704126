/** A provider that we did not write: what its clients get through us is what they get from it, but for id, model and cost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import { type Books, openBooks } from './books.ts';
import { type Installation, startInstallation } from './installation.ts';

const ourModel = 'openai/gpt-4o-mini';
const weather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};

const mock = new LLMock({ port: 0 });
let installation: Installation;
let books: Books;
let direct: OpenAI;
let through: OpenAI;

before(async () => {
  mock.onMessage('capital', { content: 'বাংলাদেশের রাজধানী ঢাকা। "Dhaka"\n\\o/' });
  mock.onMessage('weather', {
    toolCalls: [
      { name: 'get_weather', arguments: '{"city":"Dhaka"}', id: 'call_1' },
      { name: 'get_weather', arguments: '{"city":"Sylhet"}', id: 'call_2' },
    ],
  });
  mock.onMessage('think', { content: 'Yes.', reasoning: 'It seems so, does it not?' });
  mock.onMessage('long', { content: 'A long story. '.repeat(500) });
  mock.onMessage('fail', { error: { message: 'Overloaded', type: 'server_error' }, status: 503 });
  await mock.start();
  const upstream = `${mock.url}/v1`;
  installation = await startInstallation({
    env: { OPENAI_API_KEY: 'mock', OPENAI_BASE_URL: upstream },
  });
  books = await openBooks(installation);
  direct = new OpenAI({ apiKey: 'mock', baseURL: upstream, maxRetries: 0 });
  through = new OpenAI({ apiKey: installation.key, baseURL: installation.baseUrl, maxRetries: 0 });
});

after(async () => {
  await books[Symbol.asyncDispose]();
  await installation.remove();
  await mock.stop();
});

function requestFor(
  client: OpenAI,
  content: string,
): OpenAI.ChatCompletionCreateParamsNonStreaming {
  const model = client === direct ? 'gpt-4o-mini' : ourModel;
  const tools = content === 'weather' ? { tools: [weather] } : {};
  return { model, messages: [{ role: 'user', content }], ...tools };
}

/** nano-USD of a usage at gpt-4o-mini's prices. */
function costOf({ prompt_tokens, completion_tokens }: OpenAI.CompletionUsage): number {
  return Math.ceil((prompt_tokens * 150_000 + completion_tokens * 600_000) / 1000);
}

/** What must be the same on both ways. */
function essence(choices: OpenAI.ChatCompletion['choices']): unknown {
  return choices.map(({ message, finish_reason }) => {
    const { content, role, tool_calls } = message;
    const reasoning = 'reasoning_content' in message ? message.reasoning_content : undefined;
    return { content, role, tool_calls, finish_reason, reasoning };
  });
}

for (const content of ['capital', 'weather', 'think', 'long']) {
  test(`${content}: the same answer in one piece, charged as it was counted`, async () => {
    const expected = await direct.chat.completions.create(requestFor(direct, content));
    const answer = await through.chat.completions.create(requestFor(through, content));
    assert.deepEqual(essence(answer.choices), essence(expected.choices));
    assert.ok(answer.usage);
    assert.equal(answer.model, ourModel);
    const receipt = await books.receipt(answer.id);
    assert.equal(receipt.charged, costOf(answer.usage));
  });

  test(`${content}: the same stream, gathered by the SDK`, async () => {
    const gather = (client: OpenAI) =>
      client.chat.completions
        .stream({
          ...requestFor(client, content),
          stream: true,
          stream_options: { include_usage: true },
        })
        .finalChatCompletion();
    const expected = await gather(direct);
    const answer = await gather(through);
    assert.deepEqual(essence(answer.choices), essence(expected.choices));
    const receipt = await books.receipt(answer.id);
    assert.ok(['settled', 'estimated'].includes(receipt.outcome));
    assert.ok(answer.usage);
    assert.equal(receipt.charged, costOf(answer.usage));
    assert.equal(
      receipt.outcome === 'settled',
      expected.usage !== undefined && expected.usage !== null,
    );
  });
}

test('fail: its error becomes ours, and costs nothing', async () => {
  await assert.rejects(
    () => through.chat.completions.create(requestFor(through, 'fail')),
    (error: unknown) => {
      assert.ok(error instanceof OpenAI.InternalServerError);
      assert.equal(error.status, 503);
      assert.match(error.message, /No active providers available/);
      return true;
    },
  );
  await books.settled();
  assert.equal((await installation.akai('audit')).ok, true);
});
