/** `akai key …`: the API keys of accounts. */
import {
  changeKey,
  createKey,
  findKey,
  type KeyChanges,
  type KeyRecord,
  keyState,
  listKeys,
  revokeKey,
} from '../accounts/keys.ts';
import { parseNetwork } from '../accounts/networks.ts';
import type { Database } from '../db/database.ts';
import { ApiError, type ErrorFormat } from '../errors.ts';
import { isUuid } from '../ids.ts';
import {
  changeLimits,
  isLimited,
  type LimitChanges,
  useJson,
  withUse,
} from '../wallet/key_limits.ts';
import { MoneyError } from '../wallet/money.ts';
import { openWallet } from '../wallet/wallets.ts';
import {
  type Arguments,
  accountOf,
  type Command,
  optional,
  required,
  string,
  UsageError,
  withDatabase,
} from './command.ts';
import { createOptions, limitOptions, limitsText, readLimits, setLimits } from './key_limits.ts';
import { readMoment } from './moment.ts';
import type { Said } from './said.ts';

const boundOptions = {
  name: string,
  'allow-ip': { type: 'string', multiple: true },
  expires: string,
  'error-format': string,
} as const;

export const keyCommands: Readonly<Record<string, Command>> = {
  'key create': {
    usage:
      '--email ADDRESS --name TEXT [--allow-ip CIDR …] [--expires ISO-DATE] [--error-format text|object] [--limit-usd USD] [--limit-daily-usd USD] [--limit-weekly-usd USD] [--limit-monthly-usd USD]',
    sentence: 'Make an API key; its text is shown this once.',
    options: {
      email: string,
      ...boundOptions,
      ...Object.fromEntries(Object.values(createOptions).map((name) => [name, string])),
    },
    run: withDatabase(createUserKey),
  },
  'key list': {
    usage: '--email ADDRESS',
    sentence: 'List the keys of an account, with their limits and what they have used.',
    options: { email: string },
    run: withDatabase(listUserKeys),
  },
  'key limit': {
    usage:
      '--id ID [--total-usd USD|none] [--daily-usd USD|none] [--weekly-usd USD|none] [--monthly-usd USD|none]',
    sentence: 'Set what a key may spend, in all and in a day, week and month of Dhaka.',
    options: {
      id: string,
      ...Object.fromEntries(Object.values(limitOptions).map((name) => [name, string])),
    },
    run: withDatabase(limitUserKey),
  },
  'key set': {
    usage:
      '--id ID [--name TEXT] [--allow-ip CIDR|any …] [--expires ISO-DATE|never] [--error-format text|object]',
    sentence: 'Change name, allowed addresses, expiry or form of errors of a key; the rest stays.',
    options: { id: string, ...boundOptions },
    run: withDatabase(setUserKey),
  },
  'key revoke': {
    usage: '--id ID',
    sentence: 'Revoke a key for good, in every process within a second.',
    options: { id: string },
    run: withDatabase(revoke),
  },
};

async function createUserKey(given: Arguments, database: Database): Promise<Said> {
  const name = nameIn(required(given, 'name'));
  const allowedNetworks = networks(given) ?? [];
  const expiresAt = expiry(given) ?? null;
  const errorFormat = errorFormatIn(given) ?? 'text';
  const changes = limitsIn(given, createOptions);
  const account = await accountOf(given, database);
  const walletId = await openWallet(database.sql, account.id);
  const made = await createKey(database.sql, {
    userId: account.id,
    walletId,
    name,
    allowedNetworks,
    expiresAt,
    errorFormat,
  });
  const use = isLimited(changes)
    ? await changeLimits(database.sql, { id: made.id, walletId }, changes)
    : null;
  const limits = use ? [`It has ${limitsText(use)}.`] : [];
  const bounds = [...limits, ...boundsText({ allowedNetworks, expiresAt })];
  const shown = `Key "${name}" of ${account.email}, id ${made.id}. It is shown this once:`;
  return { json: made, text: [shown, made.key, ...bounds].join('\n') };
}

/** Sentences on what binds a key besides its limits. */
function boundsText({
  allowedNetworks,
  expiresAt,
}: Pick<KeyRecord, 'allowedNetworks' | 'expiresAt'>): string[] {
  return [
    ...(expiresAt ? [`It expires at ${expiresAt.toISOString()}.`] : []),
    ...(allowedNetworks.length > 0 ? [`It works from ${allowedNetworks.join(', ')} only.`] : []),
  ];
}

function nameIn(text: string): string {
  if (text.length > 100) throw new UsageError('--name must have at most 100 characters.');
  return text;
}

