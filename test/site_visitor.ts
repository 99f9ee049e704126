/** A visitor of the site's API, as its pages would ask: JSON, the cookie of its session, the origin of the site. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** What the JSON holds; null for an empty body. */
  readonly body: Record<string, unknown>;
}

export class Visitor {
  readonly origin: string;
  /** As a Cookie header; empty without a session. */
  cookie = '';
  email = '';

  constructor(origin: string) {
    this.origin = origin;
  }

  /** @param headers on top; null takes one away */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string | null>> = {},
  ): Promise<Answer> {
    const sent = Object.entries({
      origin: this.origin,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(this.cookie ? { cookie: this.cookie } : {}),
      ...headers,
    }).filter((entry): entry is [string, string] => entry[1] !== null);
    const response = await fetch(`${this.origin}${path}`, {
      method,
      headers: sent,
      redirect: 'manual',
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';');
      if (/^(__Host-)?akai_session=/.test(pair)) this.cookie = pair.endsWith('=') ? '' : pair;
    }
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : { text },
    };
  }

  get(path: string): Promise<Answer> {
    return this.ask('GET', path);
  }

  post(path: string, body?: unknown): Promise<Answer> {
    return this.ask('POST', path, body);
  }
}

export const visitorPassword = 'correct horse battery';

/** Someone with a new account, signed in. */
export async function newVisitor(origin: string): Promise<Visitor> {
  const visitor = new Visitor(origin);
  visitor.email = `${randomUUID().slice(0, 8)}@example.com`;
  const { status, body } = await visitor.post('/api/auth/sign-up', {
    email: visitor.email,
    password: visitorPassword,
  });
  assert.equal(status, 201, JSON.stringify(body));
  assert.ok(visitor.cookie);
  return visitor;
}

/** Asserts a refusal in the documented form. */
export function refused(
  { status, body }: Answer,
  expected: number,
  code: string,
  param?: string,
): void {
  assert.deepEqual([status, body.code, body.param], [expected, code, param], JSON.stringify(body));
  assert.match(String(body.error), /\S/);
  assert.match(String(body.request_id), /^req_[0-9a-f]{32}$/);
}

/** What lies on a path through JSON; undefined where there is nothing. */
export function member(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) =>
      inner && typeof inner === 'object'
        ? Object.entries(inner).find(([key]) => key === name)?.[1]
        : undefined,
    value,
  );
}
