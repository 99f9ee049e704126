/**
 * How long the answers of each model are, learnt from those that were settled: what a stream holds money
 * for at first, and what a quote takes for likely.
 */
import type { Sql } from '../db/database.ts';
import { recentAnswers } from '../wallet/recent_answers.ts';

/** Receipts that a new process looks at. */
const rememberedAnswers = 2000;
/** Tokens of a model that has not answered yet. */
const firstLong = 1024;
const firstUsual = 256;
/** Of a hundred answers, this part is no longer than `long`. */
const quantile = 0.95;
/** How far one answer moves what was learnt: about twenty of them forget the past. */
const pace = 0.2;
/** What the first checkpoint of a stream covers: a hold of less would have to grow before the first byte. */
const shortest = 256;
const longest = 65_536;

interface Learnt {
  /** Tokens that nineteen of twenty answers do not exceed. */
  long: number;
  /** Tokens of an answer on average. */
  usual: number;
}

export class Lengths {
  readonly #models = new Map<string, Learnt>();

  /** What earlier processes could have learnt. */
  async recall(sql: Sql): Promise<void> {
    for (const { model, tokens } of await recentAnswers(sql, rememberedAnswers))
      this.learn(model, tokens);
  }

  /** Tokens that an answer seldom exceeds. */
  long(model: string): number {
    return Math.ceil(this.#models.get(model)?.long ?? firstLong);
  }

  /** Tokens that an answer has on average. */
  usual(model: string): number {
    return Math.ceil(this.#models.get(model)?.usual ?? firstUsual);
  }

  /** @param tokens of a whole answer, over all its choices */
  learn(model: string, tokens: number): void {
    let learnt = this.#models.get(model);
    if (!learnt) {
      learnt = { long: firstLong, usual: firstUsual };
      this.#models.set(model, learnt);
    }
    // Where the steps up and the steps down balance, `quantile` of all answers are below.
    const step = tokens > learnt.long ? 1 + pace * quantile : 1 - pace * (1 - quantile);
    learnt.long = Math.min(longest, Math.max(shortest, learnt.long * step));
    learnt.usual += (tokens - learnt.usual) * pace * 0.5;
  }
}
