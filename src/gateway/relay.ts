/** Passes a chat stream on: as it comes, as far as it is covered, as fast as the client reads. */
import { type EventReader, StreamError } from '../dialects/stream.ts';
import type { Coverage } from './coverage.ts';
import type { Outlet } from './outlet.ts';
import { type ChatEvent, ChatEvents } from './sse.ts';
import { type Sink, UpstreamBroken, type UpstreamCall } from './upstream.ts';

/**
 * complete: finished as it should · broken: the provider failed on the way · left: the client went away ·
 * exhausted: the wallet is empty · overrun: the provider does not stop · lost: nothing may be delivered any more
 */
export type RelayEnding = 'complete' | 'broken' | 'left' | 'exhausted' | 'overrun' | 'lost';

export interface RelaySettings {
  readonly maxEventBytes: number;
  /** From asking a provider to the first event of its stream; ms. */
  readonly firstTokenTimeoutMs: number;
  /** How long a client may take to read anything at all; ms. */
  readonly stalledClientMs: number;
  /** How long a finished answer whose client has left is read on for its usage; ms. */
  readonly drainMs: number;
  /** A stream that has been silent for so long gets a comment, or after twice as long; ms. */
  readonly keepAliveMs: number;
}

/** No token is longer than this on average; a provider that sends more text than its cap allows is not stopping. */
const longestTokenBytes = 32;
const mostWithheldBytes = 1_000_000;

/** Streams under way. One timer for all: a chunk costs each of them one assignment. */
const streaming = new Set<ChatRelay>();
let silenceTimer: NodeJS.Timeout | null = null;

function listenForSilence(relay: ChatRelay, everyMs: number): void {
  streaming.add(relay);
  silenceTimer ??= setInterval(() => {
    for (const each of streaming) each.keepAlive();
    if (streaming.size > 0 || !silenceTimer) return;
    clearInterval(silenceTimer);
    silenceTimer = null;
  }, everyMs).unref();
}

export class ChatRelay implements Sink {
  /** Resolves with the first event worth a 200. Rejects with UpstreamBroken: another offer may be tried. */
  readonly opened: Promise<void>;
  readonly ended: Promise<RelayEnding>;
  readonly events: ChatEvents;
  usage: Readonly<Record<string, unknown>> | null = null;
  finishReason: string | null = null;
  deliveredBytes = 0;
  /** Finish chunks and what came behind them: they leave after the settlement. */
  withheld = '';
  /** Why it was lost. */
  failure: unknown = null;
  readonly #call: UpstreamCall;
  readonly #choices: number;
  readonly #settings: RelaySettings;
  readonly #reader: EventReader;
  #open: () => void = () => {};
  #refuse: (error: Error) => void = () => {};
  #end: (ending: RelayEnding) => void = () => {};
  #isOpen = false;
  #isEnded = false;
  #upstreamOver: RelayEnding | null = null;
  #finished = 0;
  #pending = '';
  #pendingBytes = 0;
  #exchange: Outlet | null = null;
  #coverage: Coverage | null = null;
  #mostBytes = Number.POSITIVE_INFINITY;
  #isAlive: () => boolean = () => true;
  #stalled: NodeJS.Timeout | null = null;
  #isSilent = false;

