/** A gateway in front of three hostile providers, and a client that asks it. */
import assert from 'node:assert/strict';
import { type Books, openBooks } from './books.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { type Installation, startInstallation } from './installation.ts';

export const model = 'openai/gpt-4o-mini';
/** Offered by DeepInfra and Groq; the cheaper is asked first. */
export const twoOffers = 'meta-llama/llama-3.3-70b-instruct';
/** nano-USD of the usage that hostile answers report: 24 and 10 tokens at USD 0.15 and 0.60 a million. */
export const usualCost = 24 * 150 + 10 * 600;
/** The key of every provider: it must not be seen anywhere. */
export const secret = 'sk-upstream-secret-canary';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly requestId: string;
}

/** Answers `body` (joined to a good request) as a client would see it. */
export type Ask = (body?: object, headers?: Record<string, string>) => Promise<Answer>;

export interface Providers {
  readonly openai: Hostile;
  readonly groq: Hostile;
  readonly deepinfra: Hostile;
  readonly books: Books;
  readonly ask: Ask;
  /** Stops everything, and proves that the books are clean and that the log holds no key. */
  stop(): Promise<void>;
}

export async function startProviders(): Promise<Providers> {
  const [openai, groq, deepinfra] = await Promise.all([
    startHostile(),
    startHostile(),
    startHostile(),
  ]);
  const hostiles = [openai, groq, deepinfra];
  const installation = await startInstallation({
    env: {
      OPENAI_API_KEY: secret,
      OPENAI_BASE_URL: openai.baseUrl,
      GROQ_API_KEY: secret,
      GROQ_BASE_URL: groq.baseUrl,
      DEEPINFRA_API_KEY: secret,
      DEEPINFRA_BASE_URL: deepinfra.baseUrl,
      FIRST_BYTE_TIMEOUT_MS: '400',
      IDLE_TIMEOUT_MS: '400',
      CONNECT_TIMEOUT_MS: '400',
      MAX_ANSWER_BYTES: '2000000',
      RATE_LIMIT_RPM: '0',
    },
  }).catch(async (error: unknown) => {
    await Promise.all(hostiles.map((hostile) => hostile.close()));
    throw error;
  });
  const books = await openBooks(installation);
  return {
    openai,
    groq,
    deepinfra,
    books,
    ask: asker(installation),
    stop: async () => {
      const report = await installation.akai('audit');
      await books.settled();
      const log = installation.output();
      await books[Symbol.asyncDispose]();
      await installation.remove();
      await Promise.all(hostiles.map((hostile) => hostile.close()));
      assert.equal(report.ok, true, JSON.stringify(report));
      assert.ok(!log.includes(secret), 'the log holds a provider key');
    },
  };
}

function asker({ baseUrl, key }: Installation): Ask {
  return async (body = {}, headers = {}) => {
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, ...headers },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...body }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text().catch(() => 'CUT');
    assert.ok(!text.includes(secret), 'an answer holds a provider key');
    const requestId = response.headers.get('x-request-id') ?? '';
    return { status: response.status, headers: response.headers, text, requestId };
  };
}

/** What a client makes of a stream. */
export interface Streamed {
  readonly text: string;
  readonly done: boolean;
  readonly finish: string | null;
  readonly error: unknown;
}

export function readStream(text: string): Streamed {
  const events = text.split('\n\n').filter(Boolean);
  const chunks = events
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)));
  return {
    text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''),
    done: events.at(-1) === 'data: [DONE]',
    finish: chunks.map((chunk) => chunk.choices[0]?.finish_reason).findLast(Boolean) ?? null,
    error: chunks.map((chunk) => chunk.error).find(Boolean) ?? null,
  };
}
