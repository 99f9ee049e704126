/** Taka to credit: exact, never to the user's disadvantage by more than one nano-USD, never to the operator's at all. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nano } from '../wallet/money.ts';
import type { MethodId } from './method.ts';
import type { Bounded } from './offered.ts';
import { quoteFor, userRate } from './quote.ts';
import { defaultRules, type PaymentRules } from './rules.ts';
import { formatTaka, paisa, parseTaka, TakaError, takaIn } from './taka.ts';

function rulesWith(change: (rules: PaymentRules) => void): PaymentRules {
  const rules = structuredClone(defaultRules);
  change(rules);
  return rules;
}

/** A method that takes whatever the operator lets it. */
const by = (id: MethodId, most = 1_000_000_000): Bounded => ({
  id,
  least: paisa(1),
  most: paisa(most),
});

describe('taka', () => {
  test('reads what providers write', () => {
    for (const text of ['500', '500.0', '500.00', ' 500.000 '])
      assert.equal(parseTaka(text), 50_000);
    assert.equal(takaIn(500), 50_000);
    assert.equal(takaIn('0.05'), 5);
  });
  test('refuses what is no amount of whole paisa', () => {
    for (const text of ['', '-5', '1e3', '5,000', '0.005', '৫০০', '1.2.3', 'NaN', '999999999999'])
      assert.throws(() => parseTaka(text), TakaError, text);
    for (const value of [null, undefined, {}, Number.NaN, 0.001, -1, true])
      assert.equal(takaIn(value), null);
  });
  test('writes what it reads', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (amount) => {
        assert.equal(parseTaka(formatTaka(paisa(amount))), amount);
      }),
    );
  });
});

const amounts = fc.integer({ min: 5000, max: 2_500_000 });
const rates = fc
  .integer({ min: 1, max: 9_999_9999 })
  .map((n) => `${Math.floor(n / 10_000)}.${String(n % 10_000).padStart(4, '0')}`)
  .filter((text) => Number(text) >= 1);
const percents = fc
  .integer({ min: 0, max: 500_000 })
  .map((n) => `${Math.floor(n / 10_000)}.${String(n % 10_000).padStart(4, '0')}`);

describe('a quote', () => {
  test('gives what arithmetic gives', () => {
    const { credit, fee, bonus, rate } = quoteFor(defaultRules, by('bkash'), userRate('122', '0'), {
      paisa: paisa(50_000),
    });
    assert.deepEqual(
      { credit, fee, bonus, rate },
      { credit: 4_098_360_655, fee: 0, bonus: 0, rate: 122_000_000 },
    );
  });

  test('takes the fee off, adds the margin and the bonus that is reached', () => {
    const rules = rulesWith((own) => {
      own.methods.bkash.fee = { percent: '1.85', fixed: '5' };
      own.bonuses = [
        { from: 1000, percent: '10' },
        { from: 500, percent: '5' },
      ];
    });
    // ৳1000: fee ৳18.50 + ৳5; ৳976.50 at ৳122 × 1.02 = ৳124.44 a dollar.
    const quote = quoteFor(rules, by('bkash'), userRate('122', '2'), { paisa: paisa(100_000) });
    assert.equal(quote.fee, 2350);
    assert.equal(quote.rate, 124_440_000);
    assert.equal(quote.credit, 7_847_155_255);
    assert.equal(quote.bonus, 784_715_525);
  });

  test('is rounded down by less than a nano-USD, whatever the rate, margin and fee', () => {
    fc.assert(
      fc.property(amounts, rates, percents, percents, (amount, market, margin, percent) => {
        const rules = rulesWith((own) => {
          own.methods.nagad.fee = { percent, fixed: '0' };
          own.methods.nagad.bounds = { least: 1, most: 10_000_000 };
        });
        const rate = userRate(market, margin);
        const { fee, credit } = quoteFor(rules, by('nagad'), rate, { paisa: paisa(amount) });
        const net = BigInt(amount - fee);
        // credit × rate ≤ net × 10¹³ < (credit + 1) × rate
        assert.ok(BigInt(credit) * BigInt(rate) <= net * 10n ** 13n);
        assert.ok(BigInt(credit + 1) * BigInt(rate) > net * 10n ** 13n);
        // Percent × 10⁴ of the amount, rounded up.
        const exact = BigInt(amount) * BigInt(percent.replace('.', ''));
        assert.ok(BigInt(fee) * 1_000_000n >= exact && BigInt(fee - 1) * 1_000_000n < exact);
      }),
    );
  });

  test('in dollars asks for the least taka that give them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 500_000_000, max: 100_000_000_000 }),
        rates.filter((rate) => Number(rate) > 50),
        percents,
        (wished, market, percent) => {
          const rules = rulesWith((own) => {
            own.methods.bkash.fee = { percent, fixed: '1.50' };
            own.methods.bkash.bounds = { least: 1, most: 10_000_000 };
          });
          const rate = userRate(market, '0');
          const quote = quoteFor(rules, by('bkash'), rate, { nano: nano(wished) });
          assert.ok(quote.credit >= wished);
          if (quote.amount > 300) {
            const less = quoteFor(rules, by('bkash'), rate, { paisa: paisa(quote.amount - 1) });
            assert.ok(less.credit < wished);
          }
        },
      ),
    );
  });

  test('refuses amounts out of bounds, and those that a fee eats up, with the bounds', () => {
    const quote = (amount: number, rules = defaultRules) =>
      quoteFor(rules, by('bkash'), userRate('122', '0'), { paisa: paisa(amount) });
    assert.throws(() => quote(4999), {
      code: 'invalid_request',
      param: 'taka',
      message: /from ৳50 to ৳25000/,
    });
    assert.throws(() => quote(2_500_001), { code: 'invalid_request' });
    // The narrower of the two.
    const narrow = by('bkash', 100_000);
    for (const wish of [{ paisa: paisa(100_001) }, { nano: nano(9_000_000_000) }])
      assert.throws(() => quoteFor(defaultRules, narrow, userRate('122', '0'), wish), {
        code: 'invalid_request',
        message: /৳1000\b/,
      });
    const dear = rulesWith((own) => {
      own.methods.bkash.fee = { percent: '0', fixed: '50' };
    });
    assert.throws(() => quote(5000, dear), { code: 'invalid_request', message: /leave nothing/ });
    assert.throws(
      () => quoteFor(defaultRules, by('bkash'), userRate('122', '0'), { nano: nano(0) }),
      {
        code: 'invalid_request',
      },
    );
    assert.throws(
      () =>
        quoteFor(defaultRules, by('bkash'), userRate('122', '0'), {
          nano: nano(Number.MAX_SAFE_INTEGER),
        }),
      { code: 'invalid_request' },
    );
  });
});
