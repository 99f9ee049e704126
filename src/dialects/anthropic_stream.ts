/**
 * Anthropic's stream as OpenAI chunks, event by event. Fenced for speed: of a delta that looks like the one before it, the JSON
 * string is cut out and put into the chunk as it is, because it is the same on both sides (about 1 µs, parsing it is 10); any
 * other event is parsed.
 *
 * Text here is latin1: one character a byte.
 */
import {
  finishReasonOf,
  now,
  reasoningDetail,
  refusalOf,
  type Shown,
  shownOf,
  usageOf,
} from './anthropic_answer.ts';
import { dataOf, mergedUsage } from './anthropic_events.ts';
import type { ChatBody } from './dialect.ts';
import { type Fields, fields } from './members.ts';
import { type EventReader, EventSplitter, StreamError } from './stream.ts';

/** A block of the answer that is under way. */
interface OpenBlock {
  readonly kind: 'text' | 'thinking' | 'call' | 'answer' | 'other';
  /** Of a call among calls, of thinking among `reasoning_details`. */
  readonly index: number;
  /** Something of its input has come. */
  hasInput: boolean;
}

export class MessageReader implements EventReader {
  readonly #splitter: EventSplitter;
  readonly #shown: Shown;
  readonly #blocks = new Map<unknown, OpenBlock>();
  /** What stands before the text in an event like the last one with text or thinking; '' for none. */
  #likeHead = '';
  /** The chunk for such an event: what stands before its text, and, where that comes twice, in between; and behind it. */
  #likeChunk: readonly [before: string, between: string | null, behind: string] = ['', null, ''];
  /** Every chunk begins with it. */
  #head = '';
  #usage: Fields = {};
  #calls = 0;
  #details = 0;
  #hasRole = false;

  constructor(mostEventBytes: number, body: ChatBody) {
    this.#splitter = new EventSplitter(mostEventBytes);
    this.#shown = shownOf(body);
  }

  push(chunk: Buffer): string[] {
    return this.#read(this.#splitter.push(chunk));
  }

  end(): string[] {
    return this.#read(this.#splitter.end());
  }

  #read(events: readonly string[]): string[] {
    const out: string[] = [];
    for (const event of events) {
      const text = this.#textLikeBefore(event);
      if (text === null) this.#take(event, out);
      else if (text !== '') out.push(this.#chunkLikeBefore(text));
    }
    return out;
  }

  /** The JSON string, without quotes, of an event that differs from the last one with text in nothing else; else null. */
  #textLikeBefore(event: string): string | null {
    const start = this.#likeHead.length;
    if (start === 0 || !event.startsWith(this.#likeHead)) return null;
    const end = event.indexOf('"', start);
    // An escaped quote, or members behind the text.
    if (end === -1 || event[end - 1] === '\\' || !closesDelta(event, end + 1)) return null;
    return event.slice(start, end);
  }

  #chunkLikeBefore(text: string): string {
    const [before, between, behind] = this.#likeChunk;
    return between === null ? before + text + behind : before + text + between + text + behind;
  }

