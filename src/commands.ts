/** Every command, and those on accounts and the database: what each takes, does and prints. */

import { createAccount } from './accounts/accounts.ts';
import { archive, verifyArchives } from './commands/archive.ts';
import { auditNow, auditsBefore } from './commands/audit.ts';
import {
  type Arguments,
  accountOf,
  type Command,
  flag,
  optional,
  required,
  string,
  UsageError,
  withDatabase,
} from './commands/command.ts';
import { families } from './commands/families.ts';
import { keyCommands } from './commands/keys.ts';
import { migrated } from './commands/migrated.ts';
import { review, verify } from './commands/receipts.ts';
import type { Said } from './commands/said.ts';
import { userSet } from './commands/user_set.ts';
import { givenPassword } from './commands/users.ts';
import { walletCommands } from './commands/wallet.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';

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
    options: { email: string, password: string, admin: flag },
    run: withDatabase(createUser),
  },
  'user set': {
    usage: '--email ADDRESS [--retired-models refuse|replace] [--disabled yes|no]',
    sentence: 'Say what retired models are answered by, or switch an account off or on.',
    options: { email: string, 'retired-models': string, disabled: string },
    run: withDatabase(setUser),
  },
  ...keyCommands,
  ...walletCommands,
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
    options: { history: flag },
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
