import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costOf, formatUsd, MoneyError, nano, parseUsd } from './money.ts';

const amount = fc.integer({ min: -9_000_000_000_000_000, max: 9_000_000_000_000_000 });

test('what is printed reads back as the same amount', () => {
  fc.assert(
    fc.property(amount, (value) => {
      assert.equal(parseUsd(formatUsd(nano(value))), value);
    }),
  );
});

test('a printed amount below a million dollars survives JSON as a double', () => {
  fc.assert(
    fc.property(fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), (value) => {
      const text = formatUsd(nano(value));
      assert.equal(formatUsd(parseUsd(text)), text);
      assert.equal(Math.round(Number(JSON.stringify(Number(text))) * 1e9), value);
    }),
  );
});

test('amounts are written in full', () => {
  assert.equal(formatUsd(nano(12_450_000_000)), '12.45');
  assert.equal(formatUsd(nano(-1_520_000)), '-0.00152');
  assert.equal(formatUsd(nano(0)), '0');
  assert.equal(formatUsd(nano(1)), '0.000000001');
});

test('what is not an amount is refused', () => {
  for (const text of ['', '1e3', '0x10', '1.0000000001', '٣', '1,5', '.5', '5.', '99999999', 'NaN'])
    assert.throws(() => parseUsd(text), MoneyError, text);
});

test('cost is the exact sum rounded up once, also beyond 2^53', () => {
  const line = fc.tuple(
    fc.integer({ min: 0, max: 2_000_000_000 }),
    fc.integer({ min: 0, max: 1_000_000_000 }),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const pico = lines.reduce((sum, [t, p]) => sum + BigInt(t) * BigInt(p), 0n);
      fc.pre(pico < 9_000_000_000_000_000_000n);
      assert.equal(BigInt(costOf(lines)), (pico + 999n) / 1000n);
    }),
  );
});

test('negative, fractional and absurd counts cannot be priced', () => {
  for (const tokens of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => costOf([[tokens, 1]]), MoneyError);
});
