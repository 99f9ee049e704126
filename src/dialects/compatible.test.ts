/** What the cases of the conformance suite cannot show: keys, errors, and bytes that stay as they are. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providerEntries } from '../catalogue/catalogue.ts';
import { type Dialect, Unreadable } from './dialect.ts';
import { dialectOf, dialects } from './dialects.ts';
import { type Fields, fields } from './members.ts';
import { errorMessage } from './openai.ts';

function dialectAt(provider: string): Dialect {
  const entry = providerEntries.find(({ id }) => id === provider);
  assert.ok(entry, provider);
  return dialectOf(entry.dialect, entry.quirks);
}

const target = {
  upstreamModel: 'm',
  tokenLimitField: 'max_tokens',
  cap: null,
  maxOutputTokens: 4096,
  constraints: [],
} as const;

describe('a provider with quirks', () => {
  test('gets its key where it looks for it', () => {
    assert.deepEqual(dialectAt('azure').headers('k'), ['api-key', 'k']);
    assert.deepEqual(dialectAt('groq').headers('k'), ['authorization', 'Bearer k']);
    assert.equal(dialectAt('openai'), dialects.openai);
  });

  test('gets what needs no change byte for byte, white space and all', () => {
    const text =
      '{ "model":"a/b",  "messages" : [ {"role":"user", "content":"\\u0995 ক"} ],"top_p" : 0.50 }';
    const wanted = text.replace('"a/b"', '"m"');
    for (const { id, dialect, quirks } of providerEntries)
      if (dialect === 'openai')
        assert.equal(
          dialectOf(dialect, quirks).writeChat({ text, parsed: JSON.parse(text) }, target),
          wanted,
          id,
        );
  });

  test('may refuse more members than an edit has bits for', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`x${at}`, 'ঢ']));
    const parsed = { model: 'a/b', ...many, messages: [{ role: 'user', content: 'ঢাকা' }] };
    const written = dialectAt('mistral').writeChat(
      { text: JSON.stringify(parsed), parsed },
      target,
    );
    assert.deepEqual(JSON.parse(written), { model: 'm', messages: parsed.messages });
  });

  test('says with its codes what an error is about', () => {
    const meaning = (provider: string, body: unknown) =>
      dialectAt(provider).errorMeaning?.(JSON.stringify(body)) ?? null;
    assert.equal(meaning('zhipu', { error: { code: '1113', message: 'no balance' } }), 'key');
    assert.equal(meaning('zhipu', { error: { code: '1302' } }), 'rate');
    assert.equal(meaning('zhipu', { error: { code: '1210' } }), null);
    assert.equal(meaning('alibaba', { error: { code: 'Arrearage', message: 'Denied' } }), 'key');
    assert.equal(meaning('alibaba', { code: 'Arrearage', message: 'Denied' }), 'key');
    assert.equal(meaning('moonshot', { error: { type: 'exceeded_current_quota_error' } }), 'key');
    assert.equal(meaning('moonshot', { error: { type: 'engine_overloaded_error' } }), 'failed');
    assert.equal(meaning('groq', { error: { code: 'tool_use_failed' } }), 'failed');
    assert.equal(meaning('groq', { error: { code: 'rate_limit_exceeded' } }), 'rate');
    for (const odd of [null, [], 'text', { error: 'text' }, { error: { code: { a: 1 } } }])
      assert.equal(meaning('groq', odd), null);
    assert.equal(dialectAt('groq').errorMeaning?.('<html>'), null);
  });

  test('tells what was wrong in whichever form it has', () => {
    const wrong = [{ loc: ['body', 'foo'], msg: 'Extra inputs are not permitted' }];
    assert.equal(errorMessage({ detail: wrong }), 'Extra inputs are not permitted');
    assert.equal(
      errorMessage({ object: 'error', message: { detail: wrong } }),
      'Extra inputs are not permitted',
    );
    assert.equal(errorMessage({ fault: { faultstring: 'Invalid key' } }), 'Invalid key');
    assert.equal(errorMessage({ code: 'x', error: 'text' }), 'text');
    assert.equal(errorMessage({ detail: [] }), null);
  });

  test('has its whole answer untouched where it is as OpenAI has it', () => {
    const text = '{ "choices": [ {"message":{"role":"assistant","content":"ঢাকা"}} ] }';
    const body = { text: '{}', parsed: {} };
    assert.equal(dialectAt('deepseek').readWhole(text, body), text);
    assert.equal(dialectAt('deepseek').readWhole('not JSON', body), 'not JSON');
    const failed = '{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}';
    assert.throws(() => dialectAt('minimax').readWhole(failed, body), Unreadable);
  });
});

/** Chunks as a client gets them. */
function mended(chunks: readonly object[]): Fields[] {
  const reader = dialectAt('deepseek').readStream(10_000, { text: '{}', parsed: {} });
  return chunks.map((chunk) => reader.mend?.({ ...chunk }) ?? {});
}

