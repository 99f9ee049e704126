/** The answers of GET /v1/models and GET /v1/models/{author}/{name}, made once. */

import { findModel, type Model, models, providers } from '../catalogue/catalogue.ts';
import { formatPrice, type UnitPrices } from '../catalogue/prices.ts';
import type { Config } from '../config.ts';

type Mode = Config['mode'];

/** Decimal strings in USD a token, under the names that OpenRouter's clients read. */
function pricing(prices: UnitPrices): Record<string, string> {
  const named: readonly [string, number | null][] = [
    ['prompt', prices.input],
    ['completion', prices.output],
    ['input_cache_read', prices.cachedInput],
    ['input_cache_write', prices.cacheWrite],
    ['input_cache_write_1h', prices.cacheWrite1h],
    ['internal_reasoning', prices.reasoning],
  ];
  return Object.fromEntries(
    named.flatMap(([name, pico]) => (pico === null ? [] : [[name, formatPrice(pico)]])),
  );
}

/** The prices shown are those of the offer that is tried first; a tier replaces them above its number of prompt tokens. */
function describe(model: Model): object {
  const offer = model.offers[0];
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
    providers: model.offers.map(({ provider }) => providers.get(provider)?.name ?? provider),
    ...(model.deprecationDate === null ? {} : { deprecation_date: model.deprecationDate }),
    ...(model.retired?.replacedBy ? { replaced_by: model.retired.replacedBy } : {}),
  };
}

interface Bodies {
  readonly list: Buffer;
  readonly byId: ReadonlyMap<string, Buffer>;
}

const made = new Map<Mode, Bodies>();

function bodies(mode: Mode): Bodies {
  const known = made.get(mode);
  if (known) return known;
  const texts = [...models.values()]
    .filter((model) => mode === 'sandbox' || model.retired === null)
    .map((model): [string, string] => [model.id, JSON.stringify(describe(model))]);
  const list = `{"object":"list","data":[${texts.map(([, text]) => text).join()}]}`;
  const fresh: Bodies = {
    list: Buffer.from(list),
    byId: new Map(texts.map(([id, text]) => [id, Buffer.from(text)])),
  };
  made.set(mode, fresh);
  return fresh;
}

/** The JSON of every model sold in this mode; a retired one is listed in sandbox only. */
export function modelListBody(mode: Mode): Buffer {
  return bodies(mode).list;
}

/** The JSON of one model by id or alias; `null` where this mode does not sell it. */
export function modelBody(idOrAlias: string, mode: Mode): Buffer | null {
  const model = findModel(idOrAlias);
  return model && (bodies(mode).byId.get(model.id) ?? null);
}
