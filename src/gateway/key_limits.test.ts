/** How often a key may ask, on a clock that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyMeter, parseKeyLimits } from './key_limits.ts';
import { KeyRing } from './provider_keys.ts';

const none = Number.POSITIVE_INFINITY;

test('limits are read by provider and key; what is none is named', () => {
  assert.deepEqual(
    [...parseKeyLimits(' groq=600/20, 60,/5,; openai = 5000 ;')],
    [
      [
        'groq',
        [
          { perMinute: 600, atOnce: 20 },
          { perMinute: 60, atOnce: none },
          { perMinute: none, atOnce: 5 },
          { perMinute: none, atOnce: none },
        ],
      ],
      ['openai', [{ perMinute: 5000, atOnce: none }]],
    ],
  );
  assert.equal(parseKeyLimits('').size, 0);
  for (const wrong of [
    'groq',
    'groq=ten',
    'groq=0',
    'groq=1/0',
    'groq=1/',
    'groq=-1',
    '=5',
    'groq=1 2',
  ])
    assert.throws(() => parseKeyLimits(wrong), RangeError, wrong);
});

test('a key asks as often as it may in a minute, then waits for the next share of it', () => {
  const meter = new KeyMeter({ perMinute: 60, atOnce: none });
  for (let asked = 0; asked < 60; asked += 1) {
    assert.equal(meter.waitMs(1000, 0), 0);
    meter.take(1000);
  }
  assert.equal(meter.waitMs(1000, 0), 1000);
  assert.equal(meter.waitMs(1600, 0), 400);
  assert.equal(meter.waitMs(2000, 0), 0);
  meter.take(2000);
  assert.equal(meter.waitMs(2000, 0), 1000);
  const narrow = new KeyMeter({ perMinute: none, atOnce: 2 });
  assert.equal(narrow.waitMs(0, 1), 0);
  assert.ok(narrow.waitMs(0, 2) > 0);
});

test('of several keys one that may ask is chosen, even one that rests; none where all have reached their limits', () => {
  const limits = parseKeyLimits('any=2,1').get('any');
  const ring = new KeyRing(
    'any',
    'one,two',
    () => [],
    () => {},
    () => null,
    limits,
  );
  const ask = (now: number): string | null => {
    const key = ring.next(now);
    key?.meter?.take(now);
    return key?.text ?? null;
  };
  assert.deepEqual([ask(0), ask(0), ask(0)].toSorted(), ['one', 'one', 'two']);
  assert.equal(ask(0), null);
  assert.equal(ring.waitMs(0), 30_000);
  assert.equal(ask(30_000), 'one');
  const [, second] = ring.keys;
  assert.ok(second);
  ring.rest(second, 200_000);
  assert.equal(ask(59_000), null);
  assert.equal(ask(60_000), 'one');
  assert.equal(ask(60_000), 'two', 'rather one that rests than nobody');
  assert.throws(
    () =>
      new KeyRing(
        'any',
        'one',
        () => [],
        () => {},
        () => null,
        limits,
      ),
    /2 limits for 1 keys/,
  );
});
