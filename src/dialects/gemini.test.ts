import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gemini } from './gemini.ts';
import { thinkingConfig } from './gemini_thinking.ts';
import { usageOf } from './gemini_usage.ts';
import { readUsage } from './openai.ts';

test('a wish for reasoning becomes the nearest that the model can', () => {
  const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];
  const table: Readonly<Record<string, readonly (string | number)[]>> = {
    'gemini-2.5-flash': [0, 512, 1024, 8192, 24_576, 24_576, 24_576],
    'gemini-2.5-flash-lite': [0, 512, 1024, 8192, 24_576, 24_576, 24_576],
    'gemini-2.5-pro': [128, 512, 1024, 8192, 24_576, 32_768, 32_768],
    'gemini-3-flash-preview': ['minimal', 'minimal', 'low', 'medium', 'high', 'high', 'high'],
    'gemini-3.5-flash-lite': ['minimal', 'minimal', 'low', 'medium', 'high', 'high', 'high'],
    'gemini-3.1-pro-preview': ['low', 'low', 'low', 'medium', 'high', 'high', 'high'],
    'gemini-3.8-flash': ['low', 'low', 'low', 'medium', 'high', 'high', 'high'],
    'gemini-4-hydrogen': ['low', 'low', 'low', 'medium', 'high', 'xhigh', 'xhigh'],
    'gemini-flash-latest': ['low', 'low', 'low', 'medium', 'high', 'high', 'high'],
  };
  for (const [model, amounts] of Object.entries(table))
    for (const [at, reasoning_effort] of efforts.entries()) {
      const config = thinkingConfig({ reasoning_effort }, model);
      const amount = config?.thinkingLevel ?? config?.thinkingBudget;
      assert.equal(amount, amounts[at], `${model} ${reasoning_effort}`);
      assert.equal(config?.includeThoughts, reasoning_effort === 'none' ? undefined : true);
      // Google refuses both at once.
      assert.ok(config?.thinkingLevel === undefined || config.thinkingBudget === undefined);
    }
});

test('a budget of tokens stays within what the model allows, or becomes a level', () => {
  const of = (max_tokens: number, model: string) => {
    const config = thinkingConfig({ reasoning: { max_tokens } }, model);
    return config?.thinkingLevel ?? config?.thinkingBudget;
  };
  assert.equal(of(10, 'gemini-2.5-pro'), 128);
  assert.equal(of(5000, 'gemini-2.5-pro'), 5000);
  assert.equal(of(99_999, 'gemini-2.5-flash'), 24_576);
  assert.equal(of(10, 'gemini-3.1-pro-preview'), 'low');
  assert.equal(of(5000, 'gemini-3.1-pro-preview'), 'low');
  assert.equal(of(9000, 'gemini-3.1-pro-preview'), 'medium');
  assert.equal(of(50_000, 'gemini-3.1-pro-preview'), 'high');
  const off = thinkingConfig({ reasoning: { enabled: false, max_tokens: 9 } }, 'gemini-2.5-flash');
  assert.deepEqual(off, { thinkingBudget: 0 });
  assert.equal(thinkingConfig({ reasoning: { exclude: true } }, 'gemini-3.8-flash'), null);
});

test('when to come again stands in the body', () => {
  const body = (...details: object[]) => JSON.stringify({ error: { code: 429, details } });
  const quota = { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [] };
  const retry = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.4s' };
  assert.equal(gemini.retryAfterMs?.(body(quota, retry)), 34_400);
  for (const none of [
    body(quota),
    body(),
    '',
    '[]',
    'null',
    '<html>',
    body({ retryDelay: 'soon' }),
  ])
    assert.equal(gemini.retryAfterMs?.(none), null);
});

test('nonsense in the usage is recognised, not turned into zero', () => {
  const rules = { cacheCounted: 'inside', completionExcludesReasoning: false } as const;
  const good = { promptTokenCount: 5, candidatesTokenCount: 3, totalTokenCount: 8 };
  const read = (more: object) =>
    readUsage(JSON.parse(JSON.stringify(usageOf({ ...good, ...more }))), rules);
  assert.equal(read({})?.output, 3);
  const numbers = ['promptTokenCount', 'candidatesTokenCount', 'thoughtsTokenCount'];
  for (const name of [...numbers, 'cachedContentTokenCount', 'toolUsePromptTokenCount'])
    for (const wrong of [-1, 0.5, '7', [], {}, true, 1e12])
      assert.equal(read({ [name]: wrong }), null, `${name} ${JSON.stringify(wrong)}`);
  assert.deepEqual(read({ laserTokenCount: 2, deep: { x: 1 } })?.flags, [
    'laserTokenCount',
    'deep.x',
  ]);
  const smell = { promptTokensDetails: [{ modality: 'SMELL', tokenCount: 4 }] };
  assert.deepEqual(read(smell)?.flags, ['prompt_tokens_details.smell_tokens']);
  assert.equal(usageOf({ trafficType: 'ON_DEMAND' }), null);
});
