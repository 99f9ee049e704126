/** Anthropic's answers in OpenAI's form: what whole answers and streams have in common, and whole answers. */
import { messageOf } from './anthropic_events.ts';
import { reasoningFormat } from './anthropic_messages.ts';
import { reasoningWish } from './anthropic_model.ts';
import { answerTool } from './anthropic_request.ts';
import { type ChatBody, Unreadable } from './dialect.ts';
import { type Fields, fields } from './members.ts';
import { StreamError } from './stream.ts';

const finishReasons: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** @param hasCalls whether the client got any calls: a JSON answer by way of a tool is none */
export function finishReasonOf(stopReason: unknown, hasCalls: boolean): string {
  const reason = finishReasons[String(stopReason)] ?? 'stop';
  return reason === 'tool_calls' && !hasCalls ? 'stop' : reason;
}

/** Why Claude refused, where it said so. */
export function refusalOf(stopDetails: unknown): string | null {
  const { type, explanation } = fields(stopDetails);
  return type === 'refusal' && typeof explanation === 'string' ? explanation : null;
}

/** What of an answer its client has asked for. */
export interface Shown {
  readonly reasoning: boolean;
  /** The answer comes as the input of `answerTool`. */
  readonly isAnswerTool: (name: unknown) => boolean;
}

export function shownOf({ parsed }: ChatBody): Shown {
  const wantsSchema = fields(parsed.response_format).type === 'json_schema';
  return {
    reasoning: !reasoningWish(parsed).exclude,
    isAnswerTool: (name) => wantsSchema && name === answerTool,
  };
}

/** One of `reasoning_details`. @param index among these, not among the blocks */
export function reasoningDetail(type: 'text' | 'encrypted', index: number, rest: Fields): Fields {
  return { type: `reasoning.${type}`, ...rest, format: reasoningFormat, index };
}

/**
 * Usage as OpenAI counts it, with the caches inside of the prompt. Members that nobody here knows are kept under their own
 * names, so that whoever prices it sees them.
 * @returns null where there are no counts of tokens
 */
export function usageOf(raw: Fields): Fields | null {
  const {
    input_tokens,
    output_tokens,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    cache_creation,
    output_tokens_details,
    ...others
  } = raw;
  if (typeof input_tokens !== 'number' || typeof output_tokens !== 'number') return null;
  const { thinking_tokens, ...otherDetails } = fields(output_tokens_details);
  const creation = fields(cache_creation);
  const prompt = input_tokens + numberOf(written) + numberOf(read);
  return {
    prompt_tokens: prompt,
    completion_tokens: output_tokens,
    total_tokens: prompt + output_tokens,
    prompt_tokens_details: {
      cached_tokens: numberOf(read),
      cache_write_tokens: numberOf(written),
      ...(Object.keys(creation).length > 0 ? { cache_creation: creation } : {}),
    },
    completion_tokens_details: { reasoning_tokens: numberOf(thinking_tokens), ...otherDetails },
    ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null)),
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** Seconds since 1970, which Anthropic does not tell. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** @throws Unreadable */
export function readMessage(text: string, body: ChatBody): string {
  return completionOf(parseMessage(text), body);
}

/** A whole message as the text of an OpenAI chat completion. */
export function completionOf(message: Fields, body: ChatBody): string {
  const blocks = (Array.isArray(message.content) ? message.content : []).map(fields);
  const shown = shownOf(body);
  const { content, calls } = saidIn(blocks, shown);
  const refusal = refusalOf(message.stop_details);
  const finish_reason = finishReasonOf(message.stop_reason, calls.length > 0);
  const isSilent = content === '' && (calls.length > 0 || finish_reason === 'content_filter');
  const usage = usageOf(fields(message.usage));
  return JSON.stringify({
    id: message.id,
    object: 'chat.completion',
    created: now(),
    model: message.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: isSilent ? null : content,
          refusal,
          ...(shown.reasoning ? reasoningIn(blocks) : {}),
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
        },
        logprobs: null,
        finish_reason,
      },
    ],
    ...(usage ? { usage } : {}),
  });
}

/** @throws Unreadable */
function parseMessage(text: string): Fields {
  let message: Fields;
  try {
    // What may take long was asked for as a stream.
    message = /^\s*\{/.test(text) ? fields(JSON.parse(text)) : messageOf(text);
  } catch (cause) {
    const reason = cause instanceof StreamError ? cause.message : 'the answer is not JSON';
    throw new Unreadable(reason, { cause });
  }
  if (message.type !== 'message' || !Array.isArray(message.content))
    throw new Unreadable('the answer is no message');
  return message;
}

function saidIn(blocks: readonly Fields[], shown: Shown): { content: string; calls: Fields[] } {
  const calls: Fields[] = [];
  let content = '';
  for (const { type, text, id, name, input, partial_json } of blocks) {
    if (type === 'text' && typeof text === 'string') content += text;
    if (type !== 'tool_use') continue;
    const written = typeof partial_json === 'string' ? partial_json : JSON.stringify(input ?? {});
    if (shown.isAnswerTool(name)) content += written;
    else calls.push({ id, type: 'function', function: { name, arguments: written } });
  }
  return { content, calls };
}

function reasoningIn(blocks: readonly Fields[]): Fields {
  let reasoning = '';
  const details: Fields[] = [];
  for (const { type, thinking, signature, data } of blocks) {
    const index = details.length;
    if (type === 'redacted_thinking') details.push(reasoningDetail('encrypted', index, { data }));
    if (type !== 'thinking') continue;
    details.push(reasoningDetail('text', index, { text: thinking, signature }));
    if (typeof thinking === 'string') reasoning += thinking;
  }
  if (details.length === 0) return {};
  return { ...(reasoning === '' ? {} : { reasoning }), reasoning_details: details };
}
