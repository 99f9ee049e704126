/**
 * The schedule: asks providers about payments that are open, so that a lost callback or a closed tab heals by itself; credits
 * what waits to be; finds out what became of refunds; compares with the providers what was credited; fetches the rate.
 * It runs in every process; each row is claimed by one of them at a time, and nothing here is needed for anything to be right.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassing } from '../wallet/failure.ts';
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

/** Payments, and refunds, that are looked at beside each other. */
const batch = 20;
/** Who claimed a row and is silent for so long is gone; ms. */
const claimMs = 120_000;
/** A payment that was not opened by now, or by agreement not asked for, will not be: whoever began it is gone; ms. */
const openingMs = 120_000;
/** Paid, and still without credit, for so long: somebody has to look; ms. */
const alarmAfterMs = 120_000;
const patienceMs = 2000;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** What is due, claimed for this process. */
async function claim(desk: Desk, most: number): Promise<(() => Promise<void>)[]> {
  const payments = await desk.sql<{ id: string }[]>`
    UPDATE payments SET ask_at = clock_timestamp() + ${claimMs} * interval '1 ms'
    WHERE id IN (SELECT id FROM payments WHERE ask_at <= clock_timestamp() ORDER BY ask_at LIMIT ${most} FOR UPDATE SKIP LOCKED)
    RETURNING id`;
  const refunds = await desk.sql<{ id: string }[]>`
    UPDATE payment_refunds SET ask_at = clock_timestamp() + ${claimMs} * interval '1 ms'
    WHERE id IN (SELECT id FROM payment_refunds WHERE ask_at <= clock_timestamp() AND state NOT IN ('refunded', 'refused')
      ORDER BY ask_at LIMIT ${most} FOR UPDATE SKIP LOCKED)
    RETURNING id`;
  return [
    ...payments.map(
      ({ id }) =>
        () =>
          alone(desk, `payment ${id}`, () => look(desk, id)),
    ),
    ...refunds.map(
      ({ id }) =>
        () =>
          alone(desk, `refund ${id}`, () => pursueRefund(desk, id)),
    ),
  ];
}

/** One round. @returns how many payments and refunds were looked at */
export async function reconcileOnce(desk: Desk): Promise<number> {
  const due = await claim(desk, batch);
  await Promise.all(due.map((each) => each()));
  return due.length;
}

/** One that fails keeps none of the others waiting. */
async function alone(desk: Desk, what: string, action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    // The database is away for a moment: everything says so already.
    if (!isPassing(error)) desk.log(`${what} could not be looked at`, error);
  }
}

async function look(desk: Desk, id: string): Promise<void> {
  const [payment] = await desk.sql<Payment[]>`
    SELECT ${paymentColumns(desk.sql)} FROM payments p WHERE id = ${id}`;
  if (!payment) return;
  const { state } = payment;
  const now = state === 'created' ? payment : await settle(desk, id, { actor: 'server' });
  if (!isLeft(now)) return;
  const method = methodOf(desk, payment.method);
  const reason = `${method.name} was not reached. Nothing was paid.`;
  // Who slept until now may be about to.
  const given = { state: 'failed', reason, unlessCaptured: true } as const;
  await become(desk, now, given, method, 'server');
}

/** By agreement the money is asked for as soon as the payment is opened: nobody comes back from a page to do it later. */
function isLeft({ state, cause, captureAskedAt, createdAt }: Payment): boolean {
  const isBegun =
    state === 'created' || (cause === 'automatic' && state === 'pending' && !captureAskedAt);
  return isBegun && Date.now() - createdAt.getTime() >= openingMs;
}

/** Ids of payments that are paid and should have been credited by now. */
async function stuck({ sql }: Desk): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM payments WHERE state = 'verified'
      AND greatest(verified_at, held_until) < clock_timestamp() - ${alarmAfterMs} * interval '1 ms' ORDER BY id LIMIT ${batch}`;
  return rows.map(({ id }) => id);
}

/** Begins at once, and goes on until it is stopped. */
export function startReconciler(desk: Desk, { everyMs, alarm }: ReconcileSettings): Reconciler {
  const over = new AbortController();
  const { signal } = over;
  const quiet: Desk = {
    ...desk,
    log: (message, detail) => {
      // What is cut off at the end is no news.
      if (!signal.aborted) desk.log(message, detail);
    },
  };
  const running = Promise.all([
    askOften(quiet, everyMs, signal),
    // A provider that answers slowly keeps nothing else waiting.
    again(quiet, minuteMs, signal, async () => sayStuck(await stuck(quiet), alarm)),
    again(quiet, hourMs, signal, () => compareCredited(quiet)),
    again(quiet, hourMs, signal, () => fetchRate(quiet)),
  ]);
  return {
    stop: async () => {
      over.abort();
      await Promise.race([running, sleep(patienceMs, undefined, { ref: false })]);
    },
  };
}

/** New ones are begun while slow ones go on. */
async function askOften(desk: Desk, everyMs: number, signal: AbortSignal): Promise<void> {
  const running = new Set<Promise<void>>();
  await again(desk, everyMs, signal, async () => {
    const room = batch - running.size;
    if (room <= 0) return;
    for (const begin of await claim(desk, room)) {
      const one = begin().finally(() => running.delete(one));
      running.add(one);
    }
  });
  await Promise.all(running);
}

/** Until it is told to end; what fails is done again the next time. */
async function again(
  desk: Desk,
  everyMs: number,
  signal: AbortSignal,
  action: () => Promise<unknown>,
): Promise<void> {
  while (!signal.aborted) {
    await alone(desk, 'the schedule of payments', action);
    await sleep(everyMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

function sayStuck(ids: readonly string[], alarm: (message: string) => void): void {
  if (ids.length > 0) alarm(`PAID AND NOT CREDITED for more than two minutes: ${ids.join(', ')}`);
}
