/** A streamed answer made whole, for a client that asked for no stream where the model gives nothing else. */
import { ChunkMender } from './compatible_answer.ts';
import { Unreadable } from './dialect.ts';
import { type Fields, fields } from './members.ts';

interface Gathered {
  readonly message: Record<string, unknown>;
  /** By index. */
  readonly calls: Map<unknown, Fields>;
  readonly tokens: unknown[];
  ending: Fields | null;
}

/** @param text server-sent events of an OpenAI chat stream @throws Unreadable where it is none, fails or does not end */
export function gathered(text: string, hidesReasoning: boolean): Fields {
  const reader = new ChunkMender(text.length * 4, hidesReasoning);
  const events = [...reader.push(Buffer.from(text)), ...reader.end()];
  const choices = new Map<unknown, Gathered>();
  let head: Fields = {};
  let usage: unknown = null;
  for (const event of events) {
    const chunk = reader.mend(chunkOf(event));
    if (chunk.error) throw new Unreadable(String(fields(chunk.error).message));
    if (typeof chunk.id === 'string') head = chunk;
    usage = chunk.usage ?? usage;
    for (const choice of Array.isArray(chunk.choices) ? chunk.choices.map(fields) : []) {
      const before = choices.get(choice.index) ?? newChoice();
      choices.set(choice.index, before);
      add(before, choice);
    }
  }
  if (choices.size === 0) throw new Unreadable('there is no answer in the stream');
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: [...choices].map(wholeChoice),
    ...(usage === null ? {} : { usage }),
  };
}

/** @throws Unreadable */
function chunkOf(event: string): Fields {
  const data = event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5))
    .join('\n')
    .trim();
  if (data === '' || data === '[DONE]') return {};
  try {
    return fields(JSON.parse(Buffer.from(data, 'latin1').toString()));
  } catch (cause) {
    throw new Unreadable('an event is not JSON', { cause });
  }
}

function newChoice(): Gathered {
  return {
    message: { role: 'assistant', content: null },
    calls: new Map(),
    tokens: [],
    ending: null,
  };
}

function add(into: Gathered, choice: Fields): void {
  const { tool_calls, ...said } = fields(choice.delta);
  for (const name in said) {
    const piece = said[name];
    const before = into.message[name];
    if (name === 'role' || piece === null) continue;
    into.message[name] =
      typeof piece === 'string' && typeof before === 'string' ? before + piece : piece;
  }
  for (const call of Array.isArray(tool_calls) ? tool_calls.map(fields) : []) addCall(into, call);
  const { content } = fields(choice.logprobs);
  if (Array.isArray(content)) into.tokens.push(...content);
  if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') into.ending = choice;
}

function addCall({ calls }: Gathered, { index, ...piece }: Fields): void {
  const before = calls.get(index) ?? {};
  const named = fields(before.function);
  const given = fields(piece.function);
  const text = `${named.arguments ?? ''}${given.arguments ?? ''}`;
  calls.set(index, { ...piece, ...before, function: { ...given, ...named, arguments: text } });
}

/** @throws Unreadable */
function wholeChoice([index, { message, calls, tokens, ending }]: [unknown, Gathered]): Fields {
  if (!ending) throw new Unreadable('the stream ended before the answer was finished');
  const { finish_reason, native_finish_reason } = ending;
  return {
    index,
    message: calls.size > 0 ? { ...message, tool_calls: [...calls.values()] } : message,
    logprobs: tokens.length > 0 ? { content: tokens } : null,
    finish_reason,
    ...(native_finish_reason === undefined ? {} : { native_finish_reason }),
  };
}
