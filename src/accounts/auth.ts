/** The sign-in library (better-auth) on our tables. Import this file only where it is needed: it takes 0.3 s to load. */

import { betterAuth } from 'better-auth';
import { Kysely } from 'kysely';
import { PostgresJSDialect } from 'kysely-postgres-js';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { passwordLength } from './passwords.ts';
import { installationSecret } from './secret.ts';
import { cookieName, sessionSeconds, sessionSecret } from './sessions.ts';

const times = { createdAt: 'created_at', updatedAt: 'updated_at' };

const tables = {
  user: {
    modelName: 'users',
    fields: { ...times, emailVerified: 'email_verified' },
    additionalFields: {
      admin: { type: 'boolean', required: false, defaultValue: false, input: false },
      language: { type: 'string', required: false, defaultValue: 'en', input: false },
    },
  },
  session: {
    modelName: 'sessions',
    fields: {
      ...times,
      userId: 'user_id',
      expiresAt: 'expires_at',
      ipAddress: 'ip_address',
      userAgent: 'user_agent',
    },
  },
  account: {
    modelName: 'sign_in_methods',
    fields: {
      ...times,
      userId: 'user_id',
      accountId: 'account_id',
      providerId: 'provider_id',
      accessToken: 'access_token',
      refreshToken: 'refresh_token',
      idToken: 'id_token',
      accessTokenExpiresAt: 'access_token_expires_at',
      refreshTokenExpiresAt: 'refresh_token_expires_at',
    },
  },
  verification: {
    modelName: 'verifications',
    fields: { ...times, expiresAt: 'expires_at' },
  },
} as const;

/** Builds the library's instance. It borrows connections from the pool of `sql` and never closes it. */
export async function createAuth(sql: Sql, config: Config) {
  const secret = await installationSecret(config);
  const isSecure = config.publicUrl.startsWith('https:');
  return betterAuth({
    ...tables,
    baseURL: config.publicUrl || `http://localhost:${config.port}`,
    basePath: '/api/auth',
    secret: sessionSecret(secret),
    database: {
      db: new Kysely<unknown>({ dialect: new PostgresJSDialect({ postgres: sql }) }),
      type: 'postgres',
      transaction: true,
    },
    emailAndPassword: {
      enabled: true,
      minPasswordLength: passwordLength.least,
      maxPasswordLength: passwordLength.most,
      revokeSessionsOnPasswordReset: true,
    },
    session: { ...tables.session, expiresIn: sessionSeconds, disableSessionRefresh: true },
    // A token that was mailed is kept as its hash only.
    verification: { ...tables.verification, storeIdentifier: 'hashed' },
    databaseHooks: {
      session: {
        create: {
          // Whatever the way in: false, and there is none.
          before: async ({ userId }) => await isOpen(sql, userId),
        },
      },
    },
    advanced: {
      database: { generateId: 'uuid' },
      // The library would put `__Secure-` in front; our name says it all.
      useSecureCookies: false,
      cookies: {
        session_token: { name: cookieName(isSecure), attributes: { secure: isSecure } },
      },
    },
    telemetry: { enabled: false },
    logger: { level: 'error' },
  });
}

/** Whether the account may be signed in to. One that is just being made is not there for others yet. */
async function isOpen(sql: Sql, userId: string): Promise<boolean> {
  const off = await sql`SELECT FROM users WHERE id = ${userId} AND disabled_at IS NOT NULL`;
  return off.length === 0;
}

export type Auth = Awaited<ReturnType<typeof createAuth>>;
