/** The order of offers: by price, health, speed, what probes found, the operator's places and the client's word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { providers } from '../catalogue/catalogue.ts';
import { loadConfig } from '../config.ts';
import { readChatRequest } from './chat_request.ts';
import { Routes } from './choose.ts';
import type { OfferHealth } from './health.ts';

/** Cheapest first: DeepInfra, Nebius, Novita, Groq. */
const model = 'meta-llama/llama-3.3-70b-instruct';
const names = ['deepinfra', 'nebius', 'novita', 'groq'] as const;
const env = Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_API_KEY`, 'x']));

function setting() {
  const routes = new Routes(loadConfig({ MODE: 'live', ...env }, [...providers.keys()]), null);
  const healthOf = (name: string): OfferHealth => routes.healths.of(`${model}@${name}`);
  const order = (body: object = {}): string[] => {
    const request = { model, messages: [{ role: 'user', content: 'Hi' }], ...body };
    const { targets } = routes.choose(readChatRequest(Buffer.from(JSON.stringify(request))));
    return targets.map(({ offer }) => offer.provider);
  };
  return { order, healthOf };
}

const now = performance.now();

test('the cheapest is asked first; one that fails counts as dearer, one whose breaker is open comes last', () => {
  const { order, healthOf } = setting();
  assert.deepEqual(order(), names);
  assert.deepEqual(order({ model: `${model}:floor` }), names);
  healthOf('deepinfra').failed(performance.now(), 'reset');
  assert.deepEqual(order(), ['nebius', 'novita', 'deepinfra', 'groq']);
  for (let failure = 0; failure < 5; failure += 1)
    healthOf('nebius').failed(performance.now(), 'reset');
  assert.equal(order().at(-1), 'nebius');
  // What it costs alone is asked for by the suffix.
  assert.equal(order({ model: `${model}:floor` })[0], 'deepinfra');
});

test(':nitro and sort: throughput ask the fastest first, sort: latency the soonest; what was not measured is measured', () => {
  const { order, healthOf } = setting();
  for (const [name, tokens, ms] of [
    ['deepinfra', 10, 900],
    ['nebius', 90, 600],
    ['novita', 40, 300],
    ['groq', 300, 100],
  ] as const) {
    healthOf(name).delivered(tokens, 1000, now);
    healthOf(name).succeeded(now, ms);
  }
  const fastest = ['groq', 'nebius', 'novita', 'deepinfra'];
  assert.deepEqual(order({ model: `${model}:nitro` }), fastest);
  assert.deepEqual(order({ provider: { sort: 'throughput' } }), fastest);
  assert.deepEqual(order({ provider: { sort: 'latency' } }), [
    'groq',
    'novita',
    'nebius',
    'deepinfra',
  ]);
  assert.deepEqual(order(), names, 'nobody asked for speed');
  assert.deepEqual(order({ provider: { preferred_min_throughput: 80 } }), [
    'nebius',
    'groq',
    'deepinfra',
    'novita',
  ]);
  assert.deepEqual(order({ provider: { preferred_max_latency: 0.5 } }), [
    'novita',
    'groq',
    'deepinfra',
    'nebius',
  ]);
});

test('max_price leaves those that cost no more, require_parameters those that understand all', () => {
  const { order } = setting();
  assert.deepEqual(order({ provider: { max_price: { prompt: '0.13', completion: '0.4' } } }), [
    'deepinfra',
    'nebius',
  ]);
  assert.deepEqual(order({ provider: { max_price: { completion: '0.32' } } }), ['deepinfra']);
  assert.deepEqual(order({ provider: { require_parameters: true }, temperature: 1 }), names);
  assert.throws(
    () => order({ provider: { require_parameters: true }, logprobs: true, top_logprobs: 1 }),
    /does not support/,
  );
});

test('what probes found an offer to lack puts it behind for who needs that; the client’s order comes before', () => {
  const { order, healthOf } = setting();
  healthOf('deepinfra').probes.found('tools', false, Date.now());
  const tools = [{ type: 'function', function: { name: 'f' } }];
  assert.equal(order({ tools }).at(-1), 'deepinfra');
  assert.equal(order()[0], 'deepinfra');
  assert.equal(order({ tools, provider: { order: ['deepinfra'] } })[0], 'deepinfra');
  assert.deepEqual(order({ provider: { order: ['groq'] } }), [
    'groq',
    'deepinfra',
    'nebius',
    'novita',
  ]);
});
