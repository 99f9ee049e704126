import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { dialects } from '../dialects/dialects.ts';
import {
  authorEntries,
  catalogueDate,
  findModel,
  isRetired,
  models,
  providerEntries,
  providers,
} from './catalogue.ts';
import { type Constraint, sources } from './entry.ts';
import { notSold, whyNotSold } from './not_sold.ts';
import { dayInDhaka, formatPrice, levelFor, offerPrices, parsePrice } from './prices.ts';

const price = z.string().regex(/^(0|[1-9]\d{0,3})(\.\d{1,6})?$/);
const day = z.iso.date();
const known = z.iso.date().refine((date) => date <= catalogueDate, 'is a day to come');
const id = z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/);
const tokens = z.int().min(1000).max(20_000_000);
const prices = {
  input: price,
  output: price,
  cachedInput: price.optional(),
  cacheWrite: price.optional(),
  cacheWrite1h: price.optional(),
  reasoning: price.optional(),
  imageInput: price.optional(),
  imageOutput: price.optional(),
  audioInput: price.optional(),
  audioOutput: price.optional(),
  request: z
    .string()
    .regex(/^(0|[1-9]\d{0,3})(\.\d{1,12})?$/)
    .optional(),
};
const tiers = z.array(z.strictObject({ aboveInputTokens: tokens, ...prices })).optional();
const priced = { prices: z.strictObject(prices), tiers, source: z.enum(Object.keys(sources)) };
const Offer = z.strictObject({
  model: id,
  upstream: z.string().min(1),
  dialect: z.enum(Object.keys(dialects)).optional(),
  ...priced,
  changes: z.array(z.strictObject({ ...priced, from: day, asOf: known })).optional(),
  contextLength: tokens.optional(),
  maxOutputTokens: tokens.optional(),
  asOf: known,
});
const names = z.array(z.string().regex(/^[a-z_]+$/));
const members = z.record(z.string().regex(/^[a-z_]+$/), z.unknown());
const Quirks = z.strictObject({
  developerRole: z.literal(false).optional(),
  lacks: names.optional(),
  takes: names.optional(),
  strictMessages: z.literal(true).optional(),
  renames: z.record(z.string(), z.string()).optional(),
  temperature: z.tuple([z.number(), z.number()]).optional(),
  toolChoices: z.array(z.enum(['none', 'required', 'named'])).optional(),
  strictTools: z.literal(false).optional(),
  customTools: z.literal(false).optional(),
  shortCallIds: z.literal(true).optional(),
  alternatingRoles: z.literal(true).optional(),
  streamedTools: members.optional(),
  reasoning: z
    .strictObject({
      on: members,
      off: members,
      effort: z.literal(true).optional(),
      budget: z.string().optional(),
    })
    .optional(),
  reasoningMember: z.enum(['reasoning_content', 'reasoning', 'content']).optional(),
  streamsOnly: z.array(z.string().min(1)).optional(),
  wholeUpTo: z.int().positive().optional(),
  keyHeader: z.literal('api-key').optional(),
  errors: z.record(z.string(), z.enum(['key', 'rate', 'failed'])).optional(),
});
const Provider = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/),
  name: z.string().min(1),
  dialect: z.enum(Object.keys(dialects)),
  // A part that only the operator knows stands in braces.
  baseUrl: z
    .string()
    .regex(
      /^(?:https:\/\/|http:\/\/\{host\}:)(?:[a-z0-9.-]|\{[a-z_]+\})+(?:\/(?:[a-z0-9._-]|\{[a-z_]+\})+)*$/,
    ),
  key: z.literal('service-account').optional(),
  tokenLimitField: z.enum(['max_tokens', 'max_completion_tokens']),
  cacheCounted: z.enum(['inside', 'outside', 'either']),
  completionExcludesReasoning: z.union([z.boolean(), z.literal('perhaps')]).optional(),
  quirks: Quirks.optional(),
  // None where only the operator knows them.
  offers: z.array(Offer),
});
const Author = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/),
  name: z.string().min(1),
  models: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9.-]+$/),
        title: z.string().min(1),
        released: known,
        created: z.int().positive().optional(),
        contextLength: tokens,
        maxOutputTokens: tokens,
        input: z.array(z.enum(['image', 'file', 'audio', 'video'])).optional(),
        reasoning: z.boolean().optional(),
        parameters: z.string().regex(/^[a-z_]+( [a-z_]+)*$/),
        constraints: z
          .array(
            z.enum([
              'rejects_sampling_params',
              'rejects_sampling_params_with_reasoning',
              'rejects_forced_tool_choice',
              'thinking_cannot_be_disabled',
              'rejects_thinking_budget_tokens',
              'rejects_tools_with_reasoning',
              'needs_audio',
            ] satisfies Constraint[]),
          )
          .optional(),
        // Exactly as their makers spell them.
        aliases: z.array(z.string().regex(/^[a-z0-9-]+\/[A-Za-z0-9.:-]+$/)).optional(),
        sunset: z.strictObject({ date: day, replacedBy: id.nullable() }).optional(),
      }),
    )
    .min(1),
});

