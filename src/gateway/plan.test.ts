/** Plans over every model and all kinds of requests: no ceiling is exceeded, and none is missed by more than a token. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { providers } from '../catalogue/catalogue.ts';
import { loadConfig } from '../config.ts';
import { ApiError } from '../errors.ts';
import { nano, parseUsd } from '../wallet/money.ts';
import { capWithin, mostWithCap } from './call.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import { type Route, Routes } from './choose.ts';
import { Lengths } from './lengths.ts';
import { affordable, costWith, insufficient, isBeyond, type Plan, planOf } from './plan.ts';

const config = loadConfig({}, [...providers.keys()]);
const routes = [...new Routes(config, 'http://127.0.0.1:9/v1').all().values()];
const lengths = new Lengths();

interface Asked {
  readonly route: Route;
  readonly request: ChatRequest;
}

const requests: fc.Arbitrary<Asked> = fc
  .record({
    route: fc.constantFrom(...routes),
    text: fc.oneof(fc.string(), fc.string({ unit: 'grapheme', maxLength: 2000 })),
    stream: fc.boolean(),
    n: fc.option(fc.integer({ min: 1, max: 128 }), { nil: undefined }),
    max_tokens: fc.option(fc.integer({ min: 1, max: 2_000_000 }), { nil: undefined }),
    max_cost: fc.option(fc.integer({ min: 1, max: 2e9 }), { nil: undefined }),
  })
  .map(({ route, text, max_cost, ...more }) => {
    const messages = [{ role: 'user', content: text }];
    const ceiling = max_cost === undefined ? {} : { max_cost: (max_cost / 1e9).toFixed(9) };
    const body = JSON.stringify({ model: route.model.id, messages, ...more, ...ceiling });
    return { route, request: readChatRequest(Buffer.from(body)) };
  });

function refused(work: () => unknown): ApiError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error;
  }
  assert.fail('nothing was refused');
}

/** The request with another ceiling. */
function planWith({ route, request }: Asked, maxCost: number): Plan {
  return planOf({ ...request, maxCost: nano(maxCost) }, route, lengths);
}

test('neither hold nor charge exceeds max_cost, and what is refused says truly what would do', () => {
  fc.assert(
    fc.property(requests, (asked) => {
      const { request, route } = asked;
      let plan: Plan;
      try {
        plan = planOf(request, route, lengths);
      } catch {
        const { code, details } = refused(() => planOf(request, route, lengths));
        assert.equal(code, 'insufficient_credits');
        const lowest = parseUsd(String(details?.lowest_max_cost));
        assert.equal(planWith(asked, lowest).allowedTokens, request.choices);
        assert.equal(refused(() => planWith(asked, lowest - 1)).details?.limit_source, 'max_cost');
        return;
      }
      assert.ok(
        plan.least <= plan.likely && plan.likely <= plan.wanted && plan.wanted <= plan.most,
      );
      assert.ok(plan.allowedTokens >= request.choices);
      assert.equal(plan.most, costWith(plan.bound, plan.allowedTokens));
      if (request.maxTokens !== null)
        assert.ok(plan.allowedTokens <= request.maxTokens * request.choices);
      if (request.maxCost === null) return;
      assert.ok(plan.most <= request.maxCost);
      if (plan.ceiling === null) return;
      const more = plan.allowedTokens + request.choices;
      assert.ok(costWith(plan.bound, more) > request.maxCost, 'a token more would have fitted');
    }),
    { numRuns: 3000 },
  );
});

test('the cap that a wallet sets costs no more than it has, and a token more would', () => {
  fc.assert(
    fc.property(requests, fc.integer({ min: 0, max: 2e9 }), ({ request, route }, payable) => {
      const plan = planOf({ ...request, maxCost: null }, route, lengths);
      const { bound, choices } = plan;
      const tokens = affordable(bound, payable, choices);
      if (tokens >= 0) assert.ok(costWith(bound, tokens * choices) <= payable);
      assert.ok(tokens < 0 || costWith(bound, (tokens + 1) * choices) > payable);
      const cap = capWithin(plan, payable);
      assert.equal(cap === null, payable >= plan.most);
      if (tokens >= 1) assert.ok(mostWithCap(plan, cap) <= Math.max(payable, plan.most));
      if (tokens >= 1 && cap !== null) assert.ok(mostWithCap(plan, cap) <= payable);
    }),
    { numRuns: 3000 },
  );
});

test('a refusal by the wallet names a limit that the wallet can pay', () => {
  fc.assert(
    fc.property(requests, fc.integer({ min: 0, max: 2e9 }), ({ request, route }, balance) => {
      const plan = planOf({ ...request, maxCost: null, maxTokens: 1_000_000 }, route, lengths);
      const wallet = { balance, free: balance };
      if (!isBeyond(plan, wallet)) return;
      const { message, details } = insufficient(plan, wallet, 0);
      assert.match(message, /^Insufficient credits\. Please top up your account\. /);
      const maxTokens = Number(details?.affordable_max_tokens);
      if (maxTokens === 0) return;
      const shorter = planOf({ ...request, maxCost: null, maxTokens }, route, lengths);
      assert.ok(shorter.most <= balance);
    }),
    { numRuns: 2000 },
  );
  const [route] = routes;
  assert.ok(route);
  const messages = [{ role: 'user', content: 'Hi' }];
  const body = JSON.stringify({ model: route.model.id, messages, max_tokens: 1000 });
  const plan = planOf(readChatRequest(Buffer.from(body)), route, lengths);
  const poor = insufficient(plan, { balance: 499_999_999, free: 499_999_999 }, 500_000_000);
  assert.equal(poor.message, 'Insufficient credits. Please top up your account.');
  assert.deepEqual(poor.details, { limit_source: 'wallet' });
});
