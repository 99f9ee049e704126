/**
 * Holds that wait for money which other requests of their wallet, or of their key that has limits, hold: in line, so that a
 * large one is not overtaken for ever by small ones. What grows a hold never stands behind: its answer is on its way, and gives money back when it is done.
 */
import type { Hold } from './batch.ts';

export interface InLine {
  readonly work: Hold;
  /** `performance.now()` after which it is refused instead of waiting on. Whoever came first has the earliest. */
  readonly deadline: number;
  /** It waited, and its turn has come. */
  isNext: boolean;
  /** Whose money it waited for last. */
  waitsFor: 'wallet' | 'key';
}

export class WaitingLine<T extends InLine> {
  #line: T[] = [];

  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  push(pending: T): void {
    this.#line.push(pending);
  }

  /**
   * Of holds that would go, those that may; the others step behind those of their wallet that wait already, or whose turn
   * has come only now and may be too early still.
   * @param holds those whose turn has come first
   */
  letPass(holds: T[]): T[] {
    if (this.#line.length === 0 && !holds[0]?.isNext) return holds;
    const short = new Map<number | string | null, InLine['waitsFor']>();
    const note = ({ work, waitsFor }: T): void => {
      short.set(waitsFor === 'key' ? work.keyId : work.walletId, waitsFor);
    };
    this.#line.forEach(note);
    for (const pending of holds) if (pending.isNext) note(pending);
    return holds.filter((pending) => {
      const { grow, walletId, keyId } = pending.work;
      const waitsFor = short.get(walletId) ?? short.get(keyId);
      if (grow || pending.isNext || !waitsFor) return true;
      pending.waitsFor = waitsFor;
      this.#line.push(pending);
      return false;
    });
  }

  /**
   * Takes out those whose turn has come: of each wallet, first come first served, as many as its free money will do for, and
   * at least the first; also those whose time is over, for their last try. Those that wait for their key all go: the database,
   * which alone knows what it has free, lets none pass another.
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
      if (pending.waitsFor === 'key') {
        pending.isNext = true;
        next.push(pending);
        continue;
      }
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
