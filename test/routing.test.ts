/** Which provider is asked, by what the client wants and how providers have been doing; and who is paid for the answer. */
import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import { behaviours, failure, good, json } from './hostile_behaviours.ts';
import { model, startProviders, twoOffers, usualCost } from './providers.ts';

const { openai, groq, deepinfra, books, ask, stop } = await startProviders();
after(stop);

/** Every offer answers once, so that none is passed over for what a test before did to it. */
beforeEach(async () => {
  for (const hostile of [openai, groq, deepinfra]) hostile.behave(good());
  await ask({ max_tokens: 5 });
  for (const name of ['groq', 'deepinfra'])
    await ask({ model: twoOffers, provider: { only: [name] }, max_tokens: 5 });
  for (const hostile of [openai, groq, deepinfra]) hostile.forget();
});

/** The provider that the receipt names. */
async function answeredBy(body: object): Promise<string | null> {
  const { status, text, requestId } = await ask({ model: twoOffers, max_tokens: 5, ...body });
  assert.equal(status, 200, text);
  return (await books.receipt(requestId)).provider;
}

describe('the client’s wishes', () => {
  test('decide who is asked', async () => {
    const wishes: readonly [provider: object, answers: string][] = [
      [{}, 'deepinfra'],
      [{ sort: 'price' }, 'deepinfra'],
      [{ order: ['groq'] }, 'groq'],
      [{ order: ['openai', 'Groq', 'deepinfra'] }, 'groq'],
      [{ order: ['nobody'] }, 'deepinfra'],
      [{ only: ['groq'] }, 'groq'],
      [{ ignore: ['deepinfra'] }, 'groq'],
      [{ ignore: ['nobody'] }, 'deepinfra'],
      [{ order: ['groq'], allow_fallbacks: false }, 'groq'],
      [{ require_parameters: true }, 'deepinfra'],
      [{ max_price: { prompt: 100, completion: '100' } }, 'deepinfra'],
    ];
    for (const [provider, answers] of wishes)
      assert.equal(await answeredBy({ provider }), answers, JSON.stringify(provider));
  });

  test('are not sent to the provider', async () => {
    const asked = {
      max_cost: 1,
      session_id: 'a',
      models: [twoOffers],
      provider: { sort: 'price' },
    };
    await answeredBy(asked);
    const { body } = await deepinfra.request();
    for (const name of Object.keys(asked)) assert.ok(body && !(name in body), name);
  });

  test('may leave nobody, which is told with a reason, and is free', async () => {
    const cases: readonly [body: object, reason: RegExp][] = [
      [{ provider: { only: ['openai'] } }, /groq is not in provider\.only/],
      [{ provider: { ignore: ['groq', 'deepinfra'] } }, /deepinfra is in provider\.ignore/],
      [{ provider: { max_price: { prompt: 0.001 } } }, /groq is above provider\.max_price/],
      [{ provider: { order: ['openai'], allow_fallbacks: false } }, /not in provider\.order/],
      [
        { provider: { require_parameters: true }, top_logprobs: 2 },
        /does not support top_logprobs/,
      ],
    ];
    for (const [body, reason] of cases) {
      const { status, text } = await ask({ model: twoOffers, ...body });
      assert.equal(status, 404, text);
      const { error, code, excluded } = JSON.parse(text);
      assert.equal(code, 'no_allowed_provider');
      assert.match(error, reason);
      assert.equal(excluded.length, 2);
    }
    assert.equal(groq.received.length + deepinfra.received.length, 0);
  });

  test('do not make a model see that does not: an image for it is refused, unless another model is named', async () => {
    const url = 'data:image/png;base64,iVBORw0KGgo=';
    const content = [{ type: 'image_url', image_url: { url } }];
    const body = { model: twoOffers, messages: [{ role: 'user', content }], max_tokens: 5 };
    const { status, text } = await ask(body);
    assert.equal(status, 400, text);
    assert.equal(JSON.parse(text).param, 'messages');
    assert.match(JSON.parse(text).error, /llama-3\.3-70b-instruct takes no images/);
    assert.equal(groq.received.length + deepinfra.received.length, 0);
    assert.equal((await ask({ ...body, models: [model] })).status, 200);
    assert.equal(openai.received.length, 1);
  });

  test('that cannot be read are a 400 that names the member', async () => {
    const { status, text } = await ask({ provider: { sort: 'fastest' } });
    assert.equal(status, 400);
    assert.equal(JSON.parse(text).param, 'provider.sort');
    const models = await ask({ models: [] });
    assert.equal(JSON.parse(models.text).param, 'models');
  });

  test('without fallbacks, one provider is asked and no other', async () => {
    deepinfra.behave(failure(500));
    const { status } = await ask({ model: twoOffers, provider: { allow_fallbacks: false } });
    assert.equal(status, 503);
    assert.equal(groq.received.length, 0);
  });

  test('a suffix sorts; another one is an unknown model', async () => {
    assert.equal(await answeredBy({ model: `${twoOffers}:floor` }), 'deepinfra');
    assert.notEqual(await answeredBy({ model: `${twoOffers}:nitro` }), null);
    for (const name of [
      `${twoOffers}:online`,
      `${twoOffers}:constructor`,
      'nobody/nothing:floor',
      ':floor',
    ]) {
      const { status, text } = await ask({ model: name });
      assert.equal(status, 404, name);
      assert.equal(JSON.parse(text).code, 'model_not_found');
    }
  });
});

