/** API keys: how their text is made and checked, and the table `api_keys`, which keeps only their hashes. */

import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Sql } from '../db/database.ts';
import type { ErrorFormat } from '../errors.ts';

const prefix = 'sk-or-';
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const randomLength = 26;
const checksumLength = 6;
const shape = new RegExp(`^${prefix}[0-9A-Za-z]{${randomLength + checksumLength}}$`);
/** The largest multiple of 62 that a byte can hold: bytes from it on would make the first digits likelier than the last. */
const fairBytes = 248;

/** CRC-32 of the random part in six base62 digits. It always sees one wrong character and two swapped neighbours. */
function checksum(random: string): string {
  let rest = crc32(random);
  let text = '';
  for (let place = 0; place < checksumLength; place += 1) {
    text = digits.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/** A new key: `sk-or-`, 26 random base62 characters (154 bits), 6 characters of checksum. */
export function mintKey(): string {
  let random = '';
  while (random.length < randomLength) {
    for (const byte of randomBytes(randomLength)) {
      if (byte < fairBytes && random.length < randomLength) random += digits.charAt(byte % 62);
    }
  }
  return prefix + random + checksum(random);
}

/** Whether the text can be a key at all: shape and checksum, without asking the database. */
export function keyLooksRight(key: string): boolean {
  const start = prefix.length;
  const end = start + randomLength;
  return shape.test(key) && checksum(key.slice(start, end)) === key.slice(end);
}

/** What the database knows of a key's text. Plain SHA-256 is enough: nobody can guess 154 random bits. */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

export interface KeyRecord {
  readonly id: string;
  readonly userId: string;
  readonly walletId: number;
  readonly name: string;
  readonly lastFour: string;
  /** Networks in CIDR notation; empty means any address. */
  readonly allowedNetworks: string[];
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly errorFormat: ErrorFormat;
  /** Made by the installation itself; good for nothing once a provider is real. */
  readonly demo: boolean;
  readonly createdAt: Date;
  /** Its account wants a retired model to be answered by its successor. */
  readonly replaceRetired: boolean;
}

/** For people. */
export function keyState({ revokedAt, expiresAt }: KeyRecord): 'active' | 'expired' | 'revoked' {
  if (revokedAt) return 'revoked';
  return expiresAt && expiresAt.getTime() <= Date.now() ? 'expired' : 'active';
}

export interface NewKey {
  readonly userId: string;
  readonly walletId: number;
  readonly name: string;
  /** As `parseNetwork` writes them. */
  readonly allowedNetworks?: readonly string[];
  readonly expiresAt?: Date | null;
  readonly demo?: boolean;
  readonly errorFormat?: ErrorFormat;
}

const columns = (sql: Sql) => sql`
  id, user_id AS "userId", wallet_id AS "walletId", name, last_four AS "lastFour",
  to_json(allowed_networks) AS "allowedNetworks", expires_at AS "expiresAt", revoked_at AS "revokedAt",
  error_format AS "errorFormat", demo, created_at AS "createdAt",
  (SELECT retired_models = 'replace' FROM users WHERE users.id = api_keys.user_id) AS "replaceRetired"`;

/** Makes a key. Its text is in the answer and nowhere else. */
export async function createKey(sql: Sql, options: NewKey): Promise<{ id: string; key: string }> {
  const key = mintKey();
  const networks = [...(options.allowedNetworks ?? [])];
  const [row] = await sql<{ id: string }[]>`
    INSERT INTO api_keys (user_id, wallet_id, name, hash, last_four, allowed_networks, expires_at, demo, error_format)
    VALUES (
      ${options.userId}, ${options.walletId}, ${options.name}, ${hashKey(key)}, ${key.slice(-4)},
      ARRAY(SELECT network::cidr FROM jsonb_array_elements_text(${sql.json(networks)}) AS network),
      ${options.expiresAt ?? null}, ${options.demo ?? false}, ${options.errorFormat ?? 'text'}
    )
    RETURNING id`;
  if (!row) throw new Error('INSERT INTO api_keys returned no row');
  return { id: row.id, key };
}

/** The key with this hash, revoked and expired ones included; null if there is none, or its account is switched off. */
export async function findKeyByHash(sql: Sql, keyHash: Buffer): Promise<KeyRecord | null> {
  const [row] = await sql<KeyRecord[]>`SELECT ${columns(sql)} FROM api_keys WHERE hash = ${keyHash}
    AND NOT EXISTS (SELECT FROM users WHERE users.id = api_keys.user_id AND disabled_at IS NOT NULL)`;
  return row ?? null;
}

/** The key with this id, revoked and expired ones included; null if there is none. */
export async function findKey(sql: Sql, id: string): Promise<KeyRecord | null> {
  const [row] = await sql<KeyRecord[]>`SELECT ${columns(sql)} FROM api_keys WHERE id = ${id}`;
  return row ?? null;
}

/** All keys of a user, oldest first. */
export async function listKeys(sql: Sql, userId: string): Promise<KeyRecord[]> {
  return await sql<KeyRecord[]>`
    SELECT ${columns(sql)} FROM api_keys WHERE user_id = ${userId} ORDER BY created_at, id`;
}

export interface KeyChanges {
  readonly name?: string;
  /** As `parseNetwork` writes them. */
  readonly allowedNetworks?: readonly string[];
  readonly expiresAt?: Date | null;
  readonly errorFormat?: ErrorFormat;
}

/** Changes what is named and keeps the rest; holds in every process within a second. Null if there is no such key. */
export async function changeKey(
  sql: Sql,
  id: string,
  { name, allowedNetworks, expiresAt, errorFormat }: KeyChanges,
): Promise<KeyRecord | null> {
  const networks = allowedNetworks ? sql.json([...allowedNetworks]) : null;
  const [row] = await sql<KeyRecord[]>`
    UPDATE api_keys SET
      name = coalesce(${name ?? null}, name),
      error_format = coalesce(${errorFormat ?? null}, error_format),
      expires_at = CASE WHEN ${expiresAt !== undefined} THEN ${expiresAt ?? null}::timestamptz ELSE expires_at END,
      allowed_networks = CASE WHEN ${networks !== null}
        THEN ARRAY(SELECT network::cidr FROM jsonb_array_elements_text(coalesce(${networks}::jsonb, '[]')) AS network)
        ELSE allowed_networks END
    WHERE id = ${id} RETURNING ${columns(sql)}`;
  return row ?? null;
}

/** Revokes a key for good; a second call keeps the first time. Null if there is no such key. */
export async function revokeKey(sql: Sql, id: string): Promise<KeyRecord | null> {
  const [row] = await sql<KeyRecord[]>`
    UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = ${id}
    RETURNING ${columns(sql)}`;
  return row ?? null;
}
