/** Reads a chat completion request as OpenAI does, with its kinds of complaint. */

/** What a provider answers instead of a completion. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;

  constructor(status: number, message: string, code: string | null, param: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }

  /** OpenAI's error object. */
  body(): string {
    const type = this.status >= 500 ? 'server_error' : 'invalid_request_error';
    return JSON.stringify({
      error: { message: this.message, type, param: this.param, code: this.code },
    });
  }
}

export type Json = Readonly<Record<string, unknown>>;

export interface Message {
  readonly role: string;
  /** The text of all its parts. */
  readonly text: string;
  /** Parts that are not text, by type: `{ image_url: 2 }`. */
  readonly media: Readonly<Record<string, number>>;
  /** JSON of the calls that an assistant's message holds, for counting. */
  readonly calls: string;
}

export interface Tool {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  /** JSON schema of a function's arguments. */
  readonly parameters: Json;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly choices: number;
  /** Most tokens of one choice, reasoning included. */
  readonly limit: number | null;
  /** The name of the field that gave the limit. */
  readonly limitField: 'max_tokens' | 'max_completion_tokens' | null;
  readonly stop: readonly string[];
  readonly seed: number | null;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Those that may be called now. */
  readonly tools: readonly Tool[];
  readonly toolsText: string;
  /** `named`: the client chose the tool. */
  readonly toolUse: 'none' | 'auto' | 'required' | 'named';
  readonly parallel: boolean;
  readonly format: 'text' | 'json_object' | 'json_schema';
  readonly schema: Json;
  readonly logprobs: boolean;
  readonly topLogprobs: number;
  readonly effort: string | null;
}

type Check = (value: unknown, param: string) => void;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function wrongType(param: string, expected: string, value: unknown): Refusal {
  const message = `Invalid type for '${param}': expected ${expected}, but got ${typeName(value)} instead.`;
  return new Refusal(400, message, 'invalid_type', param);
}

function missing(param: string): Refusal {
  const message = `Missing required parameter: '${param}'.`;
  return new Refusal(400, message, 'missing_required_parameter', param);
}

function number(kind: 'integer' | 'decimal', low: number, high: number): Check {
  return (value, param) => {
    const article = kind === 'integer' ? 'an integer' : 'a decimal';
    if (typeof value !== 'number' || (kind === 'integer' && !Number.isInteger(value)))
      throw wrongType(param, article, value);
    const side = value < low ? 'below_min' : value > high ? 'above_max' : null;
    if (side) {
      const bound = side === 'below_min' ? `>= ${low}` : `<= ${high}`;
      const message = `Invalid '${param}': expected a value ${bound}, but got ${value} instead.`;
      throw new Refusal(400, message, `${kind}_${side}_value`, param);
    }
  };
}

function kind(expected: string, fits: (value: unknown) => boolean): Check {
  return (value, param) => {
    if (!fits(value)) throw wrongType(param, expected, value);
  };
}

function oneOf(...options: readonly string[]): Check {
  return (value, param) => {
    if (typeof value !== 'string') throw wrongType(param, 'one of its known values', value);
    if (options.includes(value)) return;
    const known = options.map((option) => `'${option}'`).join(', ');
    const message = `Invalid value: '${value}'. Supported values are: ${known}.`;
    throw new Refusal(400, message, 'invalid_value', param);
  };
}

const boolean = kind('a boolean', (value) => typeof value === 'boolean');
const string = kind('a string', (value) => typeof value === 'string');
const object = kind('an object', isObject);
const array = kind('an array', Array.isArray);

/** Every checked field; `null` is as good as absent. */
const fields: Readonly<Record<string, Check>> = {
  max_completion_tokens: number('integer', 1, 2 ** 31),
  max_tokens: number('integer', 1, 2 ** 31),
  temperature: number('decimal', 0, 2),
  top_p: number('decimal', 0, 1),
  n: number('integer', 1, 128),
  frequency_penalty: number('decimal', -2, 2),
  presence_penalty: number('decimal', -2, 2),
  logit_bias: object,
  logprobs: boolean,
  top_logprobs: number('integer', 0, 20),
  seed: number('integer', -(2 ** 63), 2 ** 63),
  stream: boolean,
  stream_options: object,
  parallel_tool_calls: boolean,
  reasoning_effort: oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'),
  verbosity: oneOf('low', 'medium', 'high'),
  response_format: object,
  tools: array,
  metadata: object,
  user: string,
  store: boolean,
};

