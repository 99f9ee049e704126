/** What the operator has set about payments: rate, fees, bounds, bonuses, limits. Kept in the database, every version for ever. */
import { z } from 'zod';
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import type { MethodId } from './method.ts';

const takaRate = z
  .string()
  .regex(
    /^(?!0+(?:\.0+)?$)\d{1,4}(?:\.\d{1,4})?$/,
    'taka for one US dollar with up to four decimals',
  );
const percent = z
  .string()
  .regex(/^(?:100|\d{1,2}(?:\.\d{1,4})?)$/, 'a percentage from 0 to 100 with up to four decimals');
/** Whole taka. */
const taka = z.number().int().min(0).max(10_000_000);

const fee = z.strictObject({
  /** Of what is paid. */
  percent: percent.default('0'),
  /** Taka on top. */
  fixed: z
    .string()
    .regex(/^\d{1,4}(?:\.\d{1,2})?$/, 'an amount of taka with up to two decimals')
    .default('0'),
});

const bounds = z.strictObject({
  least: taka.min(1).default(50),
  most: taka.min(1).default(25_000),
});

const methodRules = z.strictObject({
  /** Whether it is offered at all. */
  enabled: z.boolean().default(true),
  fee: fee.prefault({}),
  bounds: bounds.prefault({}),
});

const rate = z.strictObject({
  /** Taka a US dollar; null: as the setting USD_BDT_RATE has it. */
  fixed: takaRate.nullable().default(null),
  /** Where the rate is fetched from, and the member of the JSON there, such as `/rates/BDT`; null: the fixed one. */
  feed: z
    .strictObject({ url: z.url({ protocol: /^https?$/ }), pointer: z.string().startsWith('/') })
    .nullable()
    .default(null),
  /** Percent on top, for the operator's cost of changing money. */
  margin: percent.default('0'),
});

const limits = z.strictObject({
  /** Payments of an account that are open at once, and that it may begin within an hour. */
  open: z.number().int().min(1).max(1000).default(5),
  perHour: z.number().int().min(1).max(1000).default(20),
  /** Taka of an account, and of one payer's number, within 24 hours and 30 days. */
  accountDay: taka.default(50_000),
  accountMonth: taka.default(300_000),
  payerDay: taka.default(50_000),
  /** Different numbers that pay for one account, and accounts that one number pays for, within 30 days; beyond it a person looks. */
  payersOfAccount: z.number().int().min(1).max(1000).default(5),
  accountsOfPayer: z.number().int().min(1).max(1000).default(3),
  /** An account is new for so many days, and may bring so many taka a day until then. */
  newDays: z.number().int().min(0).max(365).default(3),
  newAccountDay: taka.default(10_000),
  /** The first so many top-ups of an account wait for so many minutes before they are credited; 0: none waits. */
  heldTopups: z.number().int().min(0).max(100).default(0),
  heldMinutes: z.number().int().min(0).max(10_080).default(60),
  /** Payments by hand of at least so many taka need two admins. */
  twoAdminsFrom: taka.default(10_000),
});

const contents = z.strictObject({
  rate: rate.prefault({}),
  /** Amounts to choose from; whole taka. */
  presets: z.array(taka.min(1)).max(12).default([50, 100, 200, 500, 1000, 2000]),
  methods: z
    .strictObject({
      bkash: methodRules.prefault({}),
      nagad: methodRules.prefault({}),
      uddoktapay: methodRules.prefault({}),
      manual: methodRules.prefault({}),
    } satisfies Record<MethodId, unknown>)
    .prefault({}),
  /** From so many taka on, so many percent more credit; the highest that is reached counts. */
  bonuses: z
    .array(z.strictObject({ from: taka.min(1), percent }))
    .max(20)
    .default([]),
  /** How long a quote stands; and by how many percent the rate may have moved for a payment that comes later. */
  quoteMinutes: z.number().int().min(1).max(1440).default(30),
  latePercent: percent.default('5'),
  limits: limits.prefault({}),
});

export type PaymentRules = z.output<typeof contents>;

