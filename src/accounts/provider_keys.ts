/**
 * Keys for providers that accounts bring themselves: kept encrypted, shown to nobody again. The only file that names their tables.
 * Every process hears of a change through the trigger on the table.
 */
import { randomUUID } from 'node:crypto';
import { providers } from '../catalogue/catalogue.ts';
import { type Config, isWhole, providerVariables } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { fields } from '../dialects/members.ts';
import { ApiError } from '../errors.ts';
import { seal, unseal } from './secret.ts';

export interface ProviderKeyRecord {
  readonly id: string;
  readonly userId: string;
  /** Id of the provider. */
  readonly provider: string;
  readonly lastFour: string;
  readonly note: string;
  readonly enabled: boolean;
  /** Whether the wallet may pay where this key does not do. */
  readonly fallback: boolean;
  readonly createdAt: Date;
  /** What the provider said last against it. */
  readonly lastError: string | null;
  readonly lastErrorAt: Date | null;
}

/** One to ask with. */
export interface OpenedKey extends ProviderKeyRecord {
  /** Null: it was sealed with another secret than this installation's. */
  readonly text: string | null;
}

interface NewProviderKey {
  readonly userId: string;
  readonly provider: string;
  readonly text: string;
  readonly fallback: boolean;
  readonly note: string;
  /** Who does this, for the record. */
  readonly who: string;
}

const shortest = 12;
const longest = 4000;
const mostErrorLength = 300;

const columns = (sql: Sql) => sql`
  id, user_id AS "userId", provider, last_four AS "lastFour", note, enabled, fallback, created_at AS "createdAt",
  last_error AS "lastError", last_error_at AS "lastErrorAt"`;

/** What the text is sealed with beside the secret: it opens in its own row only. */
function sealName(id: string, userId: string, provider: string): string {
  return `key ${id} of ${userId} for ${provider}`;
}

/** Why a key of one's own for this provider is of no use here, as a sentence; null where it is. */
export function whyNoOwnKey(config: Config, provider: string): string | null {
  const known = providers.get(provider);
  if (!known) return `There is no provider "${provider}".`;
  const baseUrl = config.providers.get(provider)?.baseUrl ?? '';
  if (config.ownKeys === 'off') return 'Own keys are switched off on this installation.';
  if (config.ownKeys === 'auto' && config.mode === 'sandbox' && baseUrl === '')
    return 'Own keys are switched off in this sandbox: OWN_KEYS=on lets them reach real providers.';
  // A service account says of which project it is.
  if (known.key === 'service-account' || isWhole(baseUrl || known.baseUrl)) return null;
  return `The address of ${known.name} is not known here: the operator sets it in ${providerVariables(provider).baseUrl}.`;
}

/**
 * Keeps a key.
 * @throws ApiError invalid_request for what can be no key
 */
export async function addProviderKey(
  sql: Sql,
  secret: string,
  { userId, provider, text: given, fallback, note, who }: NewProviderKey,
): Promise<ProviderKeyRecord> {
  const isAccount = providers.get(provider)?.key === 'service-account';
  const { text, lastFour } = isAccount ? serviceAccount(given) : headerText(given);
  const id = randomUUID();
  const sealed = seal(secret, sealName(id, userId, provider), text);
  const [row] = await sql<ProviderKeyRecord[]>`
    WITH noted AS (
      INSERT INTO provider_key_changes (who, user_id, key_id, provider, last_four, change)
      VALUES (${who}, ${userId}, ${id}, ${provider}, ${lastFour}, 'added')
    )
    INSERT INTO provider_keys (id, user_id, provider, sealed, last_four, note, fallback)
    VALUES (${id}, ${userId}, ${provider}, ${sealed}, ${lastFour}, ${note}, ${fallback})
    RETURNING ${columns(sql)}`;
  if (!row) throw new Error('INSERT INTO provider_keys returned no row');
  return row;
}

interface KeyText {
  readonly text: string;
  readonly lastFour: string;
}

/** @throws ApiError invalid_request */
function headerText(text: string): KeyText {
  // It becomes a header; and where the operator names several keys, commas part them.
  if (/^[!-+\--~]+$/.test(text) && text.length >= shortest && text.length <= longest)
    return { text, lastFour: text.slice(-4) };
  throw new ApiError('invalid_request', {
    message: `A provider key has ${shortest} to ${longest} visible characters of ASCII, without spaces and commas.`,
    param: 'key',
  });
}