function readMessage(value: unknown, index: number): Message {
  const param = `messages[${index}]`;
  if (!isObject(value)) throw wrongType(param, 'an object', value);
  if (value.role === undefined) throw missing(`${param}.role`);
  const roles = oneOf('system', 'developer', 'user', 'assistant', 'tool', 'function');
  roles(value.role, `${param}.role`);
  const { content } = value;
  const calls = value.tool_calls === undefined ? '' : JSON.stringify(value.tool_calls);
  const media: Record<string, number> = {};
  let text = '';
  if (typeof content === 'string') text = content;
  else if (Array.isArray(content)) {
    for (const [at, part] of content.entries()) {
      if (!isObject(part)) throw wrongType(`${param}.content[${at}]`, 'an object', part);
      const types = oneOf('text', 'image_url', 'input_audio', 'file', 'refusal');
      types(part.type, `${param}.content[${at}].type`);
      if (typeof part.text === 'string') text += part.text;
      else if (typeof part.type === 'string') media[part.type] = (media[part.type] ?? 0) + 1;
    }
  } else if (value.role !== 'assistant' || (content !== null && content !== undefined))
    throw wrongType(`${param}.content`, 'a string or an array of parts', content);
  if (value.role === 'tool' && typeof value.tool_call_id !== 'string')
    throw missing(`${param}.tool_call_id`);
  return { role: String(value.role), text, media, calls };
}

function readMessages(value: unknown): Message[] {
  if (value === undefined || value === null) throw missing('messages');
  if (!Array.isArray(value)) throw wrongType('messages', 'an array of objects', value);
  if (value.length === 0)
    throw new Refusal(400, "Invalid 'messages': the array is empty.", 'empty_array', 'messages');
  const messages = value.map(readMessage);
  for (const [index, { role }] of messages.entries()) {
    const before = messages[index - 1];
    if (role === 'tool' && before?.role !== 'tool' && !before?.calls)
      throw new Refusal(
        400,
        "A message with role 'tool' must follow a message with 'tool_calls'.",
        null,
        `messages.[${index}].role`,
      );
  }
  return messages;
}

function readTool(value: unknown, index: number): Tool {
  const param = `tools[${index}]`;
  if (!isObject(value)) throw wrongType(param, 'an object', value);
  oneOf('function', 'custom')(value.type, `${param}.type`);
  const type = value.type === 'custom' ? 'custom' : 'function';
  const body = value[type];
  if (!isObject(body)) throw missing(`${param}.${type}`);
  const { name, parameters } = body;
  if (typeof name !== 'string') throw missing(`${param}.${type}.name`);
  if (!/^[\w-]{1,64}$/.test(name)) {
    const message = `Invalid '${param}.${type}.name': it must match ^[a-zA-Z0-9_-]{1,64}$.`;
    throw new Refusal(400, message, 'invalid_value', `${param}.${type}.name`);
  }
  return { kind: type, name, parameters: isObject(parameters) ? parameters : {} };
}

function toolName(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  for (const body of [value.function, value.custom]) if (isObject(body)) return body.name;
  return undefined;
}

