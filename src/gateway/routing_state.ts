/** What monitoring is shown of routing, as this process sees it. */
import type { Routes } from './choose.ts';
import { probeNames } from './probe_results.ts';
import type { Target } from './target.ts';

/** Every offer that is asked for real, at the prices of now. */
export function realTargets(routes: Routes): readonly Target[] {
  return [...routes.all().values()].flatMap(({ targets }) =>
    targets.filter(({ isReal }) => isReal),
  );
}

/** Keys of each provider, offers whose breaker is not closed, and what probes found last. */
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
  const probes = targets.flatMap(({ health: { name: offer, probes: own } }) =>
    probeNames.map((probe) => ({ offer, probe, passed: own.passed(probe) })),
  );
  return { keys, breakers, probes };
}
