/** What the benchmark's processes say to each other, and how they answer: one request at a time, by its number. */

/** How the stand-in for a provider answers from now on. */
export interface Behaviour {
  /** Ms until the answer begins. */
  readonly delayMs: number;
  /** Chunks of content of a stream. */
  readonly chunks: number;
  /** Ms between two chunks; 0 sends all of them at once. */
  readonly gapMs: number;
  /** Chunks after which a stream falls silent for good; 0 for never. */
  readonly silentAfter: number;
}

export interface UpstreamState {
  readonly answered: number;
  /** Streams under way. */
  readonly open: number;
}

/** Where requests go, and which. */
export interface Destination {
  readonly port: number;
  readonly path: string;
  readonly key: string;
}

export interface LoadPlan extends Destination {
  readonly body: string;
  readonly seconds: number;
  /** closed: so many connections, each sends the next request when it has its answer. open: so many requests a second, come what may. */
  readonly shape:
    | { readonly kind: 'closed'; readonly connections: number }
    | { readonly kind: 'open'; readonly rate: number };
}

/** Percentiles in ms. */
export interface Spread {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

export interface LoadResult {
  readonly completed: number;
  readonly seconds: number;
  /** To the end of the answer; at a fixed rate counted from when the request should have been sent. */
  readonly end: Spread;
  /** To the first byte of the body. */
  readonly first: Spread;
}

export interface HoldPlan extends Destination {
  readonly body: string;
  readonly streams: number;
}

export type Ask =
  | { readonly ask: 'behave'; readonly behaviour: Behaviour }
  | { readonly ask: 'state' }
  | { readonly ask: 'load'; readonly plan: LoadPlan }
  | { readonly ask: 'hold'; readonly plan: HoldPlan }
  | { readonly ask: 'drop' };

export interface Envelope {
  readonly number: number;
  readonly question: Ask;
}

export type Reply =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly failure: string };

/** Answers the parent's questions, and ends with it. */
export function serveParent(answer: (question: Ask) => unknown): void {
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => {
    // Ctrl-C is the parent's, which then lets us go.
  });
  process.on('message', (message) => {
    // as: only the parent writes here, and it writes envelopes
    const { number, question } = message as Envelope;
    void (async () => {
      try {
        tell({ number, value: await answer(question) });
      } catch (error) {
        tell({ number, failure: error instanceof Error ? error.message : String(error) });
      }
    })();
  });
}

function tell(reply: Reply): void {
  process.send?.(reply);
}

/** Tells the parent, once, which port this process listens on. */
export function announce(port: number): void {
  process.send?.({ number: 0, value: port } satisfies Reply);
}
