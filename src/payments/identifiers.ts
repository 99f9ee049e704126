/** What payments, refunds and agreements are known by: numbers for people and providers, secrets in addresses. */
import { createHash, randomBytes } from 'node:crypto';

/** Letters and digits that no two are mistaken for each other. */
const alphabet = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';

/** 20 letters and digits, which is the most that Nagad takes; 85 bits of them random, so that no two are the same. */
function numberOf(prefix: 'TOP' | 'REF'): string {
  const letters = [...randomBytes(17)].map((byte) => alphabet[byte % alphabet.length]);
  return `${prefix}${letters.join('')}`;
}

export function newInvoice(): string {
  return numberOf('TOP');
}

export function newRefundReference(): string {
  return numberOf('REF');
}

/** The secret in the addresses of one payment or agreement, and what is kept of it. */
export function newToken(): { readonly token: string; readonly hash: Buffer } {
  const token = randomBytes(24).toString('base64url');
  return { token, hash: tokenHash(token) };
}

export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
