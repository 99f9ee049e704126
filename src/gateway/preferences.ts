/** What a client wants of routing, as OpenRouter spells it: read from `provider`, and what of a model's offers it leaves. */
import { type Model, providers } from '../catalogue/catalogue.ts';
import type { Offer } from '../catalogue/offers.ts';
import { levelFor } from '../catalogue/prices.ts';
import { fields } from '../dialects/members.ts';
import { ApiError } from '../errors.ts';
import { array, boolean, type Check, either, listOf, object, oneOf } from './checks.ts';
import { inputBound, isObject, type PromptSize } from './prompt_size.ts';

type Members = Readonly<Record<string, unknown>>;

export const sorts = ['price', 'throughput', 'latency'] as const;
export type Sort = (typeof sorts)[number];

export interface Preferences {
  /** Ids of providers: these are tried first, in this order. */
  readonly order: readonly string[];
  /** Null: any. */
  readonly only: ReadonlySet<string> | null;
  readonly ignore: ReadonlySet<string>;
  readonly sort: Sort | null;
  /** Sorts the offers of all models together, in place of one model's after the other's. */
  readonly acrossModels: boolean;
  readonly allowFallbacks: boolean;
  readonly requireParameters: boolean;
  /** Pico-USD a token, and for a request; infinity where the client did not say. */
  readonly maxPrice: { readonly input: number; readonly output: number; readonly request: number };
  /** Tokens a second; 0 where the client did not say. */
  readonly leastThroughput: number;
  /** Ms to the first byte; infinity where the client did not say. */
  readonly mostLatencyMs: number;
}

const mostProviders = 64;

function isAmount(value: unknown): boolean {
  if (typeof value === 'number') return value >= 0;
  return typeof value === 'string' && /^\d{1,9}(?:\.\d{1,12})?$/.test(value);
}

const amount: Check = [isAmount, 'an amount of US dollars, as a number or a decimal string'];
const threshold: Check = either(
  [(value) => typeof value === 'number' && value > 0, 'a number above 0'],
  [(value) => isObject(value) && typeof value.p50 === 'number', 'an object with a number "p50"'],
);

/** None at all is as good as leaving it out. */
const names: Check = either(
  [(value) => Array.isArray(value) && value.length === 0, ''],
  listOf(mostProviders),
);
const providerNames: Check = [names[0], listOf(mostProviders)[1]];

const members: Readonly<Record<string, Check>> = {
  order: providerNames,
  only: providerNames,
  ignore: providerNames,
  sort: either(oneOf(...sorts), object),
  'sort.by': oneOf(...sorts),
  'sort.partition': oneOf('model', 'none'),
  allow_fallbacks: boolean,
  require_parameters: boolean,
  max_price: object,
  'max_price.prompt': amount,
  'max_price.completion': amount,
  'max_price.request': amount,
  preferred_min_throughput: threshold,
  preferred_max_latency: threshold,
  data_collection: oneOf('allow', 'deny'),
  zdr: boolean,
  enforce_distillable_text: boolean,
  quantizations: array,
};

/** Promises about what a provider does with a prompt, which nobody here could keep: better refused than passed over. */
const unknowable: Readonly<Record<string, (value: unknown) => boolean>> = {
  data_collection: (value) => value === 'deny',
  zdr: (value) => value === true,
  enforce_distillable_text: (value) => value === true,
  quantizations: (value) => Array.isArray(value) && value.length > 0,
};

function invalid(path: string, message: string): ApiError {
  return new ApiError('invalid_request', { param: `provider.${path}`, message });
}

/** Checks each member by its path; `null` means "not set". */
function check(given: Members, path: string): void {
  for (const name in given) {
    const value = given[name];
    const full = path + name;
    const rule = Object.hasOwn(members, full) ? members[full] : undefined;
    if (!rule) {
      const quoted = full.slice(0, 100);
      throw invalid(quoted, `"provider.${quoted}" is not known here.`);
    }
    if (value === null || value === undefined) continue;
    if (!rule[0](value)) throw invalid(full, `"provider.${full}" must be ${rule[1]}.`);
    if (unknowable[full]?.(value))
      throw invalid(
        full,
        `"provider.${full}" cannot be promised: it is not known of any provider.`,
      );
    if ((full === 'sort' || full === 'max_price') && isObject(value)) check(value, `${full}.`);
  }
}

/** OpenRouter's names of providers that have another one here. */
const otherNames: ReadonlyMap<string, string> = new Map([['google-ai-studio', 'google']]);

const byName: ReadonlyMap<string, string> = new Map(
  [...providers].flatMap(([id, { name }]): [string, string][] => [
    [id, id],
    [name.toLowerCase(), id],
  ]),
);

/** Ids of providers, from ids or names in any case; a name that nobody here has stays as it is, and fits nobody. */
function idsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.map((name) => {
    const lower = String(name).toLowerCase();
    return byName.get(lower) ?? otherNames.get(lower) ?? lower;
  });
}

const millionths = 1_000_000;

/** USD a million tokens → pico-USD a token. */
function most(value: unknown, factor: number): number {
  if (value === undefined || value === null) return Number.POSITIVE_INFINITY;
  return Math.round(Number(value) * factor);
}