const today = dayInDhaka(catalogueDate);
const unique = (names: readonly string[]) => assert.deepEqual([...new Set(names)], [...names]);

describe('the data', () => {
  test('has the form that entry.ts describes', () => {
    z.array(Provider).parse(providerEntries);
    z.array(Author).parse(authorEntries);
  });

  test('registers every file of authors/ and providers/', () => {
    const stems = (folder: string) =>
      readdirSync(new URL(folder, import.meta.url)).map((file) => file.replace(/\.ts$/, ''));
    assert.deepEqual(authorEntries.map((author) => author.id).sort(), stems('authors').sort());
    assert.deepEqual([...providers.keys()].sort(), stems('providers').sort());
  });

  test('gives every id, alias and price version one meaning', () => {
    const all = [...models.values()];
    unique(providerEntries.map((provider) => provider.id));
    unique(authorEntries.flatMap((a) => a.models.map((model) => `${a.id}/${model.name}`)));
    unique(all.flatMap((model) => [model.id, ...model.aliases]));
    unique(all.flatMap((model) => model.offers.map((offer) => offer.priceVersion)));
    for (const model of all) unique(model.offers.map((offer) => offer.provider));
  });

  test('has no offer of an unknown model and no replacement that is not sold', () => {
    for (const offer of providerEntries.flatMap((provider) => provider.offers))
      assert.ok(models.has(offer.model), offer.model);
    for (const { id: own, sunset } of models.values()) {
      if (!sunset?.replacedBy) continue;
      const heir = models.get(sunset.replacedBy);
      // Later, so that no model can be its own heir.
      assert.ok(heir && (heir.sunset === null || heir.sunset.from > sunset.from), own);
      assert.ok(!isRetired(heir, today), own);
    }
  });

  test('asks no provider for two models under one name', () => {
    for (const provider of providerEntries) {
      unique(provider.offers.map((offer) => offer.upstream));
      unique(provider.offers.map((offer) => offer.model));
    }
  });

  test('is within what prices and limits can plausibly be', () => {
    for (const model of models.values()) {
      assert.ok(model.maxOutputTokens <= model.contextLength, model.id);
      for (const { provider, periods } of model.dated)
        for (const { prices: all } of periods)
          for (const unit of [all, ...all.tiers.map((tier) => tier.prices)]) {
            const where = `${model.id} at ${provider}`;
            assert.ok(unit.output >= unit.input, where);
            assert.ok((unit.cachedInput ?? 0) <= unit.input, where);
            assert.ok((unit.cacheWrite ?? unit.input) <= 3 * unit.input, where);
            assert.ok((unit.cacheWrite1h ?? Infinity) >= (unit.cacheWrite ?? 0), where);
            assert.ok((unit.reasoning ?? unit.output) >= unit.output, where);
            assert.ok((unit.audioInput ?? unit.input) >= unit.input, where);
          }
      // What is left out above would cost what `input` costs there.
      for (const { provider, prices } of model.offers)
        for (const tier of prices.tiers)
          for (const name of ['input', 'output', 'cachedInput', 'cacheWrite'] as const)
            assert.ok(
              prices[name] === null || (tier.prices[name] ?? 0) >= prices[name],
              `${name} of ${model.id} at ${provider}`,
            );
    }
  });

  test('says of models that are not sold why, and sells none of them', () => {
    const ids = Object.values(notSold).flat();
    unique(ids);
    z.array(id).parse(ids);
    for (const one of ids) assert.equal(findModel(one), null);
    assert.match(String(whyNotSold('openai/whisper-1')), /^is a transcription model/);
    assert.equal(whyNotSold('openai/gpt-4o'), null);
  });

  test('drops no model that was ever known: it is sold, or who asks for it learns why not', () => {
    const known = readFileSync(new URL('known_ids.txt', import.meta.url), 'utf8')
      .trim()
      .split('\n');
    assert.ok(known.length > 350);
    unique(known);
    const lost = known.filter((one) => findModel(one)?.id !== one && whyNotSold(one) === null);
    assert.deepEqual(lost, []);
  });

  test('prices every offer, in whole pico-USD, cheapest offer first', () => {
    for (const model of models.values()) {
      const blended = model.offers.map((offer) => 3 * offer.prices.input + offer.prices.output);
      assert.ok(blended.length > 0, model.id);
      assert.deepEqual(
        blended,
        blended.toSorted((a, b) => a - b),
      );
      for (const offer of model.offers) {
        assert.ok(offer.maxOutputTokens <= model.maxOutputTokens);
        assert.ok(offer.contextLength <= model.contextLength);
        for (const unit of [offer.prices, ...offer.prices.tiers.map((tier) => tier.prices)])
          for (const pico of [unit.input, unit.output, unit.cachedInput, unit.cacheWrite])
            if (pico !== null) assert.ok(Number.isSafeInteger(pico) && pico > 0, model.id);
      }
    }
  });

  test('covers the models and providers that people ask for first', () => {
    const all = [...models.values()];
    assert.ok(all.length >= 250);
    for (const author of ['openai', 'anthropic', 'google', 'meta-llama', 'deepseek', 'x-ai'])
      assert.ok(all.some((model) => model.author === author && !isRetired(model, today)));
    assert.ok(new Set(all.flatMap((m) => m.offers.map((offer) => offer.provider))).size >= 30);
    assert.ok(all.filter((model) => model.offers.length >= 2).length >= 100);
  });
});

