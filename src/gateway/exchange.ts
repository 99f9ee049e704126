/** One HTTP request and its answer: identity, body, error form, and whether the client is still there. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ApiError, type ErrorFormat, errorBody, errorHeaders } from '../errors.ts';
import { requestIdOf, timeOrderedId } from '../ids.ts';
import { readBody } from './body.ts';
import type { Outlet } from './outlet.ts';

/** How long a refused body is read on; ms. */
const discardMs = 2000;

/** A single newline: no client takes it for the end of an event. */
const keepAliveComment = ': keep-alive\n';

function ignore(): void {}

export class Exchange implements Outlet {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string = timeOrderedId();
  readonly plainId: string = this.id.replaceAll('-', '');
  readonly startedAt: number = performance.now();
  answeredAt = 0;
  left = false;
  /** Only what is kept can be cancelled but by leaving. */
  readonly isCancelled = false;
  #errorFormat: ErrorFormat | null;
  #onLeave: (() => void) | null = null;
  #headers: readonly string[] = [];
  #answerOf: string | null = null;
  #isChunking = false;

  /** @param over called once the connection has done with the answer, or is gone */
  constructor(request: IncomingMessage, response: ServerResponse, over: () => void = ignore) {
    this.request = request;
    this.response = response;
    const format = request.headers['x-error-format'];
    this.#errorFormat = format === 'object' || format === 'text' ? format : null;
    // A write that meets a closed connection says so here; what it means for us is in 'close'.
    response.on('error', ignore);
    response.on('close', () => {
      over();
      if (response.writableFinished) return;
      this.left = true;
      this.#onLeave?.();
    });
  }

  /** As users see it: of this request, or of the one whose answer is given. */
  get requestId(): string {
    return this.#answerOf ?? requestIdOf(this.plainId);
  }

  /** From here on the answer is that of another request. @param requestId as users see it */
  answerOf(requestId: string): void {
    this.#answerOf = requestId;
  }

  get hasBegun(): boolean {
    return this.response.headersSent;
  }

  get isFull(): boolean {
    return this.response.writableNeedDrain;
  }

  /** The key's form of errors counts where the request asks for none. */
  preferErrorFormat(format: ErrorFormat): void {
    this.#errorFormat ??= format;
  }

  /** Headers (name, value, name, value) of whatever answer is given. */
  addHeaders(headers: readonly string[]): void {
    this.#headers = headers;
  }

  whenLeft(action: () => void): void {
    this.#onLeave = action;
    if (this.left) action();
  }

  whenDrained(action: () => void): void {
    this.response.on('drain', action);
  }

  /**
   * The whole body.
   * @throws ApiError request_too_large beyond `limit` bytes, too_many_requests_in_flight; ClientLeft
   */
  body(limit: number): Promise<Buffer> {
    return readBody(this.request, limit);
  }

  head(headers: readonly string[]): void {
    this.response.writeHead(200, ['x-request-id', this.requestId, ...this.#headers, ...headers]);
  }

  json(body: string | Buffer, headers: readonly string[] = []): void {
    if (this.left) return;
    // A string goes out in one write with its head; a buffer takes two, and a tenth of the request.
    const length = String(Buffer.byteLength(body));
    this.head(['content-type', 'application/json', 'content-length', length, ...headers]);
    this.response.end(body);
  }

  write(text: string): boolean {
    if (text === '') return true;
    const { response } = this;
    if (response.chunkedEncoding) {
      // Node writes a chunk in four pieces, gathered at the end of the turn; in one a stream of 100 chunks costs a twentieth less.
      response.chunkedEncoding = false;
      this.#isChunking = true;
    }
    return response.write(this.#chunk(text), 'latin1');
  }

  end(text: string): void {
    if (this.left) return;
    const last = text === '' ? '' : this.#chunk(text);
    this.response.end(this.#isChunking ? `${last}0\r\n\r\n` : last, 'latin1');
  }

  keepAlive(): void {
    this.write(keepAliveComment);
  }

  /** As HTTP/1.1 has it (RFC 9112, 7.1), where the answer is chunked by ourselves. @param text latin1, a byte a character */
  #chunk(text: string): string {
    return this.#isChunking ? `${text.length.toString(16)}\r\n${text}\r\n` : text;
  }

  cut(): void {
    this.response.destroy();
  }

  /** Ends the connection in the middle of the answer, once all that was written has left. */
  breakOff(): void {
    setImmediate(() => this.response.socket?.destroySoon());
  }

  /** Answers with an error, where an answer has not begun yet; else the connection ends, which no client takes for success. */
  fail(error: ApiError): void {
    const { response } = this;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const body = errorBody(error, this.requestId, this.#errorFormat ?? 'text');
    const headers: Record<string, string> = {
      ...errorHeaders(error),
      'x-request-id': this.requestId,
    };
    for (let i = 0; i + 1 < this.#headers.length; i += 2)
      headers[this.#headers[i] ?? ''] = this.#headers[i + 1] ?? '';
    if (!this.request.complete) headers.connection = 'close';
    headers['content-length'] = String(Buffer.byteLength(body));
    response.writeHead(error.status, headers);
    response.end(body);
    if (!this.request.complete) this.#discardBody();
  }

  /** What still arrives of a body that is refused is read and thrown away for a moment, so that the answer gets through. */
  #discardBody(): void {
    const { request } = this;
    request.resume();
    const timer = setTimeout(() => request.destroy(), discardMs);
    request.once('close', () => clearTimeout(timer));
  }
}
