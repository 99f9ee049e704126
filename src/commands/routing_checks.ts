/** What `akai doctor` says of routing: keys of providers, what is left alone for now, and what the operator has set. */
import { type Config, isReal } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { Overrides, readOverrides } from '../gateway/overrides.ts';
import { keyTexts } from '../gateway/provider_keys.ts';
import { type Check, ok, warning } from './check.ts';

interface Rest {
  /** `author/model@provider`, or `provider#` and digits of a key's hash. */
  readonly name: string;
  readonly reason: string;
  /** Until it is asked again; 0 for a breaker that is half-open. */
  readonly seconds: number;
}

export async function routingChecks(sql: Sql, config: Config): Promise<Check[]> {
  const rests = await sql<Rest[]>`
    SELECT name, reason, greatest(0, ceil(extract(epoch FROM until - now())))::int AS seconds
    FROM routing_rests WHERE until > now() - interval '1 hour' ORDER BY name`;
  const { unreadable } = new Overrides(await readOverrides(sql));
  return [
    keys(
      config,
      rests.filter(({ name, seconds }) => !name.includes('@') && seconds > 0),
    ),
    breakers(rests.filter(({ name }) => name.includes('@'))),
    overrides(unreadable),
  ];
}

function keys({ providers }: Config, resting: readonly Rest[]): Check {
  const name = 'Provider keys';
  const counts = [...providers]
    .filter(([, access]) => isReal(access) && access.apiKey !== '')
    .map(([id, { apiKey }]) => `${id} ${keyTexts(apiKey).length}`);
  const all = counts.length === 0 ? 'none' : counts.join(', ');
  if (resting.length === 0) return ok(name, all);
  const advice =
    'Check these keys and their accounts at the provider; each is tried again by itself.';
  return warning(name, `${all}; resting: ${resting.map(told).join(', ')}`, advice);
}

function breakers(rests: readonly Rest[]): Check {
  const name = 'Circuit breakers';
  if (rests.length === 0) return ok(name, 'all closed');
  const advice =
    'Requests go to other offers where there are any; each offer is tried again by itself.';
  return warning(name, rests.map(told).join(', '), advice);
}

function told({ name, seconds, reason }: Rest): string {
  const state = seconds > 0 ? `for ${seconds} s more` : 'half-open';
  return `${name} ${state} (${reason.slice(0, 100) || 'no reason was given'})`;
}

function overrides(unreadable: readonly string[]): Check {
  const name = 'Set for offers';
  if (unreadable.length === 0) return ok(name, 'all can be read');
  const detail = `left out, because it cannot be read: ${unreadable.join('; ')}`;
  return warning(name, detail, 'Set it anew, or give it back with: akai offer set … default.');
}
