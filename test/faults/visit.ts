/** A client, and what it sees. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { model } from '../providers.ts';
import { until } from '../scratch_data.ts';

export class Visit {
  /** 0 while nothing has come. */
  status = 0;
  text = '';
  isOver = false;
  /** Null while no header has come. */
  requestId: string | null = null;
  #isWhole = false;
  readonly #stream: boolean;

  /** @param prompt what the provider knows it by */
  constructor(origin: string, key: string, prompt: string, stream: boolean, maxTokens?: number) {
    this.#stream = stream;
    const request = httpRequest(`${origin}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    });
    request.once('response', (response) => this.#read(response));
    request.on('error', () => {});
    request.once('close', () => {
      this.isOver = true;
    });
    const options = stream ? { stream, stream_options: { include_usage: true } } : {};
    const limit = maxTokens === undefined ? {} : { max_tokens: maxTokens };
    const messages = [{ role: 'user', content: prompt }];
    request.end(JSON.stringify({ model, messages, ...limit, ...options }));
  }

  /** It got the answer from its beginning to its end. */
  get isComplete(): boolean {
    if (this.status !== 200 || !this.#isWhole) return false;
    return !this.#stream || this.text.endsWith('data: [DONE]\n\n');
  }

  /** Something of the answer has come. */
  get hasBegun(): boolean {
    return this.status === 200 && this.text !== '';
  }

  get code(): string | null {
    return this.status >= 400 && this.#isWhole ? (JSON.parse(this.text).code ?? null) : null;
  }

  /** Bytes of generated text of a stream. */
  get contentBytes(): number {
    const contents = this.text.matchAll(/"content":"(\w*)"/g);
    return [...contents].reduce((sum, [, content = '']) => sum + content.length, 0);
  }

  over(): Promise<void> {
    return until('the answer has ended', () => this.isOver);
  }

  #read(response: IncomingMessage): void {
    this.status = response.statusCode ?? 0;
    const id = response.headers['x-request-id'];
    this.requestId = typeof id === 'string' ? id.slice('req_'.length) : null;
    response.on('error', () => {});
    response.setEncoding('utf8').on('data', (part: string) => (this.text += part));
    response.once('end', () => {
      this.#isWhole = response.complete;
    });
  }
}
