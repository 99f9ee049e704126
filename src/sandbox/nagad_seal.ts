/** The stand-in's side of Nagad's sealed messages: its own two pairs of keys, and the checks of what a merchant sends. */

import {
  constants,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { NagadRefusal } from './nagad_refusal.ts';

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface SandboxPairs {
  readonly nagad: Pair;
  readonly merchant: Pair;
}

/** As Nagad hands keys over: base64 of DER, without PEM lines. */
export interface NagadCredentials {
  /** Nagad's. */
  readonly publicKey: string;
  /** The merchant's. */
  readonly privateKey: string;
}

/** Two pairs of 2048 bits: some hundred ms of a thread of its own. */
export async function makePairs(): Promise<SandboxPairs> {
  const make = (): Promise<Pair> => promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const [nagad, merchant] = await Promise.all([make(), make()]);
  return { nagad, merchant };
}

export function credentialsOf({ nagad, merchant }: SandboxPairs): NagadCredentials {
  return {
    publicKey: nagad.publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
    privateKey: merchant.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  };
}

/** @returns the text that the merchant sealed @throws NagadRefusal */
export function unsealRequest(
  encrypted: unknown,
  signature: unknown,
  pairs: SandboxPairs,
  hash: string,
): Readonly<Record<string, unknown>> {
  if (typeof encrypted !== 'string' || typeof signature !== 'string')
    throw new NagadRefusal('sealMissing');
  let bytes: Buffer;
  try {
    bytes = privateDecrypt(
      { key: pairs.nagad.privateKey, padding: constants.RSA_PKCS1_PADDING },
      Buffer.from(encrypted, 'base64'),
    );
  } catch {
    throw new NagadRefusal('decryption');
  }
  // A text that was not encrypted for this key decrypts to random bytes, which are not JSON.
  const value = objectIn(bytes.toString());
  if (!value) throw new NagadRefusal('decryption');
  if (!verify(hash, bytes, pairs.merchant.publicKey, Buffer.from(signature, 'base64')))
    throw new NagadRefusal('signature');
  return value;
}

export function sealAnswer(
  value: unknown,
  pairs: SandboxPairs,
  hash: string,
): { sensitiveData: string; signature: string } {
  const bytes = Buffer.from(JSON.stringify(value));
  return {
    sensitiveData: publicEncrypt(
      { key: pairs.merchant.publicKey, padding: constants.RSA_PKCS1_PADDING },
      bytes,
    ).toString('base64'),
    signature: sign(hash, bytes, pairs.nagad.privateKey).toString('base64'),
  };
}

export function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    // as: an object that is no array may be read by any name
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