function thresholdOf(value: unknown): number | null {
  const number = isObject(value) ? value.p50 : value;
  return typeof number === 'number' ? number : null;
}

/** @throws ApiError invalid_request naming the member at fault */
export function preferencesOf(given: Members): Preferences {
  check(given, '');
  const { sort, only, max_price } = given;
  const by = isObject(sort) ? sort.by : sort;
  const latency = thresholdOf(given.preferred_max_latency);
  const price = fields(max_price);
  return {
    order: idsOf(given.order),
    only: Array.isArray(only) && only.length > 0 ? new Set(idsOf(only)) : null,
    ignore: new Set(idsOf(given.ignore)),
    sort: sorts.find((name) => name === by) ?? null,
    acrossModels: isObject(sort) && sort.partition === 'none',
    allowFallbacks: given.allow_fallbacks !== false,
    requireParameters: given.require_parameters === true,
    maxPrice: {
      input: most(price.prompt, millionths),
      output: most(price.completion, millionths),
      request: most(price.request, millionths * millionths),
    },
    leastThroughput: thresholdOf(given.preferred_min_throughput) ?? 0,
    mostLatencyMs: latency === null ? Number.POSITIVE_INFINITY : latency * 1000,
  };
}

/** What a request without `provider` wants. */
export const noPreferences: Preferences = preferencesOf({});

/** A request, as far as it decides which offers may answer it. */
export interface Wanted extends PromptSize {
  readonly parsed: Members;
  readonly preferences: Preferences | null;
}

export interface Excluded {
  readonly model: string;
  readonly provider: string;
  readonly reason: string;
}

const unpricedSound = 'without a price for sound';
const blind = 'for text alone';

/** @param excluded why each offer is not asked, never empty */
export function nobodyLeft(excluded: readonly Excluded[]): ApiError {
  if (excluded.every(({ reason }) => reason === unpricedSound))
    return new ApiError('invalid_request', {
      message: `Audio input is not available for this model: ${unpricedSound}.`,
      param: 'messages',
    });
  if (excluded.every(({ reason }) => reason === blind))
    return new ApiError('invalid_request', {
      message: `${excluded[0]?.model} takes no images: it is ${blind}.`,
      param: 'messages',
    });
  const reasons = excluded.map(({ provider, reason }) => `${provider} is ${reason}`);
  const message = `No allowed providers are available for this request: ${reasons.join('; ')}.`;
  return new ApiError('no_allowed_provider', { message, param: 'provider', details: { excluded } });
}

/**
 * Why this offer is not to be asked, by the client's wish, for want of a price, or because it sees no images; null where it is.
 * @param known every parameter that some model understands: what none does says nothing about an offer
 */
export function exclusion(
  offer: Offer,
  model: Model,
  request: Wanted,
  known: ReadonlySet<string>,
): string | null {
  const { only, ignore, order, allowFallbacks, requireParameters, maxPrice } =
    request.preferences ?? noPreferences;
  if (request.sounds > 0 && offer.prices.audioInput === null) return unpricedSound;
  if (request.images > 0 && !model.inputModalities.includes('image')) return blind;
  if (only && !only.has(offer.provider)) return 'not in provider.only';
  if (ignore.has(offer.provider)) return 'in provider.ignore';
  if (!allowFallbacks && order.length > 0 && !order.includes(offer.provider))
    return 'not in provider.order, without provider.allow_fallbacks';
  if (isDearer(offer, model, request, maxPrice)) return 'above provider.max_price';
  const parameter = requireParameters ? lacking(model, request.parsed, known) : null;
  return parameter === null ? null : `does not support ${parameter}`;
}

/** Whether a token may cost more than that, at the price of a prompt as long as this one may be. */
function isDearer(
  { levels }: Offer,
  model: Model,
  request: PromptSize,
  maxPrice: Preferences['maxPrice'],
): boolean {
  const { input, output, request: fee } = maxPrice;
  if (Math.min(input, output, fee) === Number.POSITIVE_INFINITY) return false;
  const { applied } = levelFor(
    levels,
    Math.min(inputBound(request, model.author), model.contextLength),
  );
  const dearestOutput = Math.max(applied.output, applied.reasoning);
  return applied.input > input || dearestOutput > output || applied.request > fee;
}

const sameParameter: Readonly<Record<string, string>> = {
  max_completion_tokens: 'max_tokens',
  reasoning_effort: 'reasoning',
  functions: 'tools',
  function_call: 'tool_choice',
};

/** The first parameter of the request that the model does not understand. */
function lacking(model: Model, parsed: Members, known: ReadonlySet<string>): string | null {
  const supports = (name: string): boolean =>
    model.supportedParameters.includes(name) ||
    model.supportedParameters.includes(sameParameter[name] ?? name);
  if (fields(parsed.response_format).type === 'json_schema' && !supports('structured_outputs'))
    return 'structured_outputs';
  const isAsked = (name: string): boolean => parsed[name] !== undefined && parsed[name] !== null;
  const name = Object.keys(parsed).find(
    (each) => known.has(sameParameter[each] ?? each) && isAsked(each) && !supports(each),
  );
  return name ?? null;
}