  #take(event: string, out: string[]): void {
    const data = dataOf(event);
    if (data === null) return;
    switch (data.type) {
      case 'message_start':
        this.#start(fields(data.message));
        break;
      case 'content_block_start':
        this.#openBlock(data.index, fields(data.content_block), out);
        break;
      case 'content_block_delta':
        this.#delta(event, data.index, fields(data.delta), out);
        break;
      case 'content_block_stop':
        this.#closeBlock(data.index, out);
        break;
      case 'message_delta':
        this.#finish(fields(data.delta), data.usage, out);
        break;
      case 'message_stop':
        out.push('data: [DONE]');
        break;
      case 'error':
        out.push(`data: ${latin1({ error: data.error ?? data })}`);
    }
  }

  /** Nothing is said yet: an error that comes right behind it may still be answered by another offer. */
  #start({ id, model, usage }: Fields): void {
    this.#usage = mergedUsage(this.#usage, usage);
    if (this.#head !== '') return;
    const head = { id, object: 'chat.completion.chunk', created: now(), model };
    this.#head = `data: ${latin1(head).slice(0, -1)}`;
  }

  #chunk(out: string[], delta: Fields, finish: string | null = null): void {
    this.#sayRole(out);
    const choice = { index: 0, delta, logprobs: null, finish_reason: finish };
    out.push(`${this.#head},"choices":[${latin1(choice)}]}`);
  }

  /** An OpenAI stream says first who speaks. */
  #sayRole(out: string[]): void {
    if (this.#hasRole) return;
    if (this.#head === '') throw new StreamError('the stream does not begin with its message');
    this.#hasRole = true;
    this.#chunk(out, { role: 'assistant', content: '' });
  }

  #openBlock(at: unknown, block: Fields, out: string[]): void {
    const { type, text, id, name, input, data } = block;
    this.#sayRole(out);
    if (type === 'text') {
      this.#open(at, 'text');
      if (typeof text === 'string' && text !== '') this.#chunk(out, { content: text });
    } else if (type === 'thinking') {
      this.#open(at, 'thinking', this.#details++);
      if (this.#shown.reasoning) this.#think(at, block, out);
    } else if (type === 'redacted_thinking') {
      const detail = reasoningDetail('encrypted', this.#details++, { data });
      if (this.#shown.reasoning) this.#chunk(out, { reasoning_details: [detail] });
    } else if (type === 'tool_use' && this.#shown.isAnswerTool(name)) this.#open(at, 'answer');
    else if (type === 'tool_use') {
      const index = this.#calls++;
      const call = this.#open(at, 'call', index);
      const called = { name, arguments: '' };
      this.#chunk(out, { tool_calls: [{ index, id, type: 'function', function: called }] });
      // Some that speak this dialect give the input at once.
      if (Object.keys(fields(input)).length > 0) this.#arguments(call, JSON.stringify(input), out);
    }
  }

  #open(at: unknown, kind: OpenBlock['kind'], index = 0): OpenBlock {
    const block = { kind, index, hasInput: false };
    this.#blocks.set(at, block);
    return block;
  }

  #delta(event: string, at: unknown, delta: Fields, out: string[]): void {
    const block = this.#blocks.get(at);
    switch (delta.type) {
      case 'text_delta':
        if (typeof delta.text !== 'string' || delta.text === '') return;
        this.#chunk(out, { content: delta.text });
        this.#learn(event, '"text":"', [`${this.#deltaHead}"content":"`, null, `"${chunkTail}`]);
        break;
      case 'input_json_delta':
        if (block && typeof delta.partial_json === 'string')
          this.#arguments(block, delta.partial_json, out);
        break;
      case 'thinking_delta':
      case 'signature_delta':
        if (this.#shown.reasoning) this.#think(at, delta, out);
        if (block?.kind === 'thinking' && this.#shown.reasoning) this.#learnThinking(event, block);
    }
  }

  get #deltaHead(): string {
    return `${this.#head},"choices":[{"index":0,"delta":{`;
  }

  /** The next event will look like this one. @param mark what stands before its text */
  #learn(event: string, mark: string, chunk: readonly [string, string | null, string]): void {
    const at = event.indexOf(mark);
    this.#likeHead = at === -1 ? '' : event.slice(0, at + mark.length);
    this.#likeChunk = chunk;
  }

  #learnThinking(event: string, { index }: OpenBlock): void {
    const detail = JSON.stringify(reasoningDetail('text', index, { text: '' }));
    const [before = '', behind = ''] = detail.split('"text":""');
    this.#learn(event, '"thinking":"', [
      `${this.#deltaHead}"reasoning":"`,
      `","reasoning_details":[${before}"text":"`,
      `"${behind}]${chunkTail}`,
    ]);
  }

  #think(at: unknown, { thinking, signature }: Fields, out: string[]): void {
    const { index } = this.#blocks.get(at) ?? this.#open(at, 'thinking', this.#details++);
    const text = typeof thinking === 'string' && thinking !== '' ? thinking : null;
    const signed = typeof signature === 'string' && signature !== '' ? { signature } : {};
    if (text === null && !('signature' in signed)) return;
    const rest = { ...(text === null ? {} : { text }), ...signed };
    const reasoning_details = [reasoningDetail('text', index, rest)];
    this.#chunk(
      out,
      text === null ? { reasoning_details } : { reasoning: text, reasoning_details },
    );
  }

  #arguments(block: OpenBlock, text: string, out: string[]): void {
    if (text === '') return;
    block.hasInput = true;
    if (block.kind === 'answer') this.#chunk(out, { content: text });
    else if (block.kind === 'call')
      this.#chunk(out, { tool_calls: [{ index: block.index, function: { arguments: text } }] });
  }

  /** A call without arguments may say nothing of them; an OpenAI client parses what it gets. */
  #closeBlock(at: unknown, out: string[]): void {
    const block = this.#blocks.get(at);
    this.#blocks.delete(at);
    if (block && !block.hasInput && (block.kind === 'call' || block.kind === 'answer'))
      this.#arguments(block, '{}', out);
  }

  /** What it counts is cumulative, and corrects what the beginning said. */
  #finish({ stop_reason, stop_details }: Fields, counted: unknown, out: string[]): void {
    this.#usage = mergedUsage(this.#usage, counted);
    if (typeof stop_reason === 'string') {
      const refusal = refusalOf(stop_details);
      if (refusal !== null) this.#chunk(out, { refusal });
      this.#chunk(out, {}, finishReasonOf(stop_reason, this.#calls > 0));
    }
    const usage = usageOf(this.#usage);
    if (usage && this.#hasRole) out.push(`${this.#head},"choices":[],"usage":${latin1(usage)}}`);
  }
}

const chunkTail = '},"logprobs":null,"finish_reason":null}]}';

/** Nothing but two closing braces and white space, with which Anthropic pads its events. */
function closesDelta(event: string, from: number): boolean {
  let braces = 0;
  for (let at = from; at < event.length; at += 1) {
    const code = event.charCodeAt(at);
    if (code === closeBrace) braces += 1;
    else if (code > blank) return false;
  }
  return braces === 2;
}

const closeBrace = 125;
const blank = 32;

/** JSON text, one character a byte. */
function latin1(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('latin1');
}
