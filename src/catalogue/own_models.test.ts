/** What an operator adds to the catalogue: his own models, more offers of known ones, and nothing without a price. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorEntries, buildCatalogue, providerEntries } from './catalogue.ts';
import { withOwnModels } from './own_models.ts';

const own = {
  model: 'local/qwen3-8b',
  provider: 'ollama',
  upstream: 'qwen3:8b',
  contextLength: 32_768,
  maxOutputTokens: 8192,
  prices: { input: '0.05', output: '0.1' },
};
const known = {
  model: 'meta-llama/llama-3.3-70b-instruct',
  provider: 'vllm',
  upstream: 'meta-llama/Llama-3.3-70B-Instruct',
  prices: { input: '0.2', output: '0.4', reasoning: '0.5' },
};

function catalogueWith(...offers: readonly object[]) {
  const { authors, providers } = withOwnModels(
    JSON.stringify(offers),
    authorEntries,
    providerEntries,
  );
  return buildCatalogue(authors, providers);
}

test('a model of his own, and an offer of one that is there', () => {
  const catalogue = catalogueWith(own, known);
  const model = catalogue.find('local/qwen3-8b');
  assert.equal(model?.author, 'local');
  assert.deepEqual(
    model?.offers.map(({ provider, upstreamModel, prices }) => [
      provider,
      upstreamModel,
      prices.input,
    ]),
    [['ollama', 'qwen3:8b', 50_000]],
  );
  assert.ok(model.supportedParameters.includes('temperature'));
  const before = buildCatalogue(authorEntries, providerEntries).find(known.model)?.offers ?? [];
  const after = catalogue.find(known.model)?.offers ?? [];
  assert.equal(after.length, before.length + 1);
  const added = after.find(({ provider }) => provider === 'vllm');
  assert.equal(added?.prices.reasoning, 500_000);
  assert.equal(added.contextLength, before[0]?.contextLength);
});

test('what cannot be sold is refused by a sentence that says what and why', () => {
  const { prices: _, ...unpriced } = own;
  const { contextLength: __, ...unlimited } = own;
  const cases: [object, RegExp][] = [
    [unpriced, /^0\.prices: /],
    [{ ...own, prices: { input: '0.05' } }, /^0\.prices\.output: /],
    [
      { ...own, prices: { input: 'free', output: '1' } },
      /local\/qwen3-8b at ollama: "free" is not/,
    ],
    [{ ...own, prices: { input: '-1', output: '1' } }, /"-1" is not/],
    [{ ...own, price: 1 }, /Unrecognized key/],
    [{ ...own, provider: 'nobody' }, /there is no provider "nobody"/],
    [{ ...own, model: 'qwen3' }, /must be author\/name/],
    [unlimited, /needs contextLength/],
    [{ ...own, maxOutputTokens: 40_000 }, /within it, maxOutputTokens/],
  ];
  for (const [offer, wrong] of cases)
    assert.throws(
      () => catalogueWith(offer),
      (error) => error instanceof RangeError && wrong.test(error.message),
      JSON.stringify(offer),
    );
  assert.throws(() => catalogueWith(own, own), /is there already at ollama/);
  assert.throws(() => withOwnModels('[', authorEntries, providerEntries), /It is not JSON/);
});
