/** A client's request as Gemini's generateContent. What becomes of each parameter is told in docs/translation.md. */
import { type ChatBody, type ChatTarget, Unsupported } from './dialect.ts';
import { conversationOf } from './gemini_messages.ts';
import { thinkingConfig } from './gemini_thinking.ts';
import { type Fields, fields } from './members.ts';
import { clientLimit } from './openai.ts';

/**
 * Refused, because without them something else would be answered: by name, whether the value asks for anything.
 * What is neither here nor translated below only tunes sampling, speed or book-keeping, and is left out: docs/translation.md lists it.
 */
const refused: Readonly<Record<string, (value: unknown) => boolean>> = {
  logit_bias: (value) => Object.keys(fields(value)).length > 0,
  audio: () => true,
  functions: (value) => Array.isArray(value) && value.length > 0,
  function_call: (value) => value !== 'none',
};

/** Numbers that mean the same under Gemini's name. */
const numbers: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  n: 'candidateCount',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
};

const mostCandidates = 8;

/** @param hasCallIds whether this provider knows ids of function calls @throws Unsupported */
export function writeGemini(body: ChatBody, target: ChatTarget, hasCallIds: boolean): string {
  const { parsed } = body;
  for (const name in refused) {
    const value = parsed[name];
    if (value !== undefined && value !== null && refused[name]?.(value))
      throw new Unsupported(`"${name}" is not supported by this model's provider.`, name);
  }
  const style = { model: target.upstreamModel, hasCallIds };
  return JSON.stringify({
    ...conversationOf(parsed.messages, style),
    ...toolsOf(parsed),
    generationConfig: generationConfig(parsed, target),
  });
}

function generationConfig(parsed: Fields, target: ChatTarget): Fields {
  const config: Record<string, unknown> = {};
  for (const name in numbers) {
    const value = parsed[name];
    if (typeof value === 'number') config[numbers[name] ?? name] = value;
  }
  if (Number(parsed.n) > mostCandidates)
    throw new Unsupported(`"n" must be at most ${mostCandidates} for this model's provider.`, 'n');
  const limit = target.cap ?? clientLimit(parsed);
  if (limit !== null) config.maxOutputTokens = Math.min(limit, target.maxOutputTokens);
  const { stop, modalities } = parsed;
  const stops = (Array.isArray(stop) ? stop : [stop]).filter((text) => text);
  if (stops.length > 0) config.stopSequences = stops;
  if (parsed.logprobs === true) {
    config.responseLogprobs = true;
    if (typeof parsed.top_logprobs === 'number') config.logprobs = parsed.top_logprobs;
  }
  if (Array.isArray(modalities) && modalities.some((kind) => kind !== 'text'))
    config.responseModalities = modalities.map((kind) => String(kind).toUpperCase());
  const thinking = thinkingConfig(parsed, target.upstreamModel);
  if (thinking) config.thinkingConfig = thinking;
  return { ...config, ...formatOf(fields(parsed.response_format)) };
}

/** @throws Unsupported */
function formatOf({ type, json_schema }: Fields): Fields {
  if (type === undefined || type === 'text') return {};
  if (type === 'json_object') return { responseMimeType: 'application/json' };
  const { schema } = fields(json_schema);
  if (type !== 'json_schema')
    throw new Unsupported('This "response_format" is not supported.', 'response_format');
  return {
    responseMimeType: 'application/json',
    ...(schema === undefined ? {} : { responseJsonSchema: withoutConst(schema) }),
  };
}

/** Gemini reads JSON Schema as it is, but for `const`. */
function withoutConst(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutConst);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { const: only, ...rest } = fields(schema);
  const entries = Object.entries(rest).map(([name, value]) => [name, inner(name, value)]);
  return { ...Object.fromEntries(entries), ...(only === undefined ? {} : { enum: [only] }) };
}

/** Where other schemas stand: anything else, such as an enum, is data. */
function inner(name: string, value: unknown): unknown {
  if (/^(properties|\$defs|definitions|patternProperties)$/.test(name)) {
    const members = Object.entries(fields(value));
    return Object.fromEntries(members.map(([key, schema]) => [key, withoutConst(schema)]));
  }
  if (/^(items|prefixItems|additionalProperties|anyOf|oneOf|allOf|not)$/.test(name))
    return withoutConst(value);
  return value;
}

interface Declaration {
  readonly name: string;
  readonly isStrict: boolean;
  readonly written: Fields;
}

function declarationOf(tool: unknown, index: number): Declaration {
  const { type, function: body } = fields(tool);
  const { name, description, parameters, strict } = fields(body);
  if (type !== 'function' || typeof name !== 'string')
    throw new Unsupported('Only tools of type function are supported.', `tools[${index}]`);
  const schema = parameters ?? undefined;
  return {
    name,
    isStrict: strict === true,
    written: {
      name,
      ...(typeof description === 'string' ? { description } : {}),
      ...(schema === undefined ? {} : { parametersJsonSchema: withoutConst(schema) }),
    },
  };
}

/** @throws Unsupported */
function toolsOf({ tools, tool_choice: choice }: Fields): Fields {
  if (!Array.isArray(tools) || tools.length === 0) return {};
  const declared = tools.map(declarationOf);
  const { names, mode } = choiceOf(choice);
  const allowed = names === null ? declared : declared.filter(({ name }) => names.includes(name));
  if (names !== null && allowed.length === 0)
    throw new Unsupported('"tool_choice" names no tool of this request.', 'tool_choice');
  // Calls and words, but no call that breaks its schema.
  const isChecked = mode === 'AUTO' && declared.some(({ isStrict }) => isStrict);
  const config = {
    mode: isChecked ? 'VALIDATED' : mode,
    ...(mode === 'ANY' && names !== null ? { allowedFunctionNames: names } : {}),
  };
  // Names go with ANY only: what may not be called at all is not declared.
  const written = (mode === 'AUTO' ? allowed : declared).map((declaration) => declaration.written);
  return {
    tools: [{ functionDeclarations: written }],
    ...(choice === undefined && !isChecked
      ? {}
      : { toolConfig: { functionCallingConfig: config } }),
  };
}

const modes = { auto: 'AUTO', none: 'NONE', required: 'ANY' } as const;

/** Which functions may be called, null for all; and whether one must. */
function choiceOf(choice: unknown): {
  names: readonly string[] | null;
  mode: 'AUTO' | 'NONE' | 'ANY';
} {
  if (choice === undefined || choice === null) return { names: null, mode: 'AUTO' };
  if (choice === 'auto' || choice === 'none' || choice === 'required')
    return { names: null, mode: modes[choice] };
  const { type, function: named, allowed_tools } = fields(choice);
  const allowed = fields(allowed_tools);
  if (type === 'allowed_tools' && Array.isArray(allowed.tools)) {
    const names = allowed.tools.map((tool) => String(fields(fields(tool).function).name));
    return { names, mode: allowed.mode === 'required' ? 'ANY' : 'AUTO' };
  }
  const { name } = fields(named);
  if (typeof name === 'string') return { names: [name], mode: 'ANY' };
  throw new Unsupported('This "tool_choice" is not supported.', 'tool_choice');
}
