/**
 * The nightly comparison: what was credited is looked for at the provider by the id of its transfer, where the provider can
 * be asked so. What is missing there, or differs, is written on the payment and shown to the admin; nothing is taken back.
 */
import type { Statements } from '../db/database.ts';
import { type Desk, methodOf } from './desk.ts';
import { dhakaMidnight } from './dhaka_time.ts';
import type { MethodId, Paisa, Truth } from './method.ts';
import { note, type Payment, paymentColumns } from './payment.ts';
import { formatTaka } from './taka.ts';

const batch = 50;
/** What could not be compared within so many days is not compared; days. */
const patienceDays = 8;

export interface Difference {
  readonly payment: string;
  readonly method: MethodId;
  readonly trxId: string;
  readonly amount: Paisa;
  readonly found: string;
  readonly at: Date;
}

/**
 * Compares what was credited before today in Dhaka and has not been compared. What the provider does not answer is left for later.
 * @returns how many were compared
 */
export async function compareCredited(desk: Desk): Promise<number> {
  const { sql } = desk;
  const able = [...desk.methods.values()].filter(({ search }) => search).map(({ id }) => id);
  const today = dhakaMidnight(new Date());
  const payments = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p
    WHERE p.state IN ('credited', 'refunded') AND p.method = ANY(${able}::text[]) AND p.credited_at < ${today}
      AND p.credited_at > now() - ${patienceDays} * interval '1 day'
      AND NOT EXISTS (SELECT 1 FROM payment_events e WHERE e.payment = p.id AND e.kind = 'compared')
    ORDER BY p.id LIMIT ${batch}`;
  let compared = 0;
  const silent = new Set<MethodId>();
  for (const payment of payments) {
    // One that does not answer now is not asked fifty times.
    if (silent.has(payment.method)) continue;
    const truth = await methodOf(desk, payment.method).search?.(payment.trxId ?? '');
    const found = truth && difference(payment, truth);
    if (found === undefined) {
      silent.add(payment.method);
      continue;
    }
    compared += 1;
    await note(sql, payment.id, {
      kind: 'compared',
      actor: 'server',
      sentence: null,
      detail: { ...truth?.evidence, found: found ?? 'the same' },
    });
    if (found) desk.log(`payment ${payment.id} differs at its provider: ${found}`);
  }
  return compared;
}

/** null: all is the same; undefined: the provider did not say. */
function difference(payment: Payment, truth: Truth): string | null | undefined {
  const { state, absent, reason, foreign } = truth;
  if (absent) return 'the provider knows no such transaction';
  if (state === 'unknown') return undefined;
  if (state !== 'paid') return reason ?? `the provider calls it ${state}`;
  if (foreign) return foreign;
  if (truth.trxId !== payment.trxId) return `the provider named transaction ${truth.trxId}`;
  if (truth.amount !== payment.amount)
    return `the provider says ${truth.amount === null ? 'no amount' : `৳${formatTaka(truth.amount)}`}`;
  return null;
}

/** What differed, the latest first. */
export async function differences(sql: Statements, most: number): Promise<Difference[]> {
  return sql<Difference[]>`
    SELECT p.id AS payment, p.method, p.trx_id AS "trxId", p.amount, e.detail ->> 'found' AS found, e.at
    FROM payment_events e JOIN payments p ON p.id = e.payment
    WHERE e.kind = 'compared' AND e.detail ->> 'found' <> 'the same' ORDER BY e.id DESC LIMIT ${most}`;
}
