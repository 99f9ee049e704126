/** A client of resumable streams: reads events, loses its connection where it is told to, and goes on where it was. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';

export interface Connection {
  readonly baseUrl: string;
  readonly key: string;
}

interface Opened {
  readonly response: IncomingMessage;
  destroy(): void;
}

const agent = new Agent({ keepAlive: false });

function open(
  { baseUrl, key }: Connection,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string,
): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${baseUrl}${path}`, {
      method,
      agent,
      headers: { authorization: `Bearer ${key}`, ...headers },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      resolve({ response, destroy: () => request.destroy() });
    });
    request.end(body);
  });
}

/** Bytes of the body as latin1, up to `limit`, at which the connection is destroyed; and whether it came to its end. */
function readUpTo(
  { response, destroy }: Opened,
  limit: number,
  noted: (bytes: number) => void,
): Promise<{ text: string; isWhole: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    let isWhole = false;
    response.setEncoding('latin1');
    response.on('data', (part: string) => {
      if (text.length >= limit) return;
      text += part;
      noted(part.length);
      if (text.length < limit) return;
      // What came in the same packet behind the cut was never received.
      text = text.slice(0, limit);
      destroy();
    });
    response.on('end', () => {
      isWhole = true;
    });
    response.on('close', () => resolve({ text, isWhole: isWhole && text.length < limit }));
    if (limit <= 0) destroy();
  });
}

/** What has come of a stream, over all connections. */
export class StreamReader {
  readonly #key: string | null;
  readonly #body: string;
  /** Whole events. */
  text = '';
  lastEvent = 0;
  address: string | null = null;
  isWhole = false;
  /** Bytes so far, while it reads. */
  received = 0;
  status = 0;

  /** @param key Idempotency-Key; null for a body that asks to be resumable */
  constructor(body: object, key: string | null) {
    this.#body = JSON.stringify(body);
    this.#key = key;
  }

  get requestId(): string {
    return (this.address ?? '').replace('/v1/streams/', '');
  }

  /** Connects, to go on where it was, and reads at most so many bytes. */
  async read(connection: Connection, limit = Number.POSITIVE_INFINITY): Promise<void> {
    const opened = await this.#open(connection).catch(() => null);
    if (!opened) return;
    this.status = opened.response.statusCode ?? 0;
    const address = opened.response.headers['x-stream-url'];
    if (typeof address === 'string') this.address = address;
    const { text, isWhole } = await readUpTo(opened, limit, (bytes) => {
      this.received += bytes;
    });
    if (this.status !== 200) return;
    this.#take(text);
    this.isWhole = isWhole;
  }

  #open(connection: Connection): Promise<Opened> {
    if (this.address !== null) {
      const headers = { 'last-event-id': String(this.lastEvent) };
      return open(connection, 'GET', this.address.slice('/v1'.length), headers, '');
    }
    const headers: Record<string, string> =
      this.#key === null ? {} : { 'idempotency-key': this.#key };
    return open(connection, 'POST', '/chat/completions', headers, this.#body);
  }

  /** Half an event is lost with its connection, as in any SSE client; comments are no part of the stream. */
  #take(received: string): void {
    const text = received.replaceAll(': keep-alive\n', '');
    const end = text.lastIndexOf('\n\n');
    const whole = end === -1 ? '' : text.slice(0, end + 2);
    this.text += whole;
    const last = [...whole.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1];
    if (last !== undefined) this.lastEvent = Number(last);
  }
}
