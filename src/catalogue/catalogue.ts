/** What we sell: models by author, offers by provider, prices as exact integers. Data only; a provider or author is one file and one line here. */

import type { Dialect } from '../dialects/dialect.ts';
import { dialectOf } from '../dialects/dialects.ts';
import { ai21 as ai21Models } from './authors/ai21.ts';
import { amazon } from './authors/amazon.ts';
import { anthropic as anthropicModels } from './authors/anthropic.ts';
import { arceeAi } from './authors/arcee-ai.ts';
import { cohere as cohereModels } from './authors/cohere.ts';
import { deepseek as deepseekModels } from './authors/deepseek.ts';
import { google as googleModels } from './authors/google.ts';
import { ibmGranite } from './authors/ibm-granite.ts';
import { inception as inceptionModels } from './authors/inception.ts';
import { meituan } from './authors/meituan.ts';
import { meta as metaModels } from './authors/meta.ts';
import { metaLlama } from './authors/meta-llama.ts';
import { minimax as minimaxModels } from './authors/minimax.ts';
import { mistralai } from './authors/mistralai.ts';
import { moonshotai } from './authors/moonshotai.ts';
import { nousresearch } from './authors/nousresearch.ts';
import { nvidia } from './authors/nvidia.ts';
import { openai as openaiModels } from './authors/openai.ts';
import { perplexity as perplexityModels } from './authors/perplexity.ts';
import { qwen } from './authors/qwen.ts';
import { reflection } from './authors/reflection.ts';
import { sakana as sakanaModels } from './authors/sakana.ts';
import { stepfun as stepfunModels } from './authors/stepfun.ts';
import { tencent } from './authors/tencent.ts';
import { thinkingmachines } from './authors/thinkingmachines.ts';
import { upstage as upstageModels } from './authors/upstage.ts';
import { writer } from './authors/writer.ts';
import { xAi } from './authors/x-ai.ts';
import { xiaomi as xiaomiModels } from './authors/xiaomi.ts';
import { zAi } from './authors/z-ai.ts';
import type { AuthorEntry, ModelEntry, OfferEntry, ProviderEntry } from './entry.ts';
import { noMargin } from './margins.ts';
import { type DatedOffer, type Offer, offersAt } from './offers.ts';
import { dayInDhaka, offerPeriods } from './prices.ts';
import { ai21 } from './providers/ai21.ts';
import { alibaba } from './providers/alibaba.ts';
import { anthropic } from './providers/anthropic.ts';
import { arcee } from './providers/arcee.ts';
import { azure } from './providers/azure.ts';
import { baseten } from './providers/baseten.ts';
import { bedrock } from './providers/bedrock.ts';
import { cerebras } from './providers/cerebras.ts';
import { cloudflare } from './providers/cloudflare.ts';
import { cohere } from './providers/cohere.ts';
import { deepinfra } from './providers/deepinfra.ts';
import { deepseek } from './providers/deepseek.ts';
import { fireworks } from './providers/fireworks.ts';
import { google } from './providers/google.ts';
import { groq } from './providers/groq.ts';
import { inception } from './providers/inception.ts';
import { meta } from './providers/meta.ts';
import { minimax } from './providers/minimax.ts';
import { mistral } from './providers/mistral.ts';
import { moonshot } from './providers/moonshot.ts';
import { nebius } from './providers/nebius.ts';
import { novita } from './providers/novita.ts';
import { ollama } from './providers/ollama.ts';
import { openai } from './providers/openai.ts';
import { perplexity } from './providers/perplexity.ts';
import { sakana } from './providers/sakana.ts';
import { siliconflow } from './providers/siliconflow.ts';
import { stepfun } from './providers/stepfun.ts';
import { together } from './providers/together.ts';
import { upstage } from './providers/upstage.ts';
import { vertex } from './providers/vertex.ts';
import { vllm } from './providers/vllm.ts';
import { xai } from './providers/xai.ts';
import { xiaomi } from './providers/xiaomi.ts';
import { zhipu } from './providers/zhipu.ts';

/** The day to which the data was brought. */
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
  ai21Models,
  amazon,
  arceeAi,
  cohereModels,
  ibmGranite,
  inceptionModels,
  meituan,
  metaModels,
  minimaxModels,
  moonshotai,
  nousresearch,
  nvidia,
  perplexityModels,
  reflection,
  sakanaModels,
  stepfunModels,
  tencent,
  thinkingmachines,
  upstageModels,
  writer,
  xiaomiModels,
  zAi,
];

/** Makers of models first, then who hosts those of others: of two offers at one price, the earlier provider's is tried first. */
export const providerEntries: readonly ProviderEntry[] = [
  openai,
  anthropic,
  google,
  deepseek,
  xai,
  mistral,
  alibaba,
  moonshot,
  zhipu,
  minimax,
  meta,
  xiaomi,
  cohere,
  perplexity,
  upstage,
  inception,
  ai21,
  stepfun,
  sakana,
  arcee,
  azure,
  bedrock,
  vertex,
  groq,
  cerebras,
  together,
  fireworks,
  deepinfra,
  novita,
  nebius,
  siliconflow,
  baseten,
  cloudflare,
  vllm,
  ollama,
];

