/** The receipt as its owner sees it: every number that made the charge, as exact decimal text. Its signed form is this, word for word. */
import { formatPrice } from '../catalogue/prices.ts';
import { momentOf, requestIdOf } from '../ids.ts';
import { formatUsd, nano } from './money.ts';
import type { FailedAttempt, Receipt } from './receipts.ts';

export const receiptFormat = 'akai-receipt/1';
export const rounding =
  'The lines are added up exactly; the sum is rounded up, once, to the next nano-dollar.';

interface ReceiptLine {
  /** `input`, `cacheRead`, `output`, …; or `request`, of which there is one. */
  readonly class: string;
  /** Tokens. */
  readonly count: number;
  readonly usd_each: string;
  readonly usd: string;
}

/** USD a token by class; a class that is missing costs what its kind costs. `request`: USD for each. */
export type PriceListing = Readonly<Record<string, string>>;

interface PriceTier {
  readonly above_prompt_tokens: number;
  readonly prices: PriceListing;
}

/** What a provider itself said may be about the operator's account with it, and stays inside. */
export type AttemptResult = 'rejected' | 'rate_limited' | 'unavailable';

function resultOf({ status }: FailedAttempt): AttemptResult {
  if (status === 429) return 'rate_limited';
  return status === 400 || status === 413 || status === 422 ? 'rejected' : 'unavailable';
}

/** USD amounts are decimal text; times are ISO 8601 in UTC. */
export interface PublicReceipt {
  readonly id: string;
  readonly request_id: string;
  readonly created_at: string;
  readonly settled_at: string;
  readonly key_id: string | null;
  readonly model: string;
  readonly provider: string | null;
  readonly upstream_model: string | null;
  readonly outcome: Receipt['outcome'];
  /** Why it cost nothing, or an estimate. */
  readonly reason: string | null;
  readonly finish_reason: string | null;
  readonly usage_reported_by: 'provider' | 'estimate' | 'checkpoint' | null;
  readonly flags: readonly string[];
  readonly tokens_prompt: number;
  readonly tokens_completion: number;
  readonly lines: readonly ReceiptLine[];
  readonly price_version: string | null;
  /** All prices of that version: which of them hold is decided by the length of the prompt. */
  readonly price_list: {
    readonly prices: PriceListing;
    readonly tiers: readonly PriceTier[];
  } | null;
  readonly rounding: string;
  readonly cost_unrounded: string;
  readonly cost: string;
  /** What left the wallet. */
  readonly charged: string;
  /** What was used and not charged: beyond the hold, or beyond the client's own limits. */
  readonly paid_by_operator: string;
  readonly refunded: string;
  readonly refund_reason: string | null;
  readonly hold: string;
  readonly first_byte_ms: number | null;
  readonly total_ms: number;
  /** Calls to providers, with the one that answered. */
  readonly attempts: number;
  readonly failed_attempts: readonly {
    readonly provider: string;
    readonly result: AttemptResult;
  }[];
  /** There where it was asked with a key of the account's own, which paid the provider itself. */
  readonly own_key?: true;
  /** What it would have cost at the usual prices; not known of one that was recovered. */
  readonly list_cost?: string;
}

export interface SignedReceipt {
  readonly format: typeof receiptFormat;
  readonly receipt: PublicReceipt;
  readonly signature: {
    readonly algorithm: 'Ed25519';
    /** First 16 hexadecimal digits of the SHA-256 of the public key. */
    readonly key_id: string;
    /** 32 bytes, base64url. */
    readonly public_key: string;
    readonly value: string;
  };
}

/** What is signed: the format's name, and the receipt as JSON without blanks, members in the order of their names. */
export function signedText(receipt: unknown): string {
  const sorted = (_: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return `${receiptFormat}\n${JSON.stringify(receipt, sorted)}`;
}

function linesOf({ tokens, prices }: Receipt['detail']): { lines: ReceiptLine[]; sum: bigint } {
  let sum = 0n;
  const lines = Object.entries(tokens ?? {})
    .filter(([, count]) => count > 0)
    .map(([name, count]) => {
      const each = prices?.[name] ?? 0;
      const pico = BigInt(count) * BigInt(each);
      sum += pico;
      return { class: name, count, usd_each: formatPrice(each), usd: formatPrice(pico) };
    });
  return { lines, sum };
}

/** Names of the catalogue's prices that receipts have other names for. */
const classNames: Readonly<Record<string, string>> = { cachedInput: 'cacheRead' };

function listing(prices: object): PriceListing {
  return Object.fromEntries(
    Object.entries(prices).flatMap(([name, pico]) =>
      typeof pico === 'number' ? [[classNames[name] ?? name, formatPrice(pico)]] : [],
    ),
  );
}

function priceListOf(content: unknown): PublicReceipt['price_list'] {
  if (typeof content !== 'object' || content === null) return null;
  const { tiers } = { tiers: [], ...content };
  // as: what src/catalogue/offers.ts wrote into the version
  const known = tiers as readonly { aboveInputTokens: number; prices: object }[];
  return {
    prices: listing(content),
    tiers: known.map((tier) => ({
      above_prompt_tokens: tier.aboveInputTokens,
      prices: listing(tier.prices),
    })),
  };
}

export function publicReceipt(receipt: Receipt): PublicReceipt {
  const { id, outcome, detail, cost, charged, settledAt } = receipt;
  const { lines, sum } = linesOf(detail);
  const plain = id.replaceAll('-', '');
  const createdAt = momentOf(id);
  const failed = detail.failedAttempts ?? [];
  const isRecovered = outcome === 'recovered';
  return {
    id: `chatcmpl-${plain}`,
    request_id: requestIdOf(plain),
    created_at: new Date(createdAt).toISOString(),
    settled_at: settledAt.toISOString(),
    key_id: receipt.keyId,
    model: receipt.model,
    provider: receipt.provider,
    upstream_model: detail.upstreamModel ?? null,
    outcome,
    reason: detail.reason ?? null,
    finish_reason: detail.finishReason ?? null,
    usage_reported_by: isRecovered ? 'checkpoint' : (detail.reportedBy ?? null),
    flags: detail.flags ?? [],
    tokens_prompt: receipt.inputTokens,
    tokens_completion: receipt.outputTokens,
    lines,
    price_version: detail.priceVersion ?? null,
    price_list: priceListOf(receipt.priceList),
    rounding,
    cost_unrounded: lines.length > 0 ? formatPrice(sum) : formatUsd(cost),
    cost: formatUsd(cost),
    charged: formatUsd(charged),
    paid_by_operator: formatUsd(nano(cost - charged)),
    refunded: formatUsd(receipt.refunded),
    refund_reason: receipt.refundNote,
    hold: formatUsd(receipt.held),
    first_byte_ms: detail.firstByteMs ?? null,
    total_ms: detail.durationMs ?? Math.max(0, settledAt.getTime() - createdAt),
    attempts: failed.length + (receipt.provider === null ? 0 : 1),
    failed_attempts: failed.map((attempt) => ({
      provider: attempt.provider,
      result: resultOf(attempt),
    })),
    ...(detail.ownKey ? { own_key: true } : {}),
    ...(detail.listCost === undefined ? {} : { list_cost: formatUsd(nano(detail.listCost)) }),
  };
}
