/** The answers of GET /v1/models and GET /v1/models/{author}/{name}. */

import { providers } from '../catalogue/catalogue.ts';
import { formatPrice, type UnitPrices } from '../catalogue/prices.ts';
import type { Route, Routes } from './choose.ts';

/** Decimal strings in USD a token, under the names that OpenRouter's clients read. */
function pricing(prices: UnitPrices): Record<string, string> {
  const named: readonly [string, number | null][] = [
    ['prompt', prices.input],
    ['completion', prices.output],
    ['input_cache_read', prices.cachedInput],
    ['input_cache_write', prices.cacheWrite],
    ['input_cache_write_1h', prices.cacheWrite1h],
    ['internal_reasoning', prices.reasoning],
    ['image', prices.imageInput],
    ['image_output', prices.imageOutput],
    ['audio', prices.audioInput],
    ['audio_output', prices.audioOutput],
    ['request', prices.request],
  ];
  return Object.fromEntries(
    named.flatMap(([name, pico]) => (pico === null ? [] : [[name, formatPrice(pico)]])),
  );
}

/** The prices shown are those of the offer that is tried first; a tier replaces them above its number of prompt tokens. */
function describe({ model, targets }: Route): object {
  const offer = targets[0]?.offer;
  const tiers = offer?.prices.tiers.map((tier) => ({
    above_prompt_tokens: tier.aboveInputTokens,
    ...pricing(tier.prices),
  }));
  return {
    id: model.id,
    object: 'model',
    created: model.created,
    owned_by: model.author,
    name: model.name,
    context_length: model.contextLength,
    max_output_tokens: model.maxOutputTokens,
    architecture: {
      input_modalities: model.inputModalities,
      output_modalities: model.outputModalities,
    },
    pricing: offer && { ...pricing(offer.prices), ...(tiers?.length ? { tiers } : {}) },
    supported_parameters: model.supportedParameters,
    providers: targets.map(({ offer: { provider } }) => providers.get(provider)?.name ?? provider),
    ...(model.deprecationDate === null ? {} : { deprecation_date: model.deprecationDate }),
    ...(model.retired?.replacedBy ? { replaced_by: model.retired.replacedBy } : {}),
  };
}

/** Made anew only when a price changes. */
export class ModelBodies {
  readonly #routes: Routes;
  #madeOf: ReadonlyMap<string, Route> | null = null;
  #list: Buffer = Buffer.alloc(0);
  #byId: ReadonlyMap<string, Buffer> = new Map();

  /** @param routes what this installation can send requests to: nothing else is listed */
  constructor(routes: Routes) {
    this.#routes = routes;
  }

  /** The JSON of every model that can be asked here. */
  get list(): Buffer {
    this.#refresh();
    return this.#list;
  }

  /** The JSON of one model by id or alias; null where it cannot be asked here. */
  one(idOrAlias: string): Buffer | null {
    this.#refresh();
    return this.#byId.get(this.#routes.find(idOrAlias)?.id ?? '') ?? null;
  }

  #refresh(): void {
    const routes = this.#routes.all();
    if (routes === this.#madeOf) return;
    const texts = Array.from(routes.values(), (route): [string, string] => [
      route.model.id,
      JSON.stringify(describe(route)),
    ]);
    this.#byId = new Map(texts.map(([id, text]) => [id, Buffer.from(text)]));
    this.#list = Buffer.from(`{"object":"list","data":[${texts.map(([, text]) => text).join()}]}`);
    this.#madeOf = routes;
  }
}
