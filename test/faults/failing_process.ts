/** Loaded before the gateway: models on which it stumbles over itself, as it would over a mistake of ours. */
import { Routes } from '../../src/gateway/choose.ts';
import { Lengths } from '../../src/gateway/lengths.ts';

function stumble(): never {
  throw new TypeError('Cannot read properties of undefined');
}

/** What is read of the way to the provider when the request is written, and when the usage of the answer is read. */
const traps = new Map([
  ['openai/gpt-4o-mini', 'tokenLimitField'],
  ['openai/gpt-4o', 'cacheCounted'],
]);

const { choose } = Routes.prototype;
Routes.prototype.choose = function (asked) {
  const route = choose.call(this, asked);
  const trap = traps.get(asked.model);
  if (trap === undefined) return route;
  const targets = route.targets.map((target) =>
    Object.defineProperty({ ...target }, trap, { get: stumble }),
  );
  return { ...route, targets };
};

/** At the last step before the settlement. */
const { learn } = Lengths.prototype;
Lengths.prototype.learn = function (model, tokens) {
  if (model === 'openai/gpt-6-luna') stumble();
  learn.call(this, model, tokens);
};