describe('fallback models', () => {
  test('answer in order where the first cannot, under their own name and price', async () => {
    openai.behave(failure(500));
    const body = { model, models: [twoOffers], max_tokens: 20 };
    for (const stream of [false, true]) {
      const { status, text, requestId } = await ask({ ...body, stream });
      assert.equal(status, 200, text);
      assert.ok(text.includes(`"model":"${twoOffers}"`));
      const receipt = await books.receipt(requestId);
      assert.equal(receipt.provider, 'deepinfra');
      assert.equal(receipt.model, twoOffers);
      assert.ok(receipt.charged > 0 && receipt.charged <= receipt.held);
      assert.notEqual(receipt.charged, usualCost);
      assert.ok(JSON.stringify(receipt.detail.failedAttempts).includes('openai'));
    }
  });

  test('the first is asked first, and `models` alone names them all', async () => {
    const { text, requestId } = await ask({ model: undefined, models: [model, twoOffers] });
    assert.equal(JSON.parse(text).model, model);
    assert.equal((await books.receipt(requestId)).charged, usualCost);
  });

  test('a refusal of the request itself is taken to the next model, not to the next provider', async () => {
    deepinfra.behave(failure(400, { message: 'too long' }));
    const { status, text } = await ask({ model: twoOffers, models: [model] });
    assert.equal(status, 200, text);
    assert.equal(groq.received.length, 0);
    openai.behave(failure(400, { message: 'no good' }));
    const refused = await ask({ model: twoOffers, models: [model] });
    assert.equal(refused.status, 400);
    assert.equal(JSON.parse(refused.text).error, 'no good');
  });

  test('the hold pays for the dearest that may answer', async () => {
    const alone = await ask({ max_tokens: 1000 });
    const both = await ask({ max_tokens: 1000, models: ['openai/gpt-4o'] });
    const held = async (id: string) => (await books.receipt(id)).held;
    assert.ok((await held(both.requestId)) > 10 * (await held(alone.requestId)));
    assert.equal((await books.receipt(both.requestId)).charged, usualCost);
  });

  test('one that there is not is a 404, whatever the others are', async () => {
    const { status, text } = await ask({ models: ['nobody/nothing'] });
    assert.equal(status, 404);
    assert.equal(JSON.parse(text).param, 'models');
  });
});

describe('health', () => {
  test('an offer that keeps failing is not asked first any more, until it has answered again', async () => {
    deepinfra.behave(failure(500));
    for (let request = 0; request < 6; request += 1) assert.equal(await answeredBy({}), 'groq');
    const asked = deepinfra.received.length;
    assert.ok(asked < 6, 'it was asked each time');
    assert.equal(await answeredBy({ provider: { order: ['deepinfra'] } }), 'groq');
  });

  test('of offers that all fail, each is asked before the client is told', async () => {
    for (const hostile of [groq, deepinfra]) hostile.behave(behaviours.resetBeforeHeaders);
    for (let request = 0; request < 8; request += 1)
      assert.equal((await ask({ model: twoOffers })).status, 503);
    groq.behave(json());
    assert.equal(await answeredBy({}), 'groq');
  });

  test('Retry-After is obeyed while another can answer', async () => {
    deepinfra.behave(failure(429, { retryAfter: '60' }));
    assert.equal(await answeredBy({}), 'groq');
    deepinfra.forget();
    assert.equal(await answeredBy({}), 'groq');
    assert.equal(deepinfra.received.length, 0);
    const alone = await ask({ model: twoOffers, provider: { only: ['deepinfra'] } });
    assert.equal(alone.status, 429);
    assert.equal(alone.headers.get('retry-after'), '60');
  });
});
