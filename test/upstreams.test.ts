/** What providers do wrong, and what it costs: for each way of failing, what the client is told and what the books say. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Behaviour } from './hostile.ts';
import {
  behaviours,
  completion,
  failure,
  good,
  json,
  stream,
  whole,
  wrongUsages,
} from './hostile_behaviours.ts';
import { model, readStream, secret, startProviders, twoOffers, usualCost } from './providers.ts';

const { openai, groq, deepinfra, books, ask, stop } = await startProviders();
after(stop);

describe('an answer in one piece', () => {
  const failing: readonly (keyof typeof behaviours)[] = [
    'hangBeforeHeaders',
    'hangMidJson',
    'resetBeforeHeaders',
    'resetMidJson',
    'endBeforeHeaders',
    'malformedJson',
    'html200',
    'empty200',
    'errorIn200',
    'contentLengthTooLong',
    'contentLengthTooShort',
    'gzipJson',
    'endlessJson',
    'redirect',
    'switching',
    'notHttp',
  ];
  for (const name of failing)
    test(`${name}: 503 and free`, async () => {
      openai.behave(behaviours[name]);
      const { status, text, requestId } = await ask();
      assert.equal(status, 503, text);
      assert.equal(JSON.parse(text).error, 'No active providers available to route the request.');
      const receipt = await books.receipt(requestId);
      assert.deepEqual([receipt.outcome, receipt.charged, receipt.cost], ['released', 0, 0]);
    });

  for (const name of [
    'informational',
    'closesAfterAnswer',
    'poisonedAtOnce',
    'poisonedLater',
  ] as const)
    test(`${name}: answered and charged`, async () => {
      openai.behave(behaviours[name]);
      const { status, text, requestId } = await ask();
      assert.equal(status, 200, text);
      assert.ok(!text.includes('POISON'));
      assert.equal((await books.receipt(requestId)).charged, usualCost);
    });

  test('an answer that nobody asked for never reaches the next request', async () => {
    for (const name of ['poisonedAtOnce', 'poisonedLater', 'contentLengthTooShort'] as const) {
      openai.behave(behaviours[name]);
      await Promise.all([ask(), ask(), ask()]);
      await new Promise((resolve) => setTimeout(resolve, 40));
      openai.behave(json({ text: 'mine' }));
      const answers = await Promise.all([ask(), ask(), ask(), ask()]);
      for (const { text } of answers)
        assert.equal(JSON.parse(text).choices[0].message.content, 'mine', text);
    }
  });

  test('no usage: an estimate that is marked', async () => {
    openai.behave(behaviours.noUsageJson);
    const { text, requestId, headers } = await ask();
    const { usage } = JSON.parse(text);
    assert.equal(usage.estimated, true);
    const receipt = await books.receipt(requestId);
    assert.equal(receipt.outcome, 'estimated');
    assert.equal(usage.completion_tokens, Math.ceil('The capital is Dhaka.'.length / 4));
    assert.ok(receipt.charged > 0 && receipt.charged <= receipt.held);
    assert.equal(Number(headers.get('x-cost-usd')), receipt.charged / 1e9);
  });

  /** What can be believed of a wrong usage: its cost in nano-USD, more than is held in one case. The rest is estimated. */
  const believed: Readonly<Record<string, number>> = {
    moreCachedThanPrompt: usualCost + 9999 * 75,
    moreReasoningThanCompletion: usualCost,
    unknownFields: usualCost,
  };
  for (const [name, value] of Object.entries(wrongUsages))
    test(`usage ${name}: ${name in believed ? 'its plausible part is charged' : 'estimated'}`, async () => {
      for (const streamed of [false, true]) {
        openai.behave(streamed ? stream({ usageValue: value }) : json({ usage: value }));
        const { status, text, requestId } = await ask({ stream: streamed, max_tokens: 100 });
        assert.equal(status, 200, text);
        const receipt = await books.receipt(requestId);
        const cost = believed[name];
        if (cost === undefined) {
          const answer = streamed ? 'word '.repeat(5) : 'The capital is Dhaka.';
          assert.equal(receipt.outcome, 'estimated');
          assert.equal(receipt.output_tokens, Math.ceil(answer.length / 4));
          assert.ok(receipt.input_tokens > 0);
          assert.equal(receipt.charged, receipt.input_tokens * 150 + receipt.output_tokens * 600);
        } else {
          assert.equal(receipt.outcome, 'settled');
          assert.equal(receipt.output_tokens, 10);
          assert.equal(receipt.cost, cost);
          assert.equal(receipt.charged, Math.min(cost, receipt.held));
        }
        if (name === 'unknownFields')
          assert.deepEqual(receipt.detail.flags, [
            'video_tokens',
            'prompt_tokens_details.smell_tokens',
          ]);
      }
    });

  test('a cost of the provider’s own is not what the client reads', async () => {
    const usage = { cost: 0.5, prompt_tokens: 24, completion_tokens: 10, total_tokens: 34 };
    openai.behave(json({ usage }));
    const whole = await ask();
    assert.equal(whole.text.split('"cost"').length, 2);
    assert.equal(JSON.parse(whole.text).usage.cost, usualCost / 1e9);
    openai.behave(stream({ usageValue: usage }));
    const streamed = await ask({ stream: true, stream_options: { include_usage: true } });
    assert.equal(streamed.text.split('"cost"').length, 2);
    assert.match(streamed.text, /"cost":0.0000096/);
  });

  test('a count beyond any context is no count', async () => {
    openai.behave(json({ usage: { prompt_tokens: 3e9, completion_tokens: 4e9 } }));
    const { status, requestId } = await ask();
    assert.equal(status, 200);
    assert.equal((await books.receipt(requestId)).outcome, 'estimated');
  });

  test('a provider that counts more than it was allowed is paid by the operator', async () => {
    openai.behave(json({ usage: { prompt_tokens: 24, completion_tokens: 1_000_000 } }));
    const { requestId } = await ask({ max_tokens: 10 });
    const receipt = await books.receipt(requestId);
    assert.equal(receipt.cost, 24 * 150 + 1_000_000 * 600);
    assert.ok(receipt.charged <= receipt.held);
    const [loss] = await books.sql<{ amount: number }[]>`
      SELECT amount FROM transfers WHERE kind = 'loss' AND id = ${requestId.slice(4)}`;
    assert.equal(loss?.amount, receipt.cost - receipt.charged);
  });
});

