/** Accounts: made here with a password that the sign-in library accepts later, found by e-mail address. */

import type { Config } from '../config.ts';
import { isUniqueViolation } from '../db/connection.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { openWallet } from '../wallet/wallets.ts';
import { passwordLength } from './passwords.ts';
import type { Language } from './sessions.ts';

export interface Account {
  readonly id: string;
  readonly email: string;
  readonly admin: boolean;
  readonly language: Language;
  /** Switched off: nobody signs in to it. */
  readonly disabled: boolean;
}

/** What an account wants where it asks for a model that its vendor has retired: a refusal, or an answer of its successor. */
export type RetiredModels = 'refuse' | 'replace';

export function isRetiredModels(text: string): text is RetiredModels {
  return text === 'refuse' || text === 'replace';
}

/** Every process knows within a second. */
export async function setRetiredModels(sql: Sql, id: string, choice: RetiredModels): Promise<void> {
  await sql`UPDATE users SET retired_models = ${choice}, updated_at = now() WHERE id = ${id}`;
}

/** Switched off, an account has no sessions and no good keys, in every process within a second; its wallet stays as it is. */
export async function setDisabled(sql: Sql, id: string, isDisabled: boolean): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`
      UPDATE users SET updated_at = now(),
        disabled_at = CASE WHEN ${isDisabled} THEN coalesce(disabled_at, now()) END
      WHERE id = ${id}`;
    if (isDisabled) await transaction`DELETE FROM sessions WHERE user_id = ${id}`;
  });
}

/** Changes what is named and keeps the rest. */
export async function changeAccount(
  sql: Sql,
  id: string,
  { name, language }: { readonly name?: string; readonly language?: Language },
): Promise<void> {
  await sql`
    UPDATE users SET name = coalesce(${name ?? null}, name),
      language = coalesce(${language ?? null}, language), updated_at = now()
    WHERE id = ${id}`;
}

/** One spelling for each address: without outer spaces, lower case, composed characters. */
function normaliseEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

/**
 * Makes an account with a password and opens its wallet.
 * @throws ApiError with a sentence for people: address or password not acceptable, address taken
 */
export async function createAccount(
  sql: Sql,
  config: Config,
  options: {
    email: string;
    password: string;
    admin: boolean;
    /** What to call them; the part of the address before the @ where it is not said. */
    name?: string;
    language?: Language;
  },
): Promise<{ id: string; email: string }> {
  const email = normaliseEmail(options.email);
  // Loaded here because most commands, and the server, work without them.
  const [{ createAuth }, { z }] = await Promise.all([import('./auth.ts'), import('zod')]);
  if (!z.email().safeParse(email).success)
    throw new ApiError('invalid_request', {
      message: `"${options.email}" is not an e-mail address.`,
      param: 'email',
    });
  const { least, most } = passwordLength;
  if (options.password.length < least || options.password.length > most)
    throw new ApiError('invalid_request', {
      message: `The password must have ${least} to ${most} characters.`,
      param: 'password',
    });
  const library = await (await createAuth(sql, config)).$context;
  const password = await library.password.hash(options.password);
  const now = new Date();
  const times = { createdAt: now, updatedAt: now };
  const { admin, name = email.slice(0, email.indexOf('@')), language = 'en' } = options;
  try {
    const user = await library.adapter.transaction(async (store) => {
      const made = await store.create<Record<string, unknown>, { id: string; email: string }>({
        model: 'user',
        data: { ...times, email, name, emailVerified: false, admin, language },
      });
      await store.create({
        model: 'account',
        data: { ...times, userId: made.id, accountId: made.id, providerId: 'credential', password },
      });
      return made;
    });
    await openWallet(sql, user.id);
    return { id: user.id, email: user.email };
  } catch (error) {
    if (isUniqueViolation(error))
      throw new ApiError('email_registered', { param: 'email', cause: error });
    throw error;
  }
}

/** The account with this address, in any spelling; null if there is none. */
export async function findAccount(sql: Sql, email: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    SELECT id, email, admin, language, disabled_at IS NOT NULL AS disabled FROM users WHERE email = ${normaliseEmail(email)}`;
  return row ?? null;
}
