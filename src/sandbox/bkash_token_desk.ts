/** Tokens at the stand-in for bKash: who may have one, how often, and whose is valid. */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { BkashBook, Fields } from './bkash_book.ts';

interface Said {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Known {
  readonly username: string;
  readonly password: string;
  readonly appKey: string;
  readonly appSecret: string;
}

const hour = 3_600_000;
const refreshMs = 28 * 24 * hour;
const unauthorised: Said = { status: 401, body: { message: 'Unauthorized' } };

export class BkashTokenDesk {
  readonly #known: Known;
  readonly #book: BkashBook;
  readonly #tokens = new Map<string, number>();
  readonly #refreshTokens = new Map<string, number>();
  #calls: number[] = [];
  #blockedUntil = 0;

  constructor(known: Known, book: BkashBook) {
    this.#known = known;
    this.#book = book;
  }

  answer(operation: 'grant' | 'refresh', headers: IncomingHttpHeaders, fields: Fields): Said {
    if (this.#isBlocked())
      return { status: 403, body: { message: 'Too many token requests. Blocked for one hour' } };
    const { username, password, appKey, appSecret } = this.#known;
    const isKnown =
      headers.username === username &&
      headers.password === password &&
      fields.app_key === appKey &&
      fields.app_secret === appSecret;
    if (!isKnown) return unauthorised;
    const now = this.#book.now();
    const given = String(fields.refresh_token ?? '');
    if (operation === 'refresh' && !((this.#refreshTokens.get(given) ?? 0) > now))
      return { status: 200, body: { statusCode: '9999', statusMessage: 'Invalid refresh token' } };
    const token = [11, 60, 32].map((bytes) => randomBytes(bytes).toString('base64url')).join('.');
    const seconds = this.#book.switches.tokenSeconds;
    this.#tokens.set(token, now + seconds * 1000);
    const refreshToken = operation === 'refresh' ? given : randomBytes(48).toString('base64url');
    this.#refreshTokens.set(refreshToken, now + refreshMs);
    return {
      status: 200,
      body: {
        statusCode: '0000',
        statusMessage: 'Successful',
        id_token: token,
        token_type: 'Bearer',
        expires_in: seconds,
        refresh_token: refreshToken,
      },
    };
  }

  /** More than two within an hour, and nothing is given for an hour. */
  #isBlocked(): boolean {
    const now = this.#book.now();
    if (!this.#book.switches.tokenLimit) return false;
    if (now < this.#blockedUntil) return true;
    this.#calls = [...this.#calls.filter((at) => at > now - hour), now];
    if (this.#calls.length <= 2) return false;
    this.#blockedUntil = now + hour;
    return true;
  }

  /** What the gateway says to a call that has no valid token, or not our app key; null where it lets it through. */
  refusal({ authorization, ...headers }: IncomingHttpHeaders): Said | null {
    const token = (authorization ?? '').replace(/^Bearer /, '');
    const until = this.#tokens.get(token);
    if (until === undefined || headers['x-app-key'] !== this.#known.appKey) return unauthorised;
    if (until > this.#book.now()) return null;
    return { status: 401, body: { message: 'The incoming token has expired' } };
  }
}
