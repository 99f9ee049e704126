/** `akai user list`, and how a password gets to `akai user create`. */
import { text } from 'node:stream/consumers';
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Config } from '../config.ts';
import { openDatabase, type Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { exactUsd, formatUsd, type Nano, nano } from '../wallet/money.ts';
import { balancesOf } from '../wallet/wallets.ts';
import type { Said } from './said.ts';

interface Given {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

interface UserCommand {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
}

const string = { type: 'string' } as const;
const usualLimit = 100;
const mostLimit = 100_000;

export const userCommands: Readonly<Record<string, UserCommand>> = {
  'user list': {
    usage: '[--search TEXT] [--limit NUMBER]',
    sentence:
      'List accounts with their balances, the latest first; --search: a part of address or name.',
    options: { search: string, limit: string },
    run: async ({ values: { search, limit } }, config, say) => {
      const most = Number(limit ?? usualLimit);
      if (!(Number.isInteger(most) && most >= 1 && most <= mostLimit))
        throw new ApiError('invalid_request', {
          param: 'limit',
          message: `--limit takes a whole number from 1 to ${mostLimit}.`,
        });
      const database = await openDatabase(config, 'command', say);
      try {
        return await list(database.sql, typeof search === 'string' ? search : '', most);
      } finally {
        await database.close();
      }
    },
  },
};

/** The password itself, or for `-` the standard input without the end of its line: a shell keeps what is in a command. */
export async function givenPassword(given: string): Promise<string> {
  return given === '-' ? (await text(process.stdin)).replace(/\r?\n$/, '') : given;
}

interface Listed {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly admin: boolean;
  readonly disabled: boolean;
  readonly createdAt: Date;
  /** Keys that are neither revoked nor expired. */
  readonly keys: number;
  /** nano-USD, settled. */
  readonly balance: Nano;
}

async function list(sql: Sql, search: string, most: number): Promise<Said> {
  const sought = search.trim().toLowerCase();
  const found = await sql<Omit<Listed, 'balance'>[]>`
    SELECT u.id, u.email, u.name, u.admin, u.disabled_at IS NOT NULL AS disabled, u.created_at AS "createdAt",
      (SELECT count(*)::int FROM api_keys k WHERE k.user_id = u.id AND k.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > now())) AS keys
    FROM users u
    WHERE strpos(u.email, ${sought}) > 0 OR strpos(lower(u.name), ${sought}) > 0
    ORDER BY u.created_at DESC, u.id LIMIT ${most}`;
  const balances = await balancesOf(
    sql,
    found.map(({ id }) => id),
  );
  const users: Listed[] = found.map((user) => ({
    ...user,
    balance: balances.get(user.id) ?? nano(0),
  }));
  const lines = users.map(({ id, email, admin, disabled, createdAt, keys, balance }) =>
    [
      `${id}  ${createdAt.toISOString()}  ${email}  $${formatUsd(balance)}  ${keys} ${keys === 1 ? 'key' : 'keys'}`,
      admin ? 'admin' : '',
      disabled ? 'switched off' : '',
    ]
      .filter(Boolean)
      .join('  '),
  );
  const json = { users: users.map((user) => ({ ...user, balance: exactUsd(user.balance) })) };
  return { json, text: lines.join('\n') || 'There is no such account.' };
}
