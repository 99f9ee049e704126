/** `akai verify` and `akai receipts review`: what they read, and what they say. */
import { readFile } from 'node:fs/promises';
import { typedPath } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { requestIdOf } from '../ids.ts';
import { formatUsd } from '../wallet/money.ts';
import { flaggedReceipts } from '../wallet/receipts.ts';
import type { Said } from './said.ts';

async function read(path: string): Promise<string> {
  try {
    return await readFile(typedPath(path), 'utf8');
  } catch (cause) {
    throw new ApiError('not_found', { message: `The file ${path} cannot be read.`, cause });
  }
}

/**
 * Recomputes a signed receipt from what stands in it alone.
 * @param keyPath file with the installation's public keys; null to take the receipt's own
 * @throws ApiError for a file that cannot be read, or holds no key
 */
export async function verify(path: string, keyPath: string | null): Promise<Said> {
  const text = await read(path);
  const keys = keyPath === null ? null : await read(keyPath);
  const { faults, checked, keyId } = await verdictOf(text, keys, keyPath);
  if (faults.length > 0)
    return {
      json: { ok: false, key_id: keyId, faults },
      text: [`${path} is wrong:`, ...faults.map((fault) => `  ${fault}`)].join('\n'),
      failed: true,
    };
  const whose =
    keyPath === null
      ? 'It carries that key itself: compare it with the one at /v1/receipt-keys, or give --public-key.'
      : `That is a key of ${keyPath}.`;
  return {
    json: { ok: true, key_id: keyId, checked: checked.length, key_compared: keyPath !== null },
    text: `${path} is right: ${checked.length} checks, signed with key ${keyId}. ${whose}`,
  };
}

async function verdictOf(text: string, keys: string | null, keyPath: string | null) {
  // Loaded here because the server, and every other command, works without it.
  const { verifyReceipt } = await import('../wallet/verify_receipt.ts');
  try {
    return verifyReceipt(text, keys);
  } catch (cause) {
    const message = `${keyPath} holds no public key that can be read.`;
    throw new ApiError('invalid_request', { message, cause });
  }
}

const mostListed = 1000;

/** Receipts whose usage held something that nobody has a price for. @param days how far back */
export async function review(sql: Sql, days: number): Promise<Said> {
  const found = await flaggedReceipts(sql, days, mostListed);
  const receipts = found.map(({ id, charged, ...rest }) => ({
    id: requestIdOf(id),
    ...rest,
    charged: formatUsd(charged),
  }));
  const lines = receipts.map(
    ({ id, settledAt, model, provider, flags }) =>
      `${settledAt.toISOString()}  ${id}  ${model} at ${provider}: ${flags.join(', ')}`,
  );
  const none = `No receipt of the last ${days} days is flagged.`;
  return { json: { days, receipts }, text: lines.join('\n') || none };
}
