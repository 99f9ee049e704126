import assert from 'node:assert/strict';
import { test } from 'node:test';
import { models } from '../catalogue/catalogue.ts';
import { modelBody, modelListBody } from './models.ts';

const golden =
  '{"id":"openai/gpt-4o-mini","object":"model","created":1715644800,"owned_by":"openai","name":"GPT-4o mini",' +
  '"context_length":128000,"max_output_tokens":16384,"architecture":{"input_modalities":["text","image","file"],' +
  '"output_modalities":["text"]},"pricing":{"prompt":"0.00000015","completion":"0.0000006","input_cache_read":"0.000000075"},' +
  '"supported_parameters":["frequency_penalty","logit_bias","logprobs","max_completion_tokens","max_tokens","metadata","n",' +
  '"parallel_tool_calls","prediction","presence_penalty","prompt_cache_key","response_format","safety_identifier","seed",' +
  '"service_tier","stop","store","stream","stream_options","structured_outputs","temperature","tool_choice","tools",' +
  '"top_logprobs","top_p"],"providers":["OpenAI"],"deprecation_date":"2027-01-14"}';

test('describes gpt-4o-mini as OpenAI does, with price and abilities beside it', () => {
  assert.equal(modelBody('openai/gpt-4o-mini', 'sandbox')?.toString(), golden);
  assert.equal(modelBody('openai/gpt-4o-mini-2024-07-18', 'live')?.toString(), golden);
  assert.equal(modelBody('openai/gpt-nought', 'live'), null);
});

test('lists every model in sandbox, and in live those that still exist', () => {
  const list = JSON.parse(modelListBody('sandbox').toString());
  assert.equal(list.object, 'list');
  assert.deepEqual(
    list.data.map((model: { id: string }) => model.id),
    [...models.keys()],
  );
  assert.equal(JSON.stringify(list.data[0]), golden);
  const retired = 'anthropic/claude-3-5-sonnet';
  assert.ok(modelBody(retired, 'sandbox'));
  assert.equal(modelBody(retired, 'live'), null);
  const live = modelListBody('live').toString();
  assert.equal(live.includes(`"id":"${retired}"`), false);
  assert.ok(live.includes('"id":"anthropic/claude-sonnet-5.5"'));
  assert.equal(JSON.parse(live).data.length, list.data.length - 1);
});

test('shows the dearer prices of long prompts', () => {
  const grok = JSON.parse(String(modelBody('x-ai/grok-4.7', 'live')));
  assert.deepEqual(grok.pricing.tiers, [
    {
      above_prompt_tokens: 200000,
      prompt: '0.000004',
      completion: '0.000012',
      input_cache_read: '0.000001',
    },
  ]);
});

test('is made once', () => {
  assert.equal(modelListBody('live'), modelListBody('live'));
});
