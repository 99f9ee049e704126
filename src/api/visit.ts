/** One request to the site's API as handlers see it: who asks from where, what is in it, and what goes back beside the answer. */

import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';
import { clientAddress } from '../accounts/networks.ts';
import { hasSessionCookie, type Language } from '../accounts/sessions.ts';
import type { Asking, SetCookies } from '../accounts/sign_in.ts';
import type { Config } from '../config.ts';
import { ApiError } from '../errors.ts';
import { requestIdOf, timeOrderedId } from '../ids.ts';

/** Bytes of a body; what people fill in is far smaller. */
const mostBytes = 64_000;
/** How long a body may take to arrive. */
const bodyMs = 30_000;

export class Visit implements Asking {
  readonly requestId: string = requestIdOf(timeOrderedId());
  /** As it came; its body is read by the methods here. */
  readonly request: Request;
  readonly address: string;
  readonly #cookies: string[] = [];

  constructor(request: Request, address: string) {
    this.request = request;
    this.address = address;
  }

  get cookie(): string {
    return this.request.headers.get('cookie') ?? '';
  }

  get userAgent(): string {
    return this.request.headers.get('user-agent') ?? '';
  }

  /** What the browser likes best of what we have. */
  get language(): Language {
    const liked = this.request.headers.get('accept-language') ?? '';
    return /^\s*bn\b/i.test(liked) ? 'bn' : 'en';
  }

  get url(): URL {
    return new URL(this.request.url);
  }

  /** Set with whatever is answered. */
  setCookies(cookies: SetCookies): void {
    this.#cookies.push(...cookies);
  }

  get cookiesToSet(): SetCookies {
    return this.#cookies;
  }

  /** @throws ApiError invalid_request for a parameter that is given twice */
  query(): Readonly<Record<string, string>> {
    const { searchParams } = this.url;
    for (const name of new Set(searchParams.keys()))
      if (searchParams.getAll(name).length > 1)
        throw new ApiError('invalid_request', {
          message: `"${name}" is given twice.`,
          param: name,
        });
    refuseNul([...searchParams.values()].join(''));
    return Object.fromEntries(searchParams);
  }

  /** @throws ApiError request_too_large */
  async text(limit: number = mostBytes): Promise<string> {
    const tooLarge = (): ApiError =>
      new ApiError('request_too_large', { message: `The body is larger than ${limit} bytes.` });
    if (Number(this.request.headers.get('content-length') ?? 0) > limit) throw tooLarge();
    const body = this.request.body;
    if (!body) return '';
    const parts: Uint8Array[] = [];
    let length = 0;
    const late = AbortSignal.timeout(bodyMs);
    const kept = new WritableStream<Uint8Array>({
      write: (part) => {
        length += part.byteLength;
        if (length > limit) throw tooLarge();
        parts.push(part);
      },
    });
    try {
      await body.pipeTo(kept, { signal: late });
    } catch (cause) {
      if (cause instanceof ApiError) throw cause;
      const message = late.aborted ? 'The body took too long to arrive.' : 'The body was cut off.';
      throw new ApiError('invalid_request', { message, cause });
    }
    return Buffer.concat(parts).toString('utf8');
  }

  /** @throws ApiError request_too_large, invalid_request for another type, invalid_json */
  async json(): Promise<unknown> {
    const type = this.request.headers.get('content-type') ?? '';
    if (!/^application\/json\s*(;|$)/i.test(type.trim()))
      throw new ApiError('invalid_request', {
        message: 'Send JSON, with the header "content-type: application/json".',
      });
    const text = await this.text();
    if (text.includes('\\u0000')) refuseNul('\0');
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new ApiError('invalid_json', { cause });
    }
  }

  /** @throws ApiError request_too_large */
  async form(): Promise<URLSearchParams> {
    return new URLSearchParams(await this.text());
  }
}

/** PostgreSQL has no such character in its texts. @throws ApiError invalid_request */
function refuseNul(text: string): void {
  if (text.includes('\0'))
    throw new ApiError('invalid_request', {
      message: 'Text must not contain the character U+0000.',
    });
}

/** @param c of a server that passes on what Node.js knows of the request */
export function visitOf(c: Context, { trustedProxies }: Config): Visit {
  return new Visit(c.req.raw, clientAddress(incoming(c), trustedProxies));
}

function incoming(c: Context): IncomingMessage {
  // as: the adapter of Node.js puts it there for every request
  return (c.env as { incoming: IncomingMessage }).incoming;
}

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses what a page of another site makes a browser send: browsers name the page's origin with everything that may change
 * something, and a page cannot alter that. Programs without a cookie need not name any.
 * @param origins that are ours
 * @throws ApiError foreign_origin
 */
export function checkOrigin(
  { request, cookie }: Visit,
  origins: readonly string[],
  isSecure: boolean,
): void {
  if (safe.has(request.method)) return;
  const origin = request.headers.get('origin');
  if (origin !== null ? origins.includes(origin) : !hasSessionCookie(cookie, isSecure)) return;
  throw new ApiError('foreign_origin', {
    message:
      origin === null
        ? 'A request with a session cookie that changes something needs the header "origin".'
        : 'This request does not come from a page of this site.',
  });
}
