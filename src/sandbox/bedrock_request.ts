/** Reads a request to Converse as strictly as Bedrock does, and makes of it what the stand-ins answer. */
import type { StandIn } from './answer.ts';
import { invalid, list, number, object, only, text } from './anthropic_checks.ts';
import { messagesOf, pairUp, type Turn } from './anthropic_turns.ts';
import { type ChatRequest, isObject, type Json, type Tool } from './request.ts';

export interface ConverseRequest extends ChatRequest {
  /** Tokens of its prompt are to be kept in the provider's cache. */
  readonly isCached: boolean;
  /** It reasons where that can be seen. */
  readonly thinks: boolean;
}

const imageFormats = ['png', 'jpeg', 'gif', 'webp'];
const documentFormats = ['pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md'];

/** What is seen of all messages. */
interface Seen {
  readonly documents: Set<string>;
  isCached: boolean;
}

function readMedia(value: Json, at: string, formats: readonly string[]): void {
  const format = text(value.format, `${at}.format`);
  if (!formats.includes(format)) throw invalid(`${at}.format: ${format} is not supported`);
  const source = object(value.source, `${at}.source`);
  only(source, `${at}.source.`, 'bytes');
  const bytes = text(source.bytes, `${at}.source.bytes`);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(bytes)) throw invalid(`${at}.source.bytes: is no base64`);
}

function readDocument(value: Json, at: string, seen: Seen): void {
  only(value, `${at}.`, 'format', 'name', 'source');
  const name = text(value.name, `${at}.name`);
  if (!/^[A-Za-z0-9 ()[\]-]{1,200}$/.test(name) || / {2}/.test(name))
    throw invalid(`${at}.name: has signs that are not allowed`);
  if (seen.documents.has(name)) throw invalid(`${at}.name: two documents have this name`);
  seen.documents.add(name);
  readMedia(value, at, documentFormats);
}

function readResult(value: Json, at: string, turn: Turn): void {
  only(value, `${at}.`, 'toolUseId', 'content', 'status');
  const parts = list(value.content, `${at}.content`);
  if (parts.length === 0) throw invalid(`${at}.content: must not be empty`);
  const said = parts.map((part) => {
    const { text: words, json } = object(part, `${at}.content`);
    return json === undefined ? text(words, `${at}.content.text`) : JSON.stringify(json);
  });
  turn.results.push({ id: text(value.toolUseId, `${at}.toolUseId`), text: said.join('') });
}

function readReasoning(value: Json, at: string, model: StandIn): void {
  if (model.author !== 'anthropic') throw invalid(`${at}: is not supported by this model`);
  if (value.redactedContent !== undefined) {
    text(value.redactedContent, `${at}.redactedContent`);
    return;
  }
  const said = object(value.reasoningText, `${at}.reasoningText`);
  only(said, `${at}.reasoningText.`, 'text', 'signature');
  text(said.text, `${at}.reasoningText.text`);
}

/** One member says of which kind it is. */
function readBlock(block: Json, at: string, turn: Turn, seen: Seen, model: StandIn): void {
  const [[kind = '', value] = []] = Object.entries(block);
  only(block, `${at}.`, kind);
  turn.types.push(kind);
  if (kind === 'text') {
    const words = text(value, `${at}.text`);
    if (words.trim() === '')
      throw invalid(`The text field in the ContentBlock object at ${at} is blank.`);
    turn.text += words;
    return;
  }
  const inner = object(value, `${at}.${kind}`);
  if (kind === 'image') readMedia(inner, `${at}.image`, imageFormats);
  else if (kind === 'document') readDocument(inner, `${at}.document`, seen);
  else if (kind === 'toolResult') readResult(inner, `${at}.toolResult`, turn);
  else if (kind === 'reasoningContent') readReasoning(inner, `${at}.reasoningContent`, model);
  else if (kind === 'cachePoint') {
    only(inner, `${at}.cachePoint.`, 'type', 'ttl');
    seen.isCached = true;
  } else if (kind === 'toolUse') {
    only(inner, `${at}.toolUse.`, 'toolUseId', 'name', 'input');
    turn.callIds.push(text(inner.toolUseId, `${at}.toolUse.toolUseId`));
    text(inner.name, `${at}.toolUse.name`);
    turn.calls.push(JSON.stringify(object(inner.input, `${at}.toolUse.input`)));
  } else throw invalid(`${at}: ${kind} is not known`);
  if (kind === 'image' || kind === 'document') turn.media[kind] = (turn.media[kind] ?? 0) + 1;
}

function readTurn(content: unknown, at: string, seen: Seen, model: StandIn): Turn {
  const turn: Turn = { text: '', media: {}, calls: [], callIds: [], results: [], types: [] };
  const blocks = list(content, at);
  if (blocks.length === 0 && at !== 'system') throw invalid(`${at}: must not be empty`);
  for (const [index, block] of blocks.entries())
    readBlock(object(block, `${at}.${index}`), `${at}.${index}`, turn, seen, model);
  return turn;
}

