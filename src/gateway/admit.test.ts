/** Token buckets: what they let through in any minute, and how they say when to come back. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../errors.ts';
import { duration, Limits } from './admit.ts';

const nobody = (): void => {};

/** Asks at these moments (ms, ascending) and tells which requests were let in. */
function admitted(limits: Limits, moments: readonly number[]): number[] {
  let now = 0;
  const clock = mock.method(performance, 'now', () => now);
  try {
    return moments.filter((moment) => {
      now = moment;
      try {
        limits.admit('key', 'account', nobody)();
        return true;
      } catch (error) {
        assert.ok(error instanceof ApiError && error.code === 'rate_limit_exceeded');
        assert.ok((error.retryAfterMs ?? 0) > 0);
        return false;
      }
    });
  } finally {
    clock.mock.restore();
  }
}

test('no minute sees more than twice the limit, no hour more than the limit and one burst', () => {
  const moments = fc
    .array(fc.integer({ min: 0, max: 3_600_000 }), { maxLength: 300 })
    .map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(moments, fc.integer({ min: 1, max: 20 }), (list, rpm) => {
      const settings = { keyRpm: rpm, accountRpm: 1000, accountConcurrency: 10 };
      const let_in = admitted(new Limits(settings), list);
      for (const start of let_in)
        assert.ok(let_in.filter((at) => at >= start && at < start + 60_000).length <= 2 * rpm);
      assert.ok(let_in.length <= rpm + (rpm * 3_600_000) / 60_000 + 1);
    }),
  );
});

test('who waits as long as was said is let in', () => {
  let now = 0;
  const clock = mock.method(performance, 'now', () => now);
  const limits = new Limits({ keyRpm: 5, accountRpm: 100, accountConcurrency: 10 });
  for (let i = 0; i < 5; i += 1) limits.admit('key', 'account', nobody);
  assert.throws(
    () => limits.admit('key', 'account', nobody),
    (error: unknown) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.retryAfterMs, 12_000);
      now += error.retryAfterMs ?? 0;
      return true;
    },
  );
  limits.admit('key', 'account', nobody);
  clock.mock.restore();
});

test('an account has one limit over all its keys, and so many requests in flight', () => {
  const limits = new Limits({ keyRpm: 100, accountRpm: 3, accountConcurrency: 10 });
  for (const key of ['a', 'b', 'c']) limits.admit(key, 'account', nobody);
  assert.throws(() => limits.admit('d', 'account', nobody), /Rate limit exceeded/);
  limits.admit('d', 'another', nobody);
  const few = new Limits({ keyRpm: 100, accountRpm: 100, accountConcurrency: 2 });
  const leave = few.admit('a', 'account', nobody);
  few.admit('a', 'account', nobody);
  assert.throws(() => few.admit('a', 'account', nobody), /in flight/);
  leave();
  leave();
  few.admit('a', 'account', nobody);
  assert.throws(() => few.admit('a', 'account', nobody), /in flight/);
});

test('headers say where the key stands, for a refusal, too; 0 switches everything off', () => {
  const seen: (readonly string[])[] = [];
  const limits = new Limits({ keyRpm: 1, accountRpm: 100, accountConcurrency: 2 });
  limits.admit('a', 'account', (headers) => seen.push(headers));
  assert.throws(() => limits.admit('a', 'account', (headers) => seen.push(headers)));
  assert.deepEqual(
    seen.map((headers) => headers[3]),
    ['0', '0'],
  );
  const off = new Limits({ keyRpm: 0, accountRpm: 1, accountConcurrency: 1 });
  for (let i = 0; i < 10; i += 1) off.admit('a', 'account', () => assert.fail('a header'));
});

test('spans are written as OpenAI writes them', () => {
  const spans = [0, 20, 999.2, 1000, 1540, 59_940, 60_000, 360_000, 400_000].map(duration);
  assert.deepEqual(spans, ['0ms', '20ms', '1000ms', '1s', '1.6s', '1m0s', '1m0s', '6m0s', '6m40s']);
});
