/**
 * Server-sent events: bytes, split anywhere, to whole events.
 *
 * Text here is latin1: one character a byte, so that positions are bytes and UTF-8 passes through untouched.
 */

import type { Fields } from './members.ts';

/** The bytes of a stream are not what their dialect says. */
export class StreamError extends Error {}

/** Takes the bytes of a provider's stream and gives events of an OpenAI chat stream, each without its final blank line. */
export interface EventReader {
  /**
   * A chunk of these events as OpenAI has it: the same object where it is so. It changes what stands around a generated text
   * alike, whatever the text is, but for the role in the first piece of a choice. Left out where events need no mending.
   */
  mend?(chunk: Fields): Fields;
  /** @throws StreamError */
  push(chunk: Buffer): string[];
  /** What is left when the stream has ended. @throws StreamError */
  end(): string[];
}

/** Bytes, split anywhere, to whole events without their final blank line. */
export class EventSplitter implements EventReader {
  readonly #largest: number;
  #rest = '';
  /** Of a CRLF, the CR has come. */
  #hasHalfBreak = false;

  /** @param largest bytes that one event may have */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /** @throws StreamError when an event grows beyond the limit */
  push(chunk: Buffer): string[] {
    const more = chunk.toString('latin1');
    // The middle of a long event: read anew with each packet, one of 30 MB would take a minute.
    if (this.#rest !== '' && !this.#hasHalfBreak && !/[\r\n]/.test(more))
      return this.#keep(this.#rest + more);
    let text = this.#rest + more;
    if (text.includes('\r')) text = normalised(text);
    const events: string[] = [];
    let from = 0;
    for (;;) {
      const to = text.indexOf('\n\n', from);
      if (to === -1) break;
      if (to > from) events.push(text.slice(from, to));
      from = to + 2;
    }
    this.#hasHalfBreak = text.endsWith('\r');
    this.#keep(from === 0 ? text : text.slice(from));
    return events;
  }

  #keep(rest: string): string[] {
    this.#rest = rest;
    if (rest.length > this.#largest) throw new StreamError('an event is too large');
    return [];
  }

  /** What stands behind the last blank line when the stream has ended: a final event some providers do not close. */
  end(): string[] {
    const rest = this.#rest.trimEnd();
    this.#rest = '';
    return rest === '' ? [] : [rest];
  }
}

/** Lines may end in CR, LF or both; a CR at the very end may be half of a CRLF. JSON text holds neither. */
function normalised(text: string): string {
  const half = text.endsWith('\r');
  const lines = (half ? text.slice(0, -1) : text).replace(/\r\n?/g, '\n');
  return half ? `${lines}\r` : lines;
}
