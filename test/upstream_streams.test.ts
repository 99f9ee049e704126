/** What providers do wrong while they stream, and what it costs. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { behaviours, good, stream } from './hostile_behaviours.ts';
import { readStream, secret, startProviders, usualCost } from './providers.ts';

const { openai, books, ask, stop } = await startProviders();
after(stop);

describe('a stream', () => {
  const failingBeforeFirst = [
    'hangAfterHeaders',
    'resetAfterHeaders',
    'html200',
    'emptyStream',
    'onlyDone',
    'errorFirstInStream',
    'endlessEvent',
    'hugeEvent',
    'gzipJson',
  ] as const;
  for (const name of failingBeforeFirst)
    test(`${name}: 503 and free, or a clean error`, async () => {
      openai.behave(behaviours[name]);
      const { status, text, requestId } = await ask({ stream: true });
      if (status === 200) assert.ok(readStream(text).error, text);
      else assert.equal(status, 503, text);
      assert.equal((await books.receipt(requestId)).charged, 0);
    });

  const breaking = [
    'hangMidStream',
    'resetMidStream',
    'endMidStream',
    'halfAChunkThenEnd',
    'halfAChunkThenCut',
    'noFinish',
    'malformedEvent',
    'errorMidStream',
  ] as const;
  for (const name of breaking)
    test(`${name}: an error chunk, no [DONE], free`, async () => {
      openai.behave(behaviours[name]);
      const { status, text, requestId } = await ask({ stream: true });
      assert.equal(status, 200);
      const read = readStream(text);
      assert.equal(read.finish, 'error', text);
      assert.equal(read.done, false);
      const receipt = await books.receipt(requestId);
      assert.deepEqual([receipt.outcome, receipt.charged], ['released', 0]);
    });

  const complete = [
    'noDone',
    'usageOnFinish',
    'usageOnEvery',
    'splitEverywhere',
    'splitOddly',
    'crlf',
    'comments',
    'manyEventsAWrite',
  ] as const;
  for (const name of complete)
    test(`${name}: whole, charged as reported`, async () => {
      openai.behave(behaviours[name]);
      for (const include_usage of [false, true]) {
        const { text, requestId } = await ask({ stream: true, stream_options: { include_usage } });
        const read = readStream(text);
        assert.equal(read.finish, 'stop', text);
        assert.equal(read.done, true);
        const expected = name.startsWith('split') ? 'বাংলাদেশের রাজধানী ঢাকা। 🇧🇩' : /^(word )+$/;
        if (typeof expected === 'string') assert.equal(read.text, expected);
        else assert.match(read.text, expected);
        const receipt = await books.receipt(requestId);
        assert.deepEqual([receipt.outcome, receipt.charged], ['settled', usualCost]);
        const usages = [...text.matchAll(/"usage":/g)].length;
        assert.equal(usages, include_usage ? 1 : 0, 'usage stands in the last chunk, if anywhere');
        if (include_usage) {
          const last = JSON.parse(text.split('\n\n').at(-3)?.slice(6) ?? '');
          assert.deepEqual(last.choices, []);
          assert.equal(last.usage.cost, usualCost / 1e9);
        }
      }
    });

  test('broken behind its usage: charged as reported, and the error chunk says so', async () => {
    const breakWith = [{ waitMs: 20 }, 'RESET'] as const;
    openai.behave(stream({ chunks: ['a ', 'b ', 'c '], usage: 'every', breakAfter: 3, breakWith }));
    const { text, requestId } = await ask({ stream: true });
    const read = readStream(text);
    assert.equal(read.finish, 'error');
    const receipt = await books.receipt(requestId);
    assert.equal(receipt.outcome, 'settled');
    assert.ok(receipt.charged > 0);
    const last = JSON.parse(text.trim().split('\n\n').at(-1)?.slice(6) ?? '');
    assert.equal(last.usage.cost, receipt.charged / 1e9);
  });

  test('without usage: an estimate of what was delivered', async () => {
    openai.behave(behaviours.noUsage);
    const { text, requestId } = await ask({
      stream: true,
      stream_options: { include_usage: true },
    });
    assert.ok(readStream(text).done);
    const receipt = await books.receipt(requestId);
    assert.equal(receipt.outcome, 'estimated');
    assert.equal(receipt.output_tokens, Math.ceil(('word '.length * 5) / 4));
    assert.match(text, /"estimated":true/);
  });

  test('the upstream is always asked for usage, and gets what the client sent besides, but for what was meant for us', async () => {
    openai.behave(good());
    openai.forget();
    await ask({
      stream: true,
      foo: [1.5, { bar: 'ঢাকা' }],
      max_cost: 1,
      provider: {},
      stream_options: { include_obfuscation: false, resumable: true },
    });
    const { body, headers } = await openai.request();
    assert.deepEqual(body, {
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'Hello' }],
      stream: true,
      foo: [1.5, { bar: 'ঢাকা' }],
      stream_options: { include_obfuscation: false, include_usage: true },
    });
    assert.equal(headers.authorization, `Bearer ${secret}`);
  });
});
