/** The sign-in library (better-auth) on our tables. Import this file only where it is needed: it takes 0.3 s to load. */

import { betterAuth } from 'better-auth';
import { Kysely } from 'kysely';
import { PostgresJSDialect } from 'kysely-postgres-js';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { derivedSecret, installationSecret } from './secret.ts';

/** In characters. The library's own rule, and what NIST 800-63B asks of a password that people choose. */
export const passwordLength = { least: 8, most: 128 };

const times = { createdAt: 'created_at', updatedAt: 'updated_at' };

const tables = {
  user: {
    modelName: 'users',
    fields: { ...times, emailVerified: 'email_verified' },
    additionalFields: {
      admin: { type: 'boolean', required: false, defaultValue: false, input: false },
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
  return betterAuth({
    ...tables,
    baseURL: config.publicUrl || `http://localhost:${config.port}`,
    basePath: '/api/auth',
    secret: derivedSecret(secret, 'sessions'),
    database: {
      db: new Kysely<unknown>({ dialect: new PostgresJSDialect({ postgres: sql }) }),
      type: 'postgres',
      transaction: true,
    },
    emailAndPassword: {
      enabled: true,
      minPasswordLength: passwordLength.least,
      maxPasswordLength: passwordLength.most,
    },
    advanced: { database: { generateId: 'uuid' } },
    telemetry: { enabled: false },
    logger: { level: 'error' },
  });
}
