/** What a gateway process knows of wallets without asking: each as the last commit of this process left it. */
import type { Hold, WalletState } from './batch.ts';
import type { Nano } from './money.ts';

export interface KnownWallet {
  readonly balance: number;
  readonly free: number;
  /** `performance.now()`, as is `movedAt`. */
  readonly readAt: number;
  /** When it was seen last that a request had ended, or that money had come. */
  readonly movedAt: number;
  /** Keys that pay from it have limits, which this process does not know. */
  readonly isLimited: boolean;
  /** Sum of holds that were asked for and not yet answered. */
  unconfirmed: number;
}

const richness = { holds: 10, readWithinMs: 5000, committedWithinMs: 1000 } as const;

export class KnownWallets {
  readonly #wallets = new Map<number, KnownWallet>();
  #lastCommit = Number.NEGATIVE_INFINITY;

  get(walletId: number): KnownWallet | undefined {
    return this.#wallets.get(walletId);
  }

  /** Takes over what a commit has answered. */
  learn(wallets: readonly WalletState[]): void {
    const readAt = performance.now();
    this.#lastCommit = readAt;
    for (const { walletId, balance, held, isLimited } of wallets) {
      const before = this.#wallets.get(walletId);
      const free = balance - held;
      const isMoved = !before || balance !== before.balance || free > before.free;
      const movedAt = isMoved ? readAt : before.movedAt;
      const unconfirmed = before?.unconfirmed ?? 0;
      this.#wallets.set(walletId, { balance, free, readAt, movedAt, isLimited, unconfirmed });
    }
  }

  /** A hold was asked for. */
  ask({ walletId, wanted }: Pick<Hold, 'walletId' | 'wanted'>): void {
    const known = this.#wallets.get(walletId);
    if (known) known.unconfirmed += wanted;
  }

  /** It was answered. */
  answered({ walletId, wanted, grow }: Hold): void {
    const known = this.#wallets.get(walletId);
    if (known && !grow) known.unconfirmed = Math.max(0, known.unconfirmed - wanted);
  }

  /** Whether a hold of this size may travel beside the upstream call instead of before it. */
  isComfortable(walletId: number, amount: Nano): boolean {
    const known = this.#wallets.get(walletId);
    if (!known || known.isLimited) return false;
    const now = performance.now();
    return (
      known.free - known.unconfirmed >= richness.holds * amount &&
      now - known.readAt < richness.readWithinMs &&
      now - this.#lastCommit < richness.committedWithinMs
    );
  }
}
