/** Reads a generateContent request as strictly as Google does, with its kinds of complaint. */

import { hash } from 'node:crypto';
import {
  type ChatRequest,
  isObject,
  type Json,
  type Message,
  Refusal,
  type Tool,
} from './request.ts';

/** @throws always */
function invalid(message: string): never {
  throw new Refusal(400, message, 'INVALID_ARGUMENT');
}

type Shape = 'string' | 'number' | 'boolean' | 'object' | readonly [Shape] | Shapes;
interface Shapes {
  readonly [name: string]: Shape;
}

const blob: Shape = { mimeType: 'string', data: 'string' };
const part: Shape = {
  text: 'string',
  thought: 'boolean',
  thoughtSignature: 'string',
  inlineData: blob,
  fileData: { mimeType: 'string', fileUri: 'string' },
  functionCall: { id: 'string', name: 'string', args: 'object' },
  functionResponse: { id: 'string', name: 'string', response: 'object' },
};
const content: Shape = { role: 'string', parts: [part] };
const requestShape: Shapes = {
  contents: [content],
  systemInstruction: content,
  tools: [
    {
      functionDeclarations: [
        {
          name: 'string',
          description: 'string',
          parameters: 'object',
          parametersJsonSchema: 'object',
        },
      ],
    },
  ],
  toolConfig: { functionCallingConfig: { mode: 'string', allowedFunctionNames: ['string'] } },
  safetySettings: [{ category: 'string', threshold: 'string' }],
  generationConfig: {
    temperature: 'number',
    topP: 'number',
    topK: 'number',
    candidateCount: 'number',
    maxOutputTokens: 'number',
    stopSequences: ['string'],
    seed: 'number',
    presencePenalty: 'number',
    frequencyPenalty: 'number',
    responseLogprobs: 'boolean',
    logprobs: 'number',
    responseMimeType: 'string',
    responseSchema: 'object',
    responseJsonSchema: 'object',
    responseModalities: ['string'],
    thinkingConfig: {
      includeThoughts: 'boolean',
      thinkingLevel: 'string',
      thinkingBudget: 'number',
    },
  },
};

/** No field but those of the API, each of its type. */
function conform(value: unknown, shape: Shape, path: string): void {
  if (typeof shape === 'string') {
    const fits = shape === 'object' ? isObject(value) : typeof value === shape;
    if (!fits) invalid(`Invalid value at '${path}' (${shape}), ${JSON.stringify(value)}`);
  } else if (isList(shape)) {
    if (!Array.isArray(value)) invalid(`Invalid value at '${path}' (array), it is none`);
    for (const [index, item] of value.entries()) conform(item, shape[0], `${path}[${index}]`);
  } else {
    if (!isObject(value)) invalid(`Invalid value at '${path}' (object), it is none`);
    for (const name in value) {
      const known = shape[name];
      if (!known)
        invalid(
          `Invalid JSON payload received. Unknown name "${name}" at '${path}': Cannot find field.`,
        );
      conform(value[name], known, path === '' ? name : `${path}.${name}`);
    }
  }
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}

const ranges: Readonly<Record<string, readonly [low: number, high: number]>> = {
  temperature: [0, 2],
  topP: [0, 1],
  topK: [1, 1000],
  candidateCount: [1, 8],
  maxOutputTokens: [1, 65_536],
  presencePenalty: [-2, 2],
  frequencyPenalty: [-2, 2],
  logprobs: [0, 20],
};

function members(value: unknown): Json {
  return isObject(value) ? value : {};
}

function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(members) : [];
}

/** What the stand-in signs its calls with: the signature must come back with the very call. */
export function signatureOf(name: unknown, args: unknown): string {
  return hash('sha256', `sandbox ${name} ${JSON.stringify(args ?? {})}`, 'base64');
}

const noSignature = 'skip_thought_signature_validator';

/** Of generation 3 and later: they sign their calls, and want the signatures back. */
export function signs(model: string): boolean {
  return Number(/gemini-(\d+)/.exec(model)?.[1] ?? 3) >= 3;
}

function has(turn: Json | undefined, name: string): number {
  return objects(turn?.parts).filter((each) => each[name] !== undefined).length;
}

const data = ['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse'];

