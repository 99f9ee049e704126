/** `akai wallet …`: money of an account, and what became of it. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Database } from '../db/database.ts';
import { creditByHand, debitByHand } from '../wallet/by_hand.ts';
import { entriesOf, statementCsv } from '../wallet/export_statement.ts';
import { exactUsd, formatUsd, MoneyError, type Nano, parseUsd } from '../wallet/money.ts';
import { statementJson } from '../wallet/statement_form.ts';
import { cursorText, parameters, statementQuery } from '../wallet/statement_query.ts';
import { openWallet } from '../wallet/wallets.ts';
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
} from './command.ts';
import type { Said } from './said.ts';

const moveOptions = { email: string, usd: string, note: string, 'request-key': string } as const;
const longestKey = 255;

export const walletCommands: Readonly<Record<string, Command>> = {
  'wallet credit': {
    usage: '--email ADDRESS --usd AMOUNT [--note TEXT] [--request-key TEXT]',
    sentence: 'Put credit into a wallet; the same request key again puts in nothing more.',
    options: moveOptions,
    run: withDatabase(credit),
  },
  'wallet debit': {
    usage: '--email ADDRESS --usd AMOUNT --note TEXT [--request-key TEXT]',
    sentence:
      'Take credit back that was given by mistake, as far as it is free; its owner reads the note.',
    options: moveOptions,
    run: withDatabase(debit),
  },
  'wallet show': {
    usage:
      '--email ADDRESS [--from DAY] [--to DAY] [--type TYPE,…] [--key KEY_ID] [--group request|day|model] [--limit LINES] [--cursor TEXT] [--csv]',
    sentence: 'Show the balance and the latest transactions.',
    options: {
      email: string,
      ...Object.fromEntries(parameters.map((name) => [name, string])),
      csv: flag,
    },
    run: withDatabase(showWallet),
  },
};

async function credit(given: Arguments, database: Database): Promise<Said> {
  const note = optional(given, 'note')?.trim() || 'Credit from the operator';
  return move(given, database, { note, by: creditByHand, done: 'was credited' });
}

async function debit(given: Arguments, database: Database): Promise<Said> {
  const note = required(given, 'note');
  return move(given, database, { note, by: debitByHand, done: 'was debited' });
}

async function move(
  given: Arguments,
  database: Database,
  { note, by, done }: { note: string; by: typeof debitByHand; done: string },
): Promise<Said> {
  const amount = positiveUsd(required(given, 'usd'));
  const requestKey = optional(given, 'request-key')?.trim() ?? null;
  if (requestKey !== null && !(requestKey.length >= 1 && requestKey.length <= longestKey))
    throw new UsageError(`--request-key must have 1 to ${longestKey} characters.`);
  const account = await accountOf(given, database);
  const walletId = await openWallet(database.sql, account.id);
  const { balance, again } = await by(database.sql, { walletId, amount, note, requestKey });
  const what = `${done} $${formatUsd(amount)}${again ? ' before, under this request key' : ''}`;
  return {
    json: { balance: exactUsd(balance), ...(requestKey === null ? {} : { again }) },
    text: `${account.email} ${what}; the balance is $${formatUsd(balance)}.`,
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
