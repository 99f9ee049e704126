/** A conversation in OpenAI's form as Anthropic's turns: user and assistant by turns, results of tools first in theirs. */
import { Unsupported } from './dialect.ts';
import { type Fields, fields } from './members.ts';

export type Block = Fields;

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: Block[];
}

export interface Conversation {
  readonly system: readonly Block[];
  readonly turns: readonly Turn[];
}

/** The form of signatures that this dialect gave out, and takes back. */
export const reasoningFormat = 'anthropic-claude-v1';

/** @throws Unsupported for a part that Anthropic has no word for */
export function conversationOf(messages: unknown): Conversation {
  const system: Block[] = [];
  const turns: Turn[] = [];
  const list = Array.isArray(messages) ? messages : [];
  for (const [index, value] of list.entries()) {
    const message = fields(value);
    const at = `messages[${index}]`;
    switch (message.role) {
      case 'system':
      case 'developer':
        for (const block of blocksOf(message, at)) system.push(block);
        break;
      case 'user':
        add(turns, 'user', blocksOf(message, at));
        break;
      case 'assistant':
        add(turns, 'assistant', assistantBlocks(message, at));
        break;
      case 'tool':
        add(turns, 'user', [toolResult(message, at)]);
        break;
      default:
        throw new Unsupported(
          `Messages of the role ${JSON.stringify(message.role)} are not supported by this provider.`,
          `${at}.role`,
        );
    }
  }
  for (const { role, content } of turns) if (role === 'user') resultsFirst(content);
  // A request of instructions only has to be asked by somebody.
  if (turns.length === 0) return { system: [], turns: [{ role: 'user', content: system }] };
  trimLast(turns);
  return { system, turns };
}

function add(turns: Turn[], role: Turn['role'], blocks: readonly Block[]): void {
  const last = turns.at(-1);
  if (blocks.length === 0) return;
  // One by one: there may be more than a call takes arguments.
  if (last?.role === role) for (const block of blocks) last.content.push(block);
  else turns.push({ role, content: [...blocks] });
}

/** Where a tool has answered, its results must come before anything else. */
function resultsFirst(content: Block[]): void {
  if (!content.some(({ type }) => type === 'tool_result')) return;
  const rank = ({ type }: Block): number => (type === 'tool_result' ? 0 : 1);
  content.sort((a, b) => rank(a) - rank(b));
}

/** The beginning of an answer that the client wrote itself must not end in white space. */
function trimLast(turns: readonly Turn[]): void {
  const last = turns.at(-1);
  const block = last?.content.at(-1);
  if (last?.role !== 'assistant' || typeof block?.text !== 'string') return;
  last.content[last.content.length - 1] = { ...block, text: block.text.trimEnd() };
}

/** Content as text or parts; parts without text are left out, because empty blocks are refused. */
function blocksOf({ content, cache_control }: Fields, at: string): Block[] {
  if (typeof content === 'string')
    return content === '' ? [] : [{ type: 'text', text: content, ...cached(cache_control) }];
  if (!Array.isArray(content)) return [];
  return content.flatMap((part, index) => {
    const block = blockOf(fields(part), `${at}.content[${index}]`);
    return block ? [{ ...block, ...cached(fields(part).cache_control) }] : [];
  });
}

function cached(control: unknown): Fields {
  return typeof control === 'object' && control !== null ? { cache_control: control } : {};
}

/** @throws Unsupported */
function blockOf(part: Fields, at: string): Block | null {
  switch (part.type) {
    case 'text':
      return text(part.text);
    case 'refusal':
      return text(part.refusal);
    case 'image_url':
      return imageOf(part.image_url, at);
    case 'file':
      return documentOf(fields(part.file), at);
    default:
      throw new Unsupported(
        `Parts of the type ${JSON.stringify(part.type)} are not supported by this provider.`,
        `${at}.type`,
      );
  }
}

function text(value: unknown): Block | null {
  return typeof value === 'string' && value !== '' ? { type: 'text', text: value } : null;
}

interface DataUrl {
  readonly mediaType: string;
  readonly data: string;
}

function dataUrlOf(url: string): DataUrl | null {
  const comma = url.indexOf(',');
  const head = /^data:([^;,]+)((?:;[^;,]*)*);base64$/.exec(url.slice(0, Math.max(comma, 0)));
  return head?.[1] ? { mediaType: head[1].toLowerCase(), data: url.slice(comma + 1) } : null;
}

