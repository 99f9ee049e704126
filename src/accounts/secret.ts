/** The installation's secret, and what is encrypted with it. */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { ensureDataDir } from '../db/place.ts';
import { StartError } from '../db/start-error.ts';

const nonceLength = 12;
const tagLength = 16;

/**
 * AKAI_SECRET, or the content of DATA_DIR/secret, which is made at the first call.
 * @throws StartError when the folder cannot be written or the file is damaged
 */
export async function installationSecret(config: Config): Promise<string> {
  if (config.secret) return config.secret;
  const path = join(ensureDataDir(config.dataDir), 'secret');
  return (await readSecret(path)) ?? (await makeSecret(path));
}

async function readSecret(path: string): Promise<string | null> {
  try {
    const secret = (await readFile(path, 'utf8')).trim();
    if (secret.length < 32)
      throw new StartError(`${path} is damaged: it must hold a secret of at least 32 characters.`);
    return secret;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

async function makeSecret(path: string): Promise<string> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, {
      mode: 0o600,
      flag: 'wx',
    });
    // A link appears whole or not at all and never replaces another: of two processes that start together one wins.
    await link(draft, path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
  const secret = await readSecret(path);
  if (!secret) throw new Error(`${path} vanished while it was made.`);
  return secret;
}

/** A key of 32 bytes for one purpose, so that no two uses of the secret share a key. */
function derivedKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `akai ${purpose}`, 32));
}

/** A secret of its own for one purpose, as text. */
export function derivedSecret(secret: string, purpose: string): string {
  return derivedKey(secret, purpose).toString('base64url');
}

/** Encrypts a text (AES-256-GCM). It opens only under the same secret and the same name. */
export function seal(secret: string, name: string, text: string): Buffer {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', derivedKey(secret, 'sealing'), nonce);
  cipher.setAAD(Buffer.from(name));
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/** The text of a sealed secret, or null when secret, name or bytes are not the ones that it was sealed with. */
export function unseal(secret: string, name: string, sealed: Buffer): string | null {
  if (sealed.length < nonceLength + tagLength) return null;
  const nonce = sealed.subarray(0, nonceLength);
  const decipher = createDecipheriv('aes-256-gcm', derivedKey(secret, 'sealing'), nonce);
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(sealed.subarray(-tagLength));
  try {
    const text = decipher.update(sealed.subarray(nonceLength, -tagLength));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}