/** The file that Google gives for a service account, in one line. @throws ApiError invalid_request */
function serviceAccount(given: string): KeyText {
  let read: unknown;
  try {
    read = JSON.parse(given);
  } catch {
    read = null;
  }
  const { project_id, client_email, private_key, private_key_id } = fields(read);
  const isWhole = [client_email, private_key].every((part) => typeof part === 'string');
  // The end of the first is shown, and kept beside the key.
  const [, lastFour] =
    [private_key_id, client_email]
      .map((part) => /^[!-~]*([!-~]{4})$/.exec(typeof part === 'string' ? part : ''))
      .find((part) => part !== null) ?? [];
  // It becomes a part of the address.
  if (
    isWhole &&
    lastFour &&
    typeof project_id === 'string' &&
    /^[a-z][a-z0-9.:-]{3,62}$/.test(project_id)
  ) {
    const text = JSON.stringify({ project_id, client_email, private_key, private_key_id });
    if (text.length <= longest) return { text, lastFour };
  }
  throw new ApiError('invalid_request', {
    message:
      'The key for this provider is the JSON of a service account, with project_id, client_email and private_key.',
    param: 'key',
  });
}

/** All of an account, oldest first, with whether this installation's secret opens them. */
export async function listProviderKeys(
  sql: Sql,
  secret: string,
  userId: string,
): Promise<(ProviderKeyRecord & { readonly readable: boolean })[]> {
  const rows = await sql<(ProviderKeyRecord & { sealed: Buffer })[]>`
    SELECT ${columns(sql)}, sealed FROM provider_keys WHERE user_id = ${userId} ORDER BY created_at, id`;
  return rows.map(({ sealed, ...row }) => ({
    ...row,
    readable: unseal(secret, sealName(row.id, row.userId, row.provider), sealed) !== null,
  }));
}

/** Null if there is no such key. @param userId whose it must be */
export async function enableProviderKey(
  sql: Sql,
  { id, userId }: { readonly id: string; readonly userId: string },
  enabled: boolean,
  who: string,
): Promise<ProviderKeyRecord | null> {
  const [row] = await sql<ProviderKeyRecord[]>`
    WITH changed AS (
      UPDATE provider_keys SET enabled = ${enabled} WHERE id = ${id} AND user_id = ${userId} RETURNING *
    ), noted AS (
      INSERT INTO provider_key_changes (who, user_id, key_id, provider, last_four, change)
      SELECT ${who}, user_id, id, provider, last_four, ${enabled ? 'enabled' : 'disabled'} FROM changed
    )
    SELECT ${columns(sql)} FROM changed`;
  return row ?? null;
}

/** Its text is gone with it. Null if there is no such key. @param userId whose it must be */
export async function removeProviderKey(
  sql: Sql,
  { id, userId }: { readonly id: string; readonly userId: string },
  who: string,
): Promise<ProviderKeyRecord | null> {
  const [row] = await sql<ProviderKeyRecord[]>`
    WITH removed AS (
      DELETE FROM provider_keys WHERE id = ${id} AND user_id = ${userId} RETURNING *
    ), noted AS (
      INSERT INTO provider_key_changes (who, user_id, key_id, provider, last_four, change)
      SELECT ${who}, user_id, id, provider, last_four, 'removed' FROM removed
    )
    SELECT ${columns(sql)} FROM removed`;
  return row ?? null;
}

/** Those that an account has enabled, oldest first. */
export async function openProviderKeys(
  sql: Sql,
  secret: string,
  userId: string,
): Promise<OpenedKey[]> {
  const rows = await sql<(ProviderKeyRecord & { sealed: Buffer })[]>`
    SELECT ${columns(sql)}, sealed FROM provider_keys
    WHERE user_id = ${userId} AND enabled ORDER BY created_at, id`;
  return rows.map(({ sealed, ...row }) => ({
    ...row,
    text: unseal(secret, sealName(row.id, row.userId, row.provider), sealed),
  }));
}

/** Writes down what speaks against a key. @throws what the driver throws */
export async function noteProviderKeyError(sql: Sql, id: string, error: string): Promise<void> {
  const text = error.toWellFormed().replaceAll('\0', '').slice(0, mostErrorLength);
  await sql`
    UPDATE provider_keys SET last_error = ${text}, last_error_at = clock_timestamp() WHERE id = ${id}`;
}