/** `{url}` as OpenAI writes it, or the address alone. */
function imageOf(value: unknown, at: string): Block {
  const url = typeof value === 'string' ? value : fields(value).url;
  const where = `${at}.image_url.url`;
  if (typeof url !== 'string') throw new Unsupported('An image needs a URL.', where);
  if (!url.startsWith('data:')) return { type: 'image', source: { type: 'url', url } };
  const image = dataUrlOf(url);
  if (!image) throw new Unsupported('A data URL of an image must be base64.', where);
  return { type: 'image', source: base64(image) };
}

function base64({ mediaType, data }: DataUrl): Fields {
  return { type: 'base64', media_type: mediaType, data };
}

function documentOf({ file_data, filename }: Fields, at: string): Block {
  const title = typeof filename === 'string' && filename !== '' ? { title: filename } : {};
  const where = `${at}.file.file_data`;
  if (typeof file_data !== 'string')
    throw new Unsupported(
      'A file must come with its data: this provider does not know its id.',
      where,
    );
  if (/^https?:/i.test(file_data))
    return { type: 'document', source: { type: 'url', url: file_data }, ...title };
  const file = dataUrlOf(file_data);
  if (file?.mediaType.startsWith('image/')) return { type: 'image', source: base64(file) };
  if (file?.mediaType === 'application/pdf')
    return { type: 'document', source: base64(file), ...title };
  if (file?.mediaType.startsWith('text/')) {
    const data = Buffer.from(file.data, 'base64').toString();
    const source = { type: 'text', media_type: 'text/plain', data };
    return { type: 'document', source, ...title };
  }
  throw new Unsupported(
    'Files must be PDF, text or images, as a base64 data URL or an address.',
    where,
  );
}

/** Thinking first and as it came, then words, then calls. */
function assistantBlocks(message: Fields, at: string): Block[] {
  const { tool_calls, reasoning_details } = message;
  if (message.function_call)
    throw new Unsupported('Use tool_calls in place of function_call.', `${at}.function_call`);
  const calls = Array.isArray(tool_calls) ? tool_calls : [];
  return [
    ...thinkingBlocks(reasoning_details),
    ...blocksOf(message, at),
    ...calls.map((call, index) => toolUse(fields(call), `${at}.tool_calls[${index}]`)),
  ];
}

/** Only what Claude signed can be given back to it: what others thought is refused there. */
function thinkingBlocks(details: unknown): Block[] {
  if (!Array.isArray(details)) return [];
  return details.map(fields).flatMap((detail): Block[] => {
    const { type, format, signature, data, text: thinking } = detail;
    if (format !== undefined && format !== null && format !== reasoningFormat) return [];
    if (type === 'reasoning.encrypted' && typeof data === 'string')
      return [{ type: 'redacted_thinking', data }];
    if (type !== 'reasoning.text' || typeof signature !== 'string' || signature === '') return [];
    return [
      { type: 'thinking', thinking: typeof thinking === 'string' ? thinking : '', signature },
    ];
  });
}

/** @throws Unsupported for arguments that are no JSON object, which Anthropic keeps them as */
function toolUse(call: Fields, at: string): Block {
  if (call.type !== undefined && call.type !== 'function')
    throw new Unsupported('Only calls of functions are supported by this provider.', `${at}.type`);
  const called = fields(call.function);
  return {
    type: 'tool_use',
    id: callId(call.id),
    name: called.name,
    input: inputOf(called.arguments, `${at}.function.arguments`),
    ...cached(call.cache_control),
  };
}

function inputOf(given: unknown, at: string): unknown {
  if (given === undefined || given === null || given === '') return {};
  try {
    const input: unknown = typeof given === 'string' ? JSON.parse(given) : given;
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input;
  } catch {
    // Told below.
  }
  throw new Unsupported('Arguments of a call must be a JSON object for this provider.', at);
}

/** Ids of other providers may have letters that Anthropic refuses. */
function callId(id: unknown): string {
  return String(id).replace(/[^a-zA-Z0-9_-]/g, '_');
}

function toolResult(message: Fields, at: string): Block {
  const { tool_call_id, content, cache_control } = message;
  const given = typeof content === 'string' ? content : blocksOf({ content }, at);
  return {
    type: 'tool_result',
    tool_use_id: callId(tool_call_id),
    ...(given.length > 0 ? { content: given } : {}),
    ...cached(cache_control),
  };
}
