/** Statements as text: the documented JSON, and CSV that a spreadsheet shows without running any of it. */
import { findModel } from '../catalogue/catalogue.ts';
import { dayInDhaka } from '../catalogue/prices.ts';
import { exactUsd, formatUsd } from './money.ts';
import type { DayLine, Line, Page } from './statement.ts';
import { cursorText, kindOf, type LineKind, type TransactionType } from './statement_query.ts';

const typeOf = new Map<LineKind, TransactionType>(
  // as: Object.entries knows no key types
  (Object.entries(kindOf) as [TransactionType, LineKind][]).map(([type, kind]) => [kind, type]),
);

/** One line of a statement, whatever it stands for; what does not apply is null. */
export interface Entry {
  readonly id: string;
  /** Decimal USD, exact. */
  readonly amount: string;
  readonly type: string;
  readonly description: string;
  readonly createdAt: string;
  readonly day: string | null;
  readonly requests: number | null;
  readonly model: string | null;
  readonly key: string | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

function nameOf(model: string): string {
  return findModel(model)?.name ?? model;
}

export function lineEntry(line: Line): Entry {
  const { kind, model, note } = line;
  const chat = `Chat: ${nameOf(model ?? '')}`;
  const isFree = kind === 'charge' && line.amount === 0;
  const why = [isFree ? 'free' : '', note ?? ''].filter(Boolean).join(': ');
  const charged = why ? `${chat} (${why})` : chat;
  return {
    id: `tx_${line.id.replaceAll('-', '')}`,
    amount: formatUsd(line.amount),
    type: typeOf.get(kind) ?? kind,
    description: kind === 'charge' ? charged : (note ?? ''),
    createdAt: line.createdAt.toISOString(),
    day: null,
    requests: null,
    model,
    key: line.keyId,
    inputTokens: line.inputTokens,
    outputTokens: line.outputTokens,
  };
}

export function dayEntry({ day, kind, model, lines, amount, ...tokens }: DayLine): Entry {
  const type = typeOf.get(kind) ?? kind;
  const of = kind === 'charge' ? 'request' : 'transaction';
  const counted = `${lines} ${of}${lines === 1 ? '' : 's'}`;
  return {
    id: ['tx', day, type, model].filter(Boolean).join('_'),
    amount: formatUsd(amount),
    type,
    description: model ? `Chat: ${nameOf(model)}, ${counted}` : counted,
    createdAt: new Date(dayInDhaka(day)).toISOString(),
    day,
    requests: lines,
    model: model || null,
    key: null,
    ...tokens,
  };
}

/** The documented members in their order; a line that stands for a day says besides what it adds up. */
function entryJson(entry: Entry): object {
  const { id, amount, type, description, createdAt, day, requests } = entry;
  const { model, inputTokens, outputTokens } = entry;
  return {
    id,
    amount: JSON.rawJSON(amount),
    type,
    description,
    status: 'success',
    createdAt,
    ...(day === null ? {} : { day, requests, inputTokens, outputTokens, model }),
  };
}

/** The documented wallet JSON of one page, for JSON.stringify. */
export function statementJson({ balance, next }: Page<unknown>, entries: readonly Entry[]): object {
  return {
    balance: exactUsd(balance),
    transactions: entries.map(entryJson),
    has_more: next !== null,
    next_cursor: next && cursorText(next),
  };
}

const columns = [
  'id',
  'createdAt',
  'type',
  'amount',
  'description',
  'status',
  'day',
  'requests',
  'model',
  'key',
  'inputTokens',
  'outputTokens',
] as const;

export const csvHeader = `${columns.join()}\r\n`;

/** A spreadsheet takes text with one of these in front for a formula; with a quotation mark before it, for text. */
const formula = /^[=+\-@\t\r\n]/;

function textCell(text: string): string {
  const safe = formula.test(text.trimStart()) || formula.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One row, with its end. Amounts and counts are numbers and stay so; all else is text. */
export function csvRow(entry: Entry): string {
  const row = { ...entry, status: 'success' };
  const cells = columns.map((column) => {
    const value = row[column];
    if (column === 'amount' || typeof value === 'number') return String(value);
    return value === null ? '' : textCell(value);
  });
  return `${cells.join()}\r\n`;
}
