/** The money of one request: held, then settled or released, once. */
import { ApiError } from '../errors.ts';
import type { Outcome } from '../wallet/batch.ts';
import { KeyLimitError, type KeyRoom } from '../wallet/key_limits.ts';
import type { HoldTaker, Ledger } from '../wallet/ledger.ts';
import { type Nano, nano } from '../wallet/money.ts';
import type { Lengths } from './lengths.ts';
import { insufficient, isBeyond, isBeyondKey, overLimit, type Plan } from './plan.ts';

export interface HoldPlan {
  readonly id: string;
  readonly walletId: number;
  readonly keyId: string;
  /** Public id of the model. */
  readonly model: string;
  readonly plan: Plan;
  /** Learns how long the answer was. */
  readonly lengths: Lengths;
}

export interface Ending {
  readonly outcome: Outcome;
  /** Cost of the usage; what the client's own limits allow it to cost. */
  readonly cost: Nano;
  readonly chargeable: Nano;
  readonly provider: string | null;
  /** The model that answered. */
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** JSON text that PostgreSQL can read again: see `readableJson`. */
  readonly detail: string;
}

const done: Promise<void> = Promise.resolve();

function isOfMoney(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 'insufficient_credits';
}

export class OpenHold implements HoldTaker {
  readonly #ledger: Ledger;
  readonly #plan: HoldPlan;
  granted: Nano;
  /** What the limits of the key left when the hold was taken, its own part included; null without limits. */
  keyRoom: KeyRoom | null = null;
  /** Why the hold was refused, once it was: ApiError insufficient_credits or database_unavailable. */
  refused: Error | null = null;
  /** The hold is committed: what it pays for may be delivered. */
  isConfirmed = false;
  /** Calls to providers that failed, for the receipt of a request that no other has answered. */
  attempts: readonly object[] = [];
  /** Made where somebody waits before the commit, which most requests do not. */
  #waiting: PromiseWithResolvers<void> | null = null;
  #growing: Promise<unknown> = done;
  #onRefused: (() => void) | null = null;
  #closed = false;
  /** `performance.now()` when it was asked for. */
  readonly #askedAt = performance.now();
  /** When what an answer mostly needs cannot be had, what an answer needs at least is asked for. */
  #mayTakeLess: boolean;

  private constructor(ledger: Ledger, plan: HoldPlan, mayTakeLess: boolean) {
    this.#ledger = ledger;
    this.#plan = plan;
    this.granted = plan.plan.wanted;
    this.#mayTakeLess = mayTakeLess && plan.plan.least < plan.plan.likely;
    this.#ask(plan.plan.likely);
  }

  get plan(): Plan {
    return this.#plan.plan;
  }

  get walletId(): number {
    return this.#plan.walletId;
  }

