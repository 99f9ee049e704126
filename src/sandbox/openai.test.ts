import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { models } from '../catalogue/catalogue.ts';
import { type Sandbox, startSandboxProvider } from './provider.ts';
import { countTokens } from './tokens.ts';

type Params = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type Chunk = OpenAI.Chat.ChatCompletionChunk;

let sandbox: Sandbox;
let client: OpenAI;
before(async () => {
  sandbox = await startSandboxProvider({ paceMs: 1 });
  client = new OpenAI({ apiKey: 'any', baseURL: sandbox.baseUrl, maxRetries: 0 });
});
after(() => sandbox.close());

const hello = [{ role: 'user' as const, content: 'Hello from AK AI CORE' }];
const mini = { model: 'gpt-4o-mini', messages: hello };
const ask = (params: Partial<Params> = {}) =>
  client.chat.completions.create({ ...mini, ...params });

async function askStream(params: Partial<Params> = {}, usage = true): Promise<Chunk[]> {
  const options = usage ? { stream_options: { include_usage: true } } : {};
  const stream = await client.chat.completions.create({
    ...mini,
    ...params,
    ...options,
    stream: true,
  });
  return Array.fromAsync(stream);
}

function textOf(chunks: readonly Chunk[], index = 0): string {
  return chunks
    .flatMap((chunk) => chunk.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta.content ?? '')
    .join('');
}

async function raw(body: string): Promise<{ status: number; text: string; headers: Headers }> {
  const answer = await fetch(`${sandbox.baseUrl}/chat/completions`, { method: 'POST', body });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const weather = (name = 'get_weather'): OpenAI.Chat.ChatCompletionTool => ({
  type: 'function',
  function: {
    name,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { enum: ['c', 'f'] } },
      required: ['city', 'unit'],
    },
  },
});