export interface Provider extends Omit<ProviderEntry, 'offers' | 'dialect' | 'quirks'> {
  readonly dialect: Dialect;
}

interface Sunset {
  readonly date: string;
  /** The first moment of that day in Dhaka; ms since 1970. */
  readonly from: number;
  /** Id of the model that takes its place. */
  readonly replacedBy: string | null;
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
  /** When its maker switches, or switched, it off: from then on the sandbox answers for it, live does not. */
  readonly sunset: Sunset | null;
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
      dialect: entry.dialect ? dialectOf(entry.dialect, undefined) : null,
      periods: offerPeriods(entry),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`The offer of ${id} at ${provider} cannot be sold: ${reason}`, { cause });
  }
}

function hasPriceOfSound({ periods }: DatedOffer): boolean {
  return periods.some(({ prices }) => prices.audioInput !== null);
}

/** An offer with the id of its provider. */
interface Sold {
  readonly provider: string;
  readonly offer: OfferEntry;
}

function makeModel(author: AuthorEntry, entry: ModelEntry, offers: readonly Sold[]): Model {
  const id = `${author.id}/${entry.name}`;
  const dated = offers.map(({ provider, offer }) => datedOffer(entry, id, provider, offer));
  if (dated.length === 0) throw new RangeError(`No provider offers ${id}.`);
  const { sunset } = entry;
  return {
    id,
    name: entry.title,
    author: author.id,
    created: entry.created ?? Date.parse(`${entry.released}T00:00:00Z`) / 1000,
    contextLength: entry.contextLength,
    maxOutputTokens: entry.maxOutputTokens,
    // Sound is taken where somebody has a price for it.
    inputModalities: [
      'text',
      ...(entry.input ?? []).filter((kind) => kind !== 'audio' || dated.some(hasPriceOfSound)),
    ],
    outputModalities: ['text'],
    supportedParameters: entry.parameters.split(' '),
    aliases: entry.aliases ?? [],
    sunset: sunset ? { ...sunset, from: dayInDhaka(sunset.date) } : null,
    reasoning: entry.reasoning ?? false,
    dated,
    offers: offersAt(dated, dayInDhaka(catalogueDate), noMargin),
  };
}

/** By id, without the offers, which belong to the models. */
export const providers: ReadonlyMap<string, Provider> = new Map(
  providerEntries.map(({ offers: _, dialect, quirks, ...provider }) => [
    provider.id,
    { ...provider, dialect: dialectOf(dialect, quirks) },
  ]),
);

/** @throws RangeError naming what cannot be sold */
export function buildCatalogue(
  authors: readonly AuthorEntry[],
  sellers: readonly ProviderEntry[],
): Catalogue {
  return catalogueOf(buildModels(authors, sellers));
}

/** @throws RangeError naming what cannot be sold */
function buildModels(
  authors: readonly AuthorEntry[],
  sellers: readonly ProviderEntry[],
): Map<string, Model> {
  const sold = Map.groupBy(
    sellers.flatMap(({ id: provider, offers }) => offers.map((offer) => ({ provider, offer }))),
    ({ offer }) => offer.model,
  );
  return new Map(
    authors.flatMap((author) =>
      author.models.map((entry): [string, Model] => {
        const model = makeModel(author, entry, sold.get(`${author.id}/${entry.name}`) ?? []);
        return [model.id, model];
      }),
    ),
  );
}

function catalogueOf(made: ReadonlyMap<string, Model>): Catalogue {
  const byAlias = new Map(
    [...made.values()].flatMap((model) => model.aliases.map((alias) => [alias, model.id])),
  );
  return {
    models: made,
    find: (idOrAlias) => made.get(idOrAlias) ?? made.get(byAlias.get(idOrAlias) ?? '') ?? null,
  };
}

const made = buildModels(authorEntries, providerEntries);
export const catalogue: Catalogue = catalogueOf(made);
export const { models } = catalogue;

/**
 * Adds to these data what others have beside them, for as long as this process runs: before anything is sold.
 * @throws RangeError naming what cannot be sold
 */
export function extendCatalogue(
  authors: readonly AuthorEntry[],
  sellers: readonly ProviderEntry[],
): void {
  for (const [id, model] of buildModels(authors, sellers)) made.set(id, model);
}

/** Whether its maker has switched a model off by this moment; ms since 1970. */
export function isRetired({ sunset }: Model, moment: number): boolean {
  return sunset !== null && sunset.from <= moment;
}

/** Exact spelling only; a retired model is found too. */
export function findModel(idOrAlias: string): Model | null {
  return catalogue.find(idOrAlias);
}