/** As they are until the operator sets any. */
export const defaultRules: PaymentRules = contents.parse({});

/** A version of the rules; `id` null: nothing was set yet. */
export interface RulesVersion {
  readonly id: number | null;
  readonly content: PaymentRules;
}

/** The rules in force. */
export async function currentRules(sql: Statements): Promise<RulesVersion> {
  const [row] = await sql<{ id: number; content: unknown }[]>`
    SELECT id, content FROM payment_rules ORDER BY id DESC LIMIT 1`;
  return { id: row?.id ?? null, content: contents.parse(row?.content ?? {}) };
}

/** The rules that a payment was quoted by. @param id null: of the time before any were set */
export async function rulesNamed(sql: Statements, id: number | null): Promise<PaymentRules> {
  const [row] = await sql<{ content: unknown }[]>`
    SELECT content FROM payment_rules WHERE id = ${id}`;
  return contents.parse(row?.content ?? {});
}

/**
 * Puts new rules in force, for quotes from now on.
 * @param given members that change; those that are left out keep what they are
 * @throws ApiError invalid_request, with the member that is wrong
 */
export async function setRules(
  sql: Statements,
  who: string,
  given: unknown,
): Promise<RulesVersion> {
  const before = await currentRules(sql);
  const read = contents.safeParse(merged(before.content, given));
  if (!read.success) {
    const [issue] = read.error.issues;
    const param = issue?.path.join('.') || 'rules';
    throw new ApiError('invalid_request', {
      param,
      message: `${param}: ${issue?.message ?? 'not valid'}.`,
    });
  }
  const wrong = contradiction(read.data);
  if (wrong) throw new ApiError('invalid_request', { param: wrong[0], message: wrong[1] });
  const [row] = await sql<{ id: number }[]>`
    INSERT INTO payment_rules (content, who) VALUES (${sql.json(read.data)}, ${who}) RETURNING id`;
  return { id: row?.id ?? null, content: read.data };
}

function contradiction({
  methods,
  limits: { newAccountDay, accountDay },
}: PaymentRules): [string, string] | null {
  for (const [id, { bounds: own }] of Object.entries(methods))
    if (own.least > own.most)
      return [`methods.${id}.bounds`, `The least amount of ${id} is above its most.`];
  if (newAccountDay > accountDay)
    return ['limits.newAccountDay', 'A new account may not bring more than an old one.'];
  return null;
}

/** Objects member by member; all else is replaced. */
function merged(before: unknown, given: unknown): unknown {
  if (!isObject(before) || !isObject(given)) return given === undefined ? before : given;
  const names = new Set([...Object.keys(before), ...Object.keys(given)]);
  return Object.fromEntries([...names].map((name) => [name, merged(before[name], given[name])]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads changes as they are typed: `limits.newDays=7`, `rate.fixed=122.5`, `presets=[50,100]`. What stands there now says
 * whether a text or a number is meant; what is neither is JSON.
 * @throws ApiError invalid_request for what is no change
 */
export function changesFrom(content: PaymentRules, texts: readonly string[]): unknown {
  const changes: Record<string, unknown> = {};
  for (const text of texts) {
    const [, path = '', value = ''] = /^([a-z]\w*(?:\.[a-z]\w*)*)=(.*)$/is.exec(text.trim()) ?? [];
    if (path === '')
      throw new ApiError('invalid_request', {
        param: 'set',
        message: `"${text}" is no change: write PATH=VALUE, such as limits.newDays=7.`,
      });
    const names = path.split('.');
    const last = names.pop() ?? '';
    let place = changes;
    let now: unknown = content;
    for (const name of names) {
      const inner = place[name];
      const next = isObject(inner) ? inner : {};
      place[name] = next;
      place = next;
      now = isObject(now) ? now[name] : undefined;
    }
    place[last] = typedAs(isObject(now) ? now[last] : undefined, value);
  }
  return changes;
}

function typedAs(now: unknown, text: string): unknown {
  if (typeof now === 'string' || (now === null && /^[\d.]+$/.test(text))) {
    return text === 'null' ? null : text;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
