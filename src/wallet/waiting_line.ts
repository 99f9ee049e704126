/**
 * Holds that wait for money which other requests of their wallet hold: in line, so that a large one is not overtaken for
 * ever by small ones. What grows a hold never stands behind: its answer is on its way, and gives money back when it is done.
 */
import type { Hold } from './batch.ts';

export interface InLine {
  readonly work: Hold;
  /** `performance.now()` after which it is refused instead of waiting on. Whoever came first has the earliest. */
  readonly deadline: number;
  /** It waited, and its turn has come. */
  isNext: boolean;
}

export class WaitingLine<T extends InLine> {
  #line: T[] = [];

  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  push(pending: T): void {
    this.#line.push(pending);
  }

  /** Of holds that would go, those that may; the others step behind those of their wallet that wait already. */
  letPass(holds: T[]): T[] {
    if (this.#line.length === 0) return holds;
    const short = new Set(this.#line.map(({ work }) => work.walletId));
    return holds.filter((pending) => {
      const mayPass = pending.work.grow || pending.isNext || !short.has(pending.work.walletId);
      if (!mayPass) this.#line.push(pending);
      return mayPass;
    });
  }

  /**
   * Takes out those whose turn has come: of each wallet, first come first served, as many as its free money will do for, and
   * at least the first; also those whose time is over, for their last try.
   * @param freeOf nano-USD that a wallet has free, as far as is known
   */
  takeNext(freeOf: (walletId: number) => number): T[] {
    if (this.#line.length === 0) return [];
    const now = performance.now();
    const left = new Map<number, number>();
    const next: T[] = [];
    const staying: T[] = [];
    for (const pending of this.#line.sort((a, b) => a.deadline - b.deadline)) {
      const { walletId, wanted, grow } = pending.work;
      const before = left.get(walletId);
      const rest = (before ?? freeOf(walletId)) - wanted;
      if (grow || before === undefined || rest >= 0 || now >= pending.deadline) {
        pending.isNext = true;
        next.push(pending);
      } else staying.push(pending);
      left.set(walletId, rest >= 0 ? rest : Number.NEGATIVE_INFINITY);
    }
    this.#line = staying;
    return next;
  }
}
