/** Model → the offers that may answer, with how to reach each. */
import {
  type Catalogue,
  catalogue,
  isRetired,
  type Model,
  providers,
} from '../catalogue/catalogue.ts';
import { type Margins, marginsOf, parsePercent } from '../catalogue/margins.ts';
import { allVersions, nextChange, type Offer, offersAt } from '../catalogue/offers.ts';
import { unknownModel } from '../catalogue/unknown_model.ts';
import { type Config, isReal, isWhole } from '../config.ts';
import { StartError } from '../db/start-error.ts';
import { ApiError } from '../errors.ts';
import { standInUrl } from '../sandbox/stand_in_url.ts';
import { Healths } from './health.ts';
import { KeyRings } from './key_rings.ts';
import { Overrides } from './overrides.ts';
import {
  type Excluded,
  exclusion,
  nobodyLeft,
  noPreferences,
  type Sort,
  type Wanted,
} from './preferences.ts';
import { needsOf } from './probe_results.ts';
import { hasTie, ranked } from './ranking.ts';
import { type OwnOffers, ownFirst, type Target, targetOf, unlessUnasked } from './target.ts';

/** The offers that may answer one request. */
export interface Route {
  /** The model that was asked for. */
  readonly model: Model;
  /** All of which an offer may be tried; the first is the one that was asked for, unless nobody offers that. */
  readonly models: readonly Model[];
  /** In the order in which they are tried; never empty. */
  readonly targets: readonly Target[];
  /** Two of them cost the same, so that price alone does not tell which is tried first. */
  readonly isTied: boolean;
  /** The client said how they are ordered. */
  readonly isOrdered: boolean;
  /** Id of the retired model that was asked for, where this one answers in its place. */
  readonly replaces?: string;
}

/** What the account that asks has said of itself. */
interface Asker {
  /** Whether the successor of a retired model may answer in its place. */
  readonly replaceRetired: boolean;
  /** Keys for providers that it brought: what can be asked with them comes first, and mostly alone. Null: none. */
  readonly own: OwnOffers | null;
}

const anybody: Asker = { replaceRetired: false, own: null };

/** What a request says of where it wants to go. */
export interface Asked extends Wanted {
  readonly model: string;
  readonly fallbackModels: readonly string[];
}

/** A model as a client names it: an id or alias, and behind a colon what its offers are sorted by. */
interface Named {
  readonly model: Model;
  readonly sort: Sort | null;
}

const suffixes = new Map<string, Sort>(
  Object.entries({ floor: 'price', nitro: 'throughput' } as const),
);

/** What a route is made of, where it is not this program's own catalogue by this machine's clock. */
interface Surroundings {
  readonly catalogue?: Catalogue;
  /** Ms since 1970. */
  readonly now?: () => number;
  readonly healths?: Healths;
}

export class Routes {
  readonly healths: Healths;
  readonly rings: KeyRings;
  /** Every version of a price that a receipt may name. */
  readonly versions: readonly Offer[];
  /** Of the usual prices, for who asks with a key of their own; millionths. */
  readonly #ownKeyFee: number;
  readonly #config: Config;
  readonly #sandboxUrl: string | null;
  readonly #catalogue: Catalogue;
  readonly #now: () => number;
  readonly #margins: Margins;
  /** Every parameter that some model understands. */
  readonly #parameters: ReadonlySet<string>;
  /** The routes at the prices that hold from `#from` until before `#until`. */
  #routes: ReadonlyMap<string, Route> = new Map();
  #overrides = new Overrides([]);
  /** Every offer, by model, whether the operator has a key for it or not. */
  #offers: ReadonlyMap<string, readonly Offer[]> = new Map();
  #from = 0;
  #until = 0;

