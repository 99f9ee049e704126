/** The stand-in for Gemini: Google's own SDK cannot tell it from Google, and what Google refuses it refuses. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ApiError, FunctionCallingConfigMode, GoogleGenAI, ThinkingLevel } from '@google/genai';
import { models } from '../catalogue/catalogue.ts';
import { gemini } from '../dialects/gemini.ts';
import { type Sandbox, startSandboxProvider } from './provider.ts';

const model = 'gemini-3.8-flash';
let sandbox: Sandbox;
let google: GoogleGenAI;
before(async () => {
  sandbox = await startSandboxProvider({ paceMs: 0 });
  const { origin } = new URL(sandbox.baseUrl);
  google = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: origin } });
});
after(() => sandbox.close());

const declaration = {
  name: 'get_weather',
  parametersJsonSchema: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  },
};
const tools = [{ functionDeclarations: [declaration] }];

describe("Google's own SDK", () => {
  test('reads a whole answer and a stream, with thoughts and usage', async () => {
    const config = { thinkingConfig: { includeThoughts: true, thinkingLevel: ThinkingLevel.HIGH } };
    const whole = await google.models.generateContent({ model, contents: 'Hello', config });
    assert.match(whole.text ?? '', /You said: “Hello”/);
    assert.equal(whole.candidates?.[0]?.content?.parts?.[0]?.thought, true);
    assert.equal(whole.usageMetadata?.thoughtsTokenCount, 64);
    const stream = await google.models.generateContentStream({ model, contents: 'Hello', config });
    const chunks = await Array.fromAsync(stream);
    assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), whole.text);
    assert.ok(chunks.length > 5);
    const last = chunks.at(-1);
    assert.equal(last?.candidates?.[0]?.finishReason, 'STOP');
    assert.equal(last?.usageMetadata?.totalTokenCount, whole.usageMetadata?.totalTokenCount);
  });

  test('keeps up a conversation with a tool, whose call it sends back signed', async () => {
    const chat = google.chats.create({ model, config: { tools } });
    const first = await chat.sendMessage({ message: 'What is the weather in Dhaka?' });
    const [call] = first.functionCalls ?? [];
    assert.equal(call?.name, 'get_weather');
    const functionResponse = { name: 'get_weather', response: { result: '31 °C' } };
    const second = await chat.sendMessage({ message: [{ functionResponse }] });
    assert.match(second.text ?? '', /31 °C/);
  });

  test('gets JSON, log probabilities, candidates and a length as it wishes', async () => {
    const schema = { type: 'object', properties: { a: { enum: ['b'] } }, required: ['a'] };
    const json = { responseMimeType: 'application/json', responseJsonSchema: schema };
    const contents = 'Hello';
    const shaped = await google.models.generateContent({ model, contents, config: json });
    assert.deepEqual(JSON.parse(shaped.text ?? ''), { a: 'b' });
    const config = { candidateCount: 2, responseLogprobs: true, logprobs: 1, maxOutputTokens: 40 };
    const { candidates } = await google.models.generateContent({ model, contents, config });
    assert.equal(candidates?.length, 2);
    assert.equal(candidates[1]?.finishReason, 'MAX_TOKENS');
    assert.equal(candidates[0]?.logprobsResult?.topCandidates?.[0]?.candidates?.length, 1);
  });

  test('hears of an error what Google would say', async () => {
    const ask = google.models.generateContent({ model: 'gemini-0', contents: 'Hello' });
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, 404);
      assert.match(error.message, /models\/gemini-0 is not found/);
      return true;
    });
  });

  test('reads a long prompt from the cache when it comes again', async () => {
    const ask = () => google.models.generateContent({ model, contents: 'word '.repeat(2000) });
    assert.equal((await ask()).usageMetadata?.cachedContentTokenCount, undefined);
    assert.equal((await ask()).usageMetadata?.cachedContentTokenCount, 3072);
  });
});

interface GoogleError {
  readonly error: { readonly code: number; readonly message: string; readonly status: string };
}

async function refused(body: unknown, name = model, headers = { 'x-goog-api-key': 'k' }) {
  const response = await fetch(`${sandbox.baseUrl}/models/${name}:generateContent`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  assert.notEqual(response.status, 200, text);
  const { error }: GoogleError = JSON.parse(text);
  assert.equal(error.code, response.status);
  return error;
}

const user = { role: 'user', parts: [{ text: 'Hi' }] };
const call = { functionCall: { name: 'f', args: {} } };
const signed = { ...call, thoughtSignature: 'skip_thought_signature_validator' };
const result = { functionResponse: { name: 'f', response: { result: 1 } } };
const turn = (role: string, ...parts: object[]) => ({ role, parts });

test('whatever Google refuses', async () => {
  const config = (generationConfig: object) => ({ contents: [user], generationConfig });
  const cases: readonly [body: unknown, says: RegExp][] = [
    ['{', /Invalid JSON payload/],
    [{}, /contents is not specified/],
    [{ contents: [user], messages: [] }, /Unknown name "messages"/],
    [config({ max_tokens: 5 }), /Unknown name "max_tokens" at 'generationConfig'/],
    [config({ temperature: '1' }), /Invalid value at 'generationConfig.temperature'/],
    [config({ temperature: 3 }), /temperature must be from 0 to 2/],
    [config({ candidateCount: 9 }), /candidateCount/],
    [config({ stopSequences: ['a', 'b', 'c', 'd', 'e', 'f'] }), /stop sequences/],
    [config({ responseJsonSchema: {} }), /mime type/],
    [config({ thinkingConfig: { thinkingLevel: 'low', thinkingBudget: 1 } }), /only set only one/],
    [config({ thinkingConfig: { thinkingLevel: 'minimal' } }), /level MINIMAL is not supported/],
    [{ contents: [turn('assistant', { text: 'a' })] }, /valid role/],
    [{ contents: [turn('user')] }, /parts: must not be empty/],
    [{ contents: [turn('user', {})] }, /required oneof field/],
    [{ contents: [turn('user', { inlineData: { data: 'a b', mimeType: 'x/y' } })] }, /Base64/],
    [
      { contents: [user, turn('model', call), turn('user', result)] },
      /missing a thought_signature/,
    ],
    [{ contents: [turn('model', signed)] }, /comes immediately after a user turn/],
    [{ contents: [user, turn('model', signed, call), turn('user', result)] }, /number of function/],
    [{ contents: [user], tools: [{ functionDeclarations: [{ name: '1' }] }] }, /function name/],
  ];
  for (const [body, says] of cases) {
    const { message, status } = await refused(body);
    assert.equal(status, 'INVALID_ARGUMENT');
    assert.match(message, says);
  }
  const allowedFunctionNames = ['f'];
  for (const mode of [FunctionCallingConfigMode.AUTO, FunctionCallingConfigMode.ANY]) {
    const toolConfig = { functionCallingConfig: { mode, allowedFunctionNames } };
    assert.match(
      (await refused({ contents: [user], tools, toolConfig })).message,
      /function names/,
    );
  }
  const nobody = { 'x-goog-api-key': '' };
  assert.equal((await refused({ contents: [user] }, model, nobody)).status, 'PERMISSION_DENIED');
});

test('and nothing that our dialect writes for any model of Google, however much it is to think', async () => {
  const names = [...models.values()].flatMap(({ offers, reasoning }) =>
    offers.flatMap(({ provider, upstreamModel }) =>
      provider === 'google' ? [[upstreamModel, reasoning] as const] : [],
    ),
  );
  assert.ok(names.length >= 10);
  const wishes: readonly object[] = [
    {},
    ...['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'].map((reasoning_effort) => ({
      reasoning_effort,
    })),
    ...[1, 100, 5000, 100_000].map((max_tokens) => ({ reasoning: { max_tokens } })),
    { reasoning: { enabled: false } },
  ];
  // Of one that does not reason, only silence may be wanted.
  for (const [upstreamModel, reasons] of names)
    for (const wish of reasons ? wishes : wishes.slice(0, 2)) {
      const parsed = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4, ...wish };
      const target = {
        upstreamModel,
        tokenLimitField: 'max_tokens',
        cap: null,
        maxOutputTokens: 8192,
        constraints: [],
      } as const;
      const response = await fetch(`${sandbox.baseUrl}/models/${upstreamModel}:generateContent`, {
        method: 'POST',
        headers: { 'x-goog-api-key': 'k' },
        body: gemini.writeChat({ text: '', parsed }, target),
      });
      assert.equal(response.status, 200, `${upstreamModel} ${await response.text()}`);
    }
});
