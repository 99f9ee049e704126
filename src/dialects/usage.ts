/** What an answer used, in one form for every dialect. */

/** Tokens by class. `input` is what was neither read from nor written to a cache; `output` includes `reasoning`. */
export interface Usage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly cacheWrite1h: number;
  readonly output: number;
  readonly reasoning: number;
  /** Names of numbers in the provider's usage that we do not know, and contradictions: for the operator's review. */
  readonly flags: readonly string[];
}

export function promptTokens(usage: Usage): number {
  return usage.input + usage.cacheRead + usage.cacheWrite + usage.cacheWrite1h;
}
