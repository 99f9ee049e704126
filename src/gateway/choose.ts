/** Model → the offers that may answer, with how to reach each. */
import { findModel, type Model, models, type Offer, providers } from '../catalogue/catalogue.ts';
import { type Config, isReal } from '../config.ts';
import { ApiError } from '../errors.ts';

/** One offer and the way to its provider. */
export interface Target {
  readonly offer: Offer;
  readonly origin: string;
  /** Path before `/chat/completions`. */
  readonly basePath: string;
  readonly apiKey: string;
  /** Of every request to it: name, value, name, value. */
  readonly headers: readonly string[];
  readonly tokenLimitField: 'max_tokens' | 'max_completion_tokens';
  readonly completionExcludesReasoning: boolean;
}

export interface Route {
  readonly model: Model;
  /** In the order in which they are tried; never empty. */
  readonly targets: readonly Target[];
}

export class Routes {
  readonly #routes = new Map<string, Route>();
  readonly #live: boolean;

  /** @param sandboxUrl base URL of the stand-in that answers for providers without a key; null in live mode */
  constructor(config: Config, sandboxUrl: string | null) {
    this.#live = config.mode === 'live';
    for (const model of models.values()) {
      const targets = targetsOf(model, config, sandboxUrl);
      if (targets.length > 0) this.#routes.set(model.id, { model, targets });
    }
  }

  /** Every model that can be asked, in the catalogue's order. */
  all(): Iterable<Route> {
    return this.#routes.values();
  }

  /** @throws ApiError model_not_found, naming the successor of a retired model; no_provider when nobody offers it now */
  choose(id: string): Route {
    const model = findModel(id);
    if (!model)
      throw new ApiError('model_not_found', {
        message: `Model not found: ${id.slice(0, 200)}`,
        param: 'model',
      });
    if (this.#live && model.retired) {
      const { replacedBy } = model.retired;
      const instead = replacedBy ? ` Use ${replacedBy} instead.` : '';
      const message = `Model not found: ${model.id} was retired by its vendor.${instead}`;
      throw new ApiError('model_not_found', { message, param: 'model' });
    }
    const route = this.#routes.get(model.id);
    if (!route) throw new ApiError('no_provider');
    return route;
  }
}

/** Real providers where there are any: a stand-in must never answer in the place of one that only failed. */
function targetsOf(model: Model, config: Config, sandboxUrl: string | null): readonly Target[] {
  const real = model.offers.flatMap((offer) => {
    const provider = providers.get(offer.provider);
    const access = config.providers.get(offer.provider);
    if (!provider || !access || !isReal(access)) return [];
    return [target(offer, access.baseUrl || provider.baseUrl, access.apiKey)];
  });
  const gone = model.retired !== null;
  if (real.length > 0 && !gone) return real;
  if (sandboxUrl === null) return [];
  return model.offers.slice(0, 1).map((offer) => target(offer, sandboxUrl, 'sandbox'));
}

function target(offer: Offer, baseUrl: string, apiKey: string): Target {
  const url = new URL(baseUrl);
  const provider = providers.get(offer.provider);
  return {
    offer,
    origin: url.origin,
    basePath: url.pathname.replace(/\/$/, ''),
    apiKey,
    headers: [
      'authorization',
      `Bearer ${apiKey}`,
      'content-type',
      'application/json',
      // What is passed on as bytes must be text.
      'accept-encoding',
      'identity',
    ],
    tokenLimitField: provider?.tokenLimitField ?? 'max_tokens',
    completionExcludesReasoning: provider?.completionExcludesReasoning ?? false,
  };
}