describe('a JSON answer', () => {
  test('has the form of OpenAI, says that it is the sandbox and refers to what was said', async () => {
    const answer = await ask();
    const text = answer.choices[0]?.message.content ?? '';
    assert.match(text, /^\[sandbox\] No model was asked/);
    assert.match(text, /OPENAI_API_KEY/);
    assert.match(text, /“Hello from AK AI CORE”/);
    assert.match(answer.id, /^chatcmpl-\w{24}$/);
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.model, 'gpt-4o-mini-2024-07-18');
    assert.equal(answer.system_fingerprint, 'fp_sandbox');
    assert.ok(Math.abs(answer.created - Date.now() / 1000) < 10);
    assert.equal(answer.choices[0]?.finish_reason, 'stop');
    assert.equal(answer.choices[0]?.logprobs, null);
    assert.equal(answer.choices[0]?.message.refusal, null);
    assert.equal(answer.usage?.completion_tokens, countTokens(text));
    assert.equal(answer.usage?.prompt_tokens, 3 + 3 + countTokens('Hello from AK AI CORE'));
    assert.equal(
      answer.usage?.total_tokens,
      answer.usage.prompt_tokens + answer.usage.completion_tokens,
    );
  });

  test('carries the headers of a provider', async () => {
    const { headers, status } = await raw(JSON.stringify(mini));
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'application/json');
    assert.match(headers.get('x-request-id') ?? '', /^req_/);
    assert.ok(headers.get('openai-processing-ms'));
  });

  test('exists for every offer of the catalogue, and for nothing else', async () => {
    for (const { upstreamModel } of [...models.values()].flatMap((model) => model.offers)) {
      const answer = await ask({ model: upstreamModel });
      assert.ok(answer.model.startsWith(upstreamModel));
    }
    await assert.rejects(ask({ model: 'gpt-nought' }), OpenAI.NotFoundError);
    const listed = await client.models.list();
    assert.ok(listed.data.some((model) => model.id === 'claude-3-5-sonnet-20241022'));
  });

  test('stops at exactly the tokens allowed', async () => {
    for (const limit of [{ max_tokens: 7 }, { max_completion_tokens: 7 }]) {
      const answer = await ask(limit);
      assert.equal(answer.choices[0]?.finish_reason, 'length');
      assert.equal(answer.usage?.completion_tokens, 7);
      assert.equal(countTokens(answer.choices[0]?.message.content ?? ''), 7);
    }
  });

  test('ends before a stop sequence', async () => {
    const answer = await ask({ stop: ['You said', 'nowhere'] });
    assert.equal(answer.choices[0]?.finish_reason, 'stop');
    assert.match(answer.choices[0]?.message.content ?? '', /GPT-4o mini\. $/);
    assert.equal((await ask({ stop: '[' })).choices[0]?.message.content, '');
  });

  test('gives n choices, and the same ones for the same seed', async () => {
    const [one, two] = [await ask({ n: 3, seed: 7 }), await ask({ n: 3, seed: 7 })];
    const texts = one.choices.map((choice) => choice.message.content);
    assert.equal(new Set(texts).size, 3);
    assert.deepEqual(
      two.choices.map((choice) => choice.message.content),
      texts,
    );
    const total = texts.reduce((sum, text) => sum + countTokens(text ?? ''), 0);
    assert.equal(one.usage?.completion_tokens, total);
    assert.notEqual((await ask({ seed: 8 })).choices[0]?.message.content, texts[0]);
  });

  test('answers Bangla in Bangla, and takes images, files and every role', async () => {
    const answer = await ask({
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'system', content: 'Really.' },
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: null, refusal: 'no' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'বাংলাদেশের রাজধানী কী?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
          ],
        },
      ],
    });
    const text = answer.choices[0]?.message.content ?? '';
    assert.match(text, /^\[sandbox\] কোনো মডেলকে/);
    assert.match(text, /“বাংলাদেশের রাজধানী কী\?”/);
    assert.match(text, /2টি সংযুক্তি/);
    const parts = ['Be brief.', 'Really.', 'hi', 'বাংলাদেশের রাজধানী কী?'];
    const words = parts.reduce((sum, part) => sum + countTokens(part), 0);
    assert.equal(answer.usage?.prompt_tokens, 3 + 5 * 3 + words + 2 * 85);
  });

  test('reasons where the model does, within the limit', async () => {
    const luna = { model: 'gpt-6-luna' };
    const details = (answer: OpenAI.Chat.ChatCompletion) =>
      answer.usage?.completion_tokens_details?.reasoning_tokens ?? -1;
    const [low, high] = [
      await ask({ ...luna, reasoning_effort: 'low' }),
      await ask({ ...luna, reasoning_effort: 'high' }),
    ];
    assert.ok(details(low) > 0 && details(high) > details(low));
    const text = high.choices[0]?.message.content ?? '';
    assert.equal(high.usage?.completion_tokens, details(high) + countTokens(text));
    assert.equal(details(await ask({ ...luna, reasoning_effort: 'none' })), 0);
    assert.equal(details(await ask()), 0);
    const cut = await ask({ ...luna, max_completion_tokens: 10 });
    assert.equal(cut.choices[0]?.message.content, '');
    assert.equal(cut.choices[0]?.finish_reason, 'length');
    assert.equal(cut.usage?.completion_tokens, 10);
    // xAI counts them apart.
    const { usage } = await ask({ model: 'grok-4.7' });
    assert.ok(usage && usage.total_tokens > usage.prompt_tokens + usage.completion_tokens);
  });

  test('tells log probabilities when asked', async () => {
    const answer = await ask({ logprobs: true, top_logprobs: 2, max_tokens: 5 });
    const content = answer.choices[0]?.logprobs?.content ?? [];
    assert.equal(content.length, 5);
    assert.equal(content.map((entry) => entry.token).join(''), answer.choices[0]?.message.content);
    for (const entry of content) {
      assert.deepEqual(entry.bytes, [...Buffer.from(entry.token)]);
      assert.equal(entry.top_logprobs.length, 2);
      assert.equal(entry.top_logprobs[0]?.token, entry.token);
      assert.ok(entry.logprob < 0);
    }
  });

  test('is JSON when JSON is asked for', async () => {
    const messages = [{ role: 'user' as const, content: 'Answer in JSON' }];
    const loose = await ask({ messages, response_format: { type: 'json_object' } });
    assert.equal(JSON.parse(loose.choices[0]?.message.content ?? '').sandbox, true);
    const schema = {
      type: 'object',
      properties: {
        city: { type: 'string' },
        people: { type: 'array', items: { $ref: '#/$defs/person' } },
      },
      required: ['city', 'people'],
      additionalProperties: false,
      $defs: { person: { type: 'object', properties: { age: { type: 'integer', minimum: 18 } } } },
    };
    const strict = await ask({
      response_format: { type: 'json_schema', json_schema: { name: 'place', schema } },
    });
    assert.deepEqual(JSON.parse(strict.choices[0]?.message.content ?? ''), {
      city: '[sandbox] city',
      people: [{ age: 18 }],
    });
  });
});

