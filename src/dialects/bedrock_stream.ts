/**
 * Converse's stream as OpenAI chunks: its messages are said in Anthropic's words, and read as those are. What a message costs
 * beyond that is its frame and one JSON.parse, about 3 µs.
 */
import { MessageReader } from './anthropic_stream.ts';
import { stopReasonOf, usageFrom } from './bedrock_answer.ts';
import type { ChatBody } from './dialect.ts';
import { type Frame, FrameSplitter } from './event_stream.ts';
import { type Fields, fields } from './members.ts';
import { type EventReader, StreamError } from './stream.ts';

export class ConverseReader implements EventReader {
  readonly #splitter: FrameSplitter;
  readonly #reader: MessageReader;
  /** Said, and not yet passed on: the usage comes behind it. */
  #stop: string | null = null;

  constructor(mostEventBytes: number, body: ChatBody) {
    this.#splitter = new FrameSplitter(mostEventBytes);
    // An event in other words is somewhat longer.
    this.#reader = new MessageReader(2 * mostEventBytes + 1000, body);
  }

  /** @throws StreamError */
  push(chunk: Buffer): string[] {
    const events = this.#splitter.push(chunk).flatMap((frame) => this.#eventsOf(frame));
    return events.length === 0 ? [] : this.#reader.push(Buffer.from(events.map(written).join('')));
  }

  /** @throws StreamError */
  end(): string[] {
    this.#splitter.end();
    const last = this.#ending(null);
    return [...this.#reader.push(Buffer.from(last.map(written).join(''))), ...this.#reader.end()];
  }

  #eventsOf({ headers, payload }: Frame): Fields[] {
    const data = parsed(payload);
    const kind = headers[':event-type'];
    if (headers[':message-type'] !== 'event') {
      const type = headers[':exception-type'] ?? headers[':error-code'] ?? 'error';
      const message = data.message ?? headers[':error-message'] ?? type;
      return [{ type: 'error', error: { type, message: String(message) } }];
    }
    const { contentBlockIndex: index, start, delta } = data;
    switch (kind) {
      case 'messageStart':
        return [{ type: 'message_start', message: { id: '', model: '' } }];
      case 'contentBlockStart':
        return startOf(index, fields(start));
      case 'contentBlockDelta':
        return deltaOf(index, fields(delta));
      case 'contentBlockStop':
        return [{ type: 'content_block_stop', index }];
      case 'messageStop':
        return this.#stopped(data.stopReason);
      case 'metadata':
        return this.#ending(data.usage);
      default:
        return [];
    }
  }

  #stopped(reason: unknown): Fields[] {
    this.#stop = stopReasonOf(reason);
    if (this.#stop !== null) return [];
    return [{ type: 'error', error: { type: 'model_error', message: String(reason) } }];
  }

  /** @param usage null where the stream ended without it */
  #ending(usage: unknown): Fields[] {
    const stop_reason = this.#stop;
    if (stop_reason === null) return [];
    this.#stop = null;
    const counted = usage === null ? {} : { usage: usageFrom(usage) };
    return [
      { type: 'message_delta', delta: { stop_reason }, ...counted },
      { type: 'message_stop' },
    ];
  }
}

function startOf(index: unknown, { toolUse }: Fields): Fields[] {
  if (toolUse === undefined) return [];
  const { toolUseId: id, name } = fields(toolUse);
  return [{ type: 'content_block_start', index, content_block: { type: 'tool_use', id, name } }];
}

function deltaOf(index: unknown, { text, toolUse, reasoningContent }: Fields): Fields[] {
  const event = (delta: Fields): Fields[] => [{ type: 'content_block_delta', index, delta }];
  if (typeof text === 'string') return event({ type: 'text_delta', text });
  if (toolUse !== undefined)
    return event({ type: 'input_json_delta', partial_json: fields(toolUse).input });
  const { text: thinking, signature, redactedContent: data } = fields(reasoningContent);
  if (typeof thinking === 'string') return event({ type: 'thinking_delta', thinking });
  if (typeof signature === 'string') return event({ type: 'signature_delta', signature });
  if (typeof data !== 'string') return [];
  const content_block = { type: 'redacted_thinking', data };
  return [{ type: 'content_block_start', index, content_block }];
}

function written(event: Fields): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}

/** @throws StreamError */
function parsed(payload: string): Fields {
  try {
    return fields(JSON.parse(payload));
  } catch (cause) {
    throw new StreamError('an event is not JSON', { cause });
  }
}
