/** Reads the turns of a conversation as strictly as Anthropic does. */
import { createHash } from 'node:crypto';
import { invalid, list, object, oneOf, only, text } from './anthropic_checks.ts';
import { isObject, type Json, type Message } from './request.ts';

/** A thinking block comes back as it was given, or not at all. */
export function signatureOf(thinking: string): string {
  return createHash('sha256').update(`sandbox ${thinking}`).digest('base64');
}

/** The beginning of a prompt that is to be kept in the provider's cache. */
export interface Cached {
  readonly text: string;
  readonly ttl: '5m' | '1h';
}

/** What the prompt is made of, in Anthropic's order, with the marks where a cache may end. */
export class Prompt {
  #text = '';
  #cached: Cached | null = null;

  add(text: string, control: unknown, at: string): void {
    this.#text += `${text}\n`;
    if (control === undefined || control === null) return;
    const { type, ttl } = object(control, `${at}.cache_control`);
    oneOf(type, `${at}.cache_control.type`, 'ephemeral');
    const lasts = ttl === undefined ? '5m' : oneOf(ttl, `${at}.cache_control.ttl`, '5m', '1h');
    this.#cached = { text: this.#text, ttl: lasts === '1h' ? '1h' : '5m' };
  }

  get cached(): Cached | null {
    return this.#cached;
  }
}

/** What a turn says, sorted. */
export interface Turn {
  text: string;
  readonly media: Record<string, number>;
  readonly calls: string[];
  readonly callIds: string[];
  readonly results: { readonly id: string; readonly text: string }[];
  readonly types: string[];
}

const mediaSources: Readonly<Record<string, readonly string[]>> = {
  image: ['base64', 'url'],
  document: ['base64', 'url', 'text'],
};

function readSource(block: Json, at: string): void {
  const source = object(block.source, `${at}.source`);
  const type = oneOf(
    source.type,
    `${at}.source.type`,
    ...(mediaSources[text(block.type, at)] ?? []),
  );
  if (type === 'url') {
    only(source, `${at}.source.`, 'type', 'url');
    text(source.url, `${at}.source.url`);
    return;
  }
  only(source, `${at}.source.`, 'type', 'media_type', 'data');
  text(source.data, `${at}.source.data`);
  const media = text(source.media_type, `${at}.source.media_type`);
  const known =
    type === 'text' ? /^text\/plain$/ : /^(image\/(jpeg|png|gif|webp)|application\/pdf)$/;
  if (!known.test(media)) throw invalid(`${at}.source.media_type: ${media} is not supported`);
}

function readThinking(block: Json, at: string): void {
  if (block.type === 'redacted_thinking') {
    only(block, `${at}.`, 'type', 'data');
    text(block.data, `${at}.data`);
    return;
  }
  only(block, `${at}.`, 'type', 'thinking', 'signature');
  const thinking = text(block.thinking, `${at}.thinking`);
  // What is omitted has its signature over nothing that the client could see.
  if (text(block.signature, `${at}.signature`) !== signatureOf(thinking))
    throw invalid(`${at}: Invalid \`signature\` in \`thinking\` block`);
}

function readCall(block: Json, at: string, turn: Turn): void {
  only(block, `${at}.`, 'type', 'id', 'name', 'input', 'cache_control');
  const id = text(block.id, `${at}.id`);
  if (!/^[a-zA-Z0-9_-]+$/.test(id))
    throw invalid(`${at}.id: String should match pattern '^[a-zA-Z0-9_-]+$'`);
  text(block.name, `${at}.name`);
  turn.calls.push(JSON.stringify(object(block.input, `${at}.input`)));
  turn.callIds.push(id);
}

function readResult(block: Json, at: string, turn: Turn): void {
  only(block, `${at}.`, 'type', 'tool_use_id', 'content', 'is_error', 'cache_control');
  if (turn.types.some((type) => type !== 'tool_result'))
    throw invalid(`${at}: \`tool_result\` blocks must come before other content`);
  const inner = emptyTurn();
  if (block.content !== undefined) readContent(block.content, `${at}.content`, 'user', inner, null);
  turn.results.push({ id: text(block.tool_use_id, `${at}.tool_use_id`), text: inner.text });
}

function emptyTurn(): Turn {
  return { text: '', media: {}, calls: [], callIds: [], results: [], types: [] };
}

