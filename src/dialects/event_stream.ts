/**
 * The binary framing of Amazon's streams (`application/vnd.amazon.eventstream`): bytes, split anywhere, to whole messages.
 * A message is the lengths of the whole and of its headers, their CRC, the headers, the payload, and the CRC of all before;
 * numbers are big-endian.
 */
import { crc32 } from 'node:zlib';
import { StreamError } from './stream.ts';

export interface Frame {
  /** Headers that are text, such as `:event-type`. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, mostly. */
  readonly payload: string;
}

const preludeBytes = 12;
const crcBytes = 4;
const nothing = Buffer.alloc(0);

export class FrameSplitter {
  readonly #largest: number;
  #rest: Buffer = nothing;
  /** More of a message whose length is not reached yet: joined once, not with each packet. */
  #parts: Buffer[] = [];
  #length = 0;
  /** Bytes at which there is something to read. */
  #wanted = preludeBytes;

  /** @param largest bytes that one message may have */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /** @throws StreamError for bytes that are no such message, or one beyond the limit */
  push(chunk: Buffer): Frame[] {
    this.#parts.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#wanted) return [];
    this.#rest = Buffer.concat(this.#parts);
    const frames: Frame[] = [];
    let from = 0;
    for (;;) {
      const left = this.#rest.length - from;
      this.#wanted = left < preludeBytes ? preludeBytes : this.#lengthAt(from);
      if (left < this.#wanted) break;
      frames.push(frameOf(this.#rest.subarray(from, from + this.#wanted)));
      from += this.#wanted;
    }
    this.#parts = [this.#rest.subarray(from)];
    this.#length = this.#rest.length - from;
    this.#rest = nothing;
    return frames;
  }

  /** @throws StreamError where the stream has ended within a message */
  end(): void {
    if (this.#length > 0) throw new StreamError('the stream ended within a message');
  }

  #lengthAt(from: number): number {
    const prelude = this.#rest.subarray(from, from + preludeBytes);
    const length = prelude.readUInt32BE(0);
    if (
      crc32(prelude.subarray(0, 8)) !== prelude.readUInt32BE(8) ||
      length < preludeBytes + crcBytes
    )
      throw new StreamError('the stream is not framed as it should be');
    if (length > this.#largest) throw new StreamError('an event is too large');
    return length;
  }
}

/** @throws StreamError */
function frameOf(message: Buffer): Frame {
  const end = message.length - crcBytes;
  if (crc32(message.subarray(0, end)) !== message.readUInt32BE(end))
    throw new StreamError('a message of the stream is damaged');
  const headersEnd = preludeBytes + message.readUInt32BE(4);
  if (headersEnd > end) throw new StreamError('the stream is not framed as it should be');
  return {
    headers: headersOf(message.subarray(preludeBytes, headersEnd)),
    payload: message.toString('utf8', headersEnd, end),
  };
}

/** Bytes of a value by its type; those of text and of bytes say their length in two. */
const sizes = [0, 0, 1, 2, 4, 8, null, null, 8, 16] as const;
const textType = 7;

function headersOf(bytes: Buffer): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  let at = 0;
  try {
    while (at < bytes.length) {
      const nameEnd = at + 1 + bytes.readUInt8(at);
      const type = bytes.readUInt8(nameEnd);
      const fixed = sizes[type];
      if (fixed === undefined) throw new RangeError('an unknown type');
      const from = nameEnd + (fixed === null ? 3 : 1);
      const to = from + (fixed ?? bytes.readUInt16BE(nameEnd + 1));
      if (type === textType)
        found[bytes.toString('utf8', at + 1, nameEnd)] = bytes.toString('utf8', from, to);
      at = to;
    }
  } catch (cause) {
    throw new StreamError('the stream is not framed as it should be', { cause });
  }
  return found;
}

/** A message as it goes over the wire. */
export function framed({ headers, payload }: Frame): Buffer {
  const named = Object.entries(headers).map(([name, value]) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(Buffer.byteLength(value));
    const head = Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name)]);
    return Buffer.concat([head, Buffer.from([textType]), length, Buffer.from(value)]);
  });
  const head = Buffer.concat(named);
  const body = Buffer.from(payload);
  const prelude = Buffer.alloc(preludeBytes);
  prelude.writeUInt32BE(preludeBytes + head.length + body.length + crcBytes, 0);
  prelude.writeUInt32BE(head.length, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  const all = Buffer.concat([prelude, head, body]);
  const crc = Buffer.alloc(crcBytes);
  crc.writeUInt32BE(crc32(all));
  return Buffer.concat([all, crc]);
}
