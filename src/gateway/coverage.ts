/**
 * How much of a stream may be delivered: no more than the hold pays for and than a committed checkpoint knows of.
 * Grows ahead of the output, doubling, so that delivery seldom waits.
 */
import { ApiError } from '../errors.ts';
import type { Ledger } from '../wallet/ledger.ts';
import { costOf, type Nano, nano } from '../wallet/money.ts';
import { estimateTokens } from './meter.ts';
import type { OpenHold } from './open_hold.ts';

const bytesPerToken = 4;
/** Tokens of the first checkpoint; later ones are twice what was delivered. More than that a crash never charges. */
const firstTokens = 256;
/** Part of what is covered after which more is asked for. */
const runningShort = 0.8;

export interface CoveragePlan {
  readonly id: string;
  /** Tokens of the prompt, as estimated, and their cost. */
  readonly inputTokens: number;
  readonly inputCost: Nano;
  /** Pico-USD a token. */
  readonly outputPrice: number;
  /** What all that is allowed costs: a hold of it pays for whatever may come. */
  readonly most: Nano;
}

export class Coverage {
  readonly #ledger: Ledger;
  readonly #hold: OpenHold;
  readonly #plan: CoveragePlan;
  #tokens = 0;
  #raising: Promise<void> | null = null;
  /** The wallet has nothing left to grow the hold with. */
  exhausted = false;

  constructor(ledger: Ledger, hold: OpenHold, plan: CoveragePlan) {
    this.#ledger = ledger;
    this.#hold = hold;
    this.#plan = plan;
  }

  /** Bytes of generated text that may have been delivered in all. */
  get bytes(): number {
    return this.#tokens * bytesPerToken;
  }

  /** Whether it is time to raise, so that it is done before delivery gets there. */
  isRunningShort(bytes: number): boolean {
    return bytes >= this.bytes * runningShort && !this.exhausted && this.#raising === null;
  }

  /**
   * Commits to at least `bytes`, if the wallet can pay for them, and as far again.
   * @throws SettlementLost and what else the ledger throws: then nothing more may be delivered
   */
  raise(bytes: number): Promise<void> {
    this.#raising ??= this.#raise(bytes).finally(() => {
      this.#raising = null;
    });
    return this.#raising;
  }

  async #raise(bytes: number): Promise<void> {
    const needed = estimateTokens(bytes);
    if (needed <= this.#tokens && this.#tokens > 0 && this.exhausted) return;
    const wanted = Math.max(firstTokens, needed * 2);
    await this.#hold.confirmed;
    const short = this.#costOf(wanted) - this.#hold.granted;
    if (short > 0) await this.#grow(nano(short), this.#costOf(needed) - this.#hold.granted);
    const tokens = Math.min(wanted, this.#payable());
    if (tokens < wanted) this.exhausted = true;
    if (tokens <= this.#tokens) return;
    const { id, inputTokens } = this.#plan;
    const checkpoint = { id, amount: this.#costOf(tokens), inputTokens, outputTokens: tokens };
    if (this.#tokens === 0) await this.#ledger.checkpoints.begin(checkpoint);
    else await this.#ledger.checkpoints.raise(checkpoint);
    this.#tokens = tokens;
  }

  /** Waits, within the ledger's bound, for money that other requests hold; a wallet that is empty gives what it has left. */
  async #grow(amount: Nano, least: number): Promise<void> {
    try {
      await this.#hold.grow(amount, nano(Math.max(0, Math.min(amount, least))));
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'insufficient_credits')) throw error;
      await this.#hold.grow(amount, nano(0));
    }
  }

  #costOf(tokens: number): Nano {
    const cost = this.#plan.inputCost + costOf([[tokens, this.#plan.outputPrice]]);
    return nano(Math.min(cost, this.#plan.most));
  }

  /** Tokens that the hold pays for. */
  #payable(): number {
    const { outputPrice, inputCost, most } = this.#plan;
    if (outputPrice === 0 || this.#hold.granted >= most)
      return Number.MAX_SAFE_INTEGER / bytesPerToken;
    const left = Math.max(0, this.#hold.granted - inputCost);
    return Math.floor((left * 1000) / outputPrice);
  }
}