function checkTurn(turn: Json, index: number, turns: readonly Json[], model: string): void {
  const where = `contents[${index}]`;
  if (turn.role !== 'user' && turn.role !== 'model')
    invalid('Please use a valid role: user, model.');
  const parts = objects(turn.parts);
  if (parts.length === 0) invalid(`* GenerateContentRequest.${where}.parts: must not be empty.`);
  for (const [at, each] of parts.entries()) {
    const given = data.filter((name) => each[name] !== undefined);
    if (given.length !== 1)
      invalid(
        `* GenerateContentRequest.${where}.parts[${at}].data: required oneof field 'data' must have one initialized field`,
      );
    const { data: bytes, mimeType } = members(each.inlineData);
    if (typeof bytes === 'string' && !/^[A-Za-z0-9+/_-]+={0,2}$/.test(bytes))
      invalid(
        `Invalid value at '${where}.parts[${at}].inline_data.data' (TYPE_BYTES), Base64 decoding failed`,
      );
    if (each.inlineData !== undefined && typeof mimeType !== 'string')
      invalid(`Unable to process input image: ${where} has no mime type.`);
  }
  const results = has(turn, 'functionResponse');
  if (results > 0 && results !== has(turns[index - 1], 'functionCall'))
    invalid(
      'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.',
    );
  if (has(turn, 'functionCall') > 0) checkCalls(turn, index, turns, model);
}

function checkCalls(turn: Json, index: number, turns: readonly Json[], model: string): void {
  if (turns[index - 1]?.role !== 'user')
    invalid(
      'Please ensure that function call turn comes immediately after a user turn or after a function response turn.',
    );
  if (!signs(model)) return;
  const [first] = objects(turn.parts).filter((each) => each.functionCall !== undefined);
  const { name, args } = members(first?.functionCall);
  const signature = first?.thoughtSignature;
  if (signature === undefined)
    invalid(
      `Function call is missing a thought_signature in functionCall parts: ${name}, position ${index}.`,
    );
  if (signature !== noSignature && signature !== signatureOf(name, args))
    invalid('Thought signature is not valid.');
}

function messageOf(turn: Json): Message {
  const parts = objects(turn.parts);
  const media: Record<string, number> = {};
  let text = '';
  for (const { text: said, thought, inlineData, fileData, functionResponse } of parts) {
    const { response } = members(functionResponse);
    if (typeof said === 'string' && thought !== true) text += said;
    const { result } = members(response);
    if (response !== undefined)
      text += typeof result === 'string' ? result : JSON.stringify(response);
    const type = members(inlineData ?? fileData).mimeType;
    if (inlineData ?? fileData) {
      const kind = typeof type === 'string' ? (type.split('/')[0] ?? '') : 'image';
      media[kind] = (media[kind] ?? 0) + 1;
    }
  }
  const calls = parts.flatMap(({ functionCall }) => functionCall ?? []);
  const role =
    turn.role === 'model' ? 'assistant' : has(turn, 'functionResponse') ? 'tool' : 'user';
  return { role, text, media, calls: calls.length > 0 ? JSON.stringify(calls) : '' };
}

function toolsOf(body: Json): Tool[] {
  const tools = objects(body.tools).flatMap((tool) => objects(tool.functionDeclarations));
  return tools.map(({ name, parametersJsonSchema, parameters }) => {
    if (typeof name !== 'string' || !/^[A-Za-z_][\w.:-]{0,127}$/.test(name))
      invalid(`Invalid function name: ${name}. Must start with a letter or an underscore.`);
    const kind = 'function';
    return { kind, name, parameters: members(parametersJsonSchema ?? parameters) };
  });
}

function choiceOf(body: Json, tools: readonly Tool[]): Pick<ChatRequest, 'tools' | 'toolUse'> {
  const { mode, allowedFunctionNames } = members(members(body.toolConfig).functionCallingConfig);
  const names: unknown[] = Array.isArray(allowedFunctionNames) ? allowedFunctionNames : [];
  if (names.length > 0 && mode !== 'ANY' && mode !== 'VALIDATED')
    invalid('Allowed function names can only be set when calling mode is ANY or VALIDATED.');
  if (names.some((name) => !tools.some((tool) => tool.name === name)))
    invalid('The allowed function names must be among the function declarations.');
  const allowed = names.length > 0 ? tools.filter(({ name }) => names.includes(name)) : tools;
  if (mode === 'NONE' || tools.length === 0) return { tools: allowed, toolUse: 'none' };
  if (mode === 'ANY') return { tools: allowed, toolUse: 'required' };
  if (mode !== undefined && mode !== 'AUTO' && mode !== 'VALIDATED')
    invalid(`Invalid value at 'tool_config.function_calling_config.mode', ${JSON.stringify(mode)}`);
  return { tools: allowed, toolUse: 'auto' };
}

