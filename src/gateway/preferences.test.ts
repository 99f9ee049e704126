/** What clients may say of routing, and what they are told where it cannot be read or kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../errors.ts';
import { noPreferences, preferencesOf } from './preferences.ts';

test('what is not there, null or empty asks for nothing', () => {
  for (const given of [{}, { order: null, only: [], ignore: [], max_price: {}, sort: null }])
    assert.deepEqual(preferencesOf(given), noPreferences);
  const allowed = { data_collection: 'allow', zdr: false, quantizations: [] };
  assert.deepEqual(preferencesOf(allowed), noPreferences);
});

test('providers are found by id, by name in any case, and by what OpenRouter calls them', () => {
  const order = ['GROQ', 'Together AI', 'DeepInfra', 'google-ai-studio', 'nobody'];
  const found = preferencesOf({ order }).order;
  assert.deepEqual(
    [found[0], found[2], found[3], found[4]],
    ['groq', 'deepinfra', 'google', 'nobody'],
  );
});

test('prices are exact, as numbers and as text', () => {
  const { maxPrice } = preferencesOf({
    max_price: { prompt: 0.29, completion: '1.1', request: 0 },
  });
  assert.deepEqual(maxPrice, { input: 290_000, output: 1_100_000, request: 0 });
});

test('sort is a word, or an object that may sort over models', () => {
  const { sort, acrossModels } = preferencesOf({ sort: { by: 'latency', partition: 'none' } });
  assert.deepEqual([sort, acrossModels], ['latency', true]);
  assert.equal(preferencesOf({ sort: 'throughput' }).sort, 'throughput');
});

test('thresholds are numbers or medians', () => {
  const given = { preferred_min_throughput: { p50: 30, p90: 10 }, preferred_max_latency: 1.5 };
  const { leastThroughput, mostLatencyMs } = preferencesOf(given);
  assert.deepEqual([leastThroughput, mostLatencyMs], [30, 1500]);
});

test('each mistake is named by its path, and no promise is made that nobody can keep', () => {
  const wrong: readonly [given: Record<string, unknown>, param: string][] = [
    [{ order: 'groq' }, 'provider.order'],
    [{ only: [1] }, 'provider.only'],
    [{ ignore: [''] }, 'provider.ignore'],
    [{ sort: 'fastest' }, 'provider.sort'],
    [{ sort: { by: 'fastest' } }, 'provider.sort.by'],
    [{ sort: { by: 'price', partition: 'all' } }, 'provider.sort.partition'],
    [{ allow_fallbacks: 'no' }, 'provider.allow_fallbacks'],
    [{ require_parameters: 1 }, 'provider.require_parameters'],
    [{ max_price: 1 }, 'provider.max_price'],
    [{ max_price: { prompt: -1 } }, 'provider.max_price.prompt'],
    [{ max_price: { completion: 'cheap' } }, 'provider.max_price.completion'],
    [{ max_price: { image: 1 } }, 'provider.max_price.image'],
    [{ preferred_max_latency: 0 }, 'provider.preferred_max_latency'],
    [{ data_collection: 'deny' }, 'provider.data_collection'],
    [{ zdr: true }, 'provider.zdr'],
    [{ quantizations: ['fp8'] }, 'provider.quantizations'],
    [{ allowFallbacks: false }, 'provider.allowFallbacks'],
    [{ constructor: 1 }, 'provider.constructor'],
  ];
  for (const [given, param] of wrong)
    assert.throws(
      () => preferencesOf(given),
      (error) =>
        error instanceof ApiError && error.code === 'invalid_request' && error.param === param,
      param,
    );
});
