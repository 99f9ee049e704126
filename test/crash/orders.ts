/** What a request of the load asks for. The whole order travels in the prompt, so that the provider knows what to do and both sides' notes can be joined. */
import type { Random } from './random.ts';

/** What the provider will say that it used; tokens. */
export interface SaidUsage {
  readonly prompt: number;
  /** Part of `prompt` that was read from the provider's cache. */
  readonly cached: number;
  readonly completion: number;
}

export interface Order {
  /** Unique in the run: the marker. */
  readonly n: number;
  readonly kind: string;
  readonly model: string;
  readonly stream: boolean;
  /** Before the provider sends its status, and from there to its first chunk; ms. */
  readonly delayMs: number;
  readonly thinkMs: number;
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly gapMs: number;
  /** Null: the provider does not say. */
  readonly usage: SaidUsage | null;
  /** `broken`: the provider cuts the stream after its chunks. `error`: it answers 500. */
  readonly ending: 'whole' | 'broken' | 'error';
  /** The client leaves after so many ms; null: it waits. */
  readonly leaveMs: number | null;
}

type Shape = Partial<Omit<Order, 'n' | 'kind' | 'model' | 'usage'>> & {
  readonly saysUsage?: boolean;
};

/** Share of the load, and what differs from a small JSON answer. */
const kinds: Readonly<Record<string, readonly [weight: number, shape: (random: Random) => Shape]>> =
  {
    json: [30, (r) => ({ delayMs: r.integer(0, 40) })],
    'slow json': [8, (r) => ({ delayMs: r.integer(200, 900) })],
    'json without usage': [2, () => ({ saysUsage: false })],
    'json, client leaves': [4, (r) => ({ delayMs: 60, leaveMs: r.integer(1, 120) })],
    stream: [22, (r) => ({ stream: true, chunks: r.integer(2, 40), gapMs: r.integer(0, 12) })],
    // Beyond the first checkpoint (1,024 bytes) and the first hold (4,096).
    'long stream': [
      8,
      (r) => ({
        stream: true,
        chunks: r.integer(60, 150),
        chunkBytes: 64,
        gapMs: r.integer(2, 10),
      }),
    ],
    'stream that thinks': [
      6,
      (r) => ({ stream: true, thinkMs: r.integer(200, 900), chunks: r.integer(2, 10), gapMs: 2 }),
    ],
    'stream without usage': [
      3,
      (r) => ({ stream: true, saysUsage: false, chunks: r.integer(1, 60) }),
    ],
    'stream, client leaves': [
      7,
      (r) => ({ stream: true, chunks: 60, gapMs: 10, leaveMs: r.integer(1, 500) }),
    ],
    'stream that breaks': [
      3,
      (r) => ({ stream: true, chunks: r.integer(0, 30), gapMs: 2, ending: 'broken' }),
    ],
    'failing provider': [2, () => ({ ending: 'error' })],
  };

const bag = Object.entries(kinds).flatMap(([kind, [weight]]) =>
  Array.from({ length: weight }, () => kind),
);

/** @param dear whether the answers should cost so much that a small wallet is soon used up */
export function makeOrder(random: Random, n: number, dear: boolean): Order {
  const kind = random.pick(bag);
  const { saysUsage = true, ...shape } = kinds[kind]?.[1](random) ?? {};
  const order = {
    stream: false,
    delayMs: random.integer(0, 20),
    thinkMs: 0,
    chunks: random.integer(1, 20),
    chunkBytes: random.integer(1, 40),
    gapMs: 0,
    ending: 'whole',
    leaveMs: null,
    ...shape,
  } as const;
  const prompt = random.integer(1, 900);
  const usage = {
    prompt,
    cached: random.chance(0.3) ? random.integer(0, prompt) : 0,
    // Few or many tokens for the same bytes: providers count as they like, up to a token a byte.
    completion: dear
      ? random.integer(500, 1500)
      : random.integer(1, order.chunks * order.chunkBytes + 1),
  };
  const models = ['openai/gpt-4o', 'openai/gpt-4o-mini', 'openai/gpt-6-luna'];
  const model = dear ? 'openai/gpt-4o' : random.pick(models);
  return { n, kind, model, ...order, usage: saysUsage ? usage : null };
}

/** The request's body, as the client sends it. */
export function bodyOf(order: Order): string {
  const { model, stream } = order;
  const options = stream ? { stream: true, stream_options: { include_usage: true } } : {};
  const messages = [{ role: 'user', content: JSON.stringify(order) }];
  return JSON.stringify({ model, messages, ...options });
}
