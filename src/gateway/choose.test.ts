/** The price in force when a request is accepted counts, and a change at midnight needs no restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acme, sellerOfOne } from '../../test/acme.ts';
import { buildCatalogue, catalogue, providers } from '../catalogue/catalogue.ts';
import type { AuthorEntry, PriceChangeEntry } from '../catalogue/entry.ts';
import { loadConfig } from '../config.ts';
import { ApiError } from '../errors.ts';
import { readChatRequest } from './chat_request.ts';
import { Routes } from './choose.ts';
import { ModelBodies } from './models.ts';

const change: PriceChangeEntry = {
  from: '2026-12-01',
  prices: { input: '3', output: '4' },
  source: 'vendor',
  asOf: '2026-11-01',
};

const aged: AuthorEntry = {
  ...acme,
  models: acme.models.flatMap((model) => [
    { ...model, sunset: { date: '2026-12-01', replacedBy: 'acme/two' } },
    { ...model, name: 'two', sunset: { date: '2026-12-03', replacedBy: 'acme/three' } },
    { ...model, name: 'three' },
    { ...model, name: 'alone', sunset: { date: '2026-12-01', replacedBy: null } },
  ]),
};

const sold = buildCatalogue(
  [acme],
  [
    // Real providers, so that both have an address to be reached at.
    sellerOfOne('groq', { upstream: 'groq-one', changes: [change] }),
    sellerOfOne('together', { upstream: 'together-one', prices: { input: '2', output: '2' } }),
  ],
);

const messages = [{ role: 'user', content: 'Hi' }];
const asking = (model: string) => readChatRequest(Buffer.from(JSON.stringify({ model, messages })));
const asked = asking('acme/one');

function routesAt(
  environment: Record<string, string> = {},
  catalogue = sold,
  sandboxUrl: string | null = null,
) {
  const config = loadConfig(
    { MODE: 'live', GROQ_API_KEY: 'x', TOGETHER_API_KEY: 'x', ...environment },
    [...providers.keys()],
  );
  const clock = { now: Date.parse('2026-11-30T17:59:59.999Z') };
  const routes = new Routes(config, sandboxUrl, { catalogue, now: () => clock.now });
  return { routes, clock };
}

test('at midnight in Dhaka the new price holds, the list shows it, and who is cheapest comes first', () => {
  const { routes, clock } = routesAt();
  const bodies = new ModelBodies(routes);
  const shown = () => JSON.parse(String(bodies.one('acme/one'))).pricing.prompt;
  const before = routes.choose(asked);
  assert.equal(routes.choose(asked), before, 'a route is made anew although nothing changed');
  assert.deepEqual(
    before.targets.map(({ offer }) => [offer.provider, offer.prices.input]),
    [
      ['groq', 1_000_000],
      ['together', 2_000_000],
    ],
  );
  assert.equal(shown(), '0.000001');
  const list = bodies.list;
  assert.equal(bodies.list, list);

  clock.now += 1;
  const after = routes.choose(asked);
  assert.deepEqual(
    after.targets.map(({ offer }) => [offer.provider, offer.prices.input]),
    [
      ['together', 2_000_000],
      ['groq', 3_000_000],
    ],
  );
  assert.equal(shown(), '0.000002');
  assert.notEqual(bodies.list, list);
  // Whoever was accepted before pays what held then.
  assert.equal(before.targets[0]?.offer.prices.input, 1_000_000);
  assert.notEqual(before.targets[0]?.offer.priceVersion, after.targets[1]?.offer.priceVersion);

  clock.now -= 1;
  assert.equal(routes.choose(asked).targets[0]?.offer.provider, 'groq');
});

test('every version that may come is known from the start', () => {
  const { routes, clock } = routesAt({ MARGIN_PERCENT: '10' });
  const known = new Set(routes.versions.map(({ priceVersion }) => priceVersion));
  // Each also for who asks with a key of their own.
  assert.equal(known.size, 6);
  for (const moment of [clock.now, clock.now + 1, clock.now + 1e10]) {
    clock.now = moment;
    for (const { offer } of routes.choose(asked).targets) assert.ok(known.has(offer.priceVersion));
  }
});

test('the margin is in what is shown and held, and one that fits no model stops the start', () => {
  const { routes } = routesAt({ MARGIN_PERCENT: '10', MODEL_MARGINS: 'acme/*=12.5' });
  const [first] = routes.choose(asked).targets;
  assert.equal(first?.offer.prices.input, 1_125_000);
  assert.equal(first.offer.levels[0]?.applied.output, 2_250_000);
  const shown = JSON.parse(String(new ModelBodies(routes).one('acme/one')));
  assert.equal(shown.pricing.prompt, '0.000001125');
  assert.throws(() => routesAt({ MODEL_MARGINS: 'openai/gpt-4o=1' }), /there is no model openai/);
  for (const wrong of ['x', '1001', '1.00001', '-1'])
    assert.throws(() => routesAt({ MARGIN_PERCENT: wrong }), /MARGIN_PERCENT/, wrong);
  assert.throws(() => routesAt({ MODEL_MARGINS: 'acme/one' }), /MODEL_MARGINS/);
});

test('limits of keys that there are not stop the start', () => {
  const wrong = (limits: string) => () =>
    routesAt({ PROVIDER_KEY_LIMITS: limits, GROQ_API_KEY: 'one,two,three' });
  assert.throws(wrong('groq=1,2'), /PROVIDER_KEY_LIMITS cannot be used: there are 2 limits for 3/);
  assert.throws(wrong('nobody=1'), /there is no provider "nobody"/);
  assert.doesNotThrow(wrong('groq=5/1'));
});

test('live, a model is retired on the day that was announced, and its successor is named, which may have changed by then', () => {
  const groq = sellerOfOne('groq', {});
  const offers = groq.offers.flatMap((offer) =>
    aged.models.map(({ name }) => ({ ...offer, model: `acme/${name}`, upstream: name })),
  );
  const { routes, clock } = routesAt({}, buildCatalogue([aged], [{ ...groq, offers }]));
  const bodies = new ModelBodies(routes);
  const said = (id: string): string => {
    try {
      return routes.choose(asking(id)).model.id;
    } catch (error) {
      return error instanceof ApiError && error.status === 404 ? error.message : String(error);
    }
  };
  assert.equal(said('acme/one'), 'acme/one');
  assert.ok(bodies.one('acme/one'));
  clock.now += 1;
  assert.match(
    said('acme/one'),
    /^Model not found: acme\/one was retired .* Use acme\/two instead\.$/,
  );
  assert.match(said('acme/alone'), /was retired by its vendor\.$/);
  assert.equal(bodies.one('acme/one'), null);
  assert.ok(bodies.one('acme/two'));
  clock.now += 2 * 86_400_000;
  assert.match(said('acme/one'), /Use acme\/three instead\.$/);
  assert.equal(bodies.one('acme/two'), null);
});

test('in the sandbox the stand-in answers for a retired model, unless the operator names an address that may still serve it', () => {
  const [old] = aged.models;
  assert.ok(old);
  const onlyOld = {
    ...aged,
    models: [{ ...old, sunset: { date: '2026-12-01', replacedBy: null } }],
  };
  const retired = buildCatalogue([onlyOld], [sellerOfOne('groq', { upstream: 'groq-one' })]);
  const originWith = (environment: Record<string, string>): string | undefined => {
    const settings = { MODE: 'sandbox', TOGETHER_API_KEY: '', ...environment };
    const { routes, clock } = routesAt(settings, retired, 'http://127.0.0.1:9/v1');
    clock.now += 1;
    return routes.choose(asked).targets[0]?.origin;
  };
  assert.equal(originWith({}), 'http://127.0.0.1:9');
  assert.equal(originWith({ GROQ_BASE_URL: 'http://127.0.0.1:7/v1' }), 'http://127.0.0.1:7');
});

test('who asks for what is no chat model learns what it is', () => {
  const { routes } = routesAt({}, catalogue);
  assert.throws(() => routes.choose(asking('openai/whisper-1')), {
    message: 'Model not found: openai/whisper-1 is a transcription model, not a chat model.',
  });
  assert.throws(() => routes.choose(asking('openai/nothing')), {
    message: 'Model not found: openai/nothing',
  });
});

test('a name that says of which kind a model is, is believed', () => {
  const { routes } = routesAt({}, catalogue);
  for (const [asked, kind] of [
    ['openai/dall-e-2', 'an image model'],
    ['stability/stable-diffusion-3', 'an image model'],
    ['google/veo-4', 'a video model'],
    ['someone/nice-embed-large', 'an embedding model'],
    ['jina/reranker-v9', 'a reranking model'],
  ])
    assert.throws(() => routes.choose(asking(String(asked))), {
      message: `Model not found: ${asked} looks like ${kind}; only models that chat can be asked here.`,
    });
  assert.throws(() => routes.choose(asking('openai/imaginary')), {
    message: 'Model not found: openai/imaginary',
  });
});

test('who leaves out the author, or writes a point as a dash, learns the id', () => {
  const { routes } = routesAt({}, catalogue);
  for (const [asked, meant] of [
    ['gpt-4o-mini', 'openai/gpt-4o-mini'],
    ['Claude-Sonnet-4-5', 'anthropic/claude-sonnet-4.5'],
    ['meta/llama-3.3-70b-instruct:free', 'meta-llama/llama-3.3-70b-instruct'],
  ])
    assert.throws(() => routes.choose(asking(String(asked))), {
      message: `Model not found: ${asked}. Did you mean ${meant}?`,
    });
  for (const nothing of ['/', '???'])
    assert.throws(() => routes.choose(asking(nothing)), { message: `Model not found: ${nothing}` });
});
