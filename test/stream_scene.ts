/** A gateway in front of one hostile provider, and a client that reads as little of its answers as it likes. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type Books, endProven, openBooks } from './books.ts';
import { makeCustomer } from './customer.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { type Installation, startInstallation } from './installation.ts';

export const model = 'openai/gpt-4o-mini';

export interface Open {
  readonly response: IncomingMessage;
  readonly requestId: string;
  leave(): void;
}

export interface StreamScene {
  readonly upstream: Hostile;
  readonly installation: Installation;
  readonly books: Books;
  /** Opens a request (`body` joined to a good one) and resolves with the head of its answer; nothing of the body is read. */
  open(body: object, key?: string): Promise<Open>;
  /** An account of its own with this much money. */
  accountWith(usd: string): Promise<{ email: string; key: string }>;
  /** Stops everything, and proves that the books are clean. */
  stop(): Promise<void>;
}

export async function startStreamScene(): Promise<StreamScene> {
  const upstream = await startHostile();
  const installation = await startInstallation({
    env: { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: upstream.baseUrl, RATE_LIMIT_RPM: '0' },
  });
  const books = await openBooks(installation);
  return {
    upstream,
    installation,
    books,
    open: (body, key = installation.key) => open(installation.baseUrl, key, body),
    accountWith: (usd) => makeCustomer(books.sql, usd),
    stop: async () => {
      await endProven(installation, books);
      await upstream.close();
    },
  };
}

function open(baseUrl: string, key: string, body: object): Promise<Open> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      const requestId = String(response.headers['x-request-id']);
      resolve({ response, requestId, leave: () => request.destroy() });
    });
    request.end(
      JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hi' }], ...body }),
    );
  });
}

export async function readAll({ response }: Open): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) text += part;
  return text;
}
