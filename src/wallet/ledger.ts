/**
 * The wallet core of a gateway process: holds, settlements and checkpoints of many requests, committed together.
 *
 * A promise returned here resolves only after the commit. A hold must be awaited before its request is settled and
 * before the first byte of the answer leaves; a settlement before the last.
 */

import type { Sql } from '../db/database.ts';
import { databaseUnavailable } from '../errors.ts';
import {
  applyBatch,
  type BatchAnswer,
  type Hold,
  isKeyBusy,
  refusal,
  refusalOf,
  type Settlement,
} from './batch.ts';
import { isBusy } from './busy.ts';
import type { CheckpointLane } from './checkpoints.ts';
import { isPassing, SettlementLost } from './failure.ts';
import type { KeyRoom } from './key_limits.ts';
import { KnownWallets } from './known_wallets.ts';
import type { Lease } from './lease.ts';
import { type Nano, nano } from './money.ts';
import { freeEnding, giveBack, recoveryOf, strangersOf } from './strangers.ts';
import { type InLine, WaitingLine } from './waiting_line.ts';

export type NewHold = Omit<Hold, 'grow' | 'believed'>;

export interface LedgerSettings {
  /** A wallet with a settled balance below this gets no hold; nano-USD. */
  readonly floor: Nano;
  /** How long a hold waits for money that other requests hold, from the last of them that ended; ms. */
  readonly holdWaitMs: number;
}

/** Who asked for a hold. One of the two is called, once, after the commit. */
export interface HoldTaker {
  /** @param amount nano-USD, from `least` to `wanted` @param room what the limits of the key leave it; null without limits */
  grant(amount: Nano, room: KeyRoom | null): void;
  /** @param error ApiError insufficient_credits or database_unavailable, SettlementLost for a hold that should grow */
  refuse(error: Error): void;
}

interface PendingHold extends InLine {
  readonly taker: HoldTaker;
}

interface PendingSettlement {
  readonly work: Settlement;
  readonly resolve: (charged: Nano) => void;
  readonly reject: (error: Error) => void;
}

const largestBatch = 500;
/** How long a busy process gathers for a batch; ms. */
const gatherMs = 1;
const waitingRetryMs = 50;
const firstBackoffMs = 20;
const lastBackoffMs = 500;
/** How long new holds wait for a database that is away before they are answered 503. */
const outageMs = 5000;

export class Ledger {
  readonly lease: Lease;
  readonly checkpoints: CheckpointLane;
  readonly #sql: Sql;
  readonly #settings: LedgerSettings;
  readonly #wallets = new KnownWallets();
  /** Ids of requests that may have a hold, and of those that are over and owe nothing should they still have one. */
  readonly #open = new Set<string>();
  readonly #free = new Set<string>();
  /** Ids of settlements that were given up, committed or not. */
  readonly #unheard = new Set<string>();
  #holds: PendingHold[] = [];
  #settlements: PendingSettlement[] = [];
  readonly #waiting: WaitingLine<PendingHold>;
  #busy = false;
  #scheduled = false;
  #waitTimer: NodeJS.Timeout | null = null;
  /** Failures so far. */
  #epoch = 0;

  /** @param lane a connection of its own */
  constructor(lane: Sql, checkpoints: CheckpointLane, lease: Lease, settings: LedgerSettings) {
    this.#sql = lane;
    this.checkpoints = checkpoints;
    this.lease = lease;
    this.#settings = settings;
    this.#waiting = new WaitingLine(settings.holdWaitMs);
    lease.eachBeat(() => this.#recoverStrangers());
  }

  get floor(): Nano {
    return this.#settings.floor;
  }

  /** A wallet as the last commit of this process left it; null when there was none. Nano-USD. */
  walletOf(walletId: number): { readonly balance: number; readonly free: number } | null {
    return this.#wallets.get(walletId) ?? null;
  }

  /**
   * Sets money aside, and tells the taker.
   * @param askedAt `performance.now()` when the request came for money first: it waits from then on
   */
  take(hold: NewHold, taker: HoldTaker, askedAt: number = performance.now()): void {
    this.#wallets.ask(hold);
    this.#open.add(hold.id);
    this.#enqueueHold({ ...hold, grow: false, believed: nano(0) }, taker, askedAt);
  }

  /**
   * Sets money aside. Resolves with the amount granted, from `least` to `wanted`.
   * @throws ApiError insufficient_credits, or database_unavailable
   */
  hold(hold: NewHold): Promise<Nano> {
    return new Promise((grant, refuse) => this.take(hold, { grant, refuse }));
  }

  /**
   * Adds to a hold, as much as is free up to `wanted`, at least `least`. One growth of a hold at a time.
   * @param believed what the hold is now; nano-USD
   * @throws ApiError insufficient_credits; SettlementLost when the hold was recovered from this process
   */
  grow(hold: NewHold, believed: Nano): Promise<Nano> {
    return new Promise((grant, refuse) =>
      this.#enqueueHold({ ...hold, grow: true, believed }, { grant, refuse }, performance.now()),
    );
  }

  /**
   * Ends a hold for good. Resolves with the amount charged to the wallet.
   * @throws SettlementLost when the hold was recovered from this process, or the lease ran out before the commit:
   * then nothing more may be delivered
   */
  settle(settlement: Settlement): Promise<Nano> {
    return new Promise((resolve, reject) => {
      this.#settlements.push({ work: settlement, resolve, reject });
      this.#schedule();
    });
  }

  /**
   * Says that a request is over. Should its hold still be there, because the database was away, then it is ended when the
   * database is back; should it have been charged, which nobody could hear, and be free, then it gets that back.
   * @param isFree nothing was delivered; otherwise the hold is ended at its checkpoint
   */
  forget(id: string, isFree: boolean): void {
    this.#open.delete(id);
    if (isFree) this.#free.add(id);
    else this.#unheard.delete(id);
  }

  /** Books a cost that no wallet pays. The same id twice is booked once. @throws what the driver throws */
  async bookLoss(id: string, amount: Nano, note: string): Promise<void> {
    await this.#sql`SELECT ledger_book_loss(${id}, ${amount}, ${note})`;
  }

  /** Whether a hold of this size may travel beside the upstream call instead of before it. */
  isComfortable(walletId: number, amount: Nano): boolean {
    return this.#wallets.isComfortable(walletId, amount);
  }

  #enqueueHold(work: Hold, taker: HoldTaker, askedAt: number): void {
    this.#holds.push({ work, taker, askedAt, isNext: false, waitsFor: 'wallet' });
    this.#schedule();
  }

