/**
 * Signing up, in and out, and passwords: what the sign-in library does, with our limits around it and our words for its answers.
 * The library is loaded at the first call.
 */

import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { createAccount, findAccount } from './accounts.ts';
import { type Allowance, hasAttempt, returnAttempt, takeAttempt } from './attempts.ts';
import type { Auth } from './auth.ts';
import { neighbourhood } from './networks.ts';
import type { Language } from './sessions.ts';

/** Who asks, as the session remembers it. */
export interface Asking {
  /** IP address. */
  readonly address: string;
  readonly userAgent: string;
  /** Header of the request; empty where there is none. */
  readonly cookie: string;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Failures to sign in. The widest holds for an account wherever it is tried from; it is wide because strangers can use it up. */
const failures: Readonly<Record<'address' | 'both' | 'account', Allowance>> = {
  address: { most: 50, everyMs: 15 * minuteMs },
  both: { most: 10, everyMs: 15 * minuteMs },
  account: { most: 100, everyMs: hourMs },
};
const signUps: Allowance = { most: 20, everyMs: hourMs };
/** Mails with links: to one account, and asked for from one address. */
const mails: Readonly<Record<'account' | 'address', Allowance>> = {
  account: { most: 5, everyMs: hourMs },
  address: { most: 20, everyMs: hourMs },
};
const linkMs = { verify: 24 * hourMs, reset: hourMs };
const mostUserAgent = 300;
/** Places where one account is signed in; the one that was unused for longest makes way. */
const mostSessions = 50;

type Link = keyof typeof linkMs;

/** What a link in a mail is kept under; the library's own name for the second. */
const linkNames: Readonly<Record<Link, string>> = {
  verify: 'verify-email',
  reset: 'reset-password',
};

/** A cookie to set, as the value of a Set-Cookie header. */
export type SetCookies = readonly string[];

export class SignIn {
  readonly #sql: Sql;
  readonly #config: Config;
  #auth: Promise<Auth> | null = null;

  constructor(sql: Sql, config: Config) {
    this.#sql = sql;
    this.#config = config;
  }

