/** What is asked of a statement: parameters as text, checked one by one, and the cursor that leads to the next page. */
import { ApiError } from '../errors.ts';
import { isUuid } from '../ids.ts';

/** As the database names what moved money, in its order. */
const kinds = ['charge', 'loss', 'topup', 'bonus', 'adjustment', 'refund'] as const;
export type LineKind = Exclude<(typeof kinds)[number], 'loss'>;
export type TransactionType = 'USAGE' | 'TOPUP' | 'REFUND' | 'ADJUSTMENT' | 'BONUS';

export const kindOf: Readonly<Record<TransactionType, LineKind>> = {
  USAGE: 'charge',
  TOPUP: 'topup',
  REFUND: 'refund',
  ADJUSTMENT: 'adjustment',
  BONUS: 'bonus',
};

/** One line for each request, for each day, or for each day and model. */
export type Grouping = 'request' | 'day' | 'model';

/** The last line of the page before; the next begins below it. */
export type Cursor =
  | { readonly group: 'request'; readonly id: string; readonly kind: LineKind }
  | {
      readonly group: 'day' | 'model';
      readonly day: string;
      readonly kind: LineKind;
      readonly model: string;
    };

export interface StatementQuery {
  /** First and last day, such as 2026-11-23, in Asia/Dhaka; null for no bound. */
  readonly from: string | null;
  readonly to: string | null;
  /** Null: all. */
  readonly kinds: readonly LineKind[] | null;
  /** Id of a key: its requests only. */
  readonly key: string | null;
  readonly group: Grouping;
  /** Lines of one page; null where nobody said. */
  readonly limit: number | null;
  readonly cursor: Cursor | null;
}

/** Every line, newest first. */
export const wholeStatement: StatementQuery = {
  from: null,
  to: null,
  kinds: null,
  key: null,
  group: 'request',
  limit: null,
  cursor: null,
};

export const parameters = ['from', 'to', 'type', 'key', 'group', 'limit', 'cursor'] as const;
type Parameter = (typeof parameters)[number];

const mostLines = 1000;

function refusal(param: string, message: string): ApiError {
  return new ApiError('invalid_request', { message, param });
}

function day(name: 'from' | 'to', text: string): string {
  const exists =
    /^2\d{3}-\d{2}-\d{2}$/.test(text) &&
    new Date(`${text}T00:00Z`).getTime() > 0 &&
    // The 31st of February would be the 3rd of March.
    new Date(`${text}T00:00Z`).toISOString().startsWith(text);
  if (!exists) throw refusal(name, `"${name}" must be a day such as 2026-11-23, not "${text}".`);
  return text;
}

const typeNames = new Map<string, LineKind>(Object.entries(kindOf));

function types(text: string): readonly LineKind[] {
  return text.split(',').map((name) => {
    const kind = typeNames.get(name.trim().toUpperCase());
    if (kind) return kind;
    const all = [...typeNames.keys()].join(', ');
    throw refusal('type', `"type" must be of ${all}, several with commas, not "${name}".`);
  });
}

function keyId(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw refusal('key', `"key" must be the id of an API key, not "${text}".`);
}

function grouping(text: string): Grouping {
  if (text === 'request' || text === 'day' || text === 'model') return text;
  throw refusal('group', `"group" must be request, day or model, not "${text}".`);
}

function lines(text: string): number {
  const number = Number(text);
  if (/^\d{1,5}$/.test(text) && number >= 1 && number <= mostLines) return number;
  throw refusal('limit', `"limit" must be a whole number from 1 to ${mostLines}, not "${text}".`);
}

/** Text without structure for those who carry it; only `cursorOf` reads it. */
export function cursorText(cursor: Cursor): string {
  const parts =
    cursor.group === 'request'
      ? [cursor.group, cursor.kind, cursor.id]
      : [cursor.group, cursor.kind, cursor.day, cursor.model];
  return Buffer.from(parts.join(' ')).toString('base64url');
}

function cursorOf(text: string, group: Grouping): Cursor {
  const [made, kindName, place = '', ...rest] = Buffer.from(text, 'base64url')
    .toString()
    .split(' ');
  const kind = [...typeNames.values()].find((known) => known === kindName);
  const isOurs = made === 'request' ? isUuid(place) : /^2\d{3}-\d{2}-\d{2}$/.test(place);
  const model = rest.join(' ');
  if (!kind || !isOurs || made !== group || /[\0\ufffd]/.test(model))
    throw refusal(
      'cursor',
      '"cursor" must be the next_cursor of a page that was asked with the same "group".',
    );
  if (group === 'request') return { group, kind, id: place };
  return { group, kind, day: day('to', place), model };
}

/**
 * Reads the parameters.
 * @param read the text of a parameter; null where it is not given
 * @throws ApiError invalid_request that names the one at fault
 */
export function statementQuery(read: (name: Parameter) => string | null): StatementQuery {
  const given = <T>(name: Parameter, parse: (text: string) => T): T | null => {
    const text = read(name);
    return text === null ? null : parse(text.trim());
  };
  const from = given('from', (text) => day('from', text));
  const to = given('to', (text) => day('to', text));
  if (from && to && from > to) throw refusal('from', `"from" must not be after "to".`);
  const group = given('group', grouping) ?? 'request';
  return {
    from,
    to,
    kinds: given('type', types),
    key: given('key', keyId),
    group,
    limit: given('limit', lines),
    cursor: given('cursor', (text) => cursorOf(text, group)),
  };
}

type Format = 'json' | 'csv';

/** `format` decides; without it, what the client says that it reads. */
function formatOf(format: string | null, accept: string): Format {
  if (format === null) return /\btext\/csv\b/i.test(accept) ? 'csv' : 'json';
  if (format === 'json' || format === 'csv') return format;
  throw refusal('format', `"format" must be json or csv, not "${format}".`);
}

/**
 * The same from an address, with the form of the answer.
 * @param accept header of the request
 * @throws ApiError invalid_request for what is no parameter, is given twice, or makes no sense
 */
export function statementRequest(
  given: URLSearchParams,
  accept: string,
): { query: StatementQuery; format: Format } {
  const known: readonly string[] = [...parameters, 'format'];
  for (const name of new Set(given.keys())) {
    const message = known.includes(name)
      ? `"${name}" is given twice.`
      : `There is no parameter "${name}" here: it is one of ${known.join(', ')}.`;
    if (!known.includes(name) || given.getAll(name).length > 1) throw refusal(name, message);
  }
  return {
    query: statementQuery((name) => given.get(name)),
    format: formatOf(given.get('format'), accept),
  };
}
