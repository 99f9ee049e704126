/** What each provider means by its usage, and what happens where it contradicts itself. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readUsage } from './openai.ts';
import { promptTokens, type Usage, type UsageRules } from './usage.ts';

const inside: UsageRules = { cacheCounted: 'inside', completionExcludesReasoning: false };
const outside: UsageRules = { ...inside, cacheCounted: 'outside' };
const either: UsageRules = { cacheCounted: 'either', completionExcludesReasoning: true };

const base = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 };

function read(more: object, rules = inside): Usage {
  const usage = readUsage({ ...base, ...more }, rules);
  assert.ok(usage);
  return usage;
}

/** Only what is not zero. */
function classes({ flags: _, ...counts }: Usage): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

describe('a cache', () => {
  const cached = { prompt_tokens_details: { cached_tokens: 30, cache_write_tokens: 20 } };
  test('is inside of prompt_tokens where the provider counts it there', () => {
    assert.deepEqual(classes(read(cached)), {
      input: 50,
      cacheRead: 30,
      cacheWrite: 20,
      output: 50,
    });
  });
  test('is beside them where the provider counts it so', () => {
    const usage = read(cached, outside);
    assert.deepEqual([usage.input, usage.cacheRead, usage.cacheWrite], [100, 30, 20]);
    assert.equal(promptTokens(usage), 150);
    assert.deepEqual(usage.flags, []);
  });
  test('that is larger than the prompt is beside it: as usual for some, flagged for others', () => {
    const more = { prompt_tokens_details: { cached_tokens: 130 }, total_tokens: 150 };
    for (const rules of [inside, either]) {
      const usage = read(more, rules);
      assert.deepEqual([usage.input, usage.cacheRead], [100, 130]);
      assert.equal(usage.flags.length, rules === inside ? 1 : 0, String(usage.flags));
    }
    assert.equal(read({ prompt_tokens_details: { cached_tokens: 100 } }, either).input, 0);
  });
  test('is read under every name that it has', () => {
    for (const name of ['prompt_cache_hit_tokens', 'cached_tokens', 'cache_read_input_tokens'])
      assert.equal(read({ [name]: 40 }).cacheRead, 40, name);
    assert.equal(read({ cache_creation_input_tokens: 40 }).cacheWrite, 40);
    assert.equal(
      read({ prompt_tokens_details: { cache_creation_input_tokens: 40 } }).cacheWrite,
      40,
    );
  });
  test('of an hour is told from one of five minutes', () => {
    const written = { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 25 };
    for (const more of [
      { cache_creation_input_tokens: 35, cache_creation: written },
      { cache_creation: written },
      { prompt_tokens_details: { cache_write_tokens: 35, cache_creation: written } },
    ]) {
      const usage = read(more);
      assert.deepEqual([usage.input, usage.cacheWrite, usage.cacheWrite1h], [65, 10, 25]);
      assert.deepEqual(usage.flags, []);
    }
  });
});

describe('images and sound', () => {
  test('are classes of their own, on both sides', () => {
    const usage = read({
      prompt_tokens_details: { image_tokens: 10, audio_tokens: 20, text_tokens: 70 },
      completion_tokens_details: { image_tokens: 5, audio_tokens: 6, reasoning_tokens: 7 },
    });
    assert.deepEqual(classes(usage), {
      input: 70,
      imageInput: 10,
      audioInput: 20,
      output: 50,
      reasoning: 7,
      imageOutput: 5,
      audioOutput: 6,
    });
    assert.deepEqual(usage.flags, []);
  });
  test('read from a cache cost what the cache costs, once', () => {
    const usage = read({
      prompt_tokens_details: {
        cached_tokens: 40,
        audio_tokens: 50,
        cached_tokens_details: { audio_tokens: 40 },
      },
    });
    assert.deepEqual([usage.input, usage.cacheRead, usage.audioInput], [50, 40, 10]);
    // Cached sound has a price of its own at some, which nobody here knows.
    assert.deepEqual(usage.flags, ['no price for cached audio']);
  });
  test('that exceed what they are part of are cut to it, and flagged', () => {
    const usage = read({
      prompt_tokens_details: { image_tokens: 70, audio_tokens: 70 },
      completion_tokens_details: { image_tokens: 70, audio_tokens: 70 },
    });
    assert.equal(promptTokens(usage), 100);
    assert.deepEqual([usage.imageInput, usage.audioInput, usage.imageOutput], [70, 30, 50]);
    assert.equal(usage.flags.length, 2);
  });
});