  #library(): Promise<Auth> {
    this.#auth ??= import('./auth.ts')
      .then(({ createAuth }) => createAuth(this.#sql, this.#config))
      .catch((error: unknown) => {
        // Not for ever: the next call may find the database again.
        this.#auth = null;
        throw error;
      });
    return this.#auth;
  }

  /**
   * Makes an account with its wallet.
   * @throws ApiError sign_up_closed, too_many_attempts, invalid_request, email_registered
   */
  async signUp(
    who: { email: string; password: string; name?: string; language: Language },
    { address }: Asking,
  ): Promise<{ id: string; email: string }> {
    if (this.#config.signUp === 'closed') throw new ApiError('sign_up_closed');
    await takeAttempt(this.#sql, 'sign-up', neighbourhood(address), signUps);
    return createAccount(this.#sql, this.#config, { ...who, admin: false });
  }

  /**
   * @returns whose account it is, and the cookies of the new session
   * @throws ApiError wrong_credentials, also for an account that is switched off; too_many_attempts
   */
  async signIn(
    email: string,
    password: string,
    asking: Asking,
  ): Promise<{ user: { id: string; email: string }; cookies: SetCookies }> {
    const from = neighbourhood(asking.address);
    const account = email.trim().normalize('NFC').toLowerCase();
    const buckets = [
      ['sign-in from', from, failures.address],
      ['sign-in both', `${from} ${account}`, failures.both],
      ['sign-in to', account, failures.account],
    ] as const;
    for (const [what, whose, allowed] of buckets)
      await takeAttempt(this.#sql, what, whose, allowed);
    const auth = await this.#library();
    const answer = await auth.api.signInEmail({
      body: { email: account, password },
      headers: headersOf(asking),
      asResponse: true,
    });
    if (!answer.ok) throw await refusal(answer);
    for (const [what, whose, allowed] of buckets)
      await returnAttempt(this.#sql, what, whose, allowed);
    const found = await findAccount(this.#sql, account);
    if (!found) throw new ApiError('wrong_credentials');
    await this.#sql`
      DELETE FROM sessions WHERE user_id = ${found.id} AND id NOT IN (
        SELECT id FROM sessions WHERE user_id = ${found.id} AND expires_at > now()
        ORDER BY updated_at DESC LIMIT ${mostSessions}
      )`;
    return {
      user: { id: found.id, email: found.email },
      cookies: answer.headers.getSetCookie(),
    };
  }

  /** Ends the session of the cookie. Returns what takes the cookie away. */
  async signOut(asking: Asking): Promise<SetCookies> {
    const auth = await this.#library();
    const answer = await auth.api.signOut({ headers: headersOf(asking), asResponse: true });
    if (!answer.ok) throw await refusal(answer);
    return answer.headers.getSetCookie();
  }

  /**
   * Changes the password of who is signed in. All sessions end; the one that asks gets a new cookie.
   * @throws ApiError invalid_request for a wrong or unfit password, too_many_attempts
   */
  async changePassword(
    userId: string,
    passwords: { current: string; next: string },
    asking: Asking,
  ): Promise<SetCookies> {
    const bucket = ['password of', userId, failures.both] as const;
    await takeAttempt(this.#sql, ...bucket);
    const auth = await this.#library();
    const { current: currentPassword, next: newPassword } = passwords;
    const answer = await auth.api.changePassword({
      body: { currentPassword, newPassword, revokeOtherSessions: true },
      headers: headersOf(asking),
      asResponse: true,
    });
    if (!answer.ok) throw await refusal(answer, 'currentPassword');
    await returnAttempt(this.#sql, ...bucket);
    return answer.headers.getSetCookie();
  }

  /**
   * A token that is good once, for a day (verify) or an hour (reset), for a link in a mail.
   * @returns null where no account has the address, it is switched off, or got many mails of late
   */
  async linkToken(
    link: Link,
    email: string,
  ): Promise<{ token: string; email: string; language: Language } | null> {
    const account = await findAccount(this.#sql, email);
    if (!account || account.disabled) return null;
    if (!(await hasAttempt(this.#sql, `mail ${link} to`, account.id, mails.account))) return null;
    const { internalAdapter } = await (await this.#library()).$context;
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url');
    await internalAdapter.createVerificationValue({
      identifier: `${linkNames[link]}:${token}`,
      value: account.id,
      expiresAt: new Date(Date.now() + linkMs[link]),
    });
    return { token, email: account.email, language: account.language };
  }

  /** Uses up the token of a mail that proves an address. @throws ApiError invalid_link */
  async verifyEmail(token: string): Promise<void> {
    const { internalAdapter } = await (await this.#library()).$context;
    const used = await internalAdapter.consumeVerificationValue(`${linkNames.verify}:${token}`);
    if (!used || used.expiresAt < new Date()) throw new ApiError('invalid_link');
    await this.#sql`
      UPDATE users SET email_verified = true, updated_at = now() WHERE id = ${used.value}`;
  }

  /** Counts a mail that somebody asks for. @throws ApiError too_many_attempts */
  async countMail({ address }: Asking): Promise<void> {
    await takeAttempt(this.#sql, 'mail from', neighbourhood(address), mails.address);
  }

  /**
   * Uses up the token of a mail and ends all sessions. Who has the mail has proven the address, too.
   * @throws ApiError invalid_link
   */
  async resetPassword(
    token: string,
    newPassword: string,
  ): Promise<{ email: string; language: Language }> {
    const auth = await this.#library();
    const { internalAdapter } = await auth.$context;
    const known = await internalAdapter.findVerificationValue(`${linkNames.reset}:${token}`);
    const answer = await auth.api.resetPassword({ body: { token, newPassword }, asResponse: true });
    if (!answer.ok) throw await refusal(answer);
    const [user] = await this.#sql<{ email: string; language: Language }[]>`
      UPDATE users SET email_verified = true, updated_at = now() WHERE id = ${known?.value ?? null}
      RETURNING email, language`;
    if (!user) throw new ApiError('invalid_link');
    return user;
  }
}

/** What the library may know of a request. The address is the one that we found out, not what the client says. */
function headersOf({ address, userAgent, cookie }: Asking): Headers {
  return new Headers({
    'x-forwarded-for': address,
    'user-agent': userAgent.slice(0, mostUserAgent),
    ...(cookie ? { cookie } : {}),
  });
}

/** Its refusals by its own codes; one that we do not know is a defect of ours. @param param of a wrong password */
async function refusal(answer: Response, param?: string): Promise<Error> {
  const body: unknown = await answer.json().catch(() => null);
  const code = body && typeof body === 'object' && 'code' in body ? String(body.code) : '';
  if (code === 'INVALID_PASSWORD' && param)
    return new ApiError('invalid_request', { message: 'This is not your password.', param });
  if (code === 'INVALID_TOKEN' || code === 'USER_NOT_FOUND') return new ApiError('invalid_link');
  if (code === 'UNAUTHORIZED' || code === 'SESSION_NOT_FOUND')
    return new ApiError('missing_session');
  if (
    /^(INVALID_EMAIL|INVALID_PASSWORD|INVALID_EMAIL_OR_PASSWORD|FAILED_TO_CREATE_SESSION|PASSWORD_TOO_LONG)$/.test(
      code,
    )
  )
    return new ApiError('wrong_credentials');
  return new Error(`the sign-in library answered ${answer.status} ${code}`);
}
