import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Sandbox, startSandboxProvider } from './provider.ts';

let sandbox: Sandbox;
before(async () => {
  sandbox = await startSandboxProvider();
});
after(() => sandbox.close());

const hello = [{ role: 'user' as const, content: 'Hello from AK AI CORE' }];
const mini = { model: 'gpt-4o-mini', messages: hello };

async function raw(body: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${sandbox.baseUrl}/chat/completions`, { method: 'POST', body });
  return { status: answer.status, text: await answer.text() };
}

describe('a bad request', () => {
  const cases: readonly [string, object | string, number, string | null, string | null][] = [
    ['no JSON', '{"model":', 400, null, null],
    ['no object', '[]', 400, null, null],
    ['no model', { messages: hello }, 400, null, null],
    ['model of the wrong type', { ...mini, model: 4 }, 400, 'invalid_type', 'model'],
    ['no messages', { model: 'gpt-4o' }, 400, 'missing_required_parameter', 'messages'],
    ['messages as text', { ...mini, messages: 'hi' }, 400, 'invalid_type', 'messages'],
    ['no message at all', { ...mini, messages: [] }, 400, 'empty_array', 'messages'],
    [
      'an unknown role',
      { ...mini, messages: [{ role: 'king', content: '' }] },
      400,
      'invalid_value',
      'messages[0].role',
    ],
    [
      'no content',
      { ...mini, messages: [{ role: 'user' }] },
      400,
      'invalid_type',
      'messages[0].content',
    ],
    [
      'a tool that nobody called',
      { ...mini, messages: [...hello, { role: 'tool', tool_call_id: 'x', content: '' }] },
      400,
      null,
      'messages.[1].role',
    ],
    ['text as number', { ...mini, temperature: '1' }, 400, 'invalid_type', 'temperature'],
    ['too hot', { ...mini, temperature: 2.1 }, 400, 'decimal_above_max_value', 'temperature'],
    ['top_p below zero', { ...mini, top_p: -0.1 }, 400, 'decimal_below_min_value', 'top_p'],
    ['a fraction', { ...mini, n: 1.5 }, 400, 'invalid_type', 'n'],
    ['too many choices', { ...mini, n: 129 }, 400, 'integer_above_max_value', 'n'],
    ['no tokens', { ...mini, max_tokens: 0 }, 400, 'integer_below_min_value', 'max_tokens'],
    ['five stops', { ...mini, stop: [...'abcde'] }, 400, 'array_above_max_length', 'stop'],
    [
      'a strange effort',
      { ...mini, reasoning_effort: 'some' },
      400,
      'invalid_value',
      'reasoning_effort',
    ],
    [
      'stream_options without stream',
      { ...mini, stream_options: { include_usage: true } },
      400,
      null,
      'stream_options',
    ],
    ['a choice without tools', { ...mini, tool_choice: 'auto' }, 400, null, 'tool_choice'],
    [
      'a nameless tool',
      { ...mini, tools: [{ type: 'function', function: {} }] },
      400,
      'missing_required_parameter',
      'tools[0].function.name',
    ],
    [
      'JSON without the word',
      { ...mini, response_format: { type: 'json_object' } },
      400,
      null,
      'messages',
    ],
    [
      'max_tokens for a reasoning model of OpenAI',
      { ...mini, model: 'gpt-6-luna', max_tokens: 5 },
      400,
      'unsupported_parameter',
      'max_tokens',
    ],
    ['an unknown model', { ...mini, model: 'x' }, 404, 'model_not_found', 'model'],
  ];
  for (const [name, body, status, code, param] of cases)
    test(`is refused: ${name}`, async () => {
      const answer = await raw(typeof body === 'string' ? body : JSON.stringify(body));
      assert.equal(answer.status, status);
      const { error } = JSON.parse(answer.text);
      assert.deepEqual({ code: error.code, param: error.param }, { code, param });
      assert.equal(error.type, 'invalid_request_error');
      assert.ok(error.message.length > 10);
    });

  test('is refused: another path', async () => {
    const answer = await fetch(`${sandbox.baseUrl}/other`);
    assert.equal(answer.status, 404);
  });
});