  #ask(least: Nano): void {
    const { id, walletId, keyId, model, plan } = this.#plan;
    const hold = { id, walletId, keyId, model, wanted: plan.wanted, least };
    this.#ledger.take(hold, this, this.#askedAt);
  }

  /** Resolves when the hold is committed. Rejects with the refusal. */
  get confirmed(): Promise<void> {
    if (this.isConfirmed) return done;
    if (this.refused) return Promise.reject(this.refused);
    if (!this.#waiting) {
      this.#waiting = Promise.withResolvers();
      // Whoever delivers awaits it; a request that fails before that has nothing to hear from it.
      this.#waiting.promise.catch(() => {});
    }
    return this.#waiting.promise;
  }

  /** The ledger's answer. @param amount what was granted; nano-USD */
  grant(amount: Nano, room: KeyRoom | null): void {
    this.granted = amount;
    this.keyRoom = room;
    this.isConfirmed = true;
    this.#waiting?.resolve();
  }

  /** The ledger's other answer. */
  refuse(error: Error): void {
    const isPoor = isOfMoney(error);
    if (isPoor && this.#mayTakeLess) {
      this.#mayTakeLess = false;
      this.#ask(this.#plan.plan.least);
      return;
    }
    this.refused = isPoor ? this.#explained(error) : error;
    this.#onRefused?.();
    this.#waiting?.reject(this.refused);
  }

  #explained(refusal: ApiError): ApiError {
    const { plan, walletId } = this.#plan;
    if (refusal instanceof KeyLimitError) return overLimit(plan, refusal.room, refusal.isBusy);
    return insufficient(plan, this.#ledger.walletOf(walletId), this.#ledger.floor);
  }

  /**
   * Sets money aside. A wallet that is comfortably rich does not wait for the commit: then `granted` is what was wanted,
   * and `confirmed` must be awaited before anything is delivered.
   * @param instead what else may be done where the first cannot be paid
   * @throws ApiError insufficient_credits or database_unavailable
   */
  static async take(
    ledger: Ledger,
    plan: HoldPlan,
    instead: HoldPlan | null = null,
  ): Promise<OpenHold> {
    const comfortable = ledger.isComfortable(plan.walletId, plan.plan.wanted);
    // A call that is on its way already was told the full limit, so that less would not do.
    const hold = new OpenHold(ledger, plan, !comfortable);
    try {
      if (!comfortable) await hold.confirmed;
    } catch (error) {
      // Nothing is held, so that the same request can ask anew.
      if (instead && isOfMoney(error)) return OpenHold.take(ledger, instead);
      throw error;
    }
    const refusal = hold.#beyond();
    if (refusal) {
      await hold.release({ reason: refusal.message });
      throw refusal;
    }
    return hold;
  }

  /** A hold that begins small would be granted, and what the client asked for cannot be paid to its end. */
  #beyond(): ApiError | null {
    const { plan, walletId } = this.#plan;
    if (isBeyond(plan, this.#ledger.walletOf(walletId)))
      return this.#explained(new ApiError('insufficient_credits'));
    return this.keyRoom && isBeyondKey(plan, this.keyRoom)
      ? overLimit(plan, this.keyRoom, false)
      : null;
  }

  /** What the hold may grow to, whatever others hold now; nano-USD. Infinite where nothing is known yet. */
  get reach(): number {
    const balance = this.#ledger.walletOf(this.walletId)?.balance ?? Number.POSITIVE_INFINITY;
    return Math.min(balance, this.keyRoom?.left ?? balance);
  }

  /** What ends an answer that takes all that can be had. */
  get endedBy(): 'key_limit' | 'insufficient_credits' {
    const balance = this.#ledger.walletOf(this.walletId)?.balance ?? Number.POSITIVE_INFINITY;
    return this.keyRoom && this.keyRoom.left < balance ? 'key_limit' : 'insufficient_credits';
  }

  /** A late refusal must end the call to the provider. */
  whenRefused(action: () => void): void {
    this.#onRefused = action;
    if (this.refused) action();
  }

  /** Adds up to `amount`; resolves with what was added, possibly nothing. @throws SettlementLost, ApiError database_unavailable */
  grow(amount: Nano, least: Nano): Promise<Nano> {
    // One after the other: the ledger tells a growth that it has applied before by what the hold was.
    const grown = this.#growing.then(() => this.#growNow(amount, least));
    this.#growing = grown.catch(() => {});
    return grown;
  }

  async #growNow(amount: Nano, least: Nano): Promise<Nano> {
    const { id, walletId, keyId, model } = this.#plan;
    const wanted = { id, walletId, keyId, model, wanted: amount, least };
    const added = await this.#ledger.grow(wanted, this.granted);
    this.granted = nano(this.granted + added);
    return added;
  }

  /**
   * Ends the hold with a charge; resolves after the commit with what the wallet paid. What the answer legitimately cost
   * beyond the hold is taken from what the wallet has free; the rest is the operator's loss.
   * @throws SettlementLost: nothing more may be delivered
   */
  async settle(ending: Ending): Promise<Nano> {
    if (this.#closed) throw new Error('the hold was ended before');
    // What may fail comes before it is closed, so that it can still be released.
    if (ending.outcome === 'settled') this.#plan.lengths.learn(ending.model, ending.outputTokens);
    this.#closed = true;
    if (!this.isConfirmed) await this.confirmed;
    const { id, walletId } = this.#plan;
    const short = ending.chargeable - this.granted;
    if (short > 0) await this.grow(nano(short), nano(0)).catch(() => {});
    return this.#ledger.settle({
      id,
      walletId,
      cost: ending.cost,
      chargeable: nano(Math.min(ending.chargeable, this.granted)),
      outcome: ending.outcome,
      provider: ending.provider,
      inputTokens: ending.inputTokens,
      outputTokens: ending.outputTokens,
      detail: ending.detail,
    });
  }

  /** Ends the hold for free. Does nothing where it was refused or ended before. */
  async release(detail: { readonly reason: string }): Promise<void> {
    if (this.#closed) return;
    await this.confirmed.catch(() => {});
    if (this.refused) return;
    const free = { cost: nano(0), chargeable: nano(0), inputTokens: 0, outputTokens: 0 };
    const { attempts } = this;
    const { model } = this.#plan;
    const text = readableJson(
      attempts.length > 0 ? { ...detail, failedAttempts: attempts } : detail,
    );
    await this.settle({ outcome: 'released', provider: null, model, ...free, detail: text });
  }

  /** What the provider may cost although the hold was refused late: the operator's. Not booked where there are no books to be had. */
  async bookLoss(amount: Nano, note: string): Promise<void> {
    const isPoor = this.refused !== null && isOfMoney(this.refused);
    if (isPoor && amount > 0) await this.#ledger.bookLoss(this.#plan.id, amount, note);
  }
}

/**
 * As JSON that PostgreSQL can also read again: it takes a NUL or half of a surrogate pair, which a provider may have sent,
 * and then fails whoever asks for any member.
 */
export function readableJson(detail: unknown): string {
  const text = JSON.stringify(detail);
  if (!/\\u(?:0000|d[89a-f])/.test(text)) return text;
  const clean = (_: string, value: unknown): unknown =>
    typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\ufffd') : value;
  return JSON.stringify(detail, clean);
}
