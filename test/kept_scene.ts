/** Two gateways on one database in front of one provider, for answers that are kept. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { proveBooks } from './books.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { type Installation, startInstallation, temporaryDataDir } from './installation.ts';
import { model } from './providers.ts';
import { until } from './scratch_data.ts';
import { openSharedDatabase, type SharedDatabase } from './shared_database.ts';
import type { Connection, StreamReader } from './stream_reader.ts';

const leaseMs = 2000;
const graceMs = 500;
/** How long a stream goes on that nobody reads. */
export const unattendedMs = 1000;

interface Receipt {
  readonly outcome: string;
  readonly charged: number;
  readonly output_tokens: number;
  readonly detail: { readonly reason: string | null; readonly finishReason: string | null };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface KeptScene {
  readonly database: SharedDatabase;
  readonly upstream: Hostile;
  readonly first: Installation;
  readonly second: Installation;
  /** One more gateway. */
  serve(settings?: Record<string, string>): Promise<Installation>;
  /** Any of them, with the one key of these tests. */
  via(server: Installation): Connection;
  receiptOf(requestId: string): Promise<Receipt>;
  /** What was given back of a stream's charge. */
  refundsOf(reader: StreamReader): Promise<{ amount: number; note: string }[]>;
  call(
    server: Installation,
    method: string,
    path: string,
    key?: string,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** Stops everything, and proves that the books are clean. */
  stop(): Promise<void>;
}

async function serve(
  database: SharedDatabase,
  upstream: Hostile,
  settings: Record<string, string>,
  credentials: { email: string; key: string } | null,
): Promise<Installation> {
  const dataDir = await temporaryDataDir();
  if (credentials)
    writeFileSync(join(dataDir, 'test-credentials.json'), JSON.stringify(credentials));
  const env = {
    OPENAI_API_KEY: 'test',
    OPENAI_BASE_URL: upstream.baseUrl,
    RATE_LIMIT_RPM: '0',
    AKAI_SECRET: 'one secret for every server of these tests',
    LEASE_MS: `${leaseMs}`,
    RECOVERY_GRACE_MS: `${graceMs}`,
    UNATTENDED_STREAM_MS: `${unattendedMs}`,
    KEEP_ALIVE_MS: '150',
    KEPT_ANSWER_BYTES: '200000',
    ...settings,
  };
  return startInstallation({ databaseUrl: database.url, dataDir, env });
}

/** @param all settings of every gateway */
export async function startKeptScene(all: Record<string, string> = {}): Promise<KeptScene> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await openSharedDatabase());
  const { owner } = database;
  const upstream = await startHostile();
  stack.defer(() => upstream.close());
  const first = stack.use(await serve(database, upstream, all, null));
  const { email, key } = first;
  const start = async (settings: Record<string, string> = {}): Promise<Installation> =>
    stack.use(await serve(database, upstream, { ...all, ...settings }, { email, key }));
  const second = await start();
  return {
    database,
    upstream,
    first,
    second,
    serve: start,
    via: ({ baseUrl }) => ({ baseUrl, key }),
    receiptOf: async (requestId) => {
      const id = requestId.replace('req_', '');
      const read = () => owner<Receipt[]>`SELECT * FROM receipts WHERE id = ${id}`;
      await until(`${requestId} has a receipt`, async () => (await read()).length > 0);
      const [receipt] = await read();
      assert.ok(receipt);
      return receipt;
    },
    refundsOf: async ({ requestId }) => owner<{ amount: number; note: string }[]>`
      SELECT amount, note FROM transfers WHERE kind = 'refund' AND note LIKE ${`${requestId}%`}`,
    call: async ({ baseUrl }, method, path, asking = key, headers = {}) => {
      const response = await fetch(`${baseUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${asking}`, ...headers },
        signal: AbortSignal.timeout(15_000),
      });
      return { status: response.status, text: await response.text() };
    },
    stop: async () => {
      await until('every hold has ended', async () => {
        const open = await owner`SELECT 1 FROM holds LIMIT 1`;
        return open.length === 0;
      });
      await proveBooks(first).finally(() => stack.disposeAsync());
    },
  };
}

/** A body that asks for a stream that may be resumed. */
export function bodyOf(options: object = {}): Record<string, unknown> {
  const messages = [{ role: 'user', content: 'Hi' }];
  return { model, stream: true, messages, stream_options: { resumable: true, ...options } };
}

/** What the model wrote in a stream. */
export function contentOf(text: string): string {
  return text
    .split('\n\n')
    .map((event) => /^data: (\{.*)$/m.exec(event)?.[1])
    .map((data) => (data === undefined ? '' : (JSON.parse(data).choices[0]?.delta.content ?? '')))
    .join('');
}

export function pathOf(reader: StreamReader): string {
  return (reader.address ?? '').slice('/v1'.length);
}
