import assert from 'node:assert/strict';
import { test } from 'node:test';
import { models, providers } from '../catalogue/catalogue.ts';
import { loadConfig } from '../config.ts';
import { Routes } from './choose.ts';
import { ModelBodies } from './models.ts';

function bodies(environment: Record<string, string>): ModelBodies {
  const config = loadConfig(environment, [...providers.keys()]);
  const standIn = config.mode === 'sandbox' ? 'http://127.0.0.1:9/v1' : null;
  return new ModelBodies(new Routes(config, standIn));
}

interface Listed {
  readonly id: string;
  readonly pricing: Record<string, unknown>;
  readonly providers: readonly string[];
}

const listed = ({ list }: ModelBodies): Listed[] => JSON.parse(list.toString()).data;
const idsOf = (some: ModelBodies): string[] => listed(some).map(({ id }) => id);

const sandbox = bodies({});

const golden =
  '{"id":"openai/gpt-4o-mini","object":"model","created":1715644800,"owned_by":"openai","name":"GPT-4o mini",' +
  '"context_length":128000,"max_output_tokens":16384,"architecture":{"modality":"text+image+file->text",' +
  '"input_modalities":["text","image","file"],' +
  '"output_modalities":["text"]},"pricing":{"prompt":"0.00000015","completion":"0.0000006","input_cache_read":"0.000000075"},' +
  '"supported_parameters":["frequency_penalty","logit_bias","logprobs","max_completion_tokens","max_tokens","metadata","n",' +
  '"parallel_tool_calls","prediction","presence_penalty","prompt_cache_key","response_format","safety_identifier","seed",' +
  '"service_tier","stop","store","stream","stream_options","structured_outputs","temperature","tool_choice","tools",' +
  '"top_logprobs","top_p"],"top_provider":{"context_length":128000,"max_completion_tokens":16384},"providers":["OpenAI"],' +
  '"deprecation_date":"2027-01-14","replaced_by":"openai/gpt-6-luna"}';

/** In the sandbox every offer has a stand-in. */
const goldenOfAll = golden.replace('["OpenAI"]', '["OpenAI","Azure OpenAI"]');

test('describes gpt-4o-mini as OpenAI does, with price and abilities beside it', () => {
  const live = bodies({ MODE: 'live', OPENAI_API_KEY: 'x' });
  assert.equal(sandbox.one('openai/gpt-4o-mini')?.toString(), goldenOfAll);
  assert.equal(live.one('openai/gpt-4o-mini-2024-07-18')?.toString(), golden);
  assert.equal(live.one('openai/gpt-nought'), null);
});

test('a sandbox lists every model, because its stand-in answers for all', () => {
  assert.equal(JSON.parse(sandbox.list.toString()).object, 'list');
  assert.deepEqual(idsOf(sandbox), [...models.keys()]);
  assert.ok(listed(sandbox).length >= 250);
  assert.equal(JSON.stringify(listed(sandbox)[0]), goldenOfAll);
});

test('live, only what a provider can be asked for is listed, at the price of the one asked first', () => {
  const llama = 'meta-llama/llama-3.3-70b-instruct';
  const groq = bodies({ MODE: 'live', GROQ_API_KEY: 'x' });
  const entry = listed(groq).find(({ id }) => id === llama);
  assert.equal(entry?.pricing.prompt, '0.00000059');
  assert.equal(entry.pricing.completion, '0.00000079');
  assert.deepEqual(entry.providers, ['Groq']);
  assert.equal(groq.one(llama)?.toString(), JSON.stringify(entry));
  assert.equal(idsOf(groq).includes('openai/gpt-4o-mini'), false);
  assert.equal(groq.one('openai/gpt-4o-mini'), null);

  const both = bodies({
    MODE: 'live',
    GROQ_API_KEY: 'x',
    DEEPINFRA_BASE_URL: 'http://127.0.0.1:9',
  });
  const cheaper = listed(both).find(({ id }) => id === llama);
  assert.deepEqual(cheaper?.providers, ['DeepInfra', 'Groq']);
  assert.ok(Number(cheaper.pricing.prompt) < Number(entry.pricing.prompt));

  assert.deepEqual(idsOf(bodies({ MODE: 'live' })), []);
});

test('a retired model is listed in sandbox only', () => {
  const retired = 'anthropic/claude-3-5-sonnet';
  const live = bodies({ MODE: 'live', ANTHROPIC_API_KEY: 'x' });
  assert.ok(sandbox.one(retired));
  assert.equal(live.one(retired), null);
  assert.ok(live.one('anthropic/claude-sonnet-5.5'));
});

test('shows the dearer prices of long prompts', () => {
  const grok = JSON.parse(String(sandbox.one('x-ai/grok-4.7')));
  assert.deepEqual(grok.pricing.tiers, [
    {
      above_prompt_tokens: 200000,
      prompt: '0.000004',
      completion: '0.000012',
      input_cache_read: '0.000001',
    },
  ]);
});

test('lists the offers of a model with the prices and limits of each, in the order in which they are tried', () => {
  const llama = 'meta-llama/llama-3.3-70b-instruct';
  const live = bodies({ MODE: 'live', GROQ_API_KEY: 'x', DEEPINFRA_API_KEY: 'x' });
  const { data } = JSON.parse(String(live.endpoints(llama)));
  assert.equal(data.id, llama);
  const [first, second] = data.endpoints;
  assert.equal(data.endpoints.length, 2);
  assert.deepEqual([first.provider_name, first.tag], ['DeepInfra', 'deepinfra']);
  assert.deepEqual(second.pricing, { prompt: '0.00000059', completion: '0.00000079' });
  assert.equal(second.name, `Groq | ${llama}`);
  assert.equal(live.endpoints('meta/llama-3.3-70b-instruct'), live.endpoints(llama));
  const cerebras = bodies({ MODE: 'live', CEREBRAS_API_KEY: 'x' });
  const own = JSON.parse(String(cerebras.endpoints('openai/gpt-oss-120b'))).data.endpoints[0];
  assert.equal(own.max_completion_tokens, 40_960);
  assert.equal(live.endpoints('openai/gpt-4o-mini'), null);
  assert.equal(live.endpoints('openai/nothing'), null);
});

test('a provider whose address only the operator knows is not asked before it is set', () => {
  const keyOnly = bodies({ MODE: 'live', AZURE_API_KEY: 'x' });
  assert.deepEqual(idsOf(keyOnly), []);
  const braces = 'https://{resource}.openai.azure.com/openai/v1';
  assert.deepEqual(idsOf(bodies({ MODE: 'live', AZURE_BASE_URL: braces })), []);
  const own = bodies({
    MODE: 'live',
    AZURE_API_KEY: 'x',
    AZURE_BASE_URL: 'https://example.com/v1',
  });
  assert.ok(own.one('openai/gpt-4o-mini'));
});
