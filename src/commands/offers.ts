/** `akai offer …`: what the operator sets for models and their offers, and who set what. */
import { userInfo } from 'node:os';
import type { ParseArgsOptionsConfig } from 'node:util';
import { z } from 'zod';
import { catalogue, type Model } from '../catalogue/catalogue.ts';
import type { TierEntry } from '../catalogue/entry.ts';
import { marginsOf } from '../catalogue/margins.ts';
import { offerPrices } from '../catalogue/prices.ts';
import type { Config } from '../config.ts';
import { openDatabase, type Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { type Override, type PricesSet, readOverrides } from '../gateway/overrides.ts';
import type { Said } from './said.ts';

/** The text of an option; null where it was not given. */
type Option = (name: string) => string | null;

interface Given {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

interface OfferCommand {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
}

/** Options that make up the prices of an offer, by their names in the catalogue. */
const priceOptions: Readonly<Record<string, string>> = {
  input: 'input',
  output: 'output',
  cachedInput: 'cached-input',
  cacheWrite: 'cache-write',
  cacheWrite1h: 'cache-write-1h',
  reasoning: 'reasoning',
  imageInput: 'image-input',
  imageOutput: 'image-output',
  audioInput: 'audio-input',
  audioOutput: 'audio-output',
  request: 'request',
};

function options(...names: readonly string[]): ParseArgsOptionsConfig {
  return Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
}

export const offerCommands: Readonly<Record<string, OfferCommand>> = {
  'offer list': {
    usage: '[--model ID]',
    sentence: 'List what is set for offers in place of the catalogue.',
    options: options('model'),
    run: withSql(async (option, sql) => {
      const wanted = option('model');
      const rows = (await readOverrides(sql)).filter(({ model }) => (wanted ?? model) === model);
      return { json: { overrides: rows }, text: rows.map(line).join('\n') || 'Nothing is set.' };
    }),
  },
  'offer set': {
    usage:
      '--model ID [--provider ID] [--enabled yes|no|default] [--input USD --output USD [--cached-input USD] [--cache-write USD] [--cache-write-1h USD] [--reasoning USD] [--image-input USD] [--image-output USD] [--audio-input USD] [--audio-output USD] [--request USD] [--tiers JSON]] [--prices default] [--margin PERCENT|default] [--place NUMBER|default] [--by NAME]',
    sentence: 'Set what holds for an offer, or all of a model, in every process within a second.',
    options: options(
      'model',
      'provider',
      'enabled',
      'prices',
      'tiers',
      'margin',
      'place',
      'by',
      ...Object.values(priceOptions),
    ),
    run: withSql(set),
  },
  'offer history': {
    usage: '[--model ID]',
    sentence: 'List who set what for offers, the latest first.',
    options: options('model'),
    run: withSql(async (option, sql) => {
      const model = option('model');
      const changes = await sql<Change[]>`
        SELECT at, who, model, provider, field, before, after FROM offer_changes
        WHERE ${model}::text IS NULL OR model = ${model} ORDER BY id DESC LIMIT 200`;
      const lines = changes.map(
        ({ at, who, before, after, field, ...of }) =>
          `${at.toISOString()}  ${who}  ${nameOf(of)}  ${field}: ${before ?? 'default'} → ${after ?? 'default'}`,
      );
      return { json: { changes }, text: lines.join('\n') || 'Nothing was ever set.' };
    }),
  },
};

function withSql(work: (option: Option, sql: Sql) => Promise<Said>): OfferCommand['run'] {
  return async ({ values }, config, say) => {
    const database = await openDatabase(config, 'command', say);
    try {
      return await work((name) => {
        const value = values[name];
        return typeof value === 'string' ? value : null;
      }, database.sql);
    } finally {
      await database.close();
    }
  };
}

interface Change {
  readonly at: Date;
  readonly who: string;
  readonly model: string;
  readonly provider: string;
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
}

function nameOf({
  model,
  provider,
}: {
  readonly model: string;
  readonly provider: string;
}): string {
  return provider === '' ? model : `${model}@${provider}`;
}

function line({ enabled, prices, margin, place, ...of }: Override): string {
  const parts = [
    enabled === null ? '' : enabled ? 'enabled' : 'disabled',
    prices ? `prices ${JSON.stringify(prices)}` : '',
    margin === null ? '' : `margin ${margin} %`,
    place === null ? '' : `place ${place}`,
  ];
  return `${nameOf(of)}  ${parts.filter((part) => part !== '').join(', ')}`;
}

function wrong(message: string): ApiError {
  return new ApiError('invalid_request', { message });
}

async function set(option: Option, sql: Sql): Promise<Said> {
  const model = catalogue.find(option('model') ?? '');
  if (!model) throw wrong('--model takes the id of a model of the catalogue.');
  const provider = option('provider') ?? '';
  if (provider !== '' && !model.dated.some((offer) => offer.provider === provider))
    throw wrong(`${model.id} is not offered by "${provider}".`);
  const changes = changesIn(option, model, provider);
  if (changes.length === 0)
    throw wrong('Say what to set: --enabled, --input and --output, --margin or --place.');
  const who = option('by') ?? userInfo().username;
  await sql.begin(async (transaction) => {
    for (const [field, value] of changes)
      await transaction`SELECT offer_set(${who}, ${model.id}, ${provider}, ${field}, ${value})`;
  });
  const text = changes.map(([field, value]) => `${field} ${value ?? 'default'}`).join(', ');
  const json = { model: model.id, provider, ...Object.fromEntries(changes) };
  return { json, text: `${nameOf({ model: model.id, provider })}: ${text}.` };
}

type FieldValue = [field: string, value: string | null];

/** @throws ApiError for a value that could not be used */
function changesIn(option: Option, model: Model, provider: string): FieldValue[] {
  const changes: FieldValue[] = [];
  const read = (name: string, textOf: (text: string) => string): void => {
    const text = option(name);
    if (text !== null) changes.push([name, text === 'default' ? null : textOf(text)]);
  };
  read('enabled', (text) => {
    if (text !== 'yes' && text !== 'no') throw wrong('--enabled takes yes, no or default.');
    return String(text === 'yes');
  });
  read('margin', (text) => {
    tried(() => marginsOf(text, '', []));
    return text;
  });
  read('place', (text) => {
    if (provider === '' || !/^[1-9]\d{0,2}$/.test(text))
      throw wrong('--place takes a whole number from 1 to 999, of one --provider.');
    return text;
  });
  read('prices', () => {
    throw wrong('--prices takes default; prices themselves are --input, --output and so on.');
  });
  const prices = pricesIn(option);
  if (prices === null) return changes;
  if (provider === '')
    throw wrong(`Prices are those of one offer: --provider is missing for ${model.id}.`);
  return [...changes, ['prices', JSON.stringify(prices)]];
}

/** Of the form of the catalogue's; null where none was given. */
function pricesIn(option: Option): PricesSet | null {
  const given = Object.entries(priceOptions).flatMap(([name, flag]): [string, string][] => {
    const text = option(flag);
    return text === null ? [] : [[name, text]];
  });
  const tiers = option('tiers');
  if (given.length === 0 && tiers === null) return null;
  const { input, output, ...rest } = Object.fromEntries(given);
  if (input === undefined || output === undefined)
    throw wrong('Prices need --input and --output, in US dollars a million tokens.');
  const prices = { input, output, ...rest };
  const set = tiers === null ? prices : { ...prices, tiers: tiersIn(tiers) };
  tried(() => offerPrices({ prices, tiers: tiersIn(tiers ?? '[]') }));
  return set;
}

const Tiers = z.array(
  z.strictObject({
    aboveInputTokens: z.int().positive(),
    input: z.string(),
    output: z.string(),
    ...Object.fromEntries(
      Object.keys(priceOptions)
        .filter((name) => name !== 'input' && name !== 'output')
        .map((name) => [name, z.string().optional()]),
    ),
  }),
);

/** @throws ApiError for what are no tiers of the catalogue's form */
function tiersIn(text: string): readonly TierEntry[] {
  try {
    return Tiers.parse(JSON.parse(text));
  } catch (cause) {
    const message =
      '--tiers takes JSON such as [{"aboveInputTokens":200000,"input":"4","output":"18"}], prices being texts in US dollars a million tokens.';
    throw new ApiError('invalid_request', { message, cause });
  }
}

function tried(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}
