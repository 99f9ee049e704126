/**
 * Sessions of people who signed in: what the cookie is, and whose it is, which costs one question to the database.
 * The sign-in library makes and ends them; reading one does without it.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Sql } from '../db/database.ts';
import { derivedSecret } from './secret.ts';

export type Language = 'en' | 'bn';

export interface User {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly admin: boolean;
  readonly language: Language;
  readonly emailVerified: boolean;
  readonly createdAt: Date;
  /** Of the session that asks. */
  readonly sessionId: string;
}

/** Since the sign-in. */
export const sessionSeconds = 30 * 86_400;
/** A session that nobody has used for so long is over, too. */
const idleDays = 7;

/** The signing key of cookies, which the library gets as its secret. */
export function sessionSecret(installation: string): string {
  return derivedSecret(installation, 'sessions');
}

/** Over https a name that no other host, subdomain or plain connection can set. */
export function cookieName(isSecure: boolean): string {
  return isSecure ? '__Host-akai_session' : 'akai_session';
}

/** The token in a cookie header; null where there is none, or none that we signed. */
function tokenIn(header: string, name: string, secret: string): string | null {
  const cookie = header
    .split(';')
    .map((part) => part.trim())
    .find((part) => part.startsWith(`${name}=`));
  if (!cookie) return null;
  const [token = '', signature = ''] = decoded(cookie.slice(name.length + 1)).split('.');
  const expected = createHmac('sha256', secret).update(token).digest();
  const given = Buffer.from(signature, 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected) ? token : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Whether a cookie header has a session of ours in it, good or not. */
export function hasSessionCookie(header: string, isSecure: boolean): boolean {
  return header.split(';').some((part) => part.trim().startsWith(`${cookieName(isSecure)}=`));
}

/**
 * Whose session the cookie is; null where it is nobody's: ended, expired, unused for too long, of an account that is switched off.
 * @param secret of `sessionSecret`
 */
export async function sessionUser(
  sql: Sql,
  header: string,
  { secret, isSecure }: { readonly secret: string; readonly isSecure: boolean },
): Promise<User | null> {
  const token = tokenIn(header, cookieName(isSecure), secret);
  if (token === null) return null;
  const [user] = await sql<User[]>`
    WITH live AS (
      SELECT id, user_id, updated_at FROM sessions
      WHERE token = ${token} AND expires_at > now() AND updated_at > now() - ${idleDays} * interval '1 day'
    ), seen AS (
      UPDATE sessions SET updated_at = now()
      WHERE id = (SELECT id FROM live WHERE updated_at < now() - interval '10 minutes')
    )
    SELECT users.id, email, name, admin, language, email_verified AS "emailVerified",
      created_at AS "createdAt", live.id AS "sessionId"
    FROM live JOIN users ON users.id = live.user_id WHERE disabled_at IS NULL`;
  return user ?? null;
}

export interface Session {
  readonly id: string;
  readonly createdAt: Date;
  readonly seenAt: Date;
  readonly expiresAt: Date;
  readonly address: string | null;
  readonly userAgent: string | null;
}

/** Those that are not over, the latest first. */
export async function listSessions(sql: Sql, userId: string): Promise<Session[]> {
  return await sql<Session[]>`
    SELECT id, created_at AS "createdAt", updated_at AS "seenAt", expires_at AS "expiresAt",
      nullif(ip_address, '') AS address, nullif(user_agent, '') AS "userAgent"
    FROM sessions
    WHERE user_id = ${userId} AND expires_at > now() AND updated_at > now() - ${idleDays} * interval '1 day'
    ORDER BY updated_at DESC, id`;
}

/** Whose session it is; null where there is none. */
export async function ownerOfSession(sql: Sql, id: string): Promise<string | null> {
  const [row] = await sql<{ owner: string }[]>`
    SELECT user_id AS owner FROM sessions WHERE id = ${id}`;
  return row?.owner ?? null;
}

/** @param except a session that stays */
export async function endSessions(
  sql: Sql,
  userId: string,
  which: { readonly id: string } | { readonly except: string },
): Promise<void> {
  if ('id' in which) await sql`DELETE FROM sessions WHERE user_id = ${userId} AND id = ${which.id}`;
  else await sql`DELETE FROM sessions WHERE user_id = ${userId} AND id <> ${which.except}`;
}
