/** What we sell: models by author, offers by provider, prices as exact integers. Data only; a provider or author is one file and one line here. */

import { anthropic as anthropicModels } from './authors/anthropic.ts';
import { deepseek as deepseekModels } from './authors/deepseek.ts';
import { google as googleModels } from './authors/google.ts';
import { metaLlama } from './authors/meta-llama.ts';
import { mistralai } from './authors/mistralai.ts';
import { openai as openaiModels } from './authors/openai.ts';
import { qwen } from './authors/qwen.ts';
import { xAi } from './authors/x-ai.ts';
import type { AuthorEntry, ModelEntry, OfferEntry, ProviderEntry } from './entry.ts';
import { offerPrices, type Prices } from './prices.ts';
import { alibaba } from './providers/alibaba.ts';
import { anthropic } from './providers/anthropic.ts';
import { cerebras } from './providers/cerebras.ts';
import { deepinfra } from './providers/deepinfra.ts';
import { deepseek } from './providers/deepseek.ts';
import { fireworks } from './providers/fireworks.ts';
import { google } from './providers/google.ts';
import { groq } from './providers/groq.ts';
import { mistral } from './providers/mistral.ts';
import { openai } from './providers/openai.ts';
import { together } from './providers/together.ts';
import { xai } from './providers/xai.ts';

/** The day to which the data was brought; a sunset on or before it makes a model retired. Fixed, so that the same code always sells the same. */
export const catalogueDate = '2026-11-23';

/** In the order in which /v1/models lists them. */
export const authorEntries: readonly AuthorEntry[] = [
  openaiModels,
  anthropicModels,
  googleModels,
  metaLlama,
  deepseekModels,
  xAi,
  mistralai,
  qwen,
];

/** Makers of models first: of two offers at one price, the earlier provider's is tried first. */
export const providerEntries: readonly ProviderEntry[] = [
  openai,
  anthropic,
  google,
  deepseek,
  xai,
  mistral,
  alibaba,
  groq,
  cerebras,
  together,
  fireworks,
  deepinfra,
];

export type Provider = Omit<ProviderEntry, 'offers'>;

export interface Offer {
  /** Id of the provider. */
  readonly provider: string;
  readonly upstreamModel: string;
  readonly prices: Prices;
  /** Names these prices on receipts: `openai/gpt-4o-mini@2026-11-10` is provider, its model and the day of the price. */
  readonly priceVersion: string;
  /** Tokens: the smaller of what the model can and the provider allows. */
  readonly contextLength: number;
  readonly maxOutputTokens: number;
}

export interface Model {
  /** `author/name`, as clients send it. */
  readonly id: string;
  /** For people: "GPT-4o mini". */
  readonly name: string;
  /** Id of the author. */
  readonly author: string;
  /** Unix seconds. */
  readonly created: number;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  /** Tokens. */
  readonly maxOutputTokens: number;
  readonly inputModalities: readonly string[];
  readonly outputModalities: readonly string[];
  readonly supportedParameters: readonly string[];
  readonly aliases: readonly string[];
  /** Day on which the maker switches, or switched, it off. */
  readonly deprecationDate: string | null;
  /** Switched off by its maker: the sandbox still answers for it, live does not. */
  readonly retired: { readonly date: string; readonly replacedBy: string | null } | null;
  readonly reasoning: boolean;
  /** Cheapest first, never empty. */
  readonly offers: readonly Offer[];
}

function makeOffer(model: ModelEntry, provider: string, entry: OfferEntry): Offer {
  return {
    provider,
    upstreamModel: entry.upstream,
    prices: offerPrices(entry),
    priceVersion: `${provider}/${entry.upstream}@${entry.asOf}`,
    contextLength: Math.min(model.contextLength, entry.contextLength ?? model.contextLength),
    maxOutputTokens: Math.min(
      model.maxOutputTokens,
      entry.maxOutputTokens ?? model.maxOutputTokens,
    ),
  };
}

/** Prompts are longer than answers; three to one is the usual blend for comparing prices. */
function blendedPrice(offer: Offer): number {
  return 3 * offer.prices.input + offer.prices.output;
}

function makeModel(author: AuthorEntry, entry: ModelEntry): Model {
  const id = `${author.id}/${entry.name}`;
  const offers = providerEntries.flatMap((provider) =>
    provider.offers
      .filter((offer) => offer.model === id)
      .map((offer) => makeOffer(entry, provider.id, offer)),
  );
  if (offers.length === 0) throw new RangeError(`No provider offers ${id}.`);
  const sunset = entry.sunset ?? null;
  return {
    id,
    name: entry.title,
    author: author.id,
    created: entry.created ?? Date.parse(`${entry.released}T00:00:00Z`) / 1000,
    contextLength: entry.contextLength,
    maxOutputTokens: entry.maxOutputTokens,
    // Audio tokens have no price of their own in this data, so audio is not sold.
    inputModalities: ['text', ...(entry.input ?? []).filter((kind) => kind !== 'audio')],
    outputModalities: ['text'],
    supportedParameters: entry.parameters.split(' '),
    aliases: entry.aliases ?? [],
    deprecationDate: sunset?.date ?? null,
    retired: sunset && sunset.date <= catalogueDate ? sunset : null,
    reasoning: entry.reasoning ?? false,
    offers: offers.sort((a, b) => blendedPrice(a) - blendedPrice(b)),
  };
}

/** By id, without the offers, which belong to the models. */
export const providers: ReadonlyMap<string, Provider> = new Map(
  providerEntries.map(({ offers: _, ...provider }) => [provider.id, provider]),
);

/** By id, in the order in which they are listed. */
export const models: ReadonlyMap<string, Model> = new Map(
  authorEntries.flatMap((author) =>
    author.models.map((entry): [string, Model] => {
      const model = makeModel(author, entry);
      return [model.id, model];
    }),
  ),
);

const byAlias: ReadonlyMap<string, Model> = new Map(
  [...models.values()].flatMap((model) => model.aliases.map((alias) => [alias, model])),
);

/** Exact spelling only; a retired model is found too. */
export function findModel(idOrAlias: string): Model | null {
  return models.get(idOrAlias) ?? byAlias.get(idOrAlias) ?? null;
}
