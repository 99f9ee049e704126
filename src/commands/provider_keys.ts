/** `akai provider-key …`: keys for providers that an account brings itself. */
import { userInfo } from 'node:os';
import { text } from 'node:stream/consumers';
import type { ParseArgsOptionsConfig } from 'node:util';
import { type Account, findAccount } from '../accounts/accounts.ts';
import {
  addProviderKey,
  enableProviderKey,
  listProviderKeys,
  type ProviderKeyRecord,
  removeProviderKey,
  whyNoOwnKey,
} from '../accounts/provider_keys.ts';
import { installationSecret } from '../accounts/secret.ts';
import type { Config } from '../config.ts';
import { openDatabase, type Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import type { Said } from './said.ts';

interface Given {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

interface KeyCommand {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
}

/** What the handlers need. */
interface Work {
  readonly given: Given;
  readonly config: Config;
  readonly sql: Sql;
  readonly account: Account;
  /** Who does it, for the record. */
  readonly who: string;
}

const string = { type: 'string' } as const;

export const providerKeyCommands: Readonly<Record<string, KeyCommand>> = {
  'provider-key add': {
    usage: '--email ADDRESS --provider ID [--fallback] [--note TEXT] [--by NAME] < KEY',
    sentence:
      'Keep a key for a provider that an account brings; its text comes from the standard input and is never shown again.',
    options: {
      email: string,
      provider: string,
      fallback: { type: 'boolean' },
      note: string,
      by: string,
      // Known, so that it is refused with the reason and not as a slip.
      key: string,
    },
    run: (given, config, say) => {
      if (given.values.key !== undefined) throw invalid('key', onCommandLine);
      return withAccount(add)(given, config, say);
    },
  },
  'provider-key list': {
    usage: '--email ADDRESS',
    sentence:
      'List the provider keys of an account, with what their providers said last against them.',
    options: { email: string },
    run: withAccount(list),
  },
  'provider-key disable': {
    usage: '--email ADDRESS --id ID [--by NAME]',
    sentence: 'Ask with this key no more, in every process within a second.',
    options: { email: string, id: string, by: string },
    run: withAccount((work) => enable(work, false)),
  },
  'provider-key enable': {
    usage: '--email ADDRESS --id ID [--by NAME]',
    sentence: 'Ask with this key again.',
    options: { email: string, id: string, by: string },
    run: withAccount((work) => enable(work, true)),
  },
  'provider-key remove': {
    usage: '--email ADDRESS --id ID [--by NAME]',
    sentence: 'Forget a key for good, in every process within a second.',
    options: { email: string, id: string, by: string },
    run: withAccount(remove),
  },
};

const onCommandLine =
  'A key in a command stays in the history of the shell and is seen by everybody on the machine: give it to the standard input instead.';

function invalid(param: string, message: string): ApiError {
  return new ApiError('invalid_request', { param, message });
}

function optional({ values }: Given, name: string): string | null {
  const value = values[name];
  return typeof value === 'string' ? value.trim() : null;
}

/** @throws ApiError invalid_request */
function required(given: Given, name: string): string {
  const value = optional(given, name);
  if (!value) throw invalid(name, `--${name} is missing.`);
  return value;
}

function withAccount(handler: (work: Work) => Promise<Said>): KeyCommand['run'] {
  return async (given, config, say) => {
    const email = required(given, 'email');
    const database = await openDatabase(config, 'command', say);
    try {
      const { sql } = database;
      const account = await findAccount(sql, email);
      if (!account)
        throw new ApiError('not_found', { message: `No account has the address ${email}.` });
      const who = optional(given, 'by') || userInfo().username;
      return await handler({ given, config, sql, account, who });
    } finally {
      await database.close();
    }
  };
}

async function add({ given, config, sql, account, who }: Work): Promise<Said> {
  const provider = required(given, 'provider');
  const refusal = whyNoOwnKey(config, provider);
  if (refusal !== null) throw invalid('provider', refusal);
  const note = optional(given, 'note') ?? '';
  if (note.length > 200) throw invalid('note', '--note must have at most 200 characters.');
  const key = (await text(process.stdin)).trim();
  if (key === '') throw invalid('key', 'No key came by the standard input.');
  const fallback = given.values.fallback === true;
  const secret = await installationSecret(config);
  const options = { userId: account.id, provider, text: key, fallback, note, who };
  const made = await addProviderKey(sql, secret, options);
  const wallet = fallback
    ? 'Where it does not do, the wallet pays.'
    : 'Where it does not do, the request fails: the wallet does not pay for it.';
  return {
    json: shown({ ...made, readable: true }),
    text: `Key …${made.lastFour} for ${provider} of ${account.email} is kept, id ${made.id}. ${wallet}`,
  };
}

type Shown = ProviderKeyRecord & { readonly readable: boolean };

function shown({ userId: _, ...rest }: Shown): object {
  return rest;
}

async function list({ config, sql, account }: Work): Promise<Said> {
  const keys = await listProviderKeys(sql, await installationSecret(config), account.id);
  const lines = keys.map(line).join('\n');
  return {
    json: { keys: keys.map(shown) },
    text: lines || `${account.email} has no provider keys.`,
  };
}

function line(key: Shown): string {
  const { id, provider, lastFour, enabled, fallback, readable, createdAt, note } = key;
  const state = readable ? (enabled ? 'enabled' : 'disabled') : 'unreadable: another secret';
  const said = key.lastError && `${key.lastErrorAt?.toISOString()}: ${key.lastError}`;
  return [
    `${id}  ${provider}  …${lastFour}  ${state}  ${createdAt.toISOString()}`,
    fallback ? 'with fallback' : '',
    note,
    said ?? '',
  ]
    .filter(Boolean)
    .join('  ');
}

function noSuchKey(id: string): ApiError {
  const message = `The account has no provider key with the id ${id}; "provider-key list" shows the ids.`;
  return new ApiError('not_found', { message });
}

async function enable({ given, sql, account, who }: Work, enabled: boolean): Promise<Said> {
  const id = required(given, 'id');
  const owned = { id, userId: account.id };
  const key = isUuid(id) ? await enableProviderKey(sql, owned, enabled, who) : null;
  if (!key) throw noSuchKey(id);
  return {
    json: { id, enabled: key.enabled },
    text: `Key …${key.lastFour} for ${key.provider} is ${enabled ? 'enabled' : 'disabled'}.`,
  };
}

async function remove({ given, sql, account, who }: Work): Promise<Said> {
  const id = required(given, 'id');
  const key = isUuid(id) ? await removeProviderKey(sql, { id, userId: account.id }, who) : null;
  if (!key) throw noSuchKey(id);
  return {
    json: { id, removed: true },
    text: `Key …${key.lastFour} for ${key.provider} is forgotten.`,
  };
}