/** @returns which of the tools may be called and whether one must be */
function readToolChoice(
  value: unknown,
  tools: readonly Tool[],
): Pick<ChatRequest, 'tools' | 'toolUse'> {
  if (value === undefined || value === null)
    return { tools, toolUse: tools.length > 0 ? 'auto' : 'none' };
  if (tools.length === 0 && value !== 'none')
    throw new Refusal(
      400,
      "Invalid value for 'tool_choice': it is only allowed when 'tools' are given.",
      null,
      'tool_choice',
    );
  if (value === 'none' || value === 'auto' || value === 'required')
    return { tools, toolUse: value };
  if (!isObject(value)) {
    oneOf('none', 'auto', 'required')(value, 'tool_choice');
    return { tools, toolUse: 'auto' };
  }
  const allowed = value.allowed_tools;
  if (isObject(allowed) && Array.isArray(allowed.tools)) {
    const names = allowed.tools.map(toolName);
    const use = allowed.mode === 'required' ? 'required' : 'auto';
    return { tools: tools.filter((tool) => names.includes(tool.name)), toolUse: use };
  }
  const chosen = tools.filter((tool) => tool.name === toolName(value));
  if (chosen.length === 0)
    throw new Refusal(
      400,
      "The tool named in 'tool_choice' is not among the 'tools'.",
      null,
      'tool_choice',
    );
  return { tools: chosen, toolUse: 'named' };
}

function readFormat(
  value: unknown,
  messages: readonly Message[],
): Pick<ChatRequest, 'format' | 'schema'> {
  if (!isObject(value)) return { format: 'text', schema: {} };
  oneOf('text', 'json_object', 'json_schema')(value.type, 'response_format.type');
  if (value.type === 'json_object') {
    if (!messages.some((message) => /json/i.test(message.text)))
      throw new Refusal(
        400,
        "Some message must contain the word 'json' for the response_format 'json_object'.",
        null,
        'messages',
      );
    return { format: 'json_object', schema: {} };
  }
  if (value.type === 'text') return { format: 'text', schema: {} };
  const wrapper = value.json_schema;
  if (!isObject(wrapper)) throw missing('response_format.json_schema');
  if (typeof wrapper.name !== 'string') throw missing('response_format.json_schema.name');
  return { format: 'json_schema', schema: isObject(wrapper.schema) ? wrapper.schema : {} };
}

function readStop(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const stops = Array.isArray(value) ? value : [value];
  if (stops.length > 4)
    throw new Refusal(
      400,
      "Invalid 'stop': at most 4 are allowed.",
      'array_above_max_length',
      'stop',
    );
  return stops.map((stop) => {
    if (typeof stop !== 'string') throw wrongType('stop', 'a string or an array of strings', stop);
    return stop;
  });
}

/** @throws Refusal with OpenAI's status, code and param */
export function readChatRequest(text: string): ChatRequest {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refusal(400, 'The body of the request is not valid JSON.', null);
  }
  if (!isObject(body)) throw new Refusal(400, 'The body must be a JSON object.', null);
  const { model } = body;
  if (model === undefined || model === null || model === '')
    throw new Refusal(400, 'You must provide a model parameter.', null);
  string(model, 'model');
  for (const [name, check] of Object.entries(fields)) {
    const value = body[name];
    if (value !== undefined && value !== null) check(value, name);
  }
  const messages = readMessages(body.messages);
  const stream = body.stream === true;
  if (isObject(body.stream_options) && !stream)
    throw new Refusal(
      400,
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      null,
      'stream_options',
    );
  if (typeof body.top_logprobs === 'number' && body.logprobs !== true)
    throw new Refusal(400, "'top_logprobs' needs 'logprobs'.", null, 'top_logprobs');
  const limitField = (['max_completion_tokens', 'max_tokens'] as const).find(
    (name) => typeof body[name] === 'number',
  );
  const limit = limitField && body[limitField];
  const tools = Array.isArray(body.tools) ? body.tools.map(readTool) : [];
  return {
    model: String(model),
    messages,
    choices: typeof body.n === 'number' ? body.n : 1,
    limit: typeof limit === 'number' ? limit : null,
    limitField: limitField ?? null,
    stop: readStop(body.stop),
    seed: typeof body.seed === 'number' ? body.seed : null,
    stream,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    toolsText: tools.length > 0 ? JSON.stringify(body.tools) : '',
    parallel: body.parallel_tool_calls !== false,
    ...readToolChoice(body.tool_choice, tools),
    ...readFormat(body.response_format, messages),
    logprobs: body.logprobs === true,
    topLogprobs: typeof body.top_logprobs === 'number' ? body.top_logprobs : 0,
    effort: typeof body.reasoning_effort === 'string' ? body.reasoning_effort : null,
  };
}
