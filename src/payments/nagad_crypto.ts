/**
 * How messages to and from Nagad are sealed: encrypted for the other side with RSA PKCS#1 v1.5, and signed over the same bytes.
 * What cannot be proven to come from Nagad is null: no caller ever sees its content.
 */

import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto';
import { SettingError } from '../setting.ts';

/** Bare base64 of DER, or PEM. */
export interface NagadKeyTexts {
  readonly publicKey: string;
  readonly privateKey: string;
}

export interface NagadKeys {
  /** Nagad's. */
  readonly publicKey: KeyObject;
  /** The merchant's. */
  readonly privateKey: KeyObject;
  readonly hash: 'sha256' | 'sha1';
}

/** Nagad's keys have 2048 bits; what is shorter is no longer safe. */
const leastBits = 2048;
/** Bytes that PKCS#1 v1.5 adds at least. */
const padding = 11;

/** DER out of base64, whatever PEM lines, line breaks and written-out `\n` are around it. */
function derIn(text: string, variable: string): Buffer {
  if (/ENCRYPTED/.test(text))
    throw new SettingError(`${variable} is protected by a password: give the key without one.`);
  const base64 = text.replace(/-----[A-Z0-9 ]+-----/g, '').replace(/\\[nr]|\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
    throw new SettingError(`${variable} is not base64, with or without PEM lines.`);
  return Buffer.from(base64, 'base64');
}

/** The first reading that succeeds; what the lines of the armour call the key is often wrong. */
function firstOf(readings: readonly (() => KeyObject)[]): KeyObject | null {
  for (const read of readings) {
    try {
      return read();
    } catch {
      // not in this form
    }
  }
  return null;
}

function publicKeyIn(der: Buffer): KeyObject | null {
  return firstOf(
    (['spki', 'pkcs1'] as const).map(
      (type) => () => createPublicKey({ key: der, format: 'der', type }),
    ),
  );
}

function privateKeyIn(der: Buffer): KeyObject | null {
  return firstOf(
    (['pkcs8', 'pkcs1'] as const).map(
      (type) => () => createPrivateKey({ key: der, format: 'der', type }),
    ),
  );
}

function rsa(key: KeyObject | null, variable: string, what: string): KeyObject {
  if (!key) throw new SettingError(`${variable} is not ${what}: a part of it may be missing.`);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits < leastBits)
    throw new SettingError(`${variable} must be an RSA key of at least ${leastBits} bits.`);
  return key;
}

/**
 * Reads both keys.
 * @throws SettingError with one sentence that holds nothing of a key
 */
export function readKeys(texts: NagadKeyTexts, hash: NagadKeys['hash']): NagadKeys {
  const [publicName, privateName] = ['NAGAD_PUBLIC_KEY', 'NAGAD_PRIVATE_KEY'];
  const publicDer = derIn(texts.publicKey, publicName);
  const privateDer = derIn(texts.privateKey, privateName);
  if (privateKeyIn(publicDer))
    throw new SettingError(`${publicName} is a private key: Nagad's public key is wanted there.`);
  // Out of a private key Node makes a public one, so a public key is what is no private one.
  if (!privateKeyIn(privateDer) && publicKeyIn(privateDer))
    throw new SettingError(
      `${privateName} is a public key: the merchant's private key is wanted there.`,
    );
  const publicKey = rsa(publicKeyIn(publicDer), publicName, 'an RSA public key');
  const privateKey = rsa(privateKeyIn(privateDer), privateName, 'an RSA private key');
  if (createPublicKey(privateKey).equals(publicKey))
    throw new SettingError(
      `${publicName} is the merchant's own public key: Nagad's, which Nagad mails, is wanted there.`,
    );
  return { publicKey, privateKey, hash };
}

/** Bytes that one message to Nagad may have. */
export function mostBytes({ publicKey }: NagadKeys): number {
  return (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8 - padding;
}

/** @param text JSON; these very bytes are both encrypted and signed */
export function seal(text: string, keys: NagadKeys): { encrypted: string; signature: string } {
  const bytes = Buffer.from(text);
  return {
    encrypted: publicEncrypt(
      { key: keys.publicKey, padding: constants.RSA_PKCS1_PADDING },
      bytes,
    ).toString('base64'),
    signature: sign(keys.hash, bytes, keys.privateKey).toString('base64'),
  };
}

/**
 * Opens an answer of Nagad and believes it only when its signature is Nagad's.
 * That decrypting did not throw says nothing: since OpenSSL 3.2 a changed ciphertext gives random bytes (implicit rejection).
 * @returns the object in it; null for everything else
 */
export function unseal(
  answer: Readonly<Record<string, unknown>>,
  keys: NagadKeys,
): Readonly<Record<string, unknown>> | null {
  const encrypted = bytesIn(answer.sensitiveData);
  const signature = bytesIn(answer.signature);
  if (!encrypted || !signature) return null;
  try {
    const bytes = privateDecrypt(
      { key: keys.privateKey, padding: constants.RSA_PKCS1_PADDING },
      encrypted,
    );
    if (!verify(keys.hash, bytes, keys.publicKey, signature)) return null;
    const value: unknown = JSON.parse(bytes.toString());
    // as: an object that is no array may be read by any name
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** Base64 in its one proper spelling; null for all that a lenient decoder would take as well. */
function bytesIn(value: unknown): Buffer | null {
  if (typeof value !== 'string') return null;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : null;
}