function errorFormatIn(given: Arguments): ErrorFormat | undefined {
  const text = optional(given, 'error-format');
  if (text === null) return undefined;
  if (text === 'text' || text === 'object') return text;
  throw new UsageError('--error-format must be text or object.');
}

/** Undefined where nothing was given; `any` is no bound. */
function networks({ values }: Arguments): string[] | undefined {
  const given = values['allow-ip'];
  if (!Array.isArray(given)) return undefined;
  const texts = given.flatMap((text) => String(text).split(','));
  if (texts.length === 1 && texts[0] === 'any') return [];
  return texts.map((text) => {
    const network = parseNetwork(text);
    if (!network)
      throw new UsageError(
        `--allow-ip takes an address or a network such as 203.0.113.7 or 2001:db8::/32, not "${text}".`,
      );
    return network;
  });
}

/** Undefined where nothing was given; null for `never`. */
function expiry(given: Arguments): Date | null | undefined {
  const text = optional(given, 'expires');
  if (text === null) return undefined;
  if (text === 'never') return null;
  const date = readMoment(text);
  if (!date)
    throw new UsageError(
      `--expires takes a date such as 2027-06-30 or 2027-06-30T18:00:00+06:00, not "${text}".`,
    );
  return date;
}

async function listUserKeys(given: Arguments, database: Database): Promise<Said> {
  const account = await accountOf(given, database);
  const records = await listKeys(database.sql, account.id);
  const used = await withUse(database.sql, records);
  const keys = used.map(
    ([{ userId: _user, walletId: _wallet, replaceRetired: _, ...shown }, use]) => ({
      ...shown,
      ...useJson(use),
    }),
  );
  const lines = used.map(
    ([record, use]) =>
      `${record.id}  …${record.lastFour}  ${keyState(record).padEnd(8)}  ${record.createdAt.toISOString()}  ${[record.name, `(${limitsText(use)})`, ...boundsText(record)].join('  ')}`,
  );
  return { json: { keys }, text: lines.join('\n') || `${account.email} has no keys.` };
}

function noSuchKey(id: string): ApiError {
  const message = `There is no key with the id ${id}; "key list" shows the ids.`;
  return new ApiError('not_found', { message });
}

function limitsIn(given: Arguments, options: typeof limitOptions): LimitChanges {
  try {
    return readLimits(options, (name) => optional(given, name));
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
    throw new UsageError(error.message);
  }
}

async function limitUserKey(given: Arguments, { sql }: Database): Promise<Said> {
  const id = required(given, 'id');
  const changes = limitsIn(given, limitOptions);
  if (Object.keys(changes).length === 0)
    throw new UsageError(
      'Say which limit: --total-usd, --daily-usd, --weekly-usd or --monthly-usd.',
    );
  const record = isUuid(id) ? await findKey(sql, id) : null;
  if (!record) throw noSuchKey(id);
  return setLimits(sql, record, changes);
}

async function setUserKey(given: Arguments, { sql }: Database): Promise<Said> {
  const id = required(given, 'id');
  const name = optional(given, 'name') === null ? undefined : nameIn(required(given, 'name'));
  const [allowedNetworks, expiresAt] = [networks(given), expiry(given)];
  const wanted = { name, allowedNetworks, expiresAt, errorFormat: errorFormatIn(given) };
  // What is undefined is not asked for.
  const changes: KeyChanges = Object.fromEntries(
    Object.entries(wanted).filter(([, value]) => value !== undefined),
  );
  if (Object.keys(changes).length === 0)
    throw new UsageError('Say what: --name, --allow-ip, --expires or --error-format.');
  const record = isUuid(id) ? await changeKey(sql, id, changes) : null;
  if (!record) throw noSuchKey(id);
  const { lastFour, allowedNetworks: from, expiresAt: until, errorFormat: form } = record;
  const said = [
    `Key "${record.name}" (…${lastFour}) is ${keyState(record)}.`,
    ...boundsText(record),
    ...(until ? [] : ['It never expires.']),
    ...(from.length > 0 ? [] : ['It works from any address.']),
    `Its errors are ${form === 'text' ? 'text' : 'objects'}.`,
  ];
  const json = { id: record.id, name: record.name, allowedNetworks: from, expiresAt: until };
  return { json: { ...json, errorFormat: form }, text: said.join(' ') };
}

async function revoke(given: Arguments, { sql }: Database): Promise<Said> {
  const id = given.positionals[0] ?? required(given, 'id');
  const record = isUuid(id) ? await revokeKey(sql, id) : null;
  if (!record) throw noSuchKey(id);
  return {
    json: { id: record.id, revokedAt: record.revokedAt },
    text: `Key "${record.name}" (…${record.lastFour}) is revoked.`,
  };
}
