/** A client's request as Anthropic's Messages API takes it. */

import { type Block, type Conversation, conversationOf, type Turn } from './anthropic_messages.ts';
import { type Abilities, abilitiesOf, reasoningWish, thinkingOf } from './anthropic_model.ts';
import { closedSchema } from './anthropic_schema.ts';
import { type ChatBody, type ChatTarget, Unsupported } from './dialect.ts';
import { type Fields, fields } from './members.ts';
import { clientLimit } from './openai.ts';

/** By this name a model without native JSON output gives its answer; the readers turn it into content. */
export const answerTool = 'json_answer';

/**
 * Refused, because without them something else would be answered: by name, whether the value asks for anything.
 * What is neither here nor translated below only tunes sampling, speed or book-keeping, and is left out: docs/translation.md lists it.
 */
const refused: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => typeof value === 'number' && value > 1,
  logprobs: (value) => value === true,
  top_logprobs: (value) => typeof value === 'number' && value > 0,
  logit_bias: (value) => Object.keys(fields(value)).length > 0,
  functions: (value) => Array.isArray(value) && value.length > 0,
  function_call: (value) => value !== undefined && value !== null && value !== 'none',
};

/**
 * Tokens. A longer answer could take more than ten minutes, at Anthropic's own reckoning of an hour for 128,000 tokens, in
 * which a connection without a byte would be taken for dead: it is asked for as a stream, whatever the client wants.
 */
const longestInOnePiece = 21_333;

/** @throws Unsupported */
export function writeMessages({ parsed }: ChatBody, target: ChatTarget): string {
  const request = messagesRequest(parsed, target, abilitiesOf(target));
  const isLong = request.max_tokens > longestInOnePiece;
  return JSON.stringify({
    model: target.upstreamModel,
    ...request,
    ...(parsed.stream === true || isLong ? { stream: true } : {}),
  });
}

/** What is asked in Anthropic's words, whoever runs the model and however it is to be answered. */
interface MessagesRequest extends Fields {
  readonly max_tokens: number;
  readonly messages: readonly Turn[];
}

