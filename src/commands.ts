/** The commands on accounts, keys, wallets and the database: what each takes, does and prints. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ParseArgsOptionsConfig } from 'node:util';
import { createAccount, findAccount } from './accounts/accounts.ts';
import { createKey, findKey, keyState, listKeys, revokeKey } from './accounts/keys.ts';
import { parseNetwork } from './accounts/networks.ts';
import { archive, verifyArchives } from './commands/archive.ts';
import { auditNow, auditsBefore } from './commands/audit.ts';
import { families } from './commands/families.ts';
import {
  createOptions,
  limitOptions,
  limitsText,
  readLimits,
  setLimits,
} from './commands/key_limits.ts';
import { migrated } from './commands/migrated.ts';
import { readMoment } from './commands/moment.ts';
import { review, verify } from './commands/receipts.ts';
import type { Said } from './commands/said.ts';
import { userSet } from './commands/user_set.ts';
import { givenPassword } from './commands/users.ts';
import type { Config } from './config.ts';
import { type Database, openDatabase } from './db/database.ts';
import { ApiError } from './errors.ts';
import { isUuid } from './ids.ts';
import { entriesOf, statementCsv } from './wallet/export_statement.ts';
import {
  changeLimits,
  isLimited,
  type LimitChanges,
  useJson,
  withUse,
} from './wallet/key_limits.ts';
import { exactUsd, formatUsd, MoneyError, type Nano, parseUsd } from './wallet/money.ts';
import { statementJson } from './wallet/statement_form.ts';
import { cursorText, parameters, statementQuery } from './wallet/statement_query.ts';
import { creditWallet, openWallet } from './wallet/wallets.ts';

/** The command was not written as it must be; exit code 2. */
export class UsageError extends Error {}

/** Values of the options as `parseArgs` gives them, and what followed without a name. */
interface Arguments {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

export interface Command {
  /** What follows the name, for the help. */
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Arguments, config: Config, say: (line: string) => void) => Promise<Said>;
}

const string = { type: 'string' } as const;

