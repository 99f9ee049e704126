/**
 * Reads a request to `POST /v1/messages` as strictly as Anthropic does, and makes of it what the stand-ins answer. Whoever
 * translates into this form is tested against it, so it refuses what the real one refuses.
 */
import type { StandIn } from './answer.ts';
import { invalid, list, number, object, oneOf, only, text } from './anthropic_checks.ts';
import {
  type Cached,
  checkHistory,
  messagesOf,
  Prompt,
  pairUp,
  readSystem,
  readTurns,
} from './anthropic_turns.ts';
import { type ChatRequest, isObject, type Json, Refusal, type Tool } from './request.ts';

export interface MessagesRequest extends ChatRequest {
  /** How thinking is shown; `null` where there is none. */
  readonly thinking: 'summarized' | 'omitted' | null;
  /** What is to be kept in the provider's cache: the prompt up to the last mark. */
  readonly cached: Cached | null;
}

function readTools(value: unknown, prompt: Prompt): Tool[] {
  if (value === undefined) return [];
  return list(value, 'tools').map((each, index) => {
    const at = `tools.${index}`;
    const tool = object(each, at);
    only(
      tool,
      `${at}.`,
      'name',
      'description',
      'input_schema',
      'strict',
      'cache_control',
      'type',
      'eager_input_streaming',
    );
    const name = text(tool.name, `${at}.name`);
    if (!/^[\w-]{1,128}$/.test(name)) throw invalid(`${at}.name: String should match pattern`);
    const parameters = object(tool.input_schema, `${at}.input_schema`);
    oneOf(parameters.type, `${at}.input_schema.type`, 'object');
    prompt.add(JSON.stringify({ ...tool, cache_control: undefined }), tool.cache_control, at);
    return { kind: 'function', name, parameters };
  });
}

function readChoice(
  value: unknown,
  tools: readonly Tool[],
  model: StandIn,
): Pick<ChatRequest, 'tools' | 'toolUse' | 'parallel'> {
  if (value === undefined)
    return { tools, toolUse: tools.length > 0 ? 'auto' : 'none', parallel: true };
  const choice = object(value, 'tool_choice');
  const type = oneOf(choice.type, 'tool_choice.type', 'auto', 'any', 'none', 'tool');
  only(
    choice,
    'tool_choice.',
    'type',
    'disable_parallel_tool_use',
    ...(type === 'tool' ? ['name'] : []),
  );
  if (tools.length === 0) throw invalid('tool_choice: may only be specified while providing tools');
  const parallel = choice.disable_parallel_tool_use !== true;
  if (type === 'auto' || type === 'none') return { tools, toolUse: type, parallel };
  if (model.constraints.includes('rejects_forced_tool_choice'))
    throw invalid(`tool_choice: '${type}' is not supported by this model`);
  if (type === 'any') return { tools, toolUse: 'required', parallel };
  const chosen = tools.filter(({ name }) => name === choice.name);
  if (chosen.length === 0) throw invalid(`tool_choice.name: Tool '${choice.name}' not found`);
  return { tools: chosen, toolUse: 'named', parallel };
}

/** Whether and how it thinks. */
function readThinkingWish(
  body: Json,
  model: StandIn,
  maxTokens: number,
): MessagesRequest['thinking'] {
  const always = model.constraints.includes('thinking_cannot_be_disabled');
  if (body.thinking === undefined) return always ? 'omitted' : null;
  const thinking = object(body.thinking, 'thinking');
  const type = oneOf(thinking.type, 'thinking.type', 'adaptive', 'enabled', 'disabled');
  if (type === 'disabled') {
    only(thinking, 'thinking.', 'type');
    if (always) throw invalid('thinking: it cannot be disabled for this model');
    return null;
  }
  if (!model.reasoning) throw invalid('thinking: this model does not support thinking');
  only(thinking, 'thinking.', 'type', 'display', ...(type === 'enabled' ? ['budget_tokens'] : []));
  if (type === 'enabled') {
    if (model.constraints.includes('rejects_thinking_budget_tokens'))
      throw invalid('thinking.budget_tokens: not supported by this model; use adaptive thinking');
    const budget = number(thinking.budget_tokens, 'thinking.enabled.budget_tokens', 1024, 1e9);
    if (budget >= maxTokens)
      throw invalid('`max_tokens` must be greater than `thinking.budget_tokens`');
  }
  const shown =
    thinking.display === undefined ? (always ? 'omitted' : 'summarized') : thinking.display;
  return oneOf(shown, 'thinking.display', 'summarized', 'omitted') === 'omitted'
    ? 'omitted'
    : 'summarized';
}

