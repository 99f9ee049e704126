/** Offers with the way to their providers; and which of them come first because the account pays the provider itself. */
import { type Model, providers } from '../catalogue/catalogue.ts';
import type { Offer } from '../catalogue/offers.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { dialects } from '../dialects/dialects.ts';
import type { OfferHealth } from './health.ts';
import type { KeyRing, OwnKeyUse } from './provider_keys.ts';

/** One offer and the way to its provider. */
export interface Target {
  readonly offer: Offer;
  readonly model: Model;
  readonly health: OfferHealth;
  /** Not the stand-in. */
  readonly isReal: boolean;
  /** Where the operator put it among the others; infinity for nowhere. */
  readonly place: number;
  readonly dialect: Dialect;
  readonly origin: string;
  /** Path before the dialect's own. */
  readonly basePath: string;
  readonly keys: KeyRing;
  readonly tokenLimitField: 'max_tokens' | 'max_completion_tokens';
  readonly cacheCounted: 'inside' | 'outside' | 'either';
  readonly completionExcludesReasoning: boolean | 'perhaps';
  /** Whose key it is, where the account that asks brought it; and whether the wallet may pay another where it does not do. */
  readonly own?: { readonly key: OwnKeyUse; readonly mayFall: boolean };
}

/** What an account asks providers with itself. */
export interface OwnOffers {
  /**
   * The offers of a model for which it has keys, in the order in which these were brought.
   * @throws ApiError own_key_unusable where none of them can be used, and nobody else may be asked
   */
  targetsOf(model: Model, offers: readonly Offer[]): readonly Target[];
}

interface RouteLike {
  readonly targets: readonly Target[];
  readonly models: readonly Model[];
}

const standardHeaders: readonly string[] = [
  'content-type',
  'application/json',
  // What is passed on as bytes must be text.
  'accept-encoding',
  'identity',
];

/** Of every request, by its key. */
export function headersWith(dialect: Dialect): (key: string) => readonly string[] {
  return (key) => [...dialect.headers(key), ...standardHeaders];
}

/** What the account pays the provider for itself comes first. */
export function ownFirst(targets: readonly Target[]): readonly Target[] {
  if (!targets.some(({ own }) => own)) return targets;
  return [...targets.filter(({ own }) => own), ...targets.filter(({ own }) => !own)];
}

/** Without those that the wallet would pay for after a key of the account's own, unless it wants that. */
export function unlessUnasked(targets: readonly Target[]): readonly Target[] {
  const last = targets.findIndex(({ own }) => own && !own.mayFall);
  return last === -1 ? targets : targets.filter(({ own }, at) => own || at < last);
}

/** A route without what the wallet would pay for; null where there is nothing of that, or nothing else. */
export function ownAlone<R extends RouteLike>(route: R): R | null {
  const targets = route.targets.filter(({ own }) => own);
  if (targets.length === 0 || targets.length === route.targets.length) return null;
  return { ...route, targets, models: [...new Set(targets.map(({ model }) => model))] };
}

export function targetOf(
  offer: Offer,
  own: Pick<Target, 'model' | 'health' | 'isReal' | 'place'>,
  baseUrl: string,
  keys: KeyRing,
): Target {
  const url = new URL(baseUrl);
  const provider = providers.get(offer.provider);
  return {
    offer,
    ...own,
    dialect: offer.dialect ?? provider?.dialect ?? dialects.openai,
    origin: url.origin,
    basePath: url.pathname.replace(/\/$/, ''),
    keys,
    tokenLimitField: provider?.tokenLimitField ?? 'max_tokens',
    cacheCounted: provider?.cacheCounted ?? 'inside',
    completionExcludesReasoning: provider?.completionExcludesReasoning ?? false,
  };
}
