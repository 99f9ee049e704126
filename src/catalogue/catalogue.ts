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
import { noMargin } from './margins.ts';
import { type DatedOffer, type Offer, offersAt } from './offers.ts';
import { dayInDhaka, offerPeriods } from './prices.ts';
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
  /** With all their prices, whenever they hold. */
  readonly dated: readonly DatedOffer[];
  /** As of the catalogue's date and without a margin: for what asks who serves a model, not what it costs now. Cheapest first, never empty. */
  readonly offers: readonly Offer[];
}

export interface Catalogue {
  /** By id, in the order in which they are listed. */
  readonly models: ReadonlyMap<string, Model>;
  /** Exact spelling only; a retired model is found too. */
  find(idOrAlias: string): Model | null;
}

/** @throws RangeError naming the offer: what has no price that can be read is not sold */
function datedOffer(
  model: ModelEntry,
  id: string,
  provider: string,
  entry: OfferEntry,
): DatedOffer {
  try {
    return {
      model: id,
      provider,
      upstreamModel: entry.upstream,
      contextLength: Math.min(model.contextLength, entry.contextLength ?? model.contextLength),
      maxOutputTokens: Math.min(
        model.maxOutputTokens,
        entry.maxOutputTokens ?? model.maxOutputTokens,
      ),
      constraints: model.constraints ?? [],
      periods: offerPeriods(entry),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`The offer of ${id} at ${provider} cannot be sold: ${reason}`, { cause });
  }
}

function makeModel(
  author: AuthorEntry,
  entry: ModelEntry,
  sellers: readonly ProviderEntry[],
): Model {
  const id = `${author.id}/${entry.name}`;
  const dated = sellers.flatMap((provider) =>
    provider.offers
      .filter((offer) => offer.model === id)
      .map((offer) => datedOffer(entry, id, provider.id, offer)),
  );
  if (dated.length === 0) throw new RangeError(`No provider offers ${id}.`);
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
    dated,
    offers: offersAt(dated, dayInDhaka(catalogueDate), noMargin),
  };
}

/** By id, without the offers, which belong to the models. */
export const providers: ReadonlyMap<string, Provider> = new Map(
  providerEntries.map(({ offers: _, ...provider }) => [provider.id, provider]),
);

/** @throws RangeError naming what cannot be sold */
export function buildCatalogue(
  authors: readonly AuthorEntry[],
  sellers: readonly ProviderEntry[],
): Catalogue {
  const made = new Map(
    authors.flatMap((author) =>
      author.models.map((entry): [string, Model] => {
        const model = makeModel(author, entry, sellers);
        return [model.id, model];
      }),
    ),
  );
  const byAlias = new Map(
    [...made.values()].flatMap((model) => model.aliases.map((alias) => [alias, model])),
  );
  return {
    models: made,
    find: (idOrAlias) => made.get(idOrAlias) ?? byAlias.get(idOrAlias) ?? null,
  };
}

export const catalogue: Catalogue = buildCatalogue(authorEntries, providerEntries);
export const { models } = catalogue;

/** Exact spelling only; a retired model is found too. */
export function findModel(idOrAlias: string): Model | null {
  return catalogue.find(idOrAlias);
}
