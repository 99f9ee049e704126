/** OpenAI Chat Completions as providers speak it: what we send, and how usage is read. No I/O. */
import { type Edits, editMembers } from './members.ts';
import type { Usage } from './usage.ts';

export const chatPath = '/chat/completions';

export interface ChatBody {
  /** The client's JSON text and what it parses to. */
  readonly text: string;
  readonly parsed: Readonly<Record<string, unknown>>;
}

export interface ChatTarget {
  readonly upstreamModel: string;
  readonly tokenLimitField: 'max_tokens' | 'max_completion_tokens';
  /** Most tokens of output for one choice that the hold pays for; null where the client's own limit is all paid for. */
  readonly cap: number | null;
}

/** The upstream's request: the client's bytes with the model's name, the cap and the wish for usage put in. */
export function writeChatRequest(body: ChatBody, target: ChatTarget): string {
  const edits: Record<string, Edits[string]> = {
    model: JSON.stringify(target.upstreamModel),
  };
  const limit = target.cap ?? clientLimit(body.parsed);
  if (limit !== null) {
    // Under the one name that this provider knows.
    edits.max_tokens = null;
    edits.max_completion_tokens = null;
    edits[target.tokenLimitField] = String(limit);
  }
  if (body.parsed.stream === true)
    edits.stream_options = JSON.stringify({ ...options(body.parsed), include_usage: true });
  return editMembers(body.text, body.parsed, edits);
}

/**
 * The client's limit of output tokens for one choice; null when it set none. Where it sends both names, providers differ
 * in which they obey: the lower one is the least that all keep to.
 */
export function clientLimit(parsed: Readonly<Record<string, unknown>>): number | null {
  const { max_tokens, max_completion_tokens } = parsed;
  const given = [max_completion_tokens, max_tokens].filter((limit) => typeof limit === 'number');
  return given.length === 0 ? null : Math.min(...given);
}

function options(parsed: Readonly<Record<string, unknown>>): object {
  const { stream_options } = parsed;
  return typeof stream_options === 'object' && stream_options !== null ? stream_options : {};
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields {
  // as: any object may be read by name
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** No context window comes near it: a number beyond is no count of tokens. */
const mostTokens = 500_000_000;

/** A token count that may be left out; NaN when it is there and is none. */
function count(value: unknown): number {
  if (value === undefined || value === null) return 0;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostTokens
    ? value
    : Number.NaN;
}

function first(...values: unknown[]): unknown {
  return values.find((value) => value !== undefined && value !== null);
}

/** Numbers whose meaning we know, or know to carry no price of their own. */
const known = new Set([
  'prompt_tokens',
  'completion_tokens',
  'total_tokens',
  'cached_tokens',
  'cache_write_tokens',
  'cache_creation_input_tokens',
  'cache_read_input_tokens',
  'prompt_cache_hit_tokens',
  'prompt_cache_miss_tokens',
  'reasoning_tokens',
  'text_tokens',
  'accepted_prediction_tokens',
  'rejected_prediction_tokens',
  'image_tokens',
  'cost',
  'estimated_cost',
  'cost_in_usd_ticks',
  'queue_time',
  'prompt_time',
  'completion_time',
  'total_time',
]);

const mostFlags = 20;
const mostFlagLength = 64;

function unknownNumbers(value: unknown, path: string, found: string[]): void {
  const members = fields(value);
  for (const name in members) {
    const member = members[name];
    if (found.length >= mostFlags) return;
    if (typeof member === 'number' && member !== 0 && !known.has(name))
      found.push((path + name).slice(0, mostFlagLength));
    else if (typeof member === 'object') unknownNumbers(member, `${path}${name}.`, found);
  }
}

/**
 * Reads the `usage` of an OpenAI-shaped answer. `prompt_tokens` includes what was read from and written to caches;
 * `completion_tokens` includes reasoning, but for providers that say otherwise (xAI, Gemini's compatible endpoint).
 * @returns null when it is missing or makes no sense, so that the caller must estimate
 */
export function readUsage(value: unknown, completionExcludesReasoning: boolean): Usage | null {
  const usage = fields(value);
  if (typeof usage.prompt_tokens !== 'number' || typeof usage.completion_tokens !== 'number')
    return null;
  const promptDetails = fields(usage.prompt_tokens_details);
  const completionDetails = fields(usage.completion_tokens_details);
  const prompt = count(usage.prompt_tokens);
  const completion = count(usage.completion_tokens);
  const total = count(usage.total_tokens);
  const cacheRead = count(
    first(promptDetails.cached_tokens, usage.prompt_cache_hit_tokens, usage.cached_tokens),
  );
  const cacheWrite = count(
    first(promptDetails.cache_write_tokens, usage.cache_creation_input_tokens),
  );
  const reasoning = count(first(completionDetails.reasoning_tokens, usage.reasoning_tokens));
  const flags: string[] = [];
  unknownNumbers(usage, '', flags);
  // Some count the cache beside the prompt instead of within it.
  const cached = cacheRead + cacheWrite;
  const input = cached <= prompt ? prompt - cached : prompt;
  const output = completionExcludesReasoning
    ? Math.max(completion + reasoning, total - prompt)
    : completion;
  if (!Number.isSafeInteger(input + cached + output + reasoning + total)) return null;
  if (!completionExcludesReasoning && total > Math.max(prompt, input + cached) + completion)
    flags.push('total_tokens exceeds its parts');
  return {
    input,
    cacheRead,
    cacheWrite,
    cacheWrite1h: 0,
    output,
    reasoning: Math.min(reasoning, output),
    flags,
  };
}

/** The reason inside an upstream's error body, whichever of the known shapes it has; null when there is none. */
export function errorMessage(body: unknown): string | null {
  const { error, message, detail } = fields(body);
  const candidates = [
    error,
    fields(error).message,
    fields(fields(error).message).message,
    message,
    detail,
  ];
  const text = candidates.find((candidate) => typeof candidate === 'string' && candidate !== '');
  return typeof text === 'string' ? text : null;
}
