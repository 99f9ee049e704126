/** What every command is made of. */
import type { ParseArgsOptionsConfig } from 'node:util';
import { findAccount } from '../accounts/accounts.ts';
import type { Config } from '../config.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import type { Said } from './said.ts';

/** The command was not written as it must be; exit code 2. */
export class UsageError extends Error {}

/** Values of the options as `parseArgs` gives them, and what followed without a name. */
export interface Arguments {
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

export const string = { type: 'string' } as const;
export const flag = { type: 'boolean' } as const;

type Handler = (given: Arguments, database: Database, config: Config) => Promise<Said>;

export function withDatabase(handler: Handler): Command['run'] {
  return async (given, config, say) => {
    const database = await openDatabase(config, 'command', say);
    try {
      return await handler(given, database, config);
    } finally {
      await database.close();
    }
  };
}

export function optional({ values }: Arguments, name: string): string | null {
  const value = values[name];
  return typeof value === 'string' ? value : null;
}

export function required(given: Arguments, name: string): string {
  const value = optional(given, name)?.trim();
  if (!value) throw new UsageError(`--${name} is missing.`);
  return value;
}

export async function accountOf(given: Arguments, { sql }: Database) {
  const email = required(given, 'email');
  const account = await findAccount(sql, email);
  if (!account)
    throw new ApiError('not_found', { message: `No account has the address ${email}.` });
  return account;
}