function readBlock(block: Json, at: string, role: string, turn: Turn): void {
  const type = text(block.type, `${at}.type`);
  const wanted = role === 'assistant' ? 'assistant' : 'user';
  if (type === 'text') {
    only(block, `${at}.`, 'type', 'text', 'cache_control', 'citations');
    const said = text(block.text, `${at}.text`);
    if (said.trim() === '') throw invalid('messages: text content blocks must be non-empty');
    turn.text += said;
  } else if (wanted === 'user' && type in mediaSources) {
    only(block, `${at}.`, 'type', 'source', 'cache_control', 'title', 'context', 'citations');
    readSource(block, at);
    turn.media[type] = (turn.media[type] ?? 0) + 1;
  } else if (wanted === 'assistant' && /^(redacted_)?thinking$/.test(type)) readThinking(block, at);
  else if (wanted === 'assistant' && type === 'tool_use') readCall(block, at, turn);
  else if (wanted === 'user' && type === 'tool_result') readResult(block, at, turn);
  else
    throw invalid(
      `${at}: Input tag '${type}' found using 'type' does not match any of the expected tags`,
    );
  turn.types.push(type);
}

function readContent(
  content: unknown,
  at: string,
  role: string,
  turn: Turn,
  prompt: Prompt | null,
): void {
  if (typeof content === 'string') {
    turn.text += content;
    turn.types.push('text');
    prompt?.add(content, undefined, at);
    return;
  }
  for (const [index, value] of list(content, at).entries()) {
    const block = object(value, `${at}.${index}`);
    readBlock(block, `${at}.${index}`, role, turn);
    prompt?.add(JSON.stringify({ ...block, cache_control: undefined }), block.cache_control, at);
  }
}

/** Turns of one role behind each other are one turn, as Anthropic takes them. */
export function readTurns(value: unknown, prompt: Prompt): { role: string; turn: Turn }[] {
  const messages = list(value, 'messages');
  if (messages.length === 0) throw invalid('messages: at least one message is required');
  const turns: { role: string; turn: Turn }[] = [];
  for (const [index, each] of messages.entries()) {
    const at = `messages.${index}`;
    const message = object(each, at);
    only(message, `${at}.`, 'role', 'content');
    const role = oneOf(message.role, `${at}.role`, 'user', 'assistant');
    const last = turns.at(-1);
    const turn = last?.role === role ? last.turn : emptyTurn();
    if (turn !== last?.turn) turns.push({ role, turn });
    readContent(message.content, `${at}.content`, role, turn, prompt);
  }
  if (turns[0]?.role !== 'user') throw invalid('messages: first message must use the "user" role');
  return turns;
}

/** Each call has its result in the next turn, and each result its call in the turn before. */
export function pairUp(turns: readonly { readonly turn: Turn }[]): void {
  for (const [index, { turn }] of turns.entries()) {
    const results = turns[index + 1]?.turn.results.map(({ id }) => id) ?? [];
    const open = turn.callIds.filter((id) => !results.includes(id));
    if (open.length > 0)
      throw invalid(
        `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(', ')}`,
      );
    const before = turns[index - 1]?.turn.callIds ?? [];
    for (const { id } of turn.results)
      if (!before.includes(id))
        throw invalid(
          `messages.${index}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}`,
        );
  }
}

export function messagesOf(
  turns: readonly { role: string; turn: Turn }[],
  system: string,
): Message[] {
  const said = turns.flatMap(({ role, turn }): Message[] => {
    const { text, media, calls, results } = turn;
    const tools = results.map(({ text }) => ({ role: 'tool', text, media: {}, calls: '' }));
    if (results.length > 0 && text === '' && Object.keys(media).length === 0) return tools;
    return [...tools, { role, text, media, calls: calls.join('') }];
  });
  return system === '' ? said : [{ role: 'system', text: system, media: {}, calls: '' }, ...said];
}

export function readSystem(value: unknown, prompt: Prompt): string {
  if (value === undefined) return '';
  const turn = emptyTurn();
  readContent(value, 'system', 'user', turn, prompt);
  return turn.text;
}

/** With a budget, an assistant's turn of calls that waits for its end begins with thinking. */
export function checkHistory(body: Json, turns: readonly { turn: Turn }[]): void {
  const thinking = isObject(body.thinking) ? body.thinking.type : null;
  const before = turns.at(-2)?.turn;
  if (thinking !== 'enabled' || !before?.callIds.length) return;
  const [first = ''] = before.types;
  if (!first.endsWith('thinking'))
    throw invalid(
      `messages.${turns.length - 2}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${first}\`.`,
    );
}
