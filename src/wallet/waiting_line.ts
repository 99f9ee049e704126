/**
 * Holds that wait for money which other requests of their wallet, or of their key that has limits, hold: in line, so that a
 * large one is not overtaken for ever by small ones. What grows a hold never stands behind: its answer is on its way, and gives money back when it is done.
 */
import type { Hold } from './batch.ts';
import type { KnownWallet } from './known_wallets.ts';

export interface InLine {
  readonly work: Hold;
  /** `performance.now()` when the request came for money first. */
  readonly askedAt: number;
  /** It waited, and its turn has come. */
  isNext: boolean;
  /** Whose money it waited for last. */
  waitsFor: 'wallet' | 'key';
}

/** Nobody waits longer than so many times the usual, however fast others come to their end. */
const mostWaits = 6;

export class WaitingLine<T extends InLine> {
  readonly #waitMs: number;
  #line: T[] = [];

  /** @param waitMs how long a hold waits without any of those end that hold the money; ms */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  /**
   * Whether a hold need not be refused yet. As long as requests of its wallet come to their end, its turn comes nearer. A
   * stream that wants to grow holds money itself, and waits no longer for others of its kind.
   * @param wallet what is known of it
   */
  mayWaitOn({ work, askedAt }: T, wallet: KnownWallet | undefined): boolean {
    const waited = performance.now() - askedAt;
    if (waited < this.#waitMs) return true;
    const movedAt = wallet?.movedAt ?? Number.NEGATIVE_INFINITY;
    return (
      !work.grow && waited < mostWaits * this.#waitMs && performance.now() - movedAt < this.#waitMs
    );
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
   * @param walletOf what is known of a wallet
   */
  takeNext(walletOf: (walletId: number) => KnownWallet | undefined): T[] {
    if (this.#line.length === 0) return [];
    const left = new Map<number, number>();
    const next: T[] = [];
    const staying: T[] = [];
    for (const pending of this.#line.sort((a, b) => a.askedAt - b.askedAt)) {
      const { walletId, wanted, grow } = pending.work;
      if (pending.waitsFor === 'key') {
        pending.isNext = true;
        next.push(pending);
        continue;
      }
      const known = walletOf(walletId);
      const before = left.get(walletId);
      const rest = (before ?? known?.free ?? 0) - wanted;
      const isLate = !this.mayWaitOn(pending, known);
      if (grow || before === undefined || rest >= 0 || isLate) {
        pending.isNext = true;
        next.push(pending);
      } else staying.push(pending);
      left.set(walletId, rest >= 0 ? rest : Number.NEGATIVE_INFINITY);
    }
    this.#line = staying;
    return next;
  }
}
