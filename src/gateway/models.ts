/** The answers of GET /v1/models, GET /v1/models/{author}/{name} and GET /v1/models/{author}/{name}/endpoints. */

import { type Model, providers } from '../catalogue/catalogue.ts';
import type { Offer } from '../catalogue/offers.ts';
import { formatPrice, type UnitPrices } from '../catalogue/prices.ts';
import type { Route, Routes } from './choose.ts';
import type { Target } from './target.ts';

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

/** With the tiers, which replace these prices above their numbers of prompt tokens. */
function offerPricing({ prices }: Offer): object {
  const tiers = prices.tiers.map((tier) => ({
    above_prompt_tokens: tier.aboveInputTokens,
    ...pricing(tier.prices),
  }));
  return { ...pricing(prices), ...(tiers.length > 0 ? { tiers } : {}) };
}

function architecture({ inputModalities, outputModalities }: Model): object {
  return {
    modality: `${inputModalities.join('+')}->${outputModalities.join('+')}`,
    input_modalities: inputModalities,
    output_modalities: outputModalities,
  };
}

const nameOf = ({ offer: { provider } }: Target) => providers.get(provider)?.name ?? provider;

/** The prices shown are those of the offer that is tried first. */
function describe({ model, targets }: Route): object {
  const first = targets[0]?.offer;
  return {
    id: model.id,
    object: 'model',
    created: model.created,
    owned_by: model.author,
    name: model.name,
    context_length: model.contextLength,
    max_output_tokens: model.maxOutputTokens,
    architecture: architecture(model),
    pricing: first && offerPricing(first),
    supported_parameters: model.supportedParameters,
    top_provider: first && {
      context_length: first.contextLength,
      max_completion_tokens: first.maxOutputTokens,
    },
    providers: targets.map(nameOf),
    ...(model.sunset ? { deprecation_date: model.sunset.date } : {}),
    ...(model.sunset?.replacedBy ? { replaced_by: model.sunset.replacedBy } : {}),
  };
}

/** One offer: what one provider makes of the model, for which price. */
function describeEndpoint(target: Target, model: Model): object {
  const { offer, health } = target;
  const { status, latencyMs, throughput, uptime } = health.report(performance.now());
  return {
    name: `${nameOf(target)} | ${model.id}`,
    provider_name: nameOf(target),
    tag: offer.provider,
    context_length: offer.contextLength,
    max_completion_tokens: offer.maxOutputTokens,
    pricing: offerPricing(offer),
    price_source: { name: offer.provenance.source, as_of: offer.provenance.asOf },
    supported_parameters: model.supportedParameters,
    status,
    latency_ms: latencyMs === null ? null : Math.round(latencyMs),
    throughput: throughput === null ? null : Math.round(throughput),
    uptime_last_30m: uptime,
    probes: health.probes.report(),
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

  /** The JSON of a model's offers, in the order in which they are tried; null where it cannot be asked here. */
  endpoints(idOrAlias: string): string | null {
    const route = this.#routes.all().get(this.#routes.find(idOrAlias)?.id ?? '');
    if (!route) return null;
    const { model, targets } = route;
    const data = {
      id: model.id,
      name: model.name,
      created: model.created,
      architecture: architecture(model),
      endpoints: targets.map((target) => describeEndpoint(target, model)),
    };
    return JSON.stringify({ data });
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