describe('a refusal', () => {
  const cases: readonly [behaviour: Behaviour, status: number, code: string][] = [
    [failure(400, { message: 'max_tokens is not supported' }), 400, 'upstream_rejected'],
    [failure(422, { form: 'detail' }), 400, 'upstream_rejected'],
    [failure(400, { form: 'html' }), 400, 'upstream_rejected'],
    [failure(413), 413, 'request_too_large'],
    [failure(429, { retryAfter: '7' }), 429, 'provider_rate_limited'],
    [failure(429), 429, 'provider_rate_limited'],
    [failure(429, { code: 'insufficient_quota' }), 503, 'no_provider'],
    ...[401, 402, 403, 404, 408, 409, 500, 502, 503, 504, 529].map(
      (status): [Behaviour, number, string] => [failure(status), 503, 'no_provider'],
    ),
    [failure(500, { form: 'empty' }), 503, 'no_provider'],
  ];
  for (const [behaviour, status, code] of cases)
    test(`becomes ${status} ${code}`, async () => {
      openai.behave(behaviour);
      for (const streamed of [false, true]) {
        const answer = await ask({ stream: streamed });
        assert.equal(answer.status, status, answer.text);
        assert.equal(JSON.parse(answer.text).code, code);
        assert.equal((await books.receipt(answer.requestId)).charged, 0);
      }
    });

  test('passes on a reason, and how long to wait, but never a key', async () => {
    openai.behave(failure(400, { message: `Bad. You sent ${secret}.` }));
    assert.match(JSON.parse((await ask()).text).error, /^Bad\. You sent ….$/);
    openai.behave(failure(429, { retryAfter: '7' }));
    assert.equal((await ask()).headers.get('retry-after'), '7');
  });

  test('quotes words of the request, which say nothing of our account', async () => {
    for (const status of [400, 422]) {
      const quote = (word: string) => `Invalid value: '${word}'. Supported values are: 'low'.`;
      openai.behave(failure(status, { message: quote('billing') }));
      assert.equal((await ask({ reasoning_effort: 'billing' })).status, 400);
      assert.equal((await ask({ metadata: { a: 'BILLING' } })).status, 400);
      assert.equal((await ask()).status, 503);
      openai.behave(failure(status, { message: 'Your credit balance is too low. See billing.' }));
      assert.equal((await ask({ reasoning_effort: 'billing' })).status, 503);
    }
    openai.behave(failure(403, { message: 'Content violates usage guidelines. Failed check: X.' }));
    assert.equal((await ask()).status, 400);
    openai.behave(failure(429, { retryAfter: '1e999' }));
    assert.equal((await ask()).headers.get('retry-after'), '5');
    openai.behave(failure(429, { headers: { 'retry-after-ms': '1e999' } }));
    assert.equal((await ask()).headers.get('retry-after'), '3600');
  });

  test('401 of a provider is never the client’s', async () => {
    openai.behave(failure(401, { message: `Incorrect API key provided: ${secret}` }));
    const { status, text } = await ask();
    assert.equal(status, 503);
    assert.ok(!text.includes('Incorrect'));
  });
});