describe('findModel', () => {
  test('resolves the ids of the public documentation', () => {
    const mini = findModel('openai/gpt-4o-mini');
    assert.equal(mini?.created, 1715644800);
    assert.equal(mini?.sunset?.date, '2027-01-14');
    assert.ok(mini && !isRetired(mini, today));
    assert.equal(mini?.offers[0]?.prices.input, 150_000);
    assert.equal(mini?.offers[0]?.prices.output, 600_000);
    assert.match(mini?.offers[0]?.priceVersion ?? '', /^openai\/gpt-4o-mini@openai-[0-9a-f]{16}$/);
    const sonnet = findModel('anthropic/claude-3-5-sonnet');
    assert.equal(sonnet?.created, 1718323200);
    assert.deepEqual(sonnet?.sunset, {
      date: '2025-10-28',
      from: Date.parse('2025-10-27T18:00:00Z'),
      replacedBy: 'anthropic/claude-sonnet-5.5',
    });
    assert.ok(isRetired(sonnet, today));
  });

  test('knows aliases, and nothing by approximation', () => {
    assert.equal(findModel('anthropic/claude-3.5-sonnet')?.id, 'anthropic/claude-3-5-sonnet');
    for (const wrong of ['', 'gpt-4o-mini', 'OpenAI/gpt-4o-mini', 'openai/', '__proto__'])
      assert.equal(findModel(wrong), null);
  });
});

describe('prices', () => {
  test('are read exactly', () => {
    assert.equal(parsePrice('0.15'), 150_000);
    assert.equal(parsePrice('30'), 30_000_000);
    assert.equal(parsePrice('0.000001'), 1);
    assert.equal(parsePrice('1.50162'), 1_501_620);
  });

  test('are refused where they are missing, inexact or not plain', () => {
    for (const wrong of ['', '0.0000001', '-1', '1e3', '1.', '.5', ' 1', '1,5', '९', '99999999999'])
      assert.throws(() => parsePrice(wrong), RangeError, wrong);
    const missing = JSON.parse('{"prices":{"input":"1"}}');
    assert.throws(() => offerPrices(missing), RangeError);
    const tier = { input: '1', output: '1' };
    assert.throws(() =>
      offerPrices({
        prices: tier,
        tiers: [
          { aboveInputTokens: 200, ...tier },
          { aboveInputTokens: 100, ...tier },
        ],
      }),
    );
  });

  test('are written as plain decimals that give the same integer again', () => {
    assert.equal(formatPrice(150_000), '0.00000015');
    assert.equal(formatPrice(0), '0');
    assert.equal(formatPrice(2_000_000_000_000), '2');
    fc.assert(
      fc.property(fc.maxSafeNat(), (pico) => {
        const [whole, fraction = ''] = formatPrice(pico).split('.');
        assert.equal(Number(`${whole}${fraction.padEnd(12, '0')}`), pico);
      }),
    );
  });

  test('of a tier hold for the whole request once the prompt is longer than its threshold', () => {
    const offer = findModel('x-ai/grok-4.7')?.offers[0];
    assert.ok(offer);
    const at = (inputTokens: number) => levelFor(offer.levels, inputTokens).applied;
    assert.equal(at(0).input, 2_000_000);
    assert.equal(at(200_000).input, 2_000_000);
    assert.equal(at(200_001).input, 4_000_000);
    assert.equal(at(200_001).cacheRead, 1_000_000);
  });
});
