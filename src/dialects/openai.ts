/** OpenAI Chat Completions as providers speak it: what we send, and how usage is read. No I/O. */
import type { ChatBody, ChatTarget, Dialect } from './dialect.ts';
import { type Edits, editMembers, type Fields, fields } from './members.ts';
import { constraintEdits, effortEdits } from './openai_model.ts';
import { EventSplitter } from './stream.ts';
import type { Usage, UsageRules } from './usage.ts';

/** What it answers is what our clients read, and goes through as it is. */
export const openai: Dialect = {
  chatPath: () => '/chat/completions',
  headers: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  writeChat: writeChatRequest,
  readWhole: (text) => text,
  isStream: (contentType) => /^text\/event-stream\b/i.test(contentType),
  readStream: (mostEventBytes) => new EventSplitter(mostEventBytes),
};

/** What was meant for us. */
const ours = ['max_cost', 'models', 'provider', 'session_id', 'route'] as const;

/** The upstream's request: the client's bytes with the model's name, the cap and the wish for usage put in. @throws Unsupported */
function writeChatRequest(body: ChatBody, target: ChatTarget): string {
  const { text, parsed } = body;
  const edits = chatEdits(body, target);
  if (parsed.reasoning !== undefined || parsed.include_reasoning !== undefined)
    Object.assign(edits, effortEdits(parsed));
  if (target.constraints.length > 0)
    Object.assign(edits, constraintEdits(parsed, target.constraints));
  return editMembers(text, parsed, edits);
}

