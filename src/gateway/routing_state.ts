/** What monitoring is shown of routing, as this process sees it. */
import type { Routes } from './choose.ts';
import type { Target } from './target.ts';

/** Every offer that is asked for real, at the prices of now. */
function realTargets(routes: Routes): readonly Target[] {
  return [...routes.all().values()].flatMap(({ targets }) =>
    targets.filter(({ isReal }) => isReal),
  );
}

/** Keys of each provider, and offers whose breaker is not closed. */
export function routingState(routes: Routes) {
  const now = performance.now();
  const targets = realTargets(routes);
  const rings = new Map(targets.map(({ offer, keys }) => [offer.provider, keys.keys]));
  const keys = Array.from(rings, ([provider, ring]) => ({
    provider,
    count: ring.length,
    resting: ring.filter(({ restsUntil }) => restsUntil > now).length,
  }));
  const breakers = targets
    .map(({ health }) => ({ offer: health.name, state: health.state(now) }))
    .filter(({ state }) => state !== 'closed');
  return { keys, breakers };
}
