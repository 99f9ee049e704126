/** One call of the SQL function that applies a batch of settlements and holds. Fenced for speed: parameters are PostgreSQL array literals built here, one string a column. */
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { type KeyLimit, KeyLimitError, type KeyRoom, keyLimits } from './key_limits.ts';
import type { Nano } from './money.ts';

export type Outcome = 'settled' | 'estimated' | 'recovered' | 'released';

export interface Settlement {
  readonly id: string;
  readonly walletId: number;
  /** What the usage costs, and how much of it the client agreed to by its own limits; nano-USD. */
  readonly cost: Nano;
  readonly chargeable: Nano;
  readonly outcome: Outcome;
  readonly provider: string | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** JSON text: what explains the charge. */
  readonly detail: string;
}

export interface Hold {
  readonly id: string;
  readonly walletId: number;
  /** Granted in full where free, else as much as is free, else refused below `least`; nano-USD. */
  readonly wanted: Nano;
  readonly least: Nano;
  readonly keyId: string | null;
  readonly model: string;
  /** Adds to an existing hold. */
  readonly grow: boolean;
  /** What the hold is that should grow, as its process knows it: it is more where the growth was applied and not heard of. */
  readonly believed: Nano;
}

export interface WalletState {
  readonly walletId: number;
  readonly balance: Nano;
  readonly held: Nano;
  /** Keys that pay from it have limits. */
  readonly isLimited: boolean;
}

export interface HoldAnswer {
  /** Amount granted, or a refusal: see `refusal`. */
  readonly granted: number;
  /** What the limits of the key leave it; null for a key without. */
  readonly room: KeyRoom | null;
}

/** Positions count from 1, as PostgreSQL does. What is not mentioned went as asked. */
export interface BatchAnswer {
  readonly wallets: readonly WalletState[];
  readonly holds: ReadonlyMap<number, HoldAnswer>;
  readonly settlements: ReadonlyMap<number, { charged: number | null; recovered: boolean }>;
}

/**
 * What the database answers in place of an amount; from `keyLimit` down are the limits of a key, in their order, that do not
 * leave it, and from `keyHeldByOthers` those that would but for what other requests of the key hold.
 */
export const refusal = {
  cannotPay: -1,
  heldByOthers: -2,
  holdIsGone: -3,
  keyLimit: -11,
  keyHeldByOthers: -21,
} as const;

/** Whether other requests of the key hold what its limits leave. */
export function isKeyBusy(answer: number): boolean {
  return answer <= refusal.keyHeldByOthers;
}

/** What the client is told of a refusal. */
export function refusalOf(answer: number, room: KeyRoom | null): ApiError {
  const isBusy = isKeyBusy(answer);
  const limit = keyLimits[(isBusy ? refusal.keyHeldByOthers : refusal.keyLimit) - answer];
  return limit && room
    ? new KeyLimitError({ ...room, limit }, isBusy)
    : new ApiError('insufficient_credits');
}

interface Row {
  row_kind: 'wallet' | 'limited' | 'hold' | `hold ${KeyLimit}` | 'settle';
  ref: number;
  first: number | null;
  second: number | null;
}

const call =
  'SELECT row_kind, ref, first, second FROM ledger_apply($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21)';

function column<T>(rows: readonly T[], cell: (row: T) => string | number | boolean): string {
  let text = '{';
  for (let i = 0; i < rows.length; i += 1) {
    // as: i is below the length
    text += (i === 0 ? '' : ',') + cell(rows[i] as T);
  }
  return `${text}}`;
}

function quoted(text: string | null): string {
  return text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** One a line: JSON text that was not made for people has no line breaks. */
function details(settlements: readonly Settlement[]): string {
  let text = '';
  for (const { detail } of settlements) text += (text === '' ? '' : '\n') + detail;
  return text;
}

/**
 * Applies a batch in one transaction.
 * @param epoch higher after each failure: a batch of an earlier one is not applied any more, should it still be on its way
 * @param careful some of it may have been applied before: ask first
 * @throws what the driver throws; then nothing or all of it was applied
 */
export async function applyBatch(
  sql: Sql,
  instance: string,
  epoch: number,
  floor: Nano,
  careful: boolean,
  settlements: readonly Settlement[],
  holds: readonly Hold[],
): Promise<BatchAnswer> {
  const wallets = new Set<number>();
  for (const settlement of settlements) wallets.add(settlement.walletId);
  for (const hold of holds) wallets.add(hold.walletId);
  const parameters = [
    instance,
    epoch,
    floor,
    careful,
    `{${[...wallets].join()}}`,
    column(settlements, (s) => s.id),
    column(settlements, (s) => s.cost),
    column(settlements, (s) => s.chargeable),
    column(settlements, (s) => s.outcome),
    column(settlements, (s) => quoted(s.provider)),
    column(settlements, (s) => s.inputTokens),
    column(settlements, (s) => s.outputTokens),
    details(settlements),
    column(holds, (h) => h.id),
    column(holds, (h) => h.walletId),
    column(holds, (h) => h.wanted),
    column(holds, (h) => h.least),
    column(holds, (h) => h.keyId ?? 'NULL'),
    column(holds, (h) => quoted(h.model)),
    column(holds, (h) => h.grow),
    column(holds, (h) => h.believed),
  ];
  const rows = await sql.unsafe<Row[]>(call, parameters, { prepare: true });
  return readAnswer(rows);
}

function readAnswer(rows: readonly Row[]): BatchAnswer {
  const wallets: WalletState[] = [];
  const holds = new Map<number, HoldAnswer>();
  const settlements = new Map<number, { charged: number | null; recovered: boolean }>();
  for (const { row_kind, ref, first, second } of rows) {
    if (row_kind === 'wallet' || row_kind === 'limited') {
      const isLimited = row_kind === 'limited';
      // as: bigint columns that the database keeps within safe integers
      wallets.push({ walletId: ref, balance: first as Nano, held: second as Nano, isLimited });
    } else if (row_kind === 'settle')
      settlements.set(ref, { charged: first, recovered: second === 1 });
    else {
      const limit = keyLimits.find((name) => row_kind === `hold ${name}`);
      const room = limit ? { limit, left: second ?? 0 } : null;
      holds.set(ref, { granted: first ?? refusal.holdIsGone, room });
    }
  }
  return { wallets, holds, settlements };
}