export const commands: Readonly<Record<string, Command>> = {
  migrate: {
    usage: '',
    sentence: 'Bring the database up to date.',
    options: {},
    run: withDatabase((_given, { sql }) => migrated(sql)),
  },
  'user create': {
    usage: '--email ADDRESS --password TEXT|- [--admin]',
    sentence: 'Make an account and its wallet; with - the password comes from the standard input.',
    options: { email: string, password: string, admin: { type: 'boolean' } },
    run: withDatabase(createUser),
  },
  'user set': {
    usage: '--email ADDRESS [--retired-models refuse|replace] [--disabled yes|no]',
    sentence: 'Say what retired models are answered by, or switch an account off or on.',
    options: { email: string, 'retired-models': string, disabled: string },
    run: withDatabase(setUser),
  },
  'key create': {
    usage:
      '--email ADDRESS --name TEXT [--allow-ip CIDR …] [--expires ISO-DATE] [--error-format text|object] [--limit-usd USD] [--limit-daily-usd USD] [--limit-weekly-usd USD] [--limit-monthly-usd USD]',
    sentence: 'Make an API key; its text is shown this once.',
    options: {
      email: string,
      name: string,
      'allow-ip': { type: 'string', multiple: true },
      expires: string,
      'error-format': string,
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
  'key revoke': {
    usage: '--id ID',
    sentence: 'Revoke a key for good, in every process within a second.',
    options: { id: string },
    run: withDatabase(revoke),
  },
  'wallet credit': {
    usage: '--email ADDRESS --usd AMOUNT [--note TEXT]',
    sentence: 'Put credit into a wallet.',
    options: { email: string, usd: string, note: string },
    run: withDatabase(credit),
  },
  'wallet show': {
    usage:
      '--email ADDRESS [--from DAY] [--to DAY] [--type TYPE,…] [--key KEY_ID] [--group request|day|model] [--limit LINES] [--cursor TEXT] [--csv]',
    sentence: 'Show the balance and the latest transactions.',
    options: {
      email: string,
      ...Object.fromEntries(parameters.map((name) => [name, string])),
      csv: { type: 'boolean' },
    },
    run: withDatabase(showWallet),
  },
  'ledger archive': {
    usage: '--out FOLDER [--before YYYY-MM]',
    sentence: 'Move the requests of old months to compressed files; day totals stay.',
    options: { out: string, before: string },
    run: withDatabase((given, database, config) =>
      archive(
        database.owner(),
        required(given, 'out'),
        optional(given, 'before'),
        config.receiptRetentionMonths,
      ),
    ),
  },
  'ledger verify-archive': {
    usage: '[--in FOLDER]',
    sentence:
      'Read the files of archived months; ends with exit code 1 and those that have changed.',
    options: { in: string },
    run: withDatabase((given, { sql }) => verifyArchives(sql, optional(given, 'in'))),
  },
  'receipts review': {
    usage: '[--days NUMBER]',
    sentence:
      'List receipts that are flagged: usage that nobody has a price for, or contradictions.',
    options: { days: string },
    run: withDatabase(reviewReceipts),
  },
  ...families,
  verify: {
    usage: 'FILE [--public-key FILE]',
    sentence: 'Check a signed receipt by itself; ends with exit code 1 and what does not fit.',
    options: { 'public-key': string },
    run: verifyFile,
  },
  audit: {
    usage: '[--history]',
    sentence:
      'Prove the books; ends with exit code 1 and the ids of the rows that lie. --history: how the last audits went.',
    options: { history: { type: 'boolean' } },
    run: withDatabase((given, database) =>
      given.values.history === true ? auditsBefore(database.sql) : auditNow(database.owner()),
    ),
  },
};

/** Reads nothing but the files: it works anywhere, without an installation. */
function verifyFile(given: Arguments): Promise<Said> {
  const [path] = given.positionals;
  if (!path) throw new UsageError('Say which file: akai verify receipt.json.');
  return verify(path, optional(given, 'public-key'));
}

const usualDays = 7;
const mostDays = 3660;

async function reviewReceipts(given: Arguments, { sql }: Database): Promise<Said> {
  const days = Number(optional(given, 'days') ?? usualDays);
  if (!(Number.isInteger(days) && days >= 1 && days <= mostDays))
    throw new UsageError(`--days takes a whole number from 1 to ${mostDays}.`);
  return review(sql, days);
}

type Handler = (given: Arguments, database: Database, config: Config) => Promise<Said>;

function withDatabase(handler: Handler): Command['run'] {
  return async (given, config, say) => {
    const database = await openDatabase(config, 'command', say);
    try {
      return await handler(given, database, config);
    } finally {
      await database.close();
    }
  };
}

function optional({ values }: Arguments, name: string): string | null {
  const value = values[name];
  return typeof value === 'string' ? value : null;
}

function required(given: Arguments, name: string): string {
  const value = optional(given, name)?.trim();
  if (!value) throw new UsageError(`--${name} is missing.`);
  return value;
}

async function accountOf(given: Arguments, { sql }: Database) {
  const email = required(given, 'email');
  const account = await findAccount(sql, email);
  if (!account)
    throw new ApiError('not_found', { message: `No account has the address ${email}.` });
  return account;
}

async function createUser(given: Arguments, { sql }: Database, config: Config): Promise<Said> {
  const account = await createAccount(sql, config, {
    email: required(given, 'email'),
    // Not trimmed: a space at the end is part of a password.
    password: await givenPassword(optional(given, 'password') ?? required(given, 'password')),
    admin: given.values.admin === true,
  });
  return { json: account, text: `Account ${account.email} made, id ${account.id}.` };
}

async function setUser(given: Arguments, database: Database): Promise<Said> {
  const [retired, disabled] = [optional(given, 'retired-models'), optional(given, 'disabled')];
  const said = await userSet(database.sql, await accountOf(given, database), { retired, disabled });
  if (typeof said === 'string') throw new UsageError(said);
  return said;
}

async function createUserKey(given: Arguments, database: Database): Promise<Said> {
  const name = required(given, 'name');
  if (name.length > 100) throw new UsageError('--name must have at most 100 characters.');
  const allowedNetworks = networks(given);
  const expiresAt = expiry(given);
  const errorFormat = optional(given, 'error-format') ?? 'text';
  if (errorFormat !== 'text' && errorFormat !== 'object')
    throw new UsageError('--error-format must be text or object.');
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
  const bounds = [
    use ? `It has ${limitsText(use)}.` : '',
    expiresAt ? `It expires at ${expiresAt.toISOString()}.` : '',
    allowedNetworks.length > 0 ? `It works from ${allowedNetworks.join(', ')} only.` : '',
  ].filter(Boolean);
  const shown = `Key "${name}" of ${account.email}, id ${made.id}. It is shown this once:`;
  return { json: made, text: [shown, made.key, ...bounds].join('\n') };
}

function networks({ values }: Arguments): string[] {
  const given = values['allow-ip'];
  const texts = (Array.isArray(given) ? given : []).flatMap((text) => String(text).split(','));
  return texts.map((text) => {
    const network = parseNetwork(text);
    if (!network)
      throw new UsageError(
        `--allow-ip takes an address or a network such as 203.0.113.7 or 2001:db8::/32, not "${text}".`,
      );
    return network;
  });
}

function expiry(given: Arguments): Date | null {
  const text = optional(given, 'expires');
  if (text === null) return null;
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
      `${record.id}  …${record.lastFour}  ${keyState(record).padEnd(8)}  ${record.createdAt.toISOString()}  ${record.name}  (${limitsText(use)})`,
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

async function revoke(given: Arguments, { sql }: Database): Promise<Said> {
  const id = given.positionals[0] ?? required(given, 'id');
  const record = isUuid(id) ? await revokeKey(sql, id) : null;
  if (!record) throw noSuchKey(id);
  return {
    json: { id: record.id, revokedAt: record.revokedAt },
    text: `Key "${record.name}" (…${record.lastFour}) is revoked.`,
  };
}

async function credit(given: Arguments, database: Database): Promise<Said> {
  const amount = positiveUsd(required(given, 'usd'));
  const note = optional(given, 'note')?.trim() || 'Credit from the operator';
  const account = await accountOf(given, database);
  const walletId = await openWallet(database.sql, account.id);
  const { balance } = await creditWallet(database.sql, walletId, amount, { kind: 'topup', note });
  return {
    json: { balance: exactUsd(balance) },
    text: `${account.email} was credited $${formatUsd(amount)}; the balance is $${formatUsd(balance)}.`,
  };
}

function positiveUsd(text: string): Nano {
  try {
    const amount = parseUsd(text);
    if (amount > 0) return amount;
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
  }
  throw new UsageError(
    `--usd takes an amount above zero with up to nine decimals, such as 5 or 12.50, not "${text}".`,
  );
}

async function showWallet(given: Arguments, database: Database): Promise<Said> {
  const account = await accountOf(given, database);
  const walletId = await openWallet(database.sql, account.id);
  const query = statementQuery((name) => optional(given, name));
  if (given.values.csv === true) {
    const pages = Readable.from(statementCsv(database.sql, walletId, query));
    await pipeline(pages, process.stdout, { end: false });
    return { json: null, text: '', printed: true };
  }
  const { page, entries } = await entriesOf(database.sql, walletId, query);
  const lines = entries.map(
    ({ createdAt, day, amount, type, description }) =>
      `${day ?? createdAt}  ${amount.padStart(14)}  ${type.padEnd(10)}  ${description}`,
  );
  const json = statementJson(page, entries);
  const more = page.next ? [`There is more: --cursor ${cursorText(page.next)}`] : [];
  const balance = `Balance of ${account.email}: $${formatUsd(page.balance)}`;
  return { json, text: [balance, ...lines, ...more].join('\n') };
}