test('reasoning is inside of completion_tokens, or beside them where the provider counts it so', () => {
  const more = { completion_tokens_details: { reasoning_tokens: 20 }, total_tokens: 170 };
  const beside = read(more, either);
  assert.deepEqual([beside.output, beside.reasoning, beside.flags], [70, 20, []]);
  const within = read(more);
  assert.deepEqual([within.output, within.reasoning], [50, 20]);
  assert.deepEqual(within.flags, ['total_tokens exceeds its parts']);
});

test('where reasoning may be inside or beside, the total tells', () => {
  const rules = { ...inside, completionExcludesReasoning: 'perhaps' as const };
  const more = { completion_tokens_details: { reasoning_tokens: 20 } };
  assert.equal(read({ ...more, total_tokens: 170 }, rules).output, 70);
  assert.equal(read({ ...more, total_tokens: 150 }, rules).output, 50);
  assert.equal(read({ total_tokens: 170 }, rules).output, 70);
  const cached = { prompt_tokens_details: { cached_tokens: 130 }, total_tokens: 280 };
  for (const counted of [rules, either])
    assert.equal(read(cached, { ...counted, cacheCounted: 'either' }).output, 50);
});

test('a number that we do not know is flagged wherever it stands, a known name in a strange place too', () => {
  const usage = read({
    searches: 2,
    nothing: 0,
    cost: 0.5,
    server_tools: { searches: 1, deep: { cached_tokens: 1 } },
    prompt_tokens_details: { smell_tokens: 3 },
    completion_tokens_details: { accepted_prediction_tokens: 4, cached_tokens: 5 },
  });
  assert.deepEqual(usage.flags.toSorted(), [
    'completion_tokens_details.cached_tokens',
    'prompt_tokens_details.smell_tokens',
    'searches',
    'server_tools.deep.cached_tokens',
    'server_tools.searches',
  ]);
});

test('counts that are none make the whole no usage', () => {
  const wrong = [-1, 0.5, '1', Number.NaN, 1e300, {}];
  const places = [
    (value: unknown) => ({ prompt_tokens: value }),
    (value: unknown) => ({ completion_tokens: value }),
    (value: unknown) => ({ total_tokens: value }),
    (value: unknown) => ({ prompt_tokens_details: { cached_tokens: value } }),
    (value: unknown) => ({ prompt_tokens_details: { cache_write_tokens: value } }),
    (value: unknown) => ({ prompt_tokens_details: { audio_tokens: value } }),
    (value: unknown) => ({ prompt_tokens_details: { image_tokens: value } }),
    (value: unknown) => ({ cache_creation: { ephemeral_1h_input_tokens: value } }),
    (value: unknown) => ({ completion_tokens_details: { reasoning_tokens: value } }),
    (value: unknown) => ({ completion_tokens_details: { audio_tokens: value } }),
    (value: unknown) => ({ completion_tokens_details: { image_tokens: value } }),
  ];
  for (const place of places)
    for (const value of wrong)
      for (const rules of [inside, outside, either]) {
        const more = place(value);
        assert.equal(readUsage({ ...base, ...more }, rules), null, JSON.stringify(more));
      }
  for (const none of [null, undefined, 5, 'x', [], {}]) assert.equal(readUsage(none, inside), null);
});
