/** Prices that change by day, margins, tiers and fees: what is sold, at what, and what is not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { acme, sellerOfOne } from '../../test/acme.ts';
import { buildCatalogue, models } from './catalogue.ts';
import type { OfferEntry, PriceEntry } from './entry.ts';
import { marginsOf, noMargin, parseModelMargins } from './margins.ts';
import { allVersions, nextChange, offersAt } from './offers.ts';
import { dayInDhaka, levelFor, offerPeriods, parsePrice, withMargin } from './prices.ts';

const catalogueWith = (offer: Partial<OfferEntry>) =>
  buildCatalogue([acme], [sellerOfOne('acme', offer)]);

const change = (from: string, input: string) => ({
  from,
  prices: { input, output: '4' },
  source: 'vendor' as const,
  asOf: '2026-11-01',
});

describe('prices with a day', () => {
  const { models: sold } = catalogueWith({
    changes: [change('2026-12-01', '3'), change('2027-01-01', '5')],
  });
  const dated = sold.get('acme/one')?.dated ?? [];
  const inputAt = (moment: string) =>
    offersAt(dated, Date.parse(moment), noMargin)[0]?.prices.input;

  test('hold from the first moment of that day in Dhaka', () => {
    assert.equal(dayInDhaka('2026-12-01'), Date.parse('2026-11-30T18:00:00Z'));
    assert.equal(inputAt('2026-11-30T17:59:59.999Z'), 1_000_000);
    assert.equal(inputAt('2026-11-30T18:00:00.000Z'), 3_000_000);
    assert.equal(inputAt('2026-12-31T17:59:59.999Z'), 3_000_000);
    assert.equal(inputAt('2026-12-31T18:00:00.000Z'), 5_000_000);
    assert.equal(inputAt('2001-01-01'), 1_000_000);
  });

  test('are all known in advance, each under a version of its own', () => {
    const versions = allVersions(dated, noMargin, 50_000).map(({ priceVersion }) => priceVersion);
    // Each also for who asks with a key of their own.
    assert.equal(new Set(versions).size, 6);
    assert.equal(nextChange(dated, Date.parse('2026-11-23')), dayInDhaka('2026-12-01'));
    assert.equal(nextChange(dated, dayInDhaka('2026-12-01')), dayInDhaka('2027-01-01'));
    assert.equal(nextChange(dated, dayInDhaka('2027-01-01')), Number.POSITIVE_INFINITY);
  });

  test('must ascend, and name days that exist', () => {
    const prices = { input: '1', output: '1' };
    const read = { source: 'vendor', asOf: '2026-11-01' } as const;
    const twice = [change('2026-12-01', '3'), change('2026-12-01', '5')];
    assert.throws(() => offerPeriods({ ...read, prices, changes: twice }), /must ascend/);
    assert.throws(
      () => offerPeriods({ ...read, prices, changes: [change('2026-13-01', '3')] }),
      RangeError,
    );
  });
});

describe('what is not sold', () => {
  test('an offer without a price that can be read, by a sentence that names it', () => {
    for (const prices of [{ output: '1' }, { input: '1' }, { input: 'free', output: '1' }, {}])
      assert.throws(
        () => catalogueWith({ prices: JSON.parse(JSON.stringify(prices)) as PriceEntry }), // as: what a slip in the data would be
        /^RangeError: The offer of acme\/one at acme cannot be sold: "\w+" is not a price/,
      );
    assert.throws(() => catalogueWith({ prices: { input: '1', output: '1', request: '1e9' } }));
  });
});

describe('a version of prices', () => {
  const versionOf = (offer: Partial<OfferEntry>, percent = '0') => {
    const { models: sold } = catalogueWith(offer);
    const margins = marginsOf(percent, '', ['acme/one']);
    const [found] = offersAt(sold.get('acme/one')?.dated ?? [], 0, margins);
    return found?.priceVersion;
  };
  test('stays the same as long as the prices do, whoever read them when', () => {
    assert.equal(versionOf({}), versionOf({ asOf: '2026-11-09', source: 'pi' }));
  });
  test('changes with any price, tier, fee or margin', () => {
    const prices = { input: '1', output: '2' };
    const all = [
      versionOf({}),
      versionOf({}, '0.0001'),
      versionOf({ upstream: 'one-2' }),
      versionOf({ tiers: [{ aboveInputTokens: 10, ...prices }] }),
      ...['input', 'output', 'cachedInput', 'cacheWrite', 'cacheWrite1h', 'reasoning'].map((name) =>
        versionOf({ prices: { ...prices, [name]: '0.5' } }),
      ),
      ...['imageInput', 'imageOutput', 'audioInput', 'audioOutput', 'request'].map((name) =>
        versionOf({ prices: { ...prices, [name]: '0.5' } }),
      ),
    ];
    assert.equal(new Set(all).size, all.length);
  });
});

describe('a margin', () => {
  const ids = [...models.keys()];

  test('is that of the model, else of its author, else the one for all', () => {
    const margins = marginsOf('3', 'openai/gpt-4o=12.5, anthropic/*=5,openai/*=0', ids);
    assert.equal(margins.of('openai/gpt-4o'), 125_000);
    assert.equal(margins.of('openai/gpt-4o-mini'), 0);
    assert.equal(margins.of('anthropic/claude-haiku-5.5'), 50_000);
    assert.equal(margins.of('x-ai/grok-4.7'), 30_000);
  });

  test('of a model that there is not, or that cannot be read, is refused', () => {
    for (const wrong of ['openai/gpt-5-imaginary=1', 'nobody/*=1'])
      assert.throws(() => marginsOf('0', wrong, ids), /there is no model/);
    for (const wrong of ['5', 'a/b', 'a/b=', 'a/b=-1', 'a/b=1001', 'a/b=1.00001', 'a/b=1,a/b=2'])
      assert.throws(() => parseModelMargins(wrong), RangeError, wrong);
    for (const wrong of ['', '-1', '1001', '5%']) assert.throws(() => marginsOf(wrong, '', ids));
  });

  test('raises every price exactly, up to the next pico-USD, and none where it is 0', () => {
    const { models: sold } = catalogueWith({
      prices: { input: '0.000001', output: '2', reasoning: '3', request: '0.01' },
      tiers: [{ aboveInputTokens: 10, input: '4', output: '8', audioInput: '10' }],
    });
    const [base] = offersAt(sold.get('acme/one')?.dated ?? [], 0, noMargin);
    assert.ok(base);
    assert.deepEqual(withMargin(base.prices, 0), base.prices);
    const raised = withMargin(base.prices, 125_000);
    assert.equal(raised.input, 2);
    assert.equal(raised.output, 2_250_000);
    assert.equal(raised.reasoning, 3_375_000);
    assert.equal(raised.cachedInput, null);
    assert.equal(raised.request, 11_250_000_000);
    assert.equal(raised.tiers[0]?.prices.input, 4_500_000);
    assert.equal(raised.tiers[0]?.prices.audioInput, 11_250_000);
    fc.assert(
      fc.property(fc.nat(9_999_000_000), fc.nat(10_000_000), (pico, margin) => {
        const unit = { ...base.prices, input: pico };
        const exact = BigInt(pico) * BigInt(1_000_000 + margin);
        const most = BigInt(withMargin(unit, margin).input) * 1_000_000n;
        assert.ok(most >= exact && most - exact < 1_000_000n);
      }),
    );
  });
});

test('what a request can cost at most is the dearest of all classes and of all tiers below its own', () => {
  const { models: sold } = catalogueWith({
    prices: { input: '2', output: '5', cacheWrite: '3', audioOutput: '9', request: '0.5' },
    tiers: [{ aboveInputTokens: 1000, input: '1', output: '6' }],
  });
  const [offer] = offersAt(sold.get('acme/one')?.dated ?? [], 0, noMargin);
  assert.ok(offer);
  const fee = 500_000_000_000;
  const most = { input: parsePrice('3'), output: parsePrice('9'), request: fee };
  assert.deepEqual(levelFor(offer.levels, 1000).most, most);
  // A long prompt that is cheaper must still be able to turn out a short one.
  assert.deepEqual(levelFor(offer.levels, 1001).most, most);
  assert.equal(levelFor(offer.levels, 1001).applied.output, 6_000_000);
  assert.equal(levelFor(offer.levels, 1001).applied.request, 0);
});
