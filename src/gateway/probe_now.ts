/** Probes offers at once, for a command: at the providers that are set up here, as the schedule of a server does. */
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { Routes } from './choose.ts';
import { Overrides, readOverrides } from './overrides.ts';
import { type ProbeResult, probeOffer } from './probe.ts';
import { byProvider, noteProbe } from './probe_schedule.ts';
import { realTargets } from './routing_state.ts';
import { tellBenched } from './shared_rests.ts';
import { Upstreams } from './upstream.ts';

/**
 * @param model id of the only model that is meant; null for all
 * @param tell is called with each result as it comes
 */
export async function probeNow(
  sql: Sql,
  config: Config,
  model: string | null,
  tell: (result: ProbeResult) => void,
): Promise<{ readonly results: readonly ProbeResult[]; readonly offers: number }> {
  const routes = new Routes(config, null);
  routes.override(new Overrides(await readOverrides(sql)));
  const targets = realTargets(routes).filter(({ offer }) => offer.model === (model ?? offer.model));
  const benched = tellBenched(sql, routes);
  const upstreams = new Upstreams(config);
  const results: ProbeResult[] = [];
  const never = new AbortController().signal;
  try {
    await byProvider(targets, async (_provider, own) => {
      for (const target of own)
        for await (const result of probeOffer(upstreams, target, never)) {
          await noteProbe(sql, result);
          results.push(result);
          tell(result);
        }
    });
    await benched();
  } finally {
    await upstreams.close();
  }
  return { results, offers: targets.length };
}