function checkSampling(body: Json, model: StandIn, thinks: boolean): void {
  const given = (['temperature', 'top_p', 'top_k'] as const).filter(
    (name) => body[name] !== undefined,
  );
  const [first] = given;
  if (first && model.constraints.includes('rejects_sampling_params'))
    throw invalid(`${first}: sampling parameters are not supported by this model`);
  if (body.temperature !== undefined) number(body.temperature, 'temperature', 0, 1);
  if (body.top_p !== undefined) number(body.top_p, 'top_p', 0, 1);
  if (body.top_k !== undefined) number(body.top_k, 'top_k', 0, 500);
  if (given.includes('temperature') && given.includes('top_p'))
    throw invalid('`temperature` and `top_p` cannot both be specified for this model');
  if (first && thinks) throw invalid(`\`${first}\` may not be set when thinking is enabled`);
}

/** @throws Refusal for a schema that constrained decoding does not take */
function checkSchema(schema: unknown, at: string): void {
  if (!isObject(schema)) return;
  for (const name of ['minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'oneOf'])
    if (name in schema) throw invalid(`${at}: '${name}' is not supported`);
  if (schema.type === 'object' && schema.additionalProperties !== false)
    throw invalid(
      `${at}: For 'object' type, 'additionalProperties' must be explicitly set to false`,
    );
  for (const [name, member] of Object.entries(isObject(schema.properties) ? schema.properties : {}))
    checkSchema(member, `${at}.properties.${name}`);
  if (schema.items !== undefined) checkSchema(schema.items, `${at}.items`);
}

function readOutput(value: unknown): Pick<ChatRequest, 'format' | 'schema' | 'effort'> {
  const config = value === undefined ? {} : object(value, 'output_config');
  only(config, 'output_config.', 'effort', 'format');
  const effort =
    config.effort === undefined
      ? null
      : oneOf(config.effort, 'output_config.effort', 'low', 'medium', 'high', 'xhigh', 'max');
  if (config.format === undefined) return { format: 'text', schema: {}, effort };
  const format = object(config.format, 'output_config.format');
  only(format, 'output_config.format.', 'type', 'schema');
  oneOf(format.type, 'output_config.format.type', 'json_schema');
  const schema = object(format.schema, 'output_config.format.schema');
  checkSchema(schema, 'output_config.format.schema');
  return { format: 'json_schema', schema, effort };
}

function readStops(value: unknown): string[] {
  if (value === undefined) return [];
  return list(value, 'stop_sequences').map((each, index) => {
    const stop = text(each, `stop_sequences.${index}`);
    if (stop.trim() === '') throw invalid('stop_sequences: each must contain non-whitespace');
    return stop;
  });
}

const members = [
  'model',
  'max_tokens',
  'messages',
  'system',
  'stop_sequences',
  'stream',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'cache_control',
  'metadata',
  'service_tier',
  'temperature',
  'top_p',
  'top_k',
];

/** @throws Refusal */
export function readMessagesRequest(
  json: string,
  known: ReadonlyMap<string, StandIn>,
): { request: MessagesRequest; model: StandIn } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw invalid('The request body is not valid JSON');
  }
  const body = object(parsed, 'body');
  const name = text(body.model, 'model');
  if (body.max_tokens === undefined) throw invalid('max_tokens: Field required');
  only(body, '', ...members);
  const model = known.get(name);
  if (!model) throw new Refusal(404, `model: ${name}`, null);
  const limit = number(body.max_tokens, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
  if (limit > model.maxOutputTokens)
    throw invalid(
      `max_tokens: ${limit} > ${model.maxOutputTokens}, which is the maximum allowed number of output tokens for ${name}`,
    );
  if (body.metadata !== undefined) only(object(body.metadata, 'metadata'), 'metadata.', 'user_id');
  const prompt = new Prompt();
  const choice = readChoice(body.tool_choice, readTools(body.tools, prompt), model);
  const system = readSystem(body.system, prompt);
  const turns = readTurns(body.messages, prompt);
  pairUp(turns);
  checkHistory(body, turns);
  if (body.cache_control !== undefined) prompt.add('', body.cache_control, 'body');
  const thinking = readThinkingWish(body, model, limit);
  checkSampling(body, model, thinking !== null);
  if (thinking !== null && (choice.toolUse === 'required' || choice.toolUse === 'named'))
    throw invalid('Thinking may not be enabled when tool_choice forces tool use.');
  const { format, schema, effort } = readOutput(body.output_config);
  const request: MessagesRequest = {
    model: name,
    messages: messagesOf(turns, system),
    choices: 1,
    limit,
    limitField: 'max_tokens',
    stop: readStops(body.stop_sequences),
    seed: null,
    stream: body.stream === true,
    includeUsage: true,
    ...choice,
    toolsText: body.tools === undefined ? '' : JSON.stringify(body.tools),
    format,
    schema,
    logprobs: false,
    topLogprobs: 0,
    effort: thinking === null ? 'none' : (effort ?? 'medium'),
    thinking,
    cached: prompt.cached,
  };
  return { request, model };
}
