/** Model → the offers that may answer, with how to reach each. */
import {
  type Catalogue,
  catalogue,
  isRetired,
  type Model,
  providers,
} from '../catalogue/catalogue.ts';
import { type Margins, marginsOf } from '../catalogue/margins.ts';
import { whyNotSold } from '../catalogue/not_sold.ts';
import { allVersions, nextChange, type Offer, offersAt } from '../catalogue/offers.ts';
import { type Config, isReal, isWhole } from '../config.ts';
import { StartError } from '../db/start-error.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { dialects } from '../dialects/dialects.ts';
import { ApiError } from '../errors.ts';

/** One offer and the way to its provider. */
export interface Target {
  readonly offer: Offer;
  readonly dialect: Dialect;
  readonly origin: string;
  /** Path before the dialect's own. */
  readonly basePath: string;
  readonly apiKey: string;
  /** Of every request to it: name, value, name, value. */
  readonly headers: readonly string[];
  readonly tokenLimitField: 'max_tokens' | 'max_completion_tokens';
  readonly cacheCounted: 'inside' | 'outside' | 'either';
  readonly completionExcludesReasoning: boolean | 'perhaps';
}

export interface Route {
  readonly model: Model;
  /** In the order in which they are tried; never empty. */
  readonly targets: readonly Target[];
}

/** What a route is made of, where it is not this program's own catalogue by this machine's clock. */
interface Surroundings {
  readonly catalogue?: Catalogue;
  /** Ms since 1970. */
  readonly now?: () => number;
}

export class Routes {
  /** Every version of a price that a receipt may name. */
  readonly versions: readonly Offer[];
  readonly #config: Config;
  readonly #sandboxUrl: string | null;
  readonly #catalogue: Catalogue;
  readonly #now: () => number;
  readonly #margins: Margins;
  /** The routes at the prices that hold from `#from` until before `#until`. */
  #routes: ReadonlyMap<string, Route> = new Map();
  #from = 0;
  #until = 0;

  /**
   * @param sandboxUrl base URL of the stand-in that answers for providers without a key; null in live mode
   * @throws StartError for a margin of a model that there is not
   */
  constructor(config: Config, sandboxUrl: string | null, surroundings: Surroundings = {}) {
    this.#config = config;
    this.#sandboxUrl = sandboxUrl;
    this.#catalogue = surroundings.catalogue ?? catalogue;
    this.#now = surroundings.now ?? Date.now;
    this.#margins = readMargins(config, this.#catalogue);
    this.versions = [...this.#catalogue.models.values()].flatMap(({ dated }) =>
      allVersions(dated, this.#margins),
    );
  }

  /** Every model that can be asked, in the catalogue's order, at the prices of now: another map after each change of one. */
  all(): ReadonlyMap<string, Route> {
    const now = this.#now();
    if (now < this.#until && now >= this.#from) return this.#routes;
    const models = [...this.#catalogue.models.values()];
    const routes = new Map<string, Route>();
    for (const model of models) {
      const offers = offersAt(model.dated, now, this.#margins);
      const gone = isRetired(model, now);
      const targets = targetsOf(offers, gone, this.#config, this.#sandboxUrl);
      if (targets.length > 0) routes.set(model.id, { model, targets });
    }
    this.#routes = routes;
    // From this moment only: a clock that is set back finds the prices of then.
    this.#from = now;
    const sunsets = models.flatMap(({ sunset }) =>
      sunset && sunset.from > now ? [sunset.from] : [],
    );
    const dated = models.flatMap((model) => model.dated);
    this.#until = Math.min(nextChange(dated, now), ...sunsets);
    return routes;
  }

  /** The model of an id or alias; null when there is none. */
  find(id: string): Model | null {
    return this.#catalogue.find(id);
  }

  /** @throws ApiError model_not_found, naming the successor of a retired model; no_provider when nobody offers it now */
  choose(id: string): Route {
    const model = this.#catalogue.find(id);
    if (!model) throw notFound([id.slice(0, 200), whyNotSold(id)].filter(Boolean).join(' '));
    if (this.#config.mode === 'live' && isRetired(model, this.#now())) {
      const heir = this.#successor(model);
      const instead = heir ? ` Use ${heir.id} instead.` : '';
      throw notFound(`${model.id} was retired by its vendor.${instead}`);
    }
    const route = this.all().get(model.id);
    if (!route) throw new ApiError('no_provider');
    return route;
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
}

function notFound(what: string): ApiError {
  return new ApiError('model_not_found', { message: `Model not found: ${what}`, param: 'model' });
}

function readMargins({ marginPercent, modelMargins }: Config, { models }: Catalogue): Margins {
  try {
    return marginsOf(marginPercent, modelMargins, models.keys());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`MARGIN_PERCENT or MODEL_MARGINS cannot be used: ${reason}.`, { cause });
  }
}

/** Real providers where there are any: a stand-in must never answer in the place of one that only failed. */
function targetsOf(
  offers: readonly Offer[],
  gone: boolean,
  config: Config,
  sandboxUrl: string | null,
): readonly Target[] {
  const real = offers.flatMap((offer) => {
    const provider = providers.get(offer.provider);
    const access = config.providers.get(offer.provider);
    if (!provider || !access || !isReal(access)) return [];
    const baseUrl = access.baseUrl || provider.baseUrl;
    return isWhole(baseUrl) ? [target(offer, baseUrl, access.apiKey)] : [];
  });
  if (real.length > 0 && !gone) return real;
  if (sandboxUrl === null) return [];
  return offers.slice(0, 1).map((offer) => target(offer, sandboxUrl, 'sandbox'));
}

function target(offer: Offer, baseUrl: string, apiKey: string): Target {
  const url = new URL(baseUrl);
  const provider = providers.get(offer.provider);
  const dialect = dialects[provider?.dialect ?? 'openai'];
  return {
    offer,
    dialect,
    origin: url.origin,
    basePath: url.pathname.replace(/\/$/, ''),
    apiKey,
    headers: [
      ...dialect.headers(apiKey),
      'content-type',
      'application/json',
      // What is passed on as bytes must be text.
      'accept-encoding',
      'identity',
    ],
    tokenLimitField: provider?.tokenLimitField ?? 'max_tokens',
    cacheCounted: provider?.cacheCounted ?? 'inside',
    completionExcludesReasoning: provider?.completionExcludesReasoning ?? false,
  };
}