describe('a second offer', () => {
  const failing: readonly Behaviour[] = [
    failure(401),
    failure(429),
    failure(500),
    behaviours.resetBeforeHeaders,
    behaviours.hangBeforeHeaders,
    behaviours.html200,
    behaviours.errorFirstInStream,
    behaviours.emptyStream,
    behaviours.onlyDone,
    behaviours.hangAfterHeaders,
  ];
  const first = { model: twoOffers, provider: { order: ['deepinfra'] } };
  /** An offer that has failed too often is passed over: it answers once, and is asked first again. */
  async function mend(): Promise<void> {
    deepinfra.behave(good());
    const { status } = await ask({ model: twoOffers, provider: { only: ['deepinfra'] } });
    assert.equal(status, 200);
  }

  test('answers where the first fails before its first byte, and only it is charged', async () => {
    groq.behave(good());
    for (const behaviour of failing) {
      for (const streamed of [false, true]) {
        await mend();
        deepinfra.behave(behaviour);
        const { status, text, requestId } = await ask({ ...first, stream: streamed });
        assert.equal(status, 200, text);
        const receipt = await books.receipt(requestId);
        assert.equal(receipt.provider, 'groq');
        assert.equal(receipt.outcome, 'settled');
        assert.ok(Array.isArray(receipt.detail.failedAttempts));
      }
    }
  });

  test('is not asked where the request itself is at fault', async () => {
    await mend();
    deepinfra.behave(failure(400));
    groq.forget();
    assert.equal((await ask(first)).status, 400);
    assert.equal(groq.received.length, 0);
  });

  test('is never asked after the first byte', async () => {
    await mend();
    deepinfra.behave(behaviours.resetMidStream);
    groq.forget();
    const { text } = await ask({ ...first, stream: true });
    assert.ok(readStream(text).error);
    assert.equal(groq.received.length, 0);
  });
});

test('what the gateway answers with is its own: id, model, headers', async () => {
  openai.behave([
    whole(completion('x', { provider_secret: 1 }), {
      headers: { 'x-upstream': 'secret', 'set-cookie': 'a=b', server: 'upstream' },
    }),
  ]);
  const { text, headers, requestId } = await ask();
  const body = JSON.parse(text);
  assert.equal(body.id, `chatcmpl-${requestId.slice(4)}`);
  assert.equal(body.model, model);
  for (const name of ['x-upstream', 'set-cookie', 'server']) assert.equal(headers.get(name), null);
});
