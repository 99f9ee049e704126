/**
 * Gemini's stream as an OpenAI chat stream, event by event: nothing is kept but what the usage was last. An event costs about
 * 6 µs, most of it in JSON.parse.
 */
import type { ChatBody } from './dialect.ts';
import {
  blockReason,
  Choice,
  type Expectation,
  expectationOf,
  headOf,
  logprobsOf,
  partsOf,
} from './gemini_answer.ts';
import { hasCounts, usageOf } from './gemini_usage.ts';
import { type Fields, fields } from './members.ts';
import { type EventReader, EventSplitter, StreamError } from './stream.ts';

interface OpenChoice {
  readonly choice: Choice;
  isFinished: boolean;
}

export class GeminiReader implements EventReader {
  readonly #splitter: EventSplitter;
  readonly #expected: Expectation;
  readonly #choices = new Map<number, OpenChoice>();
  #finished = 0;
  /** JSON of the members that all chunks begin with, without its closing brace. */
  #head = '';
  /** The last that had counts; every event brings the sum so far. */
  #metadata: unknown = null;
  #sentUsage = '';
  #hasFailed = false;

  constructor(mostEventBytes: number, body: ChatBody) {
    this.#splitter = new EventSplitter(mostEventBytes);
    this.#expected = expectationOf(body);
  }

  /** @throws StreamError */
  push(chunk: Buffer): string[] {
    return this.#splitter.push(chunk).flatMap((event) => this.#read(event));
  }

  /** @throws StreamError */
  end(): string[] {
    const out = this.#splitter.end().flatMap((event) => this.#read(event));
    if (this.#hasFailed) return out;
    // Gemini may give fewer candidates than were asked for.
    if (this.#finished > 0 && this.#finished === this.#choices.size)
      for (let index = 0; index < this.#expected.choices; index += 1)
        if (!this.#choices.has(index)) out.push(...this.#finish(index, 'content_filter', null));
    out.push(...this.#usageChunk());
    if (this.#isOver) out.push('data: [DONE]');
    return out;
  }

  get #isOver(): boolean {
    return this.#finished >= this.#expected.choices;
  }

  #read(event: string): string[] {
    const answer = dataOf(event);
    if (!answer || this.#hasFailed) return [];
    this.#head ||= JSON.stringify(headOf(answer, 'chat.completion.chunk')).slice(0, -1);
    if (answer.error) return [this.#fail(fields(answer.error))];
    if (hasCounts(answer.usageMetadata)) this.#metadata = answer.usageMetadata;
    const candidates = Array.isArray(answer.candidates) ? answer.candidates.map(fields) : [];
    const out = candidates.flatMap((candidate) => this.#readCandidate(candidate));
    const blocked = blockReason(answer);
    if (blocked !== null && candidates.length === 0 && this.#choices.size === 0)
      for (let index = 0; index < this.#expected.choices; index += 1)
        out.push(...this.#finish(index, 'content_filter', blocked));
    if (this.#isOver && !this.#hasFailed) out.push(...this.#usageChunk());
    return out;
  }

  #readCandidate(candidate: Fields): string[] {
    if (this.#hasFailed) return [];
    const index = typeof candidate.index === 'number' ? candidate.index : 0;
    const known = this.#choices.get(index);
    const choice = known?.choice ?? new Choice(this.#expected);
    const out: string[] = [];
    let logprobs = logprobsOf(candidate);
    for (const part of partsOf(candidate)) {
      const delta = choice.read(part);
      if (!delta) continue;
      out.push(...this.#open(index, choice), this.#chunk(index, delta, logprobs));
      logprobs = null;
    }
    const { finishReason } = candidate;
    if (typeof finishReason !== 'string' || known?.isFinished) return out;
    const finish = choice.finish(finishReason);
    if (finish === null) {
      // What was said before is paid for; where nothing was, another offer may do better.
      if (this.#choices.size > 0) out.push(...this.#usageChunk());
      return [...out, this.#fail({ message: finishReason })];
    }
    return [...out, ...this.#finish(index, finish, finishReason, choice)];
  }

  /** The first chunk of a choice says who speaks. */
  #open(index: number, choice: Choice): string[] {
    if (this.#choices.has(index)) return [];
    this.#choices.set(index, { choice, isFinished: false });
    return [this.#chunk(index, { role: 'assistant', content: '' }, null)];
  }

  #finish(
    index: number,
    reason: string,
    native: string | null,
    choice = new Choice(this.#expected),
  ): string[] {
    const out = this.#open(index, choice);
    this.#choices.set(index, { choice, isFinished: true });
    this.#finished += 1;
    const ending = { finish_reason: reason, native_finish_reason: native };
    return [...out, this.#event({ choices: [{ index, delta: {}, logprobs: null, ...ending }] })];
  }

  #chunk(index: number, delta: Fields | object, logprobs: Fields | null): string {
    return this.#event({ choices: [{ index, delta, logprobs, finish_reason: null }] });
  }

  #usageChunk(): string[] {
    const usage = JSON.stringify(usageOf(this.#metadata));
    if (this.#metadata === null || usage === this.#sentUsage) return [];
    this.#sentUsage = usage;
    return [latin1(`data: ${this.#head},"choices":[],"usage":${usage}}`)];
  }

  #fail({ message, status, code }: Fields): string {
    this.#hasFailed = true;
    const error = { message: String(message ?? 'error'), code: status ?? code ?? null };
    return this.#event({ choices: [], error });
  }

  #event(members: Fields): string {
    return latin1(`data: ${this.#head},${JSON.stringify(members).slice(1)}`);
  }
}

/** Most texts have no others, and need no second look. */
const beyondAscii = /[\u0080-\uffff]/;

/** UTF-8 as one character a byte. */
function latin1(text: string): string {
  return beyondAscii.test(text) ? Buffer.from(text).toString('latin1') : text;
}

/** What the data of an event say; null for a comment. @throws StreamError */
function dataOf(event: string): Fields | null {
  const lines = event.split('\n').filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return null;
  const text = lines.map((line) => line.slice(5)).join('\n');
  try {
    const isPlain = !beyondAscii.test(text);
    return fields(JSON.parse(isPlain ? text : Buffer.from(text, 'latin1').toString()));
  } catch (cause) {
    throw new StreamError('an event is not JSON', { cause });
  }
}