  #resolveSettlement({ work, resolve }: PendingSettlement, charged: Nano): void {
    this.#open.delete(work.id);
    this.checkpoints.over(work.id);
    resolve(charged);
  }

  #rejectSettlement({ work, reject }: PendingSettlement, error: Error): void {
    this.#open.delete(work.id);
    reject(error);
  }

  /**
   * A batch leaves when the event loop has read all that is there to read: its requests commit together. A process without
   * time to spare waits a moment for more, since a commit costs PostgreSQL as much as forty requests in it do.
   */
  #schedule(): void {
    if (this.#busy || this.#scheduled) return;
    this.#scheduled = true;
    const run = (): void => {
      this.#scheduled = false;
      void this.#run();
    };
    const isFull = Math.max(this.#settlements.length, this.#holds.length) >= largestBatch;
    if (!isFull && isBusy(performance.now())) setTimeout(run, gatherMs);
    else setImmediate(run);
  }

  async #run(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const settlements = this.#settlements.splice(0, largestBatch);
    const holds = this.#waiting.letPass(this.#holds.splice(0, largestBatch));
    if (settlements.length + holds.length > 0) await this.#commit(settlements, holds);
    if (settlements.length > 0) this.#wakeWaiting();
    else this.#wakeLater();
    this.#busy = false;
    // Not at once: what this commit has set free then goes with the next, which had gone without it.
    if (this.#settlements.length > 0 || this.#holds.length > 0) this.#schedule();
  }

  /** Commits a batch, again and again while the database is away. Never throws: each request gets its own answer. */
  async #commit(settlements: PendingSettlement[], holds: PendingHold[]): Promise<void> {
    const began = performance.now();
    let openHolds = holds;
    let careful = false;
    let isLastTry = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await applyBatch(
          this.#sql,
          this.lease.instance,
          this.#epoch,
          this.#settings.floor,
          careful,
          settlements.map((pending) => pending.work),
          openHolds.map((pending) => pending.work),
        );
        this.#wallets.learn(answer.wallets);
        this.#answerSettlements(settlements, answer);
        this.#answerHolds(openHolds, answer);
        return;
      } catch (error) {
        if (!isPassing(error)) {
          await this.#commitOneByOne(settlements, openHolds, error);
          return;
        }
        careful = true;
        this.#epoch += 1;
        const now = performance.now();
        if (now - began > outageMs) {
          openHolds = this.#abandonNew(openHolds, error);
          this.#holds = this.#abandonNew(this.#holds, error);
        }
        if (!this.lease.isAlive()) {
          for (const pending of openHolds) this.#abandonHold(pending, error);
          openHolds = [];
          if (isLastTry) {
            const lost = new SettlementLost('the lease ended before the commit', { cause: error });
            for (const pending of settlements) {
              this.#unheard.add(pending.work.id);
              this.#rejectSettlement(pending, lost);
            }
            return;
          }
          // What was committed unheard is paid for and to be delivered: who holds no lease any more asks once.
          isLastTry = true;
        }
        if (openHolds.length === 0 && settlements.length === 0) return;
        await new Promise((resolve) =>
          setTimeout(resolve, Math.min(lastBackoffMs, firstBackoffMs * 2 ** attempt)),
        );
      }
    }
  }

  /** A batch that the database refuses for good is taken apart, so that only the request at fault fails. */
  async #commitOneByOne(
    settlements: PendingSettlement[],
    holds: PendingHold[],
    error: unknown,
  ): Promise<void> {
    const [settlement] = settlements;
    const [hold] = holds;
    if (settlements.length + holds.length === 1) {
      const failure = new Error('the ledger refused this entry', { cause: error });
      if (settlement) this.#rejectSettlement(settlement, failure);
      if (hold) this.#wallets.answered(hold.work);
      if (hold && !hold.work.grow) this.#open.delete(hold.work.id);
      hold?.taker.refuse(failure);
      return;
    }
    for (const pending of settlements) await this.#commit([pending], []);
    for (const pending of holds) await this.#commit([], [pending]);
  }

  #answerSettlements(settlements: readonly PendingSettlement[], answer: BatchAnswer): void {
    settlements.forEach((pending, index) => {
      const odd = answer.settlements.get(index + 1);
      if (!odd) this.#resolveSettlement(pending, pending.work.chargeable);
      else if (odd.charged === null || odd.recovered)
        this.#rejectSettlement(
          pending,
          new SettlementLost('the hold was recovered from this process'),
        );
      else this.#resolveSettlement(pending, nano(odd.charged));
    });
  }

  #answerHolds(holds: readonly PendingHold[], answer: BatchAnswer): void {
    holds.forEach((pending, index) => {
      const { granted = pending.work.wanted, room = null } = answer.holds.get(index + 1) ?? {};
      const waitsFor = isKeyBusy(granted) ? 'key' : 'wallet';
      const mayWait = waitsFor === 'key' || granted === refusal.heldByOthers;
      if (mayWait && this.#waiting.mayWaitOn(pending, this.#wallets.get(pending.work.walletId))) {
        pending.waitsFor = waitsFor;
        this.#waiting.push(pending);
        return;
      }
      this.#wallets.answered(pending.work);
      if (granted < 0 && !pending.work.grow) this.#open.delete(pending.work.id);
      const { taker } = pending;
      if (granted >= 0) taker.grant(nano(granted), room);
      else if (granted === refusal.holdIsGone)
        taker.refuse(new SettlementLost('the hold was recovered from this process'));
      else taker.refuse(refusalOf(granted, room));
    });
  }

  /**
   * Ends holds of this process whose request is over: of a settlement that was given up while the database was away, of a
   * stream that was cut off because the lease had ended, of a hold that was given up and committed all the same. And gives
   * back what was charged for such a settlement.
   */
  async #recoverStrangers(): Promise<void> {
    const free = [...this.#free];
    const rows = await this.#sql<{ id: string }[]>`
      SELECT id FROM holds WHERE instance = ${this.lease.instance}`;
    const ids = rows.map(({ id }) => id).filter((id) => !this.#open.has(id));
    const strangers = ids.length > 0 ? await strangersOf(this.#sql, ids) : [];
    const ends = strangers.map((hold) =>
      this.settle(this.#free.has(hold.id) ? freeEnding(hold.id, hold.wallet) : recoveryOf(hold)),
    );
    const results = await Promise.allSettled(ends);
    const charged = free.filter((id) => this.#unheard.has(id));
    if (charged.length > 0) await giveBack(this.#sql, charged);
    for (const id of charged) this.#unheard.delete(id);
    if (results.every(({ status }) => status === 'fulfilled'))
      for (const id of free) this.#free.delete(id);
  }

  #wakeWaiting(): void {
    if (this.#waitTimer) clearTimeout(this.#waitTimer);
    this.#waitTimer = null;
    const next = this.#waiting.takeNext((walletId) => this.#wallets.get(walletId));
    this.#holds.unshift(...next);
    if (next.length > 0) this.#schedule();
    this.#wakeLater();
  }

  /** Another process may give money back, which nothing here sees. */
  #wakeLater(): void {
    if (!this.#waiting.isEmpty)
      this.#waitTimer ??= setTimeout(() => {
        this.#waitTimer = null;
        // The first in line may be on its way: nobody is to pass it by.
        if (this.#busy) this.#wakeLater();
        else this.#wakeWaiting();
      }, waitingRetryMs);
  }

  /** Refuses those that only begin; returns those whose streams have begun, which wait for as long as the lease lasts. */
  #abandonNew(holds: readonly PendingHold[], cause: unknown): PendingHold[] {
    for (const pending of holds) if (!pending.work.grow) this.#abandonHold(pending, cause);
    return holds.filter(({ work }) => work.grow);
  }

  /** The commit of this hold is unknown: the request is refused, and whatever was set aside is released when the database is back. */
  #abandonHold(pending: PendingHold, cause: unknown): void {
    this.#wallets.answered(pending.work);
    pending.taker.refuse(databaseUnavailable(cause));
    if (pending.work.grow) return;
    const { id, walletId } = pending.work;
    this.settle(freeEnding(id, walletId)).catch(() => {
      // No hold was there, or recovery has it: either way nothing is left to release.
    });
  }
}
