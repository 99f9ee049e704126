/** `akai voucher …`: codes that put credit into wallets. */
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { ParseArgsOptionsConfig } from 'node:util';
import { type Config, typedPath } from '../config.ts';
import { openDatabase, type Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { parseTaka, TakaError } from '../payments/taka.ts';
import { voucherSheet } from '../payments/voucher_sheet.ts';
import {
  conditionsOf,
  createVouchers,
  disableVouchers,
  listBatches,
  mostCodes,
  mostUses,
  showBatch,
  sizeOf,
  type VoucherBatch,
  type VoucherCode,
  type VoucherOrder,
} from '../payments/vouchers.ts';
import { exactUsd, formatUsd, MoneyError, parseUsd } from '../wallet/money.ts';
import { readMoment } from './moment.ts';
import type { Said } from './said.ts';

/** The text of an option; null where it was not given. */
type Option = (name: string) => string | null;

interface Given {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

interface VoucherCommand {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
}

const string = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

export const voucherCommands: Readonly<Record<string, VoucherCommand>> = {
  'voucher create': {
    usage:
      '--usd AMOUNT [--count NUMBER] [--uses NUMBER] [--expires ISO-DATE] [--once] [--new-days NUMBER] [--least-top-up TAKA] [--note TEXT] [--sheet FILE] [--by NAME]',
    sentence: 'Make voucher codes; they are shown this once, and as cards to print in the sheet.',
    options: {
      usd: string,
      count: string,
      uses: string,
      expires: string,
      once: flag,
      'new-days': string,
      'least-top-up': string,
      note: string,
      sheet: string,
      by: string,
    },
    run: withSql(create),
  },
  'voucher list': {
    usage: '[--batch ID]',
    sentence: 'List batches of vouchers, or the codes of one, with their use.',
    options: { batch: string },
    run: withSql(list),
  },
  'voucher disable': {
    usage: '--batch ID [--number NUMBER] [--by NAME]',
    sentence: 'Switch off a batch of vouchers, or one code of it; what was redeemed stays.',
    options: { batch: string, number: string, by: string },
    run: withSql(disable),
  },
};

type Work = (
  option: Option,
  sql: Sql,
  config: Config,
  isSet: (flag: string) => boolean,
) => Promise<Said>;

function withSql(work: Work): VoucherCommand['run'] {
  return async ({ values }, config, say) => {
    const database = await openDatabase(config, 'command', say);
    const option: Option = (name) => {
      const value = values[name];
      return typeof value === 'string' ? value : null;
    };
    try {
      return await work(option, database.sql, config, (name) => values[name] === true);
    } finally {
      await database.close();
    }
  };
}

function wrong(message: string): ApiError {
  return new ApiError('invalid_request', { message });
}

function whole(option: Option, name: string, most: number): number | null {
  const text = option(name);
  if (text === null) return null;
  if (!/^[1-9]\d{0,6}$/.test(text) || Number(text) > most)
    throw wrong(`--${name} takes a whole number from 1 to ${most}.`);
  return Number(text);
}

/** @throws ApiError invalid_request for an amount that is none */
function amount<T extends number>(
  option: Option,
  name: string,
  read: (text: string) => T,
): T | null {
  const text = option(name);
  if (text === null) return null;
  try {
    const value = read(text);
    if (value > 0) return value;
  } catch (error) {
    if (!(error instanceof MoneyError || error instanceof TakaError)) throw error;
  }
  throw wrong(`--${name} takes an amount above zero, such as 5, not "${text}".`);
}

function orderIn(option: Option, once: boolean): VoucherOrder {
  const value = amount(option, 'usd', parseUsd);
  if (value === null) throw wrong('--usd is missing: what a code is worth.');
  const expires = option('expires');
  const expiresAt = expires === null ? null : readMoment(expires);
  if (expires !== null && !expiresAt)
    throw wrong(`--expires takes a date such as 2027-06-30, not "${expires}".`);
  return {
    value,
    codes: whole(option, 'count', mostCodes) ?? 1,
    uses: whole(option, 'uses', mostUses) ?? 1,
    once,
    newerThanDays: whole(option, 'new-days', 3650),
    leastPayment: amount(option, 'least-top-up', parseTaka),
    expiresAt,
    note: option('note')?.trim() ?? '',
  };
}

function who(option: Option): string {
  return option('by') ?? userInfo().username;
}

async function create(
  option: Option,
  sql: Sql,
  config: Config,
  isSet: (flag: string) => boolean,
): Promise<Said> {
  const { batch, codes } = await createVouchers(sql, who(option), orderIn(option, isSet('once')));
  const sheet = option('sheet');
  const origin = config.publicUrl || `http://localhost:${config.port}`;
  if (sheet !== null)
    // Whoever reads it can redeem it.
    await writeFile(
      typedPath(sheet),
      voucherSheet(batch, codes, { origin, sandbox: config.mode === 'sandbox' }),
      {
        mode: 0o600,
      },
    );
  const shown = `Batch ${batch.id}: ${sizeOf(batch)}. The codes are shown this once:`;
  const printed = sheet === null ? [] : [`Cards to print: ${sheet}`];
  return {
    json: { batch: batchJson(batch), codes, sheet },
    text: [shown, ...codes, ...printed].join('\n'),
  };
}

async function list(option: Option, sql: Sql): Promise<Said> {
  const id = option('batch');
  if (id === null) {
    const batches = await listBatches(sql);
    return {
      json: { batches: batches.map(batchJson) },
      text: batches.map(batchLine).join('\n') || 'There are no vouchers.',
    };
  }
  const { batch, codes } = await showBatch(sql, id);
  const line = ({ number, lastFour, used, disabledAt }: VoucherCode): string =>
    `${String(number).padStart(5)}  …${lastFour}  used ${used} of ${batch.uses}${disabledAt ? '  disabled' : ''}`;
  return {
    json: { batch: batchJson(batch), codes },
    text: [batchLine(batch), ...codes.map(line)].join('\n'),
  };
}

async function disable(option: Option, sql: Sql): Promise<Said> {
  const batch = option('batch');
  if (batch === null) throw wrong('--batch is missing; "voucher list" shows the ids.');
  const number = whole(option, 'number', mostCodes);
  await disableVouchers(sql, who(option), { batch, number });
  const what = number === null ? `Batch ${batch}` : `Voucher ${number} of batch ${batch}`;
  return { json: { batch, number, disabled: true }, text: `${what} is disabled.` };
}

function batchJson({ value, credited, leastPayment, ...rest }: VoucherBatch): object {
  return {
    ...rest,
    valueUsd: exactUsd(value),
    creditedUsd: exactUsd(credited),
    leastTopUpTaka: leastPayment === null ? null : leastPayment / 100,
  };
}

function batchLine(batch: VoucherBatch): string {
  const { id, createdAt, redeemed, credited, expiresAt, disabledAt, note } = batch;
  return [
    id,
    createdAt.toISOString(),
    sizeOf(batch),
    `redeemed ${redeemed} for $${formatUsd(credited)}`,
    conditionsOf(batch),
    expiresAt ? `until ${expiresAt.toISOString()}` : '',
    disabledAt ? 'disabled' : '',
    note,
  ]
    .filter(Boolean)
    .join('  ');
}
