/** The key that signs receipts: made once for each secret of the installation; its public half is kept and shown for ever. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { derivedSecret, installationSecret, seal, unseal } from './secret.ts';

export interface ReceiptKey {
  /** First 16 hexadecimal digits of the SHA-256 of the public key. */
  readonly id: string;
  /** 32 bytes, base64url. */
  readonly publicKey: string;
  /** Ed25519, base64url. */
  sign(text: string): string;
}

export interface PublicKeyRecord {
  readonly id: string;
  readonly publicKey: string;
  readonly createdAt: Date;
}

/** The key of this installation, made at the first call and the same at every later one. @throws what the driver throws */
export async function receiptKey(sql: Sql, config: Config): Promise<ReceiptKey> {
  const secret = await installationSecret(config);
  // Processes of one database may have different secrets: each then has a key of its own.
  const name = `receipt key ${derivedSecret(secret, 'fingerprint').slice(0, 12)}`;
  const text = (await storedKey(sql, secret, name)) ?? (await makeKey(sql, secret, name));
  const key = createPrivateKey(text);
  const publicKey = String(createPublicKey(key).export({ format: 'jwk' }).x);
  const [row] = await sql<{ id: string }[]>`
    SELECT receipt_keys_add(${Buffer.from(publicKey, 'base64url')}) AS id`;
  if (!row) throw new Error('the key of receipts was not written down');
  return {
    id: row.id,
    publicKey,
    sign: (content) => sign(null, Buffer.from(content), key).toString('base64url'),
  };
}

async function makeKey(sql: Sql, secret: string, name: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  // Of two processes that make one at the same time, the first is taken.
  await sql`
    INSERT INTO installation_secrets (name, sealed) VALUES (${name}, ${seal(secret, name, text)})
    ON CONFLICT (name) DO NOTHING`;
  const kept = await storedKey(sql, secret, name);
  if (!kept) throw new Error('the key of receipts cannot be read again');
  return kept;
}

async function storedKey(sql: Sql, secret: string, name: string): Promise<string | null> {
  const [row] = await sql<{ sealed: Buffer }[]>`
    SELECT sealed FROM installation_secrets WHERE name = ${name}`;
  return row ? unseal(secret, name, row.sealed) : null;
}

/** Every key that ever signed a receipt here, oldest first. */
export async function publicReceiptKeys(sql: Sql): Promise<PublicKeyRecord[]> {
  const rows = await sql<{ id: string; publicKey: Buffer; createdAt: Date }[]>`
    SELECT id, public_key AS "publicKey", created_at AS "createdAt" FROM receipt_keys
    ORDER BY created_at, id`;
  return rows.map((row) => ({ ...row, publicKey: row.publicKey.toString('base64url') }));
}
