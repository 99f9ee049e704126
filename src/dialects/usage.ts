/** What an answer used, in one form for every dialect. */

/** Tokens by class. `input` is what has no class of its own; `output` includes reasoning, images and sound. */
export interface Usage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly cacheWrite1h: number;
  readonly imageInput: number;
  readonly audioInput: number;
  readonly output: number;
  readonly reasoning: number;
  readonly imageOutput: number;
  readonly audioOutput: number;
  /** Names of numbers in the provider's usage that we do not know, and contradictions: for the operator's review. */
  readonly flags: readonly string[];
}

export function promptTokens(usage: Usage): number {
  const { input, cacheRead, cacheWrite, cacheWrite1h, imageInput, audioInput } = usage;
  return input + cacheRead + cacheWrite + cacheWrite1h + imageInput + audioInput;
}

/** What a provider means by the numbers of its usage. */
export interface UsageRules {
  /** Where it counts tokens of a cache: inside `prompt_tokens`, beside them, or inside unless they are more. */
  readonly cacheCounted: 'inside' | 'outside' | 'either';
  /** `completion_tokens` do not count reasoning tokens, which are billed all the same; `perhaps`: `total_tokens` tells. */
  readonly completionExcludesReasoning: boolean | 'perhaps';
}