function delta(tool_calls: readonly object[]): object {
  return { choices: [{ index: 0, delta: { role: 'assistant', tool_calls }, finish_reason: null }] };
}

/** What the SDKs make of the pieces: id, name and arguments by index; a piece without an index is an error. */
function callsIn(chunks: readonly Fields[]): Map<number, { id: unknown; text: string }> {
  const calls = new Map<number, { id: unknown; text: string }>();
  for (const { choices } of chunks)
    for (const { index, id, type, function: named } of deltaCalls(choices)) {
      assert.ok(typeof index === 'number');
      const before = calls.get(index);
      if (before && id !== undefined) assert.equal(id, before.id);
      if (!before) assert.ok(typeof id === 'string' && type === 'function' && fields(named).name);
      const text = `${before?.text ?? ''}${fields(named).arguments ?? ''}`;
      calls.set(index, { id: before?.id ?? id, text });
    }
  return calls;
}

function deltaCalls(choices: unknown): Fields[] {
  const [choice] = Array.isArray(choices) ? choices : [];
  const { tool_calls } = fields(fields(choice).delta);
  return Array.isArray(tool_calls) ? tool_calls.map(fields) : [];
}

describe('a stream that OpenAI would not send', () => {
  const named = (id: unknown, text: string, more: object = {}) => ({
    ...(id === undefined ? {} : { id }),
    ...more,
    function: { name: 'f', arguments: text },
  });

  test('has two calls under one index: they are kept apart by their ids', () => {
    const calls = callsIn(
      mended([
        delta([named('a', '{"x":', { index: 0 })]),
        delta([{ index: 0, function: { arguments: '1}' } }]),
        delta([named('b', '{}', { index: 0 })]),
        delta([{ index: 0, function: { arguments: ' ' } }]),
      ]),
    );
    assert.deepEqual(
      [...calls.values()],
      [
        { id: 'a', text: '{"x":1}' },
        { id: 'b', text: '{} ' },
      ],
    );
  });

  test('has calls without ids, or with another id in each piece: they keep the first', () => {
    const calls = callsIn(
      mended([
        delta([named(undefined, '{', { index: 0 }), named('', '{', { index: 1 })]),
        delta([{ index: 0, id: 'later', function: { arguments: '}' } }]),
        delta([{ index: 1, id: '', function: { arguments: '}' } }]),
      ]),
    );
    const [first, second] = [...calls.values()];
    assert.deepEqual([first?.text, second?.text], ['{}', '{}']);
    assert.ok(first?.id && second?.id && first.id !== second.id);
    const message = { role: 'assistant', content: null, tool_calls: [named(undefined, '{}')] };
    const text = JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'tool_calls' }] });
    const answer = dialectAt('ollama').readWhole(text, { text: '{}', parsed: {} });
    assert.match(answer, /"id":"call_/);
  });

  test('does not say who speaks, or that it is not finished; and has an end that nobody knows', () => {
    const choice = (finish_reason: unknown, more: object) => ({
      choices: [{ index: 0, finish_reason, ...more }],
    });
    const [first, second, last, usage] = mended([
      choice('', { delta: { content: 'a' } }),
      choice(null, { delta: { content: 'b' } }),
      choice('max_time', { delta: {} }),
      { object: 'chat.completion.chunk', usage: { prompt_tokens: 1 } },
    ]);
    assert.deepEqual(first, choice('', { delta: { role: 'assistant', content: 'a' } }));
    assert.deepEqual(second, choice(null, { delta: { content: 'b' } }));
    assert.deepEqual(last, choice('stop', { delta: {}, native_finish_reason: 'max_time' }));
    assert.deepEqual(usage?.choices, []);
  });
});