/** @throws Unsupported */
export function messagesRequest(
  parsed: Fields,
  target: ChatTarget,
  abilities: Abilities,
): MessagesRequest {
  for (const name in refused)
    if (refused[name]?.(parsed[name]))
      throw new Unsupported(`"${name}" is not supported by this provider.`, name);
  const conversation = conversationOf(parsed.messages);
  const { maxOutputTokens, cap } = target;
  const maxTokens = Math.min(cap ?? clientLimit(parsed) ?? maxOutputTokens, maxOutputTokens);
  const format = formatOf(parsed.response_format, abilities);
  const tools = toolsOf(parsed, abilities, format);
  const { thinking, effort, isOn } = thinkingOf(
    reasoningWish(parsed),
    abilities,
    maxTokens,
    tools.isForced || (abilities.thinking === 'budget' && lacksThinking(conversation.turns)),
  );
  const outputConfig = {
    ...(effort === null ? {} : { effort }),
    ...(format?.native ? { format: format.native } : {}),
  };
  return {
    max_tokens: maxTokens,
    ...systemOf(conversation, format?.instruction ?? null),
    messages: conversation.turns,
    ...tools.members,
    ...(thinking ? { thinking } : {}),
    ...(Object.keys(outputConfig).length > 0 ? { output_config: outputConfig } : {}),
    ...(isOn || !abilities.sampling ? {} : samplingOf(parsed)),
    ...stopOf(parsed.stop),
    ...userOf(parsed),
    ...(isObject(parsed.cache_control) ? { cache_control: parsed.cache_control } : {}),
  };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One text where nothing in it is to be cached. */
function systemOf({ system }: Conversation, instruction: string | null): Fields {
  const blocks: readonly Block[] = instruction
    ? [...system, { type: 'text', text: instruction }]
    : system;
  if (blocks.length === 0) return {};
  const isPlain = blocks.every(({ type, cache_control }) => type === 'text' && !cache_control);
  return { system: isPlain ? blocks.map(({ text }) => text).join('\n\n') : blocks };
}

interface Format {
  /** Of `output_config`. */
  readonly native?: Fields;
  readonly instruction?: string;
  /** Schema of the tool that stands in for it. */
  readonly tool?: Fields;
}

function formatOf(wanted: unknown, { nativeFormat }: Abilities): Format | null {
  const { type, json_schema } = fields(wanted);
  if (type === 'json_object')
    return {
      instruction: 'Answer with one JSON object and nothing else: no other words, no code fence.',
    };
  if (type !== 'json_schema') return null;
  const schema = fields(fields(json_schema).schema);
  if (nativeFormat) return { native: { type: 'json_schema', schema: closedSchema(schema) } };
  return { tool: { type: 'object', ...schema } };
}

interface Tools {
  readonly members: Fields;
  readonly isForced: boolean;
}

/** @throws Unsupported */
function toolsOf(parsed: Fields, abilities: Abilities, format: Format | null): Tools {
  const given = Array.isArray(parsed.tools) ? parsed.tools : [];
  if (format?.tool) {
    if (!abilities.forcedTools)
      throw new Unsupported(
        'A JSON schema is not supported by this model here.',
        'response_format',
      );
    if (given.length > 0)
      throw new Unsupported(
        'This model cannot do tools and a JSON schema at once.',
        'response_format',
      );
    const description = 'Gives the answer.';
    const tools = [{ name: answerTool, description, input_schema: format.tool }];
    return { members: { tools, tool_choice: { type: 'tool', name: answerTool } }, isForced: true };
  }
  if (given.length === 0) return { members: {}, isForced: false };
  const { choice, allowed } = choiceOf(parsed.tool_choice);
  const tools = given
    .map((tool, index) => toolOf(fields(tool), `tools[${index}]`, abilities))
    .filter(({ name }) => allowed === null || allowed.has(name));
  const isForced = choice.type === 'any' || choice.type === 'tool';
  if (isForced && !abilities.forcedTools)
    throw new Unsupported('This model decides for itself whether it calls a tool.', 'tool_choice');
  const alone =
    parsed.parallel_tool_calls === false && choice.type !== 'none'
      ? { disable_parallel_tool_use: true }
      : {};
  const tool_choice = { ...choice, ...alone };
  // What Anthropic does by itself need not be said.
  const isUsual = choice.type === 'auto' && Object.keys(alone).length === 0;
  return { members: isUsual ? { tools } : { tools, tool_choice }, isForced };
}

function toolOf(tool: Fields, at: string, { nativeFormat }: Abilities): Fields {
  if (tool.type !== 'function')
    throw new Unsupported(
      'Only tools of the type function are supported by this provider.',
      `${at}.type`,
    );
  const { name, description, parameters, strict, cache_control } = fields(tool.function);
  const isStrict = strict === true && nativeFormat;
  const schema = { type: 'object', properties: {}, ...fields(parameters) };
  const control = tool.cache_control ?? cache_control;
  return {
    name,
    ...(typeof description === 'string' && description !== '' ? { description } : {}),
    input_schema: isStrict ? closedSchema(schema) : schema,
    ...(isStrict ? { strict } : {}),
    ...(isObject(control) ? { cache_control: control } : {}),
  };
}

interface Choice {
  readonly choice: { readonly type: 'auto' | 'any' | 'none' | 'tool'; readonly name?: unknown };
  /** Names of the tools that may be called; null for all. */
  readonly allowed: ReadonlySet<unknown> | null;
}

const choices = { auto: 'auto', none: 'none', required: 'any' } as const;

/** @throws Unsupported */
function choiceOf(wanted: unknown): Choice {
  if (wanted === undefined || wanted === null) return { choice: { type: 'auto' }, allowed: null };
  if (wanted === 'auto' || wanted === 'none' || wanted === 'required')
    return { choice: { type: choices[wanted] }, allowed: null };
  const { type, function: named, allowed_tools } = fields(wanted);
  if (type === 'function')
    return { choice: { type: 'tool', name: fields(named).name }, allowed: null };
  const { mode, tools } = fields(allowed_tools);
  if (type === 'allowed_tools' && Array.isArray(tools))
    return {
      choice: { type: mode === 'required' ? 'any' : 'auto' },
      allowed: new Set(tools.map((tool) => fields(fields(tool).function).name)),
    };
  throw new Unsupported(
    'This form of "tool_choice" is not supported by this provider.',
    'tool_choice',
  );
}

/** From 0 to 1 here; of both, newer models take one. */
function samplingOf({ temperature, top_p, top_k }: Fields): Fields {
  const first =
    typeof temperature === 'number'
      ? { temperature: Math.min(temperature, 1) }
      : typeof top_p === 'number'
        ? { top_p }
        : {};
  return { ...first, ...(typeof top_k === 'number' && top_k > 0 ? { top_k } : {}) };
}

/** @throws Unsupported */
function stopOf(stop: unknown): Fields {
  const list = (typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : []).map(String);
  if (list.some((sequence) => sequence.trim() === ''))
    throw new Unsupported(
      'A stop sequence must have more than white space for this provider.',
      'stop',
    );
  return list.length > 0 ? { stop_sequences: list } : {};
}

function userOf({ safety_identifier, user }: Fields): Fields {
  const id = safety_identifier ?? user;
  return typeof id === 'string' && id !== '' ? { metadata: { user_id: id } } : {};
}

/** With a budget, a turn of calls that waits for an answer must begin with its thinking, which not every client keeps. */
function lacksThinking(turns: readonly Turn[]): boolean {
  const isWaiting = turns.at(-1)?.content.some(({ type }) => type === 'tool_result');
  const [before] = turns.at(-2)?.content ?? [];
  return isWaiting === true && before !== undefined && !String(before.type).endsWith('thinking');
}