  /**
   * @param sandboxUrl base URL of the stand-in that answers for providers without a key; null in live mode
   * @throws StartError for a margin of a model that there is not, or limits of keys that cannot be used
   */
  constructor(config: Config, sandboxUrl: string | null, surroundings: Surroundings = {}) {
    this.#config = config;
    this.#sandboxUrl = sandboxUrl;
    this.#catalogue = surroundings.catalogue ?? catalogue;
    this.#now = surroundings.now ?? Date.now;
    this.healths = surroundings.healths ?? new Healths();
    this.rings = new KeyRings(config, this.healths);
    this.#ownKeyFee = parsePercent(config.ownKeyFeePercent);
    this.#margins = readMargins(config, this.#catalogue);
    this.#parameters = new Set(
      [...this.#catalogue.models.values()].flatMap((model) => model.supportedParameters),
    );
    this.versions = [...this.#catalogue.models.values()].flatMap(({ dated }) =>
      allVersions(dated, this.#margins, this.#ownKeyFee),
    );
  }

  /** Every model that can be asked, in the catalogue's order, at the prices of now: another map after each change of one. */
  all(): ReadonlyMap<string, Route> {
    const now = this.#now();
    if (now < this.#until && now >= this.#from) return this.#routes;
    const models = [...this.#catalogue.models.values()];
    const routes = new Map<string, Route>();
    const margins = this.#overrides.over(this.#margins);
    const all = new Map<string, readonly Offer[]>();
    for (const model of models) {
      const offers = offersAt(this.#overrides.offersOf(model), now, margins);
      all.set(model.id, offers);
      const targets = this.#targetsOf(model, offers, isRetired(model, now));
      if (targets.length > 0)
        routes.set(model.id, {
          model,
          models: [model],
          targets,
          isTied: hasTie(targets),
          isOrdered: false,
        });
    }
    this.#routes = routes;
    this.#offers = all;
    // From this moment only: a clock that is set back finds the prices of then.
    this.#from = now;
    const sunsets = models.flatMap(({ sunset }) =>
      sunset && sunset.from > now ? [sunset.from] : [],
    );
    const dated = models.flatMap((model) => model.dated);
    this.#until = Math.min(nextChange(dated, now), ...sunsets);
    return routes;
  }

  /** Every version of the prices that may be charged once these overrides are in force. */
  versionsWith(overrides: Overrides): readonly Offer[] {
    const margins = overrides.over(this.#margins);
    return [...this.#catalogue.models.values()].flatMap((model) =>
      allVersions(overrides.offersOf(model), margins, this.#ownKeyFee),
    );
  }

  /** Brings them into force; what was accepted before is charged as it was. */
  override(overrides: Overrides): void {
    this.#overrides = overrides;
    this.#until = 0;
  }

  /** The model of an id or alias; null when there is none. */
  find(id: string): Model | null {
    return this.#catalogue.find(id);
  }

  /**
   * The offers that may answer a request, in the order in which they are tried.
   * @param asker what its account has said of itself
   * @throws ApiError model_not_found, naming the successor of a retired model; no_allowed_provider where the client's
   * own wishes leave none; no_provider when nobody offers it now; own_key_unusable
   */
  choose(asked: Asked, asker: Asker = anybody): Route {
    const replaced = asker.replaceRetired ? this.#replaced(asked, asker) : null;
    if (replaced) return replaced;
    const { own } = asker;
    const isPlain = asked.preferences === null && asked.sounds + asked.images === 0;
    if (own === null && isPlain && asked.fallbackModels.length === 0) {
      const model = this.#catalogue.find(asked.model);
      const route = model && this.#routeOf(model);
      if (route && !route.isTied && route.targets.every(isCalm)) return route;
    }
    return this.#chooseCarefully(asked, own);
  }

  /** The successor's route, where the model that was asked for is gone and has one. */
  #replaced(asked: Asked, { own }: Asker): Route | null {
    const { model, sort } = this.#named(asked.model, 'model');
    const heir = this.#isGone(model) ? this.#successor(model) : null;
    if (!heir) return null;
    const suffix = sort ? asked.model.slice(asked.model.lastIndexOf(':')) : '';
    return {
      ...this.choose({ ...asked, model: heir.id + suffix }, { replaceRetired: false, own }),
      replaces: model.id,
    };
  }

  #chooseCarefully(asked: Asked, own: OwnOffers | null): Route {
    const { fallbackModels, preferences } = asked;
    const { acrossModels, allowFallbacks, sort: wanted } = preferences ?? noPreferences;
    const named = this.#named(asked.model, 'model');
    const routes = [named, ...fallbackModels.map((id) => this.#named(id, 'models'))].flatMap(
      ({ model, sort }) => {
        // A model that is gone is passed over while there is another.
        const brought = own ? this.#ownTargets(own, model) : [];
        const mayLack = fallbackModels.length > 0 || brought.length > 0;
        const route = mayLack ? this.#find(model) : this.#routeOf(model);
        const targets = [...brought, ...(route?.targets ?? [])];
        return targets.length > 0 ? [{ targets, sort: wanted ?? sort }] : [];
      },
    );
    if (routes.length === 0) this.#routeOf(named.model);
    const excluded: Excluded[] = [];
    const left = routes.map(({ targets, sort }) => ({
      targets: targets.filter((target) => this.#allows(target, asked, excluded)),
      sort,
    }));
    const circumstances = { needs: needsOf(asked.parsed), now: performance.now() };
    const groups = acrossModels
      ? [{ targets: left.flatMap(({ targets }) => targets), sort: wanted }]
      : left;
    const inOrder = groups.flatMap((group) => {
      const order = ownFirst(
        ranked(group.targets, preferences ?? noPreferences, group.sort, circumstances),
      );
      const mayFall = allowFallbacks || (preferences?.order.length ?? 0) > 0;
      return mayFall ? order : order.slice(0, 1);
    });
    const targets = own ? unlessUnasked(inOrder) : inOrder;
    if (targets.length === 0) throw nobodyLeft(excluded);
    const models = [...new Set(targets.map(({ model }) => model))];
    const isOrdered =
      own !== null ||
      (preferences?.order.length ?? 0) > 0 ||
      groups.some(({ sort }) => sort !== null);
    return { model: named.model, models, targets, isTied: false, isOrdered };
  }

  #ownTargets(own: OwnOffers, model: Model): readonly Target[] {
    if (this.#isGone(model)) return [];
    this.all();
    return own.targetsOf(model, this.#offers.get(model.id) ?? []);
  }

  #allows({ offer, model }: Target, asked: Asked, excluded: Excluded[]): boolean {
    const reason = exclusion(offer, model, asked, this.#parameters);
    if (reason === null) return true;
    excluded.push({ model: model.id, provider: offer.provider, reason });
    return false;
  }

  /** @throws ApiError model_not_found */
  #named(id: string, param: 'model' | 'models'): Named {
    const model = this.#catalogue.find(id);
    if (model) return { model, sort: null };
    const colon = id.lastIndexOf(':');
    const sort = colon === -1 ? undefined : suffixes.get(id.slice(colon + 1));
    const plain = sort && this.#catalogue.find(id.slice(0, colon));
    if (plain) return { model: plain, sort };
    throw notFound(unknownModel(id, this.#catalogue), param);
  }

  /** Null for a model that is gone, or that nobody offers now. */
  #find(model: Model): Route | null {
    if (this.#isGone(model)) return null;
    return this.all().get(model.id) ?? null;
  }

  /** @throws ApiError model_not_found, naming the successor of a retired model; no_provider when nobody offers it now */
  #routeOf(model: Model): Route {
    const route = this.#find(model);
    if (route) return route;
    if (!this.#isGone(model)) throw new ApiError('no_provider');
    const heir = this.#successor(model);
    const instead = heir ? ` Use ${heir.id} instead.` : '';
    throw notFound(`${model.id} was retired by its vendor.${instead}`, 'model');
  }

  #isGone(model: Model): boolean {
    return this.#config.mode === 'live' && isRetired(model, this.#now());
  }

  /** Who has taken a retired model's place by now, in as many steps as that took; null where nobody has. */
  #successor(model: Model): Model | null {
    const now = this.#now();
    let heir: Model | null = model;
    while (heir && isRetired(heir, now)) {
      const next: string = heir.sunset?.replacedBy ?? '';
      heir = this.#catalogue.find(next);
    }
    return heir;
  }

  /** Real providers where there are any: a stand-in must never answer in the place of one that only failed. */
  #targetsOf(model: Model, offers: readonly Offer[], isGone: boolean): readonly Target[] {
    const own = ({ provider }: Offer, isReal: boolean) => ({
      model,
      isReal,
      health: this.healths.of(`${model.id}@${provider}`),
      place: this.#overrides.placeOf(model.id, provider),
    });
    // What a vendor has retired, an address of the operator's own may still serve.
    const wayTo = (provider: string) => {
      const way = this.#wayTo(provider);
      return way && (way.isOwn || !isGone) ? way : null;
    };
    const real = offers.flatMap((offer) => {
      const way = wayTo(offer.provider);
      return way ? [targetOf(offer, own(offer, true), way.baseUrl, way.keys)] : [];
    });
    const sandboxUrl = this.#sandboxUrl;
    // Also of those that are switched off.
    const isServed = model.dated.some(({ provider }) => wayTo(provider) !== null);
    if (isServed) return real.toSorted(byPlace);
    if (sandboxUrl === null) return [];
    const stoodFor = offers.flatMap((offer) => {
      const provider = providers.get(offer.provider);
      if (!provider) return [];
      const keys = this.rings.of(provider, 'sandbox', false);
      return [targetOf(offer, own(offer, false), standInUrl(sandboxUrl, provider.id), keys)];
    });
    return stoodFor.toSorted(byPlace);
  }

  /** Null for a provider that is not set up. `isOwn`: its address is the operator's choice, not the public one. */
  #wayTo(id: string) {
    const provider = providers.get(id);
    const access = this.#config.providers.get(id);
    if (!provider || !access || !isReal(access)) return null;
    const baseUrl = access.baseUrl || provider.baseUrl;
    if (!isWhole(baseUrl)) return null;
    const isOwn = access.baseUrl !== '';
    return { baseUrl, isOwn, keys: this.rings.of(provider, access.apiKey, true) };
  }
}

function notFound(what: string, param: 'model' | 'models'): ApiError {
  return new ApiError('model_not_found', { message: `Model not found: ${what}`, param });
}

function byPlace(one: Target, other: Target): number {
  return one.place === other.place ? 0 : one.place - other.place;
}

function isCalm({ health }: Target): boolean {
  return health.isCalm && health.probes.lacks === 0;
}

function readMargins({ marginPercent, modelMargins }: Config, { models }: Catalogue): Margins {
  try {
    return marginsOf(marginPercent, modelMargins, models.keys());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`MARGIN_PERCENT or MODEL_MARGINS cannot be used: ${reason}.`, { cause });
  }
}
