/** Calls to providers: one connection pool an origin, timeouts, abort, back pressure. */
import { type Dispatcher, Pool } from 'undici';
import { SessionRefused } from './key_session.ts';
import type { ProviderKey } from './provider_keys.ts';
import type { Target } from './target.ts';

export interface UpstreamSettings {
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Bytes of an answer that is not streamed. */
  readonly maxAnswerBytes: number;
}

/** The provider could not be reached, broke off, or sent what is no answer. */
export class UpstreamBroken extends Error {}

/** It is longer than is taken: how long, the client may have wished. */
export class AnswerTooLarge extends UpstreamBroken {}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Receives the body as it comes. */
export interface Sink {
  data(chunk: Buffer): void;
  end(): void;
  fail(error: Error): void;
}

const nobody: Sink = { data() {}, end() {}, fail() {} };

/** One call. undici's handler and our view of it in one object, because the hot path makes one for each request. */
export class UpstreamCall implements Dispatcher.DispatchHandler {
  status = 0;
  headers: Headers = {};
  /** Resolves when status and headers are there. Rejects with UpstreamBroken. */
  readonly started: Promise<this>;
  #resolve: (call: this) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #controller: Dispatcher.DispatchController | null = null;
  #sink: Sink | null = null;
  /** What came before there was a sink. */
  #early: Buffer[] = [];
  #ended: Error | true | null = null;
  #aborted = false;
  #key: ProviderKey | null;

  /** @param key counts what is under way with it; null where nobody asks */
  constructor(key: ProviderKey | null) {
    this.#key = key;
    if (key) key.inFlight += 1;
    this.started = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  header(name: string): string {
    const value = this.headers[name];
    return typeof value === 'string' ? value : (value?.[0] ?? '');
  }

  /** The whole body. @throws UpstreamBroken when it breaks off or is longer than `limit` bytes */
  text(limit: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      this.pipe({
        data: (chunk) => {
          length += chunk.length;
          if (length <= limit) chunks.push(chunk);
          else {
            this.abort();
            reject(new AnswerTooLarge('the answer is too large'));
          }
        },
        end: () =>
          resolve((chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))?.toString() ?? ''),
        fail: reject,
      });
    });
  }

  pipe(sink: Sink): void {
    this.#sink = sink;
    for (const chunk of this.#early) sink.data(chunk);
    this.#early = [];
    if (this.#ended === true) sink.end();
    else if (this.#ended) sink.fail(this.#ended);
  }

  pause(): void {
    if (!this.#ended) this.#controller?.pause();
  }

  resume(): void {
    if (!this.#ended) this.#controller?.resume();
  }

  /** Ends the call now, wherever it is; its connection is closed, because what is still under way on it is unread. */
  abort(): void {
    if (this.#aborted || this.#ended) return;
    this.#aborted = true;
    const aborted = new UpstreamBroken('aborted');
    this.#end(aborted);
    const sink = this.#sink;
    this.#sink = nobody;
    this.#controller?.abort(aborted);
    this.#reject(aborted);
    sink?.fail(aborted);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new UpstreamBroken('aborted'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Headers,
  ): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    // Whoever awaits this reads as soon as the packet at hand has been parsed: what it holds of the body waits in #early.
    this.#resolve(this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#sink) this.#sink.data(chunk);
    else if (!this.#aborted) this.#early.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#ended) return;
    this.#end(true);
    this.#sink?.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    if (this.#ended) return;
    const broken = new UpstreamBroken(cause.message, { cause });
    this.#end(broken);
    this.#reject(broken);
    this.#sink?.fail(broken);
  }

  /** Its key has no session. @param error SessionRefused counts as the provider's own 401 */
  failWithout(error: unknown): void {
    if (this.#ended) return;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof SessionRefused) {
      this.status = 401;
      this.#early.push(Buffer.from(JSON.stringify({ error: { message: reason } })));
      this.#end(true);
      this.#resolve(this);
      return;
    }
    const broken = new UpstreamBroken(reason, { cause: error });
    this.#end(broken);
    this.#reject(broken);
  }

  #end(how: Error | true): void {
    this.#ended = how;
    if (this.#key) this.#key.inFlight -= 1;
    this.#key = null;
  }
}

export class Upstreams {
  readonly #settings: UpstreamSettings;
  readonly #pools = new Map<string, Pool>();

  constructor(settings: UpstreamSettings) {
    this.#settings = settings;
  }

  get maxAnswerBytes(): number {
    return this.#settings.maxAnswerBytes;
  }

  /** Sends a chat request. The call may be aborted at once; `started`, which the caller awaits at once, tells how it went. */
  send(target: Target, key: ProviderKey, body: string, isStreamed: boolean): UpstreamCall {
    const call = new UpstreamCall(target.keys.counts ? key : null);
    key.meter?.take(performance.now());
    const { headers, session } = key;
    if (headers !== null) this.#dispatch(call, target, headers, body, isStreamed);
    else
      session?.renew().then(
        () => this.#dispatch(call, target, key.headers ?? [], body, isStreamed),
        (error: unknown) => call.failWithout(error),
      );
    return call;
  }

  #dispatch(
    call: UpstreamCall,
    target: Target,
    headers: readonly string[],
    body: string,
    isStreamed: boolean,
  ): void {
    const { basePath, dialect, offer } = target;
    const options: Dispatcher.DispatchOptions = {
      path: basePath + dialect.chatPath(offer.upstreamModel, isStreamed),
      method: 'POST',
      headers: [...headers],
      body,
    };
    this.#pool(target.origin).dispatch(options, call);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  #pool(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known) return known;
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = this.#settings;
    const pool = new Pool(origin, {
      connections: null,
      // One request at a time on a connection: an answer can never be taken for another's.
      pipelining: 1,
      connect: { timeout: connectTimeoutMs },
      headersTimeout: firstByteTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      allowH2: false,
    });
    this.#pools.set(origin, pool);
    return pool;
  }
}
