/** What is read from a request body, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../errors.ts';
import { readChatRequest } from './chat_request.ts';

const good = { model: 'a/b', messages: [{ role: 'user', content: 'Hi' }] };

function read(body: unknown): ReturnType<typeof readChatRequest> {
  return readChatRequest(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}

function refusal(body: unknown): ApiError {
  try {
    read(body);
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error;
  }
  throw new Error('it was accepted');
}

test('what is no request is refused with the parameter’s name and rule', () => {
  const cases: readonly [body: unknown, param: string | null, says: RegExp][] = [
    ['{', null, /not valid JSON/],
    ['', null, /not valid JSON/],
    ['[]', null, /must be a JSON object/],
    ['null', null, /must be a JSON object/],
    [{ messages: [] }, 'model', /Missing required field "model"/],
    [{ model: '' }, 'model', /Missing required field "model"/],
    [{ model: 7 }, 'model', /"model" must be a string/],
    [{ model: 'a' }, 'messages', /Missing required field "messages"/],
    [{ ...good, messages: [] }, 'messages', /must not be empty/],
    [{ ...good, messages: 'Hi' }, 'messages', /must be an array/],
    [{ ...good, temperature: 2.1 }, 'temperature', /a number from 0 to 2/],
    [{ ...good, temperature: '1' }, 'temperature', /a number from 0 to 2/],
    [{ ...good, top_p: -0.1 }, 'top_p', /from 0 to 1/],
    [{ ...good, max_tokens: 0 }, 'max_tokens', /a whole number of at least 1/],
    [{ ...good, max_tokens: 1.5 }, 'max_tokens', /a whole number/],
    [{ ...good, max_completion_tokens: 1e300 }, 'max_completion_tokens', /a whole number/],
    [{ ...good, n: 129 }, 'n', /from 1 to 128/],
    [{ ...good, stream: 'true' }, 'stream', /true or false/],
    [{ ...good, stop: ['1', '2', '3', '4', '5'] }, 'stop', /at most 4/],
    [{ ...good, frequency_penalty: 3 }, 'frequency_penalty', /from -2 to 2/],
    [{ ...good, top_logprobs: 21 }, 'top_logprobs', /from 0 to 20/],
    [{ ...good, stream_options: {} }, 'stream_options', /only allowed with/],
    [{ ...good, tools: {} }, 'tools', /an array/],
  ];
  for (const [body, param, says] of cases) {
    const error = refusal(body);
    assert.equal(error.status, 400);
    assert.equal(error.param, param);
    assert.match(error.message, says);
  }
});

test('null is "not set", as OpenAI has it, and unknown members are welcome', () => {
  const request = read({
    ...good,
    temperature: null,
    max_tokens: null,
    n: null,
    stop: null,
    foo: 1,
  });
  assert.deepEqual([request.maxTokens, request.choices, request.stream], [null, 1, false]);
});

test('no JSON object makes anything but a request or a 400, whatever its members are called', () => {
  const name = fc.oneof(
    fc.constantFrom('constructor', '__proto__', 'toString', 'hasOwnProperty', 'messages', 'stop'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.dictionary(name, fc.jsonValue()), (members) => {
      try {
        read(JSON.stringify({ ...members, ...good }));
      } catch (error) {
        assert.ok(error instanceof ApiError && error.status === 400, String(error));
      }
    }),
  );
});

test('the lower of two limits counts', () => {
  assert.equal(read({ ...good, max_tokens: 5, max_completion_tokens: 9 }).maxTokens, 5);
  assert.equal(read({ ...good, max_completion_tokens: 9 }).maxTokens, 9);
});

test('max_cost is an amount above zero, as a number or a decimal string, and never rounded up', () => {
  for (const [given, amount] of [
    [0.01, 10_000_000],
    ['0.01', 10_000_000],
    [0.29, 290_000_000],
    [1e-7, 100],
    ['0.0000000019', 1],
    [1.5e-9, 1],
    [3, 3_000_000_000],
    [null, null],
  ])
    assert.equal(read({ ...good, max_cost: given }).maxCost, amount, String(given));
  assert.equal(read(good).maxCost, null);
  for (const nonsense of [
    0,
    -1,
    '0',
    '-0.5',
    '',
    'much',
    '1e3',
    1e21,
    '0.0000000001',
    true,
    [],
    {},
  ]) {
    const { status, param } = refusal({ ...good, max_cost: nonsense });
    assert.deepEqual([status, param], [400, 'max_cost'], String(nonsense));
  }
});

test('what has no price is not sold: sound in an answer, other tiers of service', () => {
  assert.equal(refusal({ ...good, modalities: ['text', 'audio'] }).param, 'modalities');
  assert.equal(refusal({ ...good, service_tier: 'priority' }).param, 'service_tier');
  for (const name of ['deferred', 'data_sources', 'best_of', 'safety_model', 'plugins']) {
    assert.equal(refusal({ ...good, [name]: 'x' }).param, name);
    read({ ...good, [name]: null });
  }
  read({ ...good, modalities: ['text'], service_tier: 'auto' });
});