describe('tools', () => {
  const both = {
    tools: [weather(), weather('get_time'), weather('get_nothing')],
    messages: [{ role: 'user' as const, content: 'weather and time in Dhaka?' }],
  };

  test('are called with arguments that fit, those first that the user mentions', async () => {
    const answer = await ask(both);
    const calls = answer.choices[0]?.message.tool_calls ?? [];
    assert.equal(answer.choices[0]?.finish_reason, 'tool_calls');
    assert.equal(answer.choices[0]?.message.content, null);
    assert.deepEqual(
      calls.map((call) => call.type === 'function' && call.function.name),
      ['get_weather', 'get_time'],
    );
    for (const call of calls) {
      assert.match(call.id, /^call_\w{24}$/);
      assert.ok(call.type === 'function');
      assert.deepEqual(JSON.parse(call.function.arguments), { city: '[sandbox] city', unit: 'c' });
    }
    const single = await ask({ ...both, parallel_tool_calls: false });
    assert.equal(single.choices[0]?.message.tool_calls?.length, 1);
  });

  test('obey tool_choice', async () => {
    const none = await ask({ ...both, tool_choice: 'none' });
    assert.equal(none.choices[0]?.message.tool_calls, undefined);
    const required = await ask({ ...both, messages: hello, tool_choice: 'required' });
    assert.equal(required.choices[0]?.message.tool_calls?.length, 1);
    const named = await ask({
      ...both,
      tool_choice: { type: 'function', function: { name: 'get_nothing' } },
    });
    const call = named.choices[0]?.message.tool_calls?.[0];
    assert.ok(call?.type === 'function' && call.function.name === 'get_nothing');
    assert.equal(named.choices[0]?.finish_reason, 'stop');
    const custom = await ask({ tools: [{ type: 'custom', custom: { name: 'write' } }] });
    const written = custom.choices[0]?.message.tool_calls?.[0];
    assert.ok(written?.type === 'custom' && written.custom.input.startsWith('[sandbox]'));
  });

  test('are answered in words once they have spoken', async () => {
    const first = await ask(both);
    const message = first.choices[0]?.message;
    assert.ok(message?.tool_calls);
    const answers = message.tool_calls.map((call) => ({
      role: 'tool' as const,
      tool_call_id: call.id,
      content: '31 degrees',
    }));
    const second = await ask({ ...both, messages: [...both.messages, message, ...answers] });
    assert.match(second.choices[0]?.message.content ?? '', /The tool answered: “31 degrees”/);
  });

  test('stream by index, their arguments in pieces, as the SDK puts them together', async () => {
    const chunks = await askStream(both);
    const pieces = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    const heads = pieces.filter((piece) => piece.id !== undefined);
    assert.deepEqual(
      heads.map((piece) => [piece.index, piece.function?.name, piece.function?.arguments]),
      [
        [0, 'get_weather', ''],
        [1, 'get_time', ''],
      ],
    );
    assert.ok(pieces.length > 12);
    const final = await client.chat.completions.stream({ ...mini, ...both }).finalChatCompletion();
    const names = final.choices[0]?.message.tool_calls?.map((call) =>
      call.type === 'function' ? JSON.parse(call.function.arguments).unit : null,
    );
    assert.deepEqual(names, ['c', 'c']);
  });

  test('are cut by the limit like any answer', async () => {
    const answer = await ask({ ...both, max_tokens: 6 });
    assert.equal(answer.choices[0]?.finish_reason, 'length');
    assert.equal(answer.usage?.completion_tokens, 6);
  });
});

