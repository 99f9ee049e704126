/** One JSON call to a payment provider: bounded in time and size, never repeated, nothing believed that is not JSON. */
import { performance } from 'node:perf_hooks';
import type { Dispatcher } from 'undici';
import { type Evidence, ProviderSilent } from './method.ts';

/** bKash's own guidance, and what UddoktaPay's libraries use; ms. */
const timeoutMs = 30_000;
/** Answers have a kilobyte or two. */
const mostBytes = 256_000;

export interface ProviderCall {
  readonly operation: string;
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text as it is sent; null for none. */
  readonly body: string | null;
  /** What of the answer may be kept. */
  readonly redact: (body: Readonly<Record<string, unknown>>) => unknown;
  readonly timeoutMs?: number;
  /** What connects; the usual one where none is named. */
  readonly dispatcher?: Dispatcher;
}

export interface ProviderAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly evidence: Evidence;
}

/**
 * @param code reads the provider's own code out of an answer
 * @throws ProviderSilent for no answer, one that is no JSON object (a firewall's page), or one too large
 */
export async function callProvider(
  call: ProviderCall,
  code: (body: Readonly<Record<string, unknown>>) => string | null,
): Promise<ProviderAnswer> {
  const began = performance.now();
  const evidence = (
    httpStatus: number | null,
    body: unknown,
    own: string | null = null,
  ): Evidence => ({
    operation: call.operation,
    httpStatus,
    ms: Math.round(performance.now() - began),
    code: own,
    body,
  });
  let status: number | null = null;
  try {
    const response = await fetch(call.url, {
      method: call.method,
      headers: call.headers,
      body: call.body,
      redirect: 'error',
      ...(call.dispatcher ? { dispatcher: call.dispatcher } : {}),
      signal: AbortSignal.timeout(call.timeoutMs ?? timeoutMs),
    });
    status = response.status;
    const text = await boundedText(response);
    const body = objectIn(text);
    if (!body)
      throw new ProviderSilent(
        `${call.operation}: the answer is no JSON object`,
        evidence(status, { text: text.slice(0, 200) }),
      );
    return { status, body, evidence: evidence(status, call.redact(body), code(body)) };
  } catch (error) {
    if (error instanceof ProviderSilent) throw error;
    const said = error instanceof Error ? error.name : 'error';
    throw new ProviderSilent(
      `${call.operation}: no answer (${said})`,
      evidence(status, { error: said }),
    );
  }
}

async function boundedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > mostBytes) throw new Error('the answer is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Without what PostgreSQL has no place for: U+0000, and halves of surrogate pairs. */
export function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}

/** null for what is no JSON object. What is in it can be stored. */
export function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text, (_name, member) =>
      typeof member === 'string' ? storable(member) : member,
    );
    // as: an object that is no array may be read by any name
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