function readTools(value: unknown, seen: Seen): Tool[] {
  return list(value, 'toolConfig.tools').flatMap((each, index): Tool[] => {
    const at = `toolConfig.tools.${index}`;
    const tool = object(each, at);
    if (tool.cachePoint !== undefined) {
      seen.isCached = true;
      return [];
    }
    const spec = object(tool.toolSpec, `${at}.toolSpec`);
    only(spec, `${at}.toolSpec.`, 'name', 'description', 'inputSchema');
    const name = text(spec.name, `${at}.toolSpec.name`);
    if (!/^[\w-]{1,64}$/.test(name))
      throw invalid(`${at}.toolSpec.name: has signs that are not allowed`);
    const { json } = object(spec.inputSchema, `${at}.toolSpec.inputSchema`);
    return [
      { kind: 'function', name, parameters: object(json, `${at}.toolSpec.inputSchema.json`) },
    ];
  });
}

function readChoice(
  config: Json,
  additional: Json,
  seen: Seen,
): Pick<ChatRequest, 'tools' | 'toolUse' | 'parallel'> {
  if (config.tools === undefined) return { tools: [], toolUse: 'none', parallel: true };
  const tools = readTools(config.tools, seen);
  if (tools.length === 0) throw invalid('toolConfig.tools: must not be empty');
  const own = isObject(additional.tool_choice) ? additional.tool_choice : {};
  const parallel = own.disable_parallel_tool_use !== true;
  const choice = isObject(config.toolChoice) ? config.toolChoice : {};
  only(choice, 'toolConfig.toolChoice.', 'auto', 'any', 'tool');
  if (choice.any !== undefined || own.type === 'any')
    return { tools, toolUse: 'required', parallel };
  const named = choice.tool ?? (own.type === 'tool' ? own : undefined);
  if (named === undefined) return { tools, toolUse: 'auto', parallel };
  const { name } = object(named, 'toolConfig.toolChoice.tool');
  const chosen = tools.filter((tool) => tool.name === name);
  if (chosen.length === 0) throw invalid('toolConfig.toolChoice.tool: is not among the tools');
  return { tools: chosen, toolUse: 'named', parallel };
}

/** How long a model reasons, in the words of its maker. */
function effortOf(additional: Json, model: StandIn): string {
  const { thinking, output_config, reasoning_effort, reasoning, reasoningConfig } = additional;
  const wishes = [
    isObject(output_config) ? output_config.effort : null,
    reasoning_effort,
    isObject(reasoning) ? reasoning.effort : null,
    isObject(reasoningConfig) ? reasoningConfig.maxReasoningEffort : null,
  ];
  const said = wishes.find((wish) => typeof wish === 'string');
  if (typeof said === 'string') return said;
  if (isObject(thinking)) return thinking.type === 'disabled' ? 'none' : 'medium';
  if (isObject(reasoningConfig)) return reasoningConfig.type === 'disabled' ? 'none' : 'medium';
  const isSilent = model.author === 'anthropic' || model.author === 'amazon';
  return isSilent ? 'none' : 'medium';
}

/** @throws Refusal */
export function readConverseRequest(
  body: Json,
  name: string,
  model: StandIn,
  stream: boolean,
): ConverseRequest {
  only(
    body,
    '',
    'messages',
    'system',
    'inferenceConfig',
    'toolConfig',
    'additionalModelRequestFields',
  );
  const seen: Seen = { documents: new Set(), isCached: false };
  const turns = list(body.messages, 'messages').map((each, index) => {
    const message = object(each, `messages.${index}`);
    only(message, `messages.${index}.`, 'role', 'content');
    const turn = readTurn(message.content, `messages.${index}.content`, seen, model);
    return { role: text(message.role, `messages.${index}.role`), turn };
  });
  for (const [index, { role }] of turns.entries())
    if (role !== (index % 2 === 0 ? 'user' : 'assistant'))
      throw invalid('A conversation must alternate between user and assistant roles.');
  pairUp(turns);
  const system = body.system === undefined ? '' : readTurn(body.system, 'system', seen, model).text;
  const config = body.toolConfig === undefined ? {} : object(body.toolConfig, 'toolConfig');
  const hasCalls = turns.some(({ turn }) => turn.callIds.length + turn.results.length > 0);
  if (hasCalls && config.tools === undefined)
    throw invalid(
      'The toolConfig field must be defined when using toolUse and toolResult content blocks.',
    );
  const additional = isObject(body.additionalModelRequestFields)
    ? body.additionalModelRequestFields
    : {};
  const choice = readChoice(config, additional, seen);
  const inference = object(body.inferenceConfig ?? {}, 'inferenceConfig');
  only(inference, 'inferenceConfig.', 'maxTokens', 'temperature', 'topP', 'stopSequences');
  const { temperature, topP, stopSequences, maxTokens } = inference;
  if (temperature !== undefined) number(temperature, 'inferenceConfig.temperature', 0, 1);
  if (topP !== undefined) number(topP, 'inferenceConfig.topP', 0, 1);
  const most = model.maxOutputTokens;
  const limit =
    maxTokens === undefined ? most : number(maxTokens, 'inferenceConfig.maxTokens', 1, most);
  const effort = effortOf(additional, model);
  return {
    model: name,
    messages: messagesOf(turns, system),
    choices: 1,
    limit,
    limitField: 'max_tokens',
    stop: stopSequences === undefined ? [] : list(stopSequences, 'stopSequences').map(String),
    seed: null,
    stream,
    includeUsage: true,
    ...choice,
    toolsText: config.tools === undefined ? '' : JSON.stringify(config.tools),
    format: 'text',
    schema: {},
    logprobs: false,
    topLogprobs: 0,
    effort,
    isCached: seen.isCached,
    thinks: model.reasoning && effort !== 'none',
  };
}