describe('a stream', () => {
  test('says the same as the JSON answer, in the order of OpenAI', async () => {
    const [whole, chunks] = [await ask(), await askStream()];
    assert.equal(textOf(chunks), whole.choices[0]?.message.content);
    assert.deepEqual(chunks[0]?.choices[0]?.delta, {
      role: 'assistant',
      content: '',
      refusal: null,
    });
    const [finish, usage] = chunks.slice(-2);
    assert.deepEqual(finish?.choices[0]?.delta, {});
    assert.equal(finish?.choices[0]?.finish_reason, 'stop');
    assert.deepEqual(usage?.choices, []);
    assert.deepEqual(usage?.usage, whole.usage);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
    assert.equal(new Set(chunks.map((chunk) => chunk.id + chunk.created + chunk.model)).size, 1);
    assert.ok(chunks.every((chunk) => chunk.object === 'chat.completion.chunk'));
  });

  test('has usage only when asked for', async () => {
    const chunks = await askStream({}, false);
    assert.ok(chunks.every((chunk) => !('usage' in chunk) && chunk.choices.length === 1));
  });

  test('is framed as events and closed by [DONE]', async () => {
    const { text, headers } = await raw(JSON.stringify({ ...mini, stream: true, max_tokens: 2 }));
    assert.equal(headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.match(text, /^(data: \{.*\}\n\n){4}data: \[DONE\]\n\n$/);
  });

  test('interleaves n choices and carries log probabilities', async () => {
    const chunks = await askStream({ n: 2, logprobs: true, max_tokens: 9 });
    for (const index of [0, 1]) {
      const own = chunks.flatMap((chunk) => chunk.choices).filter((one) => one.index === index);
      assert.equal(own[0]?.delta.role, 'assistant');
      assert.equal(own.at(-1)?.finish_reason, 'length');
      assert.equal(own.filter((one) => one.logprobs?.content?.length === 1).length, 9);
    }
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 18);
    assert.notEqual(chunks[1]?.choices[0]?.index, chunks[2]?.choices[0]?.index);
  });

  test('takes its time, and stops when the client leaves', async (context) => {
    const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
    const slow = await startSandboxProvider({ paceMs: 50 });
    context.after(() => slow.close());
    const body = JSON.stringify({ ...mini, stream: true });
    const sent = httpRequest(`${slow.baseUrl}/chat/completions`, { method: 'POST', agent: false });
    const before = timers();
    sent.end(body);
    const [answer] = await once(sent, 'response');
    const started = performance.now();
    let bytes = 0;
    for await (const part of answer) {
      bytes += part.length;
      if (performance.now() - started > 200) break;
    }
    assert.ok(bytes > 300 && bytes < 5000);
    // Were it still going, the pause before its next chunk would be a timer.
    await new Promise((done) => setTimeout(done, 150));
    assert.ok(timers() <= before);
  });
});

test('a prompt beyond the context is refused as a real provider refuses it', async () => {
  const messages = [{ role: 'user' as const, content: 'a b '.repeat(70_000) }];
  await assert.rejects(ask({ messages }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, 'context_length_exceeded');
    assert.match(error.message, /maximum context length is 128000 tokens/);
    return true;
  });
});