/** Levels of thinking beside low, medium and high. */
const otherLevels: Readonly<Record<string, string>> = {
  'gemini-3-flash-preview': 'minimal',
  'gemini-3.1-flash-lite': 'minimal',
  'gemini-3.1-flash-lite-preview': 'minimal',
  'gemini-3.5-flash': 'minimal',
  'gemini-3.5-flash-lite': 'minimal',
  'gemini-3.6-flash': 'minimal',
  'gemini-4-hydrogen': 'xhigh',
};

/** Budgets of the models that have them in place of levels: least and most tokens; 0 stops the thinking of all but Pro. */
const budgets: Readonly<Record<string, readonly [number, number]>> = {
  'gemini-2.5-pro': [128, 32_768],
  'gemini-2.5-flash': [0, 24_576],
  'gemini-2.5-flash-lite': [512, 24_576],
};

/** How much to think; null for as much as the model likes. */
function effortOf(config: Json, model: string): string | null {
  if (config.thinkingConfig === undefined) return null;
  const { thinkingLevel, thinkingBudget } = members(config.thinkingConfig);
  const range = budgets[model];
  if (!range && !signs(model)) invalid(`Thinking is not enabled for models/${model}`);
  if (thinkingLevel !== undefined && thinkingBudget !== undefined)
    invalid('You can only set only one of thinking budget and thinking level.');
  if (typeof thinkingBudget === 'number') {
    const [least, most] = range ?? [0, 32_768];
    const isFree = thinkingBudget === -1 || (thinkingBudget === 0 && !/pro/.test(model));
    if (!isFree && (thinkingBudget < least || thinkingBudget > most))
      invalid(
        `The thinking budget ${thinkingBudget} is invalid. Please choose a value between ${least} and ${most}.`,
      );
    return thinkingBudget === 0 ? 'none' : 'medium';
  }
  if (typeof thinkingLevel !== 'string') return null;
  const level = thinkingLevel.toLowerCase();
  if (range || !['low', 'medium', 'high', otherLevels[model]].includes(level))
    invalid(
      `Thinking level ${thinkingLevel.toUpperCase()} is not supported for this model. Please retry with other thinking level.`,
    );
  return level;
}

function formatOf(config: Json): Pick<ChatRequest, 'format' | 'schema'> {
  const { responseMimeType, responseJsonSchema, responseSchema } = config;
  const schema = responseJsonSchema ?? responseSchema;
  if (schema !== undefined && responseMimeType !== 'application/json')
    invalid("A response schema is only supported with the response mime type 'application/json'.");
  if (schema !== undefined) return { format: 'json_schema', schema: members(schema) };
  return { format: responseMimeType === 'application/json' ? 'json_object' : 'text', schema: {} };
}

export interface GeminiRequest extends ChatRequest {
  readonly includeThoughts: boolean;
}

/** @throws Refusal with Google's status and words */
export function readGeminiRequest(text: string, model: string, stream: boolean): GeminiRequest {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    invalid('Invalid JSON payload received. Unexpected end of string.');
  }
  conform(body, requestShape, '');
  const { contents, systemInstruction, generationConfig } = members(body);
  const turns = objects(contents);
  if (turns.length === 0) invalid('* GenerateContentRequest.contents: contents is not specified');
  for (const [index, turn] of turns.entries()) checkTurn(turn, index, turns, model);
  const config = members(generationConfig);
  for (const [name, [low, high]] of Object.entries(ranges)) {
    const value = config[name];
    if (typeof value === 'number' && (value < low || value > high))
      invalid(`Unable to submit request because ${name} must be from ${low} to ${high}.`);
  }
  const numberOf = (name: string): number | null => {
    const value = config[name];
    return typeof value === 'number' ? value : null;
  };
  const stops: unknown[] = Array.isArray(config.stopSequences) ? config.stopSequences : [];
  if (stops.length > 5) invalid('The number of stop sequences must be at most 5.');
  const tools = toolsOf(members(body));
  const system = systemInstruction === undefined ? [] : [members(systemInstruction)];
  return {
    model,
    messages: [...system, ...turns].map(messageOf),
    choices: numberOf('candidateCount') ?? 1,
    limit: numberOf('maxOutputTokens'),
    limitField: null,
    stop: stops.map(String),
    seed: numberOf('seed'),
    stream,
    includeUsage: true,
    toolsText: tools.length > 0 ? JSON.stringify(tools) : '',
    parallel: true,
    ...choiceOf(members(body), tools),
    ...formatOf(config),
    logprobs: config.responseLogprobs === true,
    topLogprobs: numberOf('logprobs') ?? 0,
    effort: effortOf(config, model),
    includeThoughts: members(config.thinkingConfig).includeThoughts === true,
  };
}
