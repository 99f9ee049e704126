/** GET /v1/generation: what one request was, cost and why; as plain JSON, or signed. GET /v1/receipt-keys: who signs. */
import type { KeyRecord } from '../accounts/keys.ts';
import { publicReceiptKeys, type ReceiptKey } from '../accounts/receipt_key.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { requestIdIn } from '../ids.ts';
import {
  type PublicReceipt,
  publicReceipt,
  receiptFormat,
  signedText,
} from '../wallet/receipt_form.ts';
import { findReceipt, isUnderWay } from '../wallet/receipts.ts';
import type { Exchange } from './exchange.ts';

/** How long a list of public keys is good: anybody may ask for it, and it hardly ever changes; ms. */
const keysForMs = 10_000;

/** Where receipts are read, and what signs them. */
export class Receipts {
  readonly sql: Sql;
  readonly #makeKey: () => Promise<ReceiptKey>;
  #key: Promise<ReceiptKey> | null = null;
  #keys: { readonly body: string; readonly until: number } | null = null;

  /** @param makeKey called until it succeeds */
  constructor(sql: Sql, makeKey: () => Promise<ReceiptKey>) {
    this.sql = sql;
    this.#makeKey = makeKey;
  }

  /** Made or read at the first call. @throws what the driver throws */
  key(): Promise<ReceiptKey> {
    this.#key ??= this.#makeKey().catch((error: unknown) => {
      this.#key = null;
      throw error;
    });
    return this.#key;
  }

  /** JSON of every key that ever signed here. @throws what the driver throws */
  async publicKeys(): Promise<string> {
    const now = performance.now();
    if (this.#keys && now < this.#keys.until) return this.#keys.body;
    await this.key();
    const keys = (await publicReceiptKeys(this.sql)).map(({ id, publicKey, createdAt }) => ({
      key_id: id,
      algorithm: 'Ed25519',
      public_key: publicKey,
      created_at: createdAt,
    }));
    const body = JSON.stringify({ keys });
    this.#keys = { body, until: now + keysForMs };
    return body;
  }
}

interface Holder {
  readonly receipts: Receipts;
}

/** @throws ApiError invalid_request without an id; not_found for what this account has not paid; database_unavailable */
export async function generation(
  { receipts }: Holder,
  exchange: Exchange,
  _rest: string,
  { walletId }: KeyRecord,
): Promise<void> {
  const query = new URL(exchange.request.url ?? '/', 'http://localhost').searchParams;
  const given = query.get('id');
  if (!given)
    throw new ApiError('invalid_request', {
      message: 'Say which request: /v1/generation?id=chatcmpl-…, or its x-request-id.',
      param: 'id',
    });
  const format = query.get('format') ?? 'json';
  if (format !== 'json' && format !== 'receipt')
    throw new ApiError('invalid_request', {
      message: '"format" must be json or receipt.',
      param: 'format',
    });
  const receipt = await receiptOf(receipts.sql, walletId, given);
  if (format === 'receipt') {
    const key = await receipts.key();
    exchange.json(JSON.stringify(signed(receipt, key)));
  } else exchange.json(JSON.stringify({ data: described(receipt) }));
}

async function receiptOf(sql: Sql, walletId: number, given: string): Promise<PublicReceipt> {
  const id = requestIdIn(given);
  const found = id && (await findReceipt(sql, walletId, id));
  if (found) return publicReceipt(found);
  const message =
    id && (await isUnderWay(sql, walletId, id))
      ? 'This request is still under way; its receipt is there before its last byte.'
      : `No request of this account has the id ${given.slice(0, 100)}.`;
  throw new ApiError('not_found', { message, param: 'id' });
}

/** The receipt, and beside its own names those that OpenRouter's clients read. */
function described(receipt: PublicReceipt): object {
  const charged = JSON.rawJSON(receipt.charged);
  const reasoning = receipt.lines.find((line) => line.class === 'reasoning')?.count ?? 0;
  return {
    ...receipt,
    total_cost: charged,
    usage: charged,
    provider_name: receipt.provider,
    latency: receipt.first_byte_ms,
    generation_time: receipt.total_ms,
    native_finish_reason: receipt.finish_reason,
    native_tokens_prompt: receipt.tokens_prompt,
    native_tokens_completion: receipt.tokens_completion,
    native_tokens_reasoning: reasoning,
    ...(receipt.own_key ? { is_byok: true } : {}),
    ...(receipt.list_cost ? { upstream_inference_cost: JSON.rawJSON(receipt.list_cost) } : {}),
  };
}

function signed(receipt: PublicReceipt, key: ReceiptKey): object {
  const signature = {
    algorithm: 'Ed25519',
    key_id: key.id,
    public_key: key.publicKey,
    value: key.sign(signedText(receipt)),
  };
  return { format: receiptFormat, receipt, signature };
}

/** Answers anybody: a receipt can be checked by whoever is shown it. */
export async function publicKeys({ receipts }: Holder, exchange: Exchange): Promise<void> {
  exchange.json(await receipts.publicKeys());
}