  /** @param choices how many must finish before the answer has, @param id and @param model JSON texts */
  constructor(
    call: UpstreamCall,
    reader: EventReader,
    choices: number,
    id: string,
    model: string,
    settings: RelaySettings,
  ) {
    this.#call = call;
    this.#choices = choices;
    this.#settings = settings;
    this.#reader = reader;
    this.events = new ChatEvents(id, model, reader);
    this.opened = new Promise((resolve, reject) => {
      this.#open = resolve;
      this.#refuse = reject;
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.opened.catch(() => {});
    call.pipe(this);
  }

  /**
   * Delivers what has come and what comes. The head of the answer has been written.
   * @param maxOutputTokens what the provider was allowed, over all choices
   * @param isAlive whether this process may still deliver
   */
  start(
    exchange: Outlet,
    coverage: Coverage,
    maxOutputTokens: number,
    isAlive: () => boolean,
  ): void {
    this.#exchange = exchange;
    this.#coverage = coverage;
    this.#mostBytes = maxOutputTokens * longestTokenBytes;
    this.#isAlive = isAlive;
    exchange.whenDrained(() => {
      this.#clearStall();
      this.#call.resume();
    });
    exchange.whenLeft(() => this.#clientLeft());
    if (!this.#isEnded) listenForSilence(this, this.#settings.keepAliveMs);
    this.#call.resume();
    this.#flush();
  }

  /** Called from time to time: says that the stream lives, where nothing else did since. */
  keepAlive(): void {
    if (this.#isSilent && !this.#exchange?.isFull) this.#exchange?.keepAlive();
    this.#isSilent = true;
  }

  /** Ends the call before delivery began. */
  abandon(): void {
    this.#finish('lost');
  }

  data(chunk: Buffer): void {
    if (this.#isEnded) return;
    try {
      for (const event of this.#reader.push(chunk)) this.#take(this.events.read(event));
    } catch (error) {
      this.#over('broken', error);
      return;
    }
    this.#flush();
  }

  end(): void {
    try {
      for (const event of this.#reader.end()) this.#take(this.events.read(event));
    } catch (error) {
      this.#over('broken', error);
      return;
    }
    if (this.#finished >= this.#choices) this.#over('complete');
    else this.#over('broken', new StreamError('the stream ended before the answer was finished'));
  }

  fail(error: Error): void {
    if (this.#finished >= this.#choices) this.#over('complete');
    else this.#over('broken', error);
  }

  #take(event: ChatEvent): void {
    if (event.usage) this.usage = event.usage;
    if (event.error !== null) throw new StreamError('the provider reported an error');
    this.#finished += event.finished;
    this.finishReason = event.finishReason ?? this.finishReason;
    if (this.#finished >= this.#choices) this.#withhold(event.text);
    else this.#pending += event.text;
    this.#pendingBytes += event.generatedBytes;
    if (event.text !== '' || event.usage) this.#admit();
    if (event.done) {
      if (this.#finished >= this.#choices) this.#over('complete');
      else throw new StreamError('the stream ended before the answer was finished');
    }
  }

  /** Behind the finish comes little; a provider that does not stop there is not waited for. */
  #withhold(text: string): void {
    this.withheld += text;
    if (this.withheld.length > mostWithheldBytes) this.#over('complete');
  }

  #admit(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#open();
    // Until delivery starts, what follows waits in the socket.
    if (!this.#exchange) this.#call.pause();
  }

  /** The provider's part is over; ours is when everything pending has gone out. */
  #over(ending: RelayEnding, cause: unknown = null): void {
    if (this.#upstreamOver) return;
    this.#upstreamOver = ending;
    this.failure = cause;
    if (!this.#isOpen) {
      this.#refuse(new UpstreamBroken('no answer in the stream', { cause }));
      this.#finish('broken');
      return;
    }
    this.#flush();
  }

  #flush(): void {
    if (this.#isEnded || !this.#exchange || !this.#coverage) return;
    if (!this.#isAlive()) {
      this.#finish('lost');
      return;
    }
    const total = this.deliveredBytes + this.#pendingBytes;
    if (this.#coverage.isRunningShort(total)) this.#raise(total);
    if (total > this.#coverage.bytes && this.#pendingBytes > 0) {
      if (this.#coverage.exhausted) this.#finish('exhausted');
      else this.#call.pause();
      return;
    }
    if (this.#pending !== '') this.#write(this.#exchange);
    if (this.#upstreamOver) this.#finish(this.#upstreamOver);
    else if (this.deliveredBytes > this.#mostBytes) this.#finish('overrun');
  }

  #write(exchange: Outlet): void {
    const text = this.#pending;
    this.#pending = '';
    this.deliveredBytes += this.#pendingBytes;
    this.#pendingBytes = 0;
    this.#isSilent = false;
    if (exchange.write(text)) return;
    this.#call.pause();
    this.#stalled ??= setTimeout(() => exchange.cut(), this.#settings.stalledClientMs);
  }

  #raise(total: number): void {
    this.#coverage?.raise(total).then(
      () => {
        if (!this.#exchange?.isFull) this.#call.resume();
        this.#flush();
      },
      (error: unknown) => {
        this.failure = error;
        this.#finish('lost');
      },
    );
  }

  #clientLeft(): void {
    if (this.#finished < this.#choices || this.usage) {
      this.#finish('left');
      return;
    }
    // The answer is finished and only its usage is missing, which a moment's patience brings.
    this.#call.resume();
    setTimeout(() => this.#finish('left'), this.#settings.drainMs);
  }

  #clearStall(): void {
    if (this.#stalled) clearTimeout(this.#stalled);
    this.#stalled = null;
  }

  #finish(ending: RelayEnding): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    streaming.delete(this);
    this.#clearStall();
    // What came with the finish leaves after the settlement, and is part of it.
    if (ending === 'complete') this.deliveredBytes += this.#pendingBytes;
    // A complete answer is read to its end by the pool, which then keeps the connection.
    if (this.#upstreamOver !== 'complete') this.#call.abort();
    else this.#call.resume();
    this.#end(ending);
  }
}
