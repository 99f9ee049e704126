/** Events of Anthropic's streams: what each says, and the whole message that they make up. */
import { type Fields, fields } from './members.ts';
import { EventSplitter, StreamError } from './stream.ts';

/** @param event one character a byte @throws StreamError for data that is no JSON object */
export function dataOf(event: string): Fields | null {
  const lines = event.split('\n').filter((line) => line.startsWith('data:'));
  const text = lines
    .map((line) => line.slice(5))
    .join('\n')
    .trim();
  if (text === '') return null;
  try {
    const data: unknown = JSON.parse(Buffer.from(text, 'latin1').toString());
    if (typeof data === 'object' && data !== null) return fields(data);
  } catch {
    // Told below.
  }
  throw new StreamError('an event is not a JSON object');
}

/** What is counted later corrects what was counted before, where it is there at all. */
export function mergedUsage(before: Fields, counted: unknown): Fields {
  const told = Object.entries(fields(counted)).filter(([, value]) => value !== null);
  return { ...before, ...Object.fromEntries(told) };
}

type Block = Record<string, unknown>;

/** The message that a whole stream tells, as it would have come in one piece. @throws StreamError for one that fails or is cut */
export function messageOf(stream: string): Fields {
  const splitter = new EventSplitter(Number.POSITIVE_INFINITY);
  const events = [...splitter.push(Buffer.from(stream)), ...splitter.end()];
  // By whatever the provider calls its place: an array would have to be as long as the highest.
  const blocks = new Map<unknown, Block>();
  let message: Fields = {};
  let usage: Fields = {};
  for (const event of events) {
    const data = dataOf(event);
    const at = data?.index;
    switch (data?.type) {
      case 'message_start':
        message = fields(data.message);
        usage = mergedUsage(usage, message.usage);
        break;
      case 'content_block_start':
        blocks.set(at, { ...fields(data.content_block) });
        break;
      case 'content_block_delta':
        append(blocks.get(at), fields(data.delta));
        break;
      case 'message_delta':
        message = { ...message, ...fields(data.delta) };
        usage = mergedUsage(usage, data.usage);
        break;
      case 'message_stop':
        return { ...message, content: Array.from(blocks.values(), withInput), usage };
      case 'error':
        throw new StreamError('the provider reported an error');
    }
  }
  throw new StreamError('the stream ended before the answer was finished');
}

/** The member of a block that a kind of delta adds to. */
const grownBy: Readonly<Record<string, string>> = {
  text_delta: 'text',
  thinking_delta: 'thinking',
  signature_delta: 'signature',
  input_json_delta: 'partial_json',
};

function append(block: Block | undefined, delta: Fields): void {
  const member = grownBy[String(delta.type)];
  const more = member === undefined ? null : delta[member];
  if (!block || member === undefined || typeof more !== 'string') return;
  const { [member]: before } = block;
  block[member] = (typeof before === 'string' ? before : '') + more;
}

/** Arguments come as pieces of JSON, where there are any. */
function withInput({ partial_json, ...block }: Block): Block {
  if (typeof partial_json !== 'string' || partial_json === '') return block;
  try {
    return { ...block, input: JSON.parse(partial_json) };
  } catch {
    // The limit cut them: they are told as far as they came.
    return { ...block, partial_json };
  }
}
