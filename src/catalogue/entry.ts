/** The form of the catalogue's data: what a person edits in authors/ and providers/. catalogue.ts makes it ready for use. */

import type { DialectName } from '../dialects/dialects.ts';
import type { Quirks } from '../dialects/quirks.ts';

/** Where a price was read; an offer names one of these. */
export const sources = {
  pi: 'npm package @earendil-works/pi-ai 1.5.2, data of 2026-11-10',
  cline: 'npm package @cline/llms 0.0.86, data of 2026-09-27',
  mdev: 'models.dev, commit f3fc6922 of 2026-07-02',
  vendor: "the vendor's own price page",
  operator: 'the operator of this installation',
} as const;

/**
 * Decimal strings: USD per million tokens, at most six decimals. A class that is left out costs what `input` or `output`
 * costs, and where that may be wrong (writing to a cache, sound), the receipt is flagged.
 */
export interface PriceEntry {
  readonly input: string;
  readonly output: string;
  readonly cachedInput?: string;
  readonly cacheWrite?: string;
  readonly cacheWrite1h?: string;
  readonly reasoning?: string;
  readonly imageInput?: string;
  readonly imageOutput?: string;
  readonly audioInput?: string;
  readonly audioOutput?: string;
  /** USD for each request, besides its tokens; at most twelve decimals. */
  readonly request?: string;
}

/** Prices of a whole request whose prompt has more than `aboveInputTokens` tokens. */
export interface TierEntry extends PriceEntry {
  readonly aboveInputTokens: number;
}

/** Prices from a day on. */
export interface PriceChangeEntry {
  /** They hold from the first moment of this day in Asia/Dhaka. */
  readonly from: string;
  readonly prices: PriceEntry;
  readonly tiers?: readonly TierEntry[];
  readonly source: keyof typeof sources;
  readonly asOf: string;
}

export interface OfferEntry {
  /** Our id of the model. */
  readonly model: string;
  /** The provider's own name for it. */
  readonly upstream: string;
  /** Where this provider is spoken to otherwise for it. */
  readonly dialect?: DialectName;
  readonly prices: PriceEntry;
  /** Ascending. */
  readonly tiers?: readonly TierEntry[];
  /** What replaces `prices` and `tiers` later; days ascend. A request pays what is in force when it is accepted. */
  readonly changes?: readonly PriceChangeEntry[];
  /** Tokens, where this provider allows fewer than the model could. */
  readonly contextLength?: number;
  readonly maxOutputTokens?: number;
  readonly source: keyof typeof sources;
  /** Day on which the price was read there. */
  readonly asOf: string;
}

export interface ProviderEntry {
  /** Also the stem of its variables: `groq` → `GROQ_API_KEY`, `GROQ_BASE_URL`. */
  readonly id: string;
  readonly name: string;
  readonly dialect: DialectName;
  /** What the dialect's paths are appended to. Where a part is in braces, only the operator knows the whole: its `…_BASE_URL` must be set. */
  readonly baseUrl: string;
  /** What its key may be besides a text that is sent as it is: the JSON of a service account of Google, which signs for tokens. */
  readonly key?: 'service-account';
  readonly tokenLimitField: 'max_tokens' | 'max_completion_tokens';
  /**
   * Where its usage counts tokens that were read from or written to a cache: inside `prompt_tokens`, beside them, or
   * either: inside unless there are more of them than of those.
   */
  readonly cacheCounted: 'inside' | 'outside' | 'either';
  /**
   * Its `completion_tokens` do not count reasoning tokens, which are billed all the same. `perhaps`: they may or may not; then
   * `total_tokens` tells.
   */
  readonly completionExcludesReasoning?: boolean | 'perhaps';
  /** How it differs from OpenAI, whose dialect it speaks; without any, requests and answers go through as they are. */
  readonly quirks?: Quirks;
  readonly offers: readonly OfferEntry[];
}

/** What a model answers with a 400 although its dialect has a word for it. */
export type Constraint =
  | 'rejects_sampling_params'
  /** As above, unless the effort is `none`. */
  | 'rejects_sampling_params_with_reasoning'
  | 'rejects_forced_tool_choice'
  | 'thinking_cannot_be_disabled'
  | 'rejects_thinking_budget_tokens'
  | 'rejects_tools_with_reasoning'
  /** A prompt without sound. */
  | 'needs_audio';

export interface ModelEntry {
  /** The part of the id after the author. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Day of release. */
  readonly released: string;
  /** Unix seconds, where the public documentation shows another moment than the release. */
  readonly created?: number;
  readonly contextLength: number;
  readonly maxOutputTokens: number;
  /** Besides text. */
  readonly input?: readonly ('image' | 'file' | 'audio' | 'video')[];
  readonly reasoning?: boolean;
  /** Request parameters that it understands, separated by blanks. */
  readonly parameters: string;
  readonly constraints?: readonly Constraint[];
  readonly aliases?: readonly string[];
  /** Day on which the maker switches it off, and the id that takes its place. */
  readonly sunset?: { readonly date: string; readonly replacedBy: string | null };
}

export interface AuthorEntry {
  /** The part of its models' ids before the slash. */
  readonly id: string;
  readonly name: string;
  readonly models: readonly ModelEntry[];
}