/** What is put into every request, and what was meant for us taken out. */
export function chatEdits(body: ChatBody, target: ChatTarget): Record<string, Edits[string]> {
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
  for (const name of ours) if (body.parsed[name] !== undefined) edits[name] = null;
  if (body.parsed.stream === true)
    edits.stream_options = JSON.stringify({
      ...options(body.parsed),
      include_usage: true,
      // Ours, which no provider knows.
      resumable: undefined,
    });
  return edits;
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

/** No context window comes near it: a number beyond is no count of tokens. */
const mostTokens = 500_000_000;

/** A token count that may be left out; NaN when it is there and is none. */
function count(value: unknown): number {
  if (value === undefined || value === null) return 0;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostTokens
    ? value
    : Number.NaN;
}

/** Numbers whose meaning we know, or know to carry no price of their own, and objects with more of them. */
interface Known {
  readonly numbers: ReadonlySet<string>;
  readonly objects: ReadonlyMap<string, Known>;
}

function knowing(numbers: readonly string[], objects: Readonly<Record<string, Known>> = {}): Known {
  return { numbers: new Set(numbers), objects: new Map(Object.entries(objects)) };
}

const cacheCreation = knowing(['ephemeral_5m_input_tokens', 'ephemeral_1h_input_tokens']);
const known = knowing(
  [
    'prompt_tokens',
    'completion_tokens',
    'total_tokens',
    'cached_tokens',
    'reasoning_tokens',
    'cache_creation_input_tokens',
    'cache_read_input_tokens',
    'prompt_cache_hit_tokens',
    'prompt_cache_miss_tokens',
    'cost',
    'estimated_cost',
    'cost_in_usd_ticks',
    'queue_time',
    'prompt_time',
    'completion_time',
    'total_time',
  ],
  {
    // Of Perplexity: not what the client pays.
    cost: knowing(['input_tokens_cost', 'output_tokens_cost', 'request_cost', 'total_cost']),
    prompt_tokens_details: knowing(
      [
        'cached_tokens',
        'cache_write_tokens',
        'cache_creation_input_tokens',
        'text_tokens',
        'image_tokens',
        'audio_tokens',
      ],
      {
        cached_tokens_details: knowing(['text_tokens', 'image_tokens', 'audio_tokens']),
        cache_creation: cacheCreation,
      },
    ),
    completion_tokens_details: knowing([
      'reasoning_tokens',
      'text_tokens',
      'image_tokens',
      'audio_tokens',
      'accepted_prediction_tokens',
      'rejected_prediction_tokens',
    ]),
    cache_creation: cacheCreation,
  },
);

const mostFlags = 20;
const mostFlagLength = 64;

function unknownNumbers(
  value: unknown,
  here: Known | undefined,
  path: string,
  found: string[],
): void {
  const members = fields(value);
  for (const name in members) {
    const member = members[name];
    if (found.length >= mostFlags) return;
    if (typeof member === 'number') {
      if (member !== 0 && !here?.numbers.has(name))
        found.push((path + name).slice(0, mostFlagLength));
    } else if (typeof member === 'object' && member !== null)
      unknownNumbers(member, here?.objects.get(name), `${path}${name}.`, found);
  }
}

interface PromptParts {
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly cacheWrite1h: number;
  /** What of images and sound was not read from a cache. */
  readonly imageInput: number;
  readonly audioInput: number;
  /** Read from a cache; its price is that of text there, for want of another. */
  readonly cachedAudio: number;
}

function promptParts(usage: Fields): PromptParts {
  const details = fields(usage.prompt_tokens_details);
  const cached = fields(details.cached_tokens_details);
  const written = fields(details.cache_creation ?? usage.cache_creation);
  const cacheWrite1h = count(written.ephemeral_1h_input_tokens);
  const allWritten = count(
    details.cache_write_tokens ??
      details.cache_creation_input_tokens ??
      usage.cache_creation_input_tokens ??
      count(written.ephemeral_5m_input_tokens) + cacheWrite1h,
  );
  const cacheRead =
    details.cached_tokens ??
    usage.prompt_cache_hit_tokens ??
    usage.cached_tokens ??
    usage.cache_read_input_tokens;
  const fresh = (name: 'image_tokens' | 'audio_tokens'): number =>
    Math.max(0, count(details[name]) - count(cached[name]));
  return {
    cacheRead: count(cacheRead),
    cacheWrite: Math.max(0, allWritten - cacheWrite1h),
    cacheWrite1h,
    imageInput: fresh('image_tokens'),
    audioInput: fresh('audio_tokens'),
    cachedAudio: count(cached.audio_tokens),
  };
}

/**
 * Reads the `usage` of an OpenAI-shaped answer by what its provider means by it.
 * @returns null when it is missing or makes no sense, so that the caller must estimate
 */
export function readUsage(value: unknown, rules: UsageRules): Usage | null {
  const usage = fields(value);
  if (typeof usage.prompt_tokens !== 'number' || typeof usage.completion_tokens !== 'number')
    return null;
  const prompt = count(usage.prompt_tokens);
  const completion = count(usage.completion_tokens);
  const total = count(usage.total_tokens);
  const parts = promptParts(usage);
  const { cacheRead, cacheWrite, cacheWrite1h } = parts;
  const details = fields(usage.completion_tokens_details);
  const reasoning = count(details.reasoning_tokens ?? usage.reasoning_tokens);
  const cached = cacheRead + cacheWrite + cacheWrite1h;
  const isOutside =
    rules.cacheCounted === 'outside' || (cached > prompt && rules.cacheCounted === 'either');
  const flags: string[] = [];
  unknownNumbers(usage, known, '', flags);
  // Said to be within, and more than the whole: it can only be beside it.
  if (cached > prompt && !isOutside) flags.push('the cache exceeds prompt_tokens');
  const promptTotal = isOutside || cached > prompt ? prompt + cached : prompt;
  const fresh = promptTotal - cached;
  const imageInput = Math.min(parts.imageInput, fresh);
  const audioInput = Math.min(parts.audioInput, fresh - imageInput);
  // Said to be within nothing: it can only be beside it.
  const isBeside = completion === 0 && reasoning > 0;
  const excluded = rules.completionExcludesReasoning === true || isBeside ? reasoning : 0;
  const output = rules.completionExcludesReasoning
    ? Math.max(completion + excluded, total - promptTotal)
    : completion + excluded;
  // Also not a number where any of them is none.
  if (!Number.isSafeInteger(fresh + cached + parts.imageInput + parts.audioInput)) return null;
  const thought = Math.min(reasoning, output);
  const imageOutput = Math.min(count(details.image_tokens), output - thought);
  const audioOutput = Math.min(count(details.audio_tokens), output - thought - imageOutput);
  if (!Number.isSafeInteger(output + reasoning + total + imageOutput + audioOutput)) return null;
  if (parts.cachedAudio > 0) flags.push('no price for cached audio');
  if (imageInput + audioInput < parts.imageInput + parts.audioInput)
    flags.push('images and sound exceed prompt_tokens');
  if (imageOutput + audioOutput < count(details.image_tokens) + count(details.audio_tokens))
    flags.push('images and sound exceed completion_tokens');
  if (isBeside && !rules.completionExcludesReasoning)
    flags.push('reasoning_tokens exceed completion_tokens');
  if (!rules.completionExcludesReasoning && total > promptTotal + output)
    flags.push('total_tokens exceeds its parts');
  return {
    input: fresh - imageInput - audioInput,
    cacheRead,
    cacheWrite,
    cacheWrite1h,
    imageInput,
    audioInput,
    output,
    reasoning: thought,
    imageOutput,
    audioOutput,
    flags,
  };
}

/** The reason inside an upstream's error body, whichever of the known shapes it has; null when there is none. */
export function errorMessage(body: unknown): string | null {
  const { error, message, detail, fault } = fields(body);
  // What did not fit the form of a request, as its validator tells it.
  const [wrong] = [detail, fields(message).detail].flatMap((found) =>
    Array.isArray(found) ? found.map((one) => fields(one).msg) : [],
  );
  const candidates = [
    error,
    fields(error).message,
    fields(fields(error).message).message,
    message,
    detail,
    fields(fault).faultstring,
    wrong,
  ];
  const text = candidates.find((candidate) => typeof candidate === 'string' && candidate !== '');
  return typeof text === 'string' ? text : null;
}
