/** What the gateway needs to know of a chat request. Named parameters are checked by type and range; everything unknown goes through. */
import type { ChatBody } from '../dialects/dialect.ts';
import { clientLimit } from '../dialects/openai.ts';
import { ApiError } from '../errors.ts';
import { MoneyError, type Nano, usdAtMost } from '../wallet/money.ts';
import {
  array,
  boolean,
  type Check,
  either,
  integer,
  listOf,
  number,
  object,
  oneOf,
  string,
} from './checks.ts';
import { type Preferences, preferencesOf } from './preferences.ts';
import { isObject, type PromptSize, promptSize } from './prompt_size.ts';

export interface ChatRequest extends ChatBody, PromptSize {
  readonly model: string;
  /** Tried in this order where the model cannot answer. */
  readonly fallbackModels: readonly string[];
  /** Which providers the client wants; null where it did not say. */
  readonly preferences: Preferences | null;
  /** What the client calls the conversation that this request belongs to; null where it did not say. */
  readonly session: string | null;
  readonly stream: boolean;
  /** The client wants a last chunk with usage. */
  readonly includeUsage: boolean;
  /** The stream may be resumed: it goes on although its client is gone. */
  readonly resumable: boolean;
  /** The client's own limit of output tokens for one choice; null when it set none. */
  readonly maxTokens: number | null;
  readonly choices: number;
  /** The most that the client wants to pay for this request; null when it did not say. */
  readonly maxCost: Nano | null;
}

/** Each may be tried, so each is read, priced and held for. */
const mostModels = 16;

/** OpenAI's parameters and ranges, and OpenRouter's of routing; `null` means "not set" for each of them, as OpenAI has it. */
const parameters: Readonly<Record<string, Check>> = {
  model: string,
  messages: array,
  stream: boolean,
  stream_options: object,
  max_tokens: integer(1),
  max_completion_tokens: integer(1),
  temperature: number(0, 2),
  top_p: number(0, 1),
  n: integer(1, 128),
  stop: either(string, [
    (value) =>
      Array.isArray(value) && value.length <= 4 && value.every((item) => typeof item === 'string'),
    'an array of at most 4 strings',
  ]),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  logit_bias: object,
  logprobs: boolean,
  top_logprobs: integer(0, 20),
  seed: integer(Number.MIN_SAFE_INTEGER),
  tools: array,
  tool_choice: either(string, object),
  parallel_tool_calls: boolean,
  response_format: object,
  reasoning_effort: string,
  verbosity: oneOf('low', 'medium', 'high'),
  modalities: [
    (value) => Array.isArray(value) && value.every((item) => item === 'text'),
    '["text"]: audio tokens have no price here',
  ],
  prediction: object,
  // Other tiers have other prices.
  service_tier: oneOf('auto', 'default'),
  store: boolean,
  metadata: object,
  user: string,
  safety_identifier: string,
  prompt_cache_key: string,
  functions: array,
  function_call: either(string, object),
  models: listOf(mostModels),
  provider: object,
  session_id: string,
  max_cost: either([(value) => typeof value === 'number', 'a number'], string),
};

function invalid(param: string, message: string): ApiError {
  return new ApiError('invalid_request', { param, message });
}

/**
 * Reads a request body.
 * @throws ApiError invalid_json or invalid_request, naming the parameter at fault
 */
export function readChatRequest(body: Buffer): ChatRequest {
  const text = body.toString();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new ApiError('invalid_json', { cause });
  }
  if (!isObject(parsed))
    throw new ApiError('invalid_request', { message: 'The request body must be a JSON object.' });
  for (const name in parsed) {
    const check = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    const value = parsed[name];
    if (check && value !== null && !check[0](value))
      throw invalid(name, `"${name}" must be ${check[1]}.`);
  }
  refuseUnpriced(parsed);
  const { messages, stream, stream_options, n } = parsed;
  const [model, ...fallbackModels] = modelsOf(parsed);
  if (model === undefined) throw invalid('model', 'Missing required field "model".');
  if (!Array.isArray(messages)) throw invalid('messages', 'Missing required field "messages".');
  if (messages.length === 0) throw invalid('messages', '"messages" must not be empty.');
  if (stream !== true && stream_options !== undefined && stream_options !== null)
    throw invalid('stream_options', '"stream_options" is only allowed with "stream": true.');
  return {
    text,
    parsed,
    model,
    fallbackModels,
    preferences: isObject(parsed.provider) ? preferencesOf(parsed.provider) : null,
    session: sessionOf(parsed),
    stream: stream === true,
    includeUsage: isObject(stream_options) && stream_options.include_usage === true,
    resumable: isObject(stream_options) && stream_options.resumable === true,
    maxTokens: clientLimit(parsed),
    choices: typeof n === 'number' ? n : 1,
    maxCost: maxCostOf(parsed.max_cost),
    ...promptSize(parsed, messages, text),
  };
}

/** In the order in which they are tried, none twice; empty where none is named. `models` alone names them all. */
function modelsOf({ model, models }: Readonly<Record<string, unknown>>): readonly string[] {
  const first = typeof model === 'string' && model !== '' ? [model] : [];
  if (!Array.isArray(models)) return first;
  return [...new Set<string>([...first, ...models])];
}

function sessionOf({ session_id, prompt_cache_key }: Readonly<Record<string, unknown>>) {
  if (typeof session_id === 'string') return session_id;
  return typeof prompt_cache_key === 'string' ? prompt_cache_key : null;
}

/**
 * USD as a number or, exact without doubt, as a decimal string; beyond nine decimals it is rounded down.
 * @throws ApiError invalid_request for what is no amount above zero
 */
function maxCostOf(value: unknown): Nano | null {
  if (value === undefined || value === null) return null;
  try {
    const amount = usdAtMost(typeof value === 'string' ? value : Number(value));
    if (amount > 0) return amount;
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
  }
  throw invalid(
    'max_cost',
    '"max_cost" must be an amount of US dollars above 0, such as 0.01 or "0.01".',
  );
}

/**
 * What providers charge apart for, under their names for it, and what has no price here; xAI's answers that are fetched later,
 * which nobody would be charged for; and Azure's searches in what the operator's own identity may read.
 */
const unpriced = [
  'web_search_options',
  'search_parameters',
  'enable_search',
  'plugins',
  'deferred',
  'best_of',
  'safety_model',
  'data_sources',
] as const;

/** @throws ApiError invalid_request for what would cost money that nobody would be charged for */
function refuseUnpriced(parsed: Readonly<Record<string, unknown>>): void {
  for (const name of unpriced)
    if (parsed[name] !== undefined && parsed[name] !== null && parsed[name] !== false)
      throw invalid(name, `"${name}" is not available: it has no price here.`);
  const tools = Array.isArray(parsed.tools) ? parsed.tools : [];
  for (const tool of tools)
    if (!isObject(tool) || (tool.type !== 'function' && tool.type !== 'custom'))
      throw invalid(
        'tools',
        'Each of "tools" must be of type function or custom: no other has a price here.',
      );
}
