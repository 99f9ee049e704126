/**
 * The schedule: asks providers about payments that are open, so that a lost callback or a closed tab heals by itself; credits
 * what waits to be; finds out what became of refunds; compares with the providers what was credited; fetches the rate.
 * It runs in every process; each row is claimed by one of them at a time, and nothing here is needed for anything to be right.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassing } from '../wallet/failure.ts';
import { learnProviderId } from './claimed_id.ts';
import { compareCredited } from './compare.ts';
import { type Desk, methodOf } from './desk.ts';
import { type Payment, paymentColumns } from './payment.ts';
import { fetchRate } from './rate_feed.ts';
import { pursueRefund } from './refund.ts';
import { become, settle } from './settle.ts';

export interface ReconcileSettings {
  /** From the end of a round to the next; ms. */
  readonly everyMs: number;
  /** Told of what needs somebody at once. */
  readonly alarm: (message: string) => void;
}

export interface Reconciler {
  /** Lets the round that goes on end, for a moment at most: what is cut off is taken up by others, or later. */
  stop(): Promise<void>;
}

/** Payments, and refunds, of one round. */
const batch = 20;
/** Who claimed a row and is silent for so long is gone; ms. */
const claimMs = 120_000;
/** A payment that was not opened by now will not be: whoever began it is gone; ms. */
const openingMs = 120_000;
/** Paid, and still without credit, for so long: somebody has to look; ms. */
const alarmAfterMs = 120_000;
const patienceMs = 2000;
const hourMs = 3_600_000;

/** @returns how many payments and refunds were looked at */
export async function reconcileOnce(desk: Desk): Promise<number> {
  const payments = await desk.sql<{ id: string }[]>`
    UPDATE payments SET ask_at = clock_timestamp() + ${claimMs} * interval '1 ms'
    WHERE id IN (SELECT id FROM payments WHERE ask_at <= clock_timestamp() ORDER BY ask_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)
    RETURNING id`;
  const refunds = await desk.sql<{ id: string }[]>`
    UPDATE payment_refunds SET ask_at = clock_timestamp() + ${claimMs} * interval '1 ms'
    WHERE id IN (SELECT id FROM payment_refunds WHERE ask_at <= clock_timestamp() AND state NOT IN ('refunded', 'refused')
      ORDER BY ask_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)
    RETURNING id`;
  await Promise.all([
    ...payments.map(({ id }) => alone(desk, `payment ${id}`, () => look(desk, id))),
    ...refunds.map(({ id }) => alone(desk, `refund ${id}`, () => pursueRefund(desk, id))),
  ]);
  return payments.length + refunds.length;
}

/** One that fails keeps none of the others waiting. */
async function alone(desk: Desk, what: string, action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    desk.log(`${what} could not be looked at`, error);
  }
}

async function look(desk: Desk, id: string): Promise<void> {
  const [payment] = await desk.sql<Payment[]>`
    SELECT ${paymentColumns(desk.sql)} FROM payments p WHERE id = ${id}`;
  if (!payment) return;
  if (payment.state === 'created') {
    if (Date.now() - payment.createdAt.getTime() < openingMs) return;
    const method = methodOf(desk, payment.method);
    const reason = `${method.name} was not reached. Nothing was paid.`;
    await become(desk, payment, { state: 'failed', reason }, method, 'server');
    return;
  }
  const isBlind = payment.providerId === null && payment.state !== 'verified';
  if (isBlind) await learnProviderId(desk, payment, null, 'server');
  await settle(desk, id, { actor: 'server' });
}

/** Ids of payments that are paid and should have been credited by now. */
async function stuck({ sql }: Desk): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM payments WHERE state = 'verified'
      AND greatest(verified_at, held_until) < clock_timestamp() - ${alarmAfterMs} * interval '1 ms' ORDER BY id LIMIT ${batch}`;
  return rows.map(({ id }) => id);
}

/** Begins at once, and goes on until it is stopped. */
export function startReconciler(desk: Desk, settings: ReconcileSettings): Reconciler {
  const over = new AbortController();
  const running = run(desk, settings, over.signal);
  return {
    stop: async () => {
      over.abort();
      await Promise.race([running, sleep(patienceMs, undefined, { ref: false })]);
    },
  };
}

async function run(
  desk: Desk,
  { everyMs, alarm }: ReconcileSettings,
  signal: AbortSignal,
): Promise<void> {
  const quiet: Desk = {
    ...desk,
    log: (message, detail) => {
      // What is cut off at the end is no news.
      if (!signal.aborted) desk.log(message, detail);
    },
  };
  const seldom: readonly [everyMs: number, action: () => Promise<unknown>][] = [
    [60_000, async () => sayStuck(await stuck(quiet), alarm)],
    [hourMs, () => compareCredited(quiet)],
    [hourMs, () => fetchRate(quiet)],
  ];
  const lastAt = seldom.map(() => Number.NEGATIVE_INFINITY);
  while (!signal.aborted) {
    const looked = await reconcileOnce(quiet).catch((error: unknown) => {
      if (!isPassing(error)) quiet.log('payments could not be looked at', error);
      return 0;
    });
    for (const [index, [every, action]] of seldom.entries()) {
      const now = performance.now();
      if (signal.aborted || now - (lastAt[index] ?? 0) < every) continue;
      lastAt[index] = now;
      await alone(quiet, 'the schedule of payments', action);
    }
    // Where there is more than one round takes, the next follows at once.
    const wait = looked >= batch ? 0 : everyMs;
    await sleep(wait, undefined, { signal, ref: false }).catch(() => {});
  }
}

function sayStuck(ids: readonly string[], alarm: (message: string) => void): void {
  if (ids.length > 0) alarm(`PAID AND NOT CREDITED for more than two minutes: ${ids.join(', ')}`);
}
