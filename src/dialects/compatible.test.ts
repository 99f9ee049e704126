/** What the cases of the conformance suite cannot show: keys, errors, and bytes that stay as they are. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providerEntries } from '../catalogue/catalogue.ts';
import { type Dialect, Unreadable } from './dialect.ts';
import { dialectOf, dialects } from './dialects.ts';
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
