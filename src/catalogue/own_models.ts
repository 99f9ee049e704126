/**
 * Models that the operator runs himself, or has at a provider beside those of the catalogue, with prices that he names: JSON, a list
 * of offers. Nothing is assumed of a price: an offer without one is refused, and with it the start.
 */
import { z } from 'zod';
import { authorEntries, catalogueDate, extendCatalogue, providerEntries } from './catalogue.ts';
import type { AuthorEntry, OfferEntry, ProviderEntry } from './entry.ts';
import { offerPrices } from './prices.ts';

const price = z.string();
const tokens = z.int().min(1).max(20_000_000);

const OwnOffer = z.strictObject({
  model: z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, 'must be author/name, in lower case'),
  provider: z.string(),
  upstream: z.string().min(1),
  prices: z.strictObject({
    input: price,
    output: price,
    cachedInput: price.optional(),
    cacheWrite: price.optional(),
    reasoning: price.optional(),
    audioInput: price.optional(),
    request: price.optional(),
  }),
  contextLength: tokens.optional(),
  maxOutputTokens: tokens.optional(),
  title: z.string().min(1).optional(),
  input: z.array(z.enum(['image', 'file', 'audio', 'video'])).optional(),
  reasoning: z.boolean().optional(),
  parameters: z
    .string()
    .regex(/^[a-z_]+( [a-z_]+)*$/, 'must be names with one blank between them')
    .optional(),
});
type OwnOffer = z.infer<typeof OwnOffer>;

/** What a server of open weights understands, where nothing else is said. */
const usualParameters =
  'frequency_penalty max_completion_tokens max_tokens presence_penalty response_format seed stop stream stream_options structured_outputs temperature tools top_p';

/**
 * Adds them to what this process sells.
 * @param text of the file
 * @throws RangeError with one sentence for what cannot be sold
 */
export function addOwnModels(text: string): void {
  const { authors, providers } = withOwnModels(text, authorEntries, providerEntries);
  extendCatalogue(authors, providers);
}

/** The same data, and behind them what the text adds. @throws RangeError */
export function withOwnModels(
  text: string,
  authors: readonly AuthorEntry[],
  providers: readonly ProviderEntry[],
): { readonly authors: readonly AuthorEntry[]; readonly providers: readonly ProviderEntry[] } {
  const known = new Set(
    authors.flatMap(({ id, models }) => models.map(({ name }) => `${id}/${name}`)),
  );
  const added: AuthorEntry[] = [];
  const offers = new Map(providers.map(({ id, offers: given }) => [id, [...given]]));
  for (const own of read(text)) {
    const { model, provider } = own;
    const others = offers.get(provider);
    if (!others) throw new RangeError(`${model}: there is no provider "${provider}".`);
    if (others.some((other) => other.model === model || other.upstream === own.upstream))
      throw new RangeError(`${model} is there already at ${provider}, or ${own.upstream} is.`);
    if (!known.has(model)) added.push(authorOf(own));
    known.add(model);
    others.push(entryOf(own));
  }
  return {
    authors: [...authors, ...added],
    providers: providers.map((entry) => ({ ...entry, offers: offers.get(entry.id) ?? [] })),
  };
}

/** @throws RangeError */
function read(text: string): readonly OwnOffer[] {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new RangeError('It is not JSON.', { cause });
  }
  const { data, error } = z.array(OwnOffer).safeParse(given);
  if (data) return data;
  const [issue] = error.issues;
  throw new RangeError(`${issue?.path.join('.') || 'the list'}: ${issue?.message}.`);
}

/** @throws RangeError for prices that cannot be read */
function entryOf({ model, provider, upstream, prices, ...limits }: OwnOffer): OfferEntry {
  const { contextLength, maxOutputTokens } = limits;
  const entry: OfferEntry = {
    model,
    upstream,
    prices,
    ...(contextLength ? { contextLength } : {}),
    ...(maxOutputTokens ? { maxOutputTokens } : {}),
    source: 'operator',
    asOf: catalogueDate,
  };
  try {
    offerPrices(entry);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`${model} at ${provider}: ${reason}`, { cause });
  }
  return entry;
}

/** @throws RangeError for a model that says too little of itself */
function authorOf(offer: OwnOffer): AuthorEntry {
  const { model, contextLength, maxOutputTokens, title, input, reasoning, parameters } = offer;
  const [id = '', name = ''] = model.split('/');
  if (!contextLength || !maxOutputTokens || maxOutputTokens > contextLength)
    throw new RangeError(
      `${model} is not in the catalogue: it needs contextLength and, within it, maxOutputTokens.`,
    );
  const entry = {
    name,
    title: title ?? name,
    released: catalogueDate,
    contextLength,
    maxOutputTokens,
    ...(input ? { input } : {}),
    ...(reasoning === undefined ? {} : { reasoning }),
    parameters: parameters ?? usualParameters,
  };
  return { id, name: id, models: [entry] };
}
