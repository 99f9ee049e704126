/**
 * How much of a stream may be delivered: no more than the hold pays for and than a committed checkpoint knows of.
 * Grows ahead of the output, doubling, so that delivery seldom waits.
 */
import { ApiError } from '../errors.ts';
import type { Ledger } from '../wallet/ledger.ts';
import { costOf, type Nano, nano } from '../wallet/money.ts';
import { type CheckpointPrices, estimateTokens } from './meter.ts';
import type { OpenHold } from './open_hold.ts';

const bytesPerToken = 4;
/** Tokens of the first checkpoint; later ones are twice what was delivered. More than that a crash never charges. */
const firstTokens = 256;
const endless = Number.MAX_SAFE_INTEGER / bytesPerToken;
/** Part of what is covered after which more is asked for. */
const runningShort = 0.8;

export interface CoveragePlan {
  readonly id: string;
  /** Tokens of the prompt, as estimated. */
  readonly inputTokens: number;
  readonly prices: CheckpointPrices;
  /** What all that is allowed costs: a hold of it pays for whatever may come, and no checkpoint is above it. */
  readonly most: Nano;
  /** What the receipt of a checkpoint says beside its tokens: see `Checkpoint`. */
  readonly basis: string;
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
    const short = this.#payment(wanted) - this.#hold.granted;
    if (short > 0) await this.#grow(nano(short), this.#payment(needed) - this.#hold.granted);
    const tokens = Math.min(wanted, this.#payable());
    if (tokens < wanted) this.exhausted = true;
    if (tokens <= this.#tokens) return;
    const { id, inputTokens, most, basis } = this.#plan;
    // Beyond what the client is to pay, what is delivered is charged no more: by fewer tokens, so that prices explain the amount.
    const outputTokens = Math.min(tokens, this.#within(most));
    const checkpoint = { id, amount: this.#costOf(outputTokens), inputTokens, outputTokens };
    if (this.#tokens === 0) await this.#ledger.checkpoints.begin({ ...checkpoint, basis });
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
    const { inputTokens, prices } = this.#plan;
    return costOf([
      [inputTokens, prices.input],
      [tokens, prices.output],
      [1, prices.request],
    ]);
  }

  /** What the client pays for so many tokens. */
  #payment(tokens: number): Nano {
    return nano(Math.min(this.#costOf(tokens), this.#plan.most));
  }

  /** Tokens whose delivery the hold pays for. */
  #payable(): number {
    const { granted } = this.#hold;
    return granted >= this.#plan.most ? endless : this.#within(granted);
  }

  /** The most tokens that cost no more than an amount. */
  #within(amount: Nano): number {
    const { inputTokens, prices } = this.#plan;
    if (prices.output === 0) return endless;
    const input = BigInt(inputTokens) * BigInt(prices.input) + BigInt(prices.request);
    const left = BigInt(amount) * 1000n - input;
    return left < 0n ? 0 : Math.min(endless, Number(left / BigInt(prices.output)));
  }
}
