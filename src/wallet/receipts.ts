/** Receipts as they stand in the books: how each request ended, and what explains its charge. Reads only. */
import type { Sql } from '../db/database.ts';
import { lowestIdAt, requestIdOf } from '../ids.ts';
import type { Outcome } from './batch.ts';
import { type Nano, nano } from './money.ts';

/** Tokens, or pico-USD a token, by class; a class that is not there was not used. */
export type ByClass = Readonly<Record<string, number>>;

export interface FailedAttempt {
  readonly provider: string;
  readonly status: number;
  readonly reason: string;
}

/** What the gateway wrote beside the columns. Released requests have little of it, and so have those that were recovered before checkpoints told of prices. */
export interface ReceiptDetail {
  readonly finishReason?: string | null;
  readonly reason?: string | null;
  readonly reportedBy?: 'provider' | 'estimate';
  readonly upstreamModel?: string;
  readonly priceVersion?: string;
  readonly tokens?: ByClass;
  readonly prices?: ByClass;
  readonly firstByteMs?: number;
  readonly durationMs?: number;
  readonly flags?: readonly string[];
  readonly failedAttempts?: readonly FailedAttempt[];
  /** Asked with a key that the account brought itself. */
  readonly ownKey?: boolean;
  /** What it would have cost otherwise; nano-USD. */
  readonly listCost?: number;
}

export interface Receipt {
  /** UUID of the request. */
  readonly id: string;
  readonly keyId: string | null;
  readonly model: string;
  readonly provider: string | null;
  readonly outcome: Outcome;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cost: Nano;
  readonly charged: Nano;
  readonly held: Nano;
  /** What went back later. */
  readonly refunded: Nano;
  readonly refundNote: string | null;
  readonly settledAt: Date;
  readonly detail: ReceiptDetail;
  /** `userPrices` of the price version; null where it was never written down. */
  readonly priceList: unknown;
}

type Row = Omit<Receipt, 'detail' | 'refunded'> & {
  readonly detail: ReceiptDetail;
  readonly refunded: number;
};

/** The receipt of a request that this wallet paid; null when there is none (yet). @param id UUID */
export async function findReceipt(sql: Sql, walletId: number, id: string): Promise<Receipt | null> {
  const [row] = await sql<Row[]>`
    SELECT r.id, r.key_id AS "keyId", r.model, r.provider, r.outcome, r.input_tokens AS "inputTokens",
      r.output_tokens AS "outputTokens", r.cost, r.charged, r.held, r.created_at AS "settledAt", r.detail,
      coalesce(t.amount, 0) AS refunded, t.note AS "refundNote", v.content -> 'userPrices' AS "priceList"
    FROM receipts r
    LEFT JOIN LATERAL (
      -- Made later than the request, and named after it.
      SELECT sum(amount)::bigint AS amount, max(note) AS note FROM transfers
      WHERE credit = r.wallet AND id > r.id AND kind = 'refund' AND starts_with(note, ${requestIdOf(id)})
    ) t ON true
    LEFT JOIN price_versions v ON v.id = r.detail ->> 'priceVersion'
    WHERE r.id = ${id} AND r.wallet = ${walletId}`;
  return row ? { ...row, refunded: nano(row.refunded), detail: modern(row.detail) } : null;
}

/** Before prices had versions by content, `output` counted reasoning as well, and classes without tokens were listed. */
function modern(detail: ReceiptDetail): ReceiptDetail {
  const { tokens, priceVersion } = detail;
  if (!tokens || !/@\d{4}-\d{2}-\d{2}$/.test(priceVersion ?? '')) return detail;
  const { output = 0, reasoning = 0 } = tokens;
  return { ...detail, tokens: { ...tokens, output: output - reasoning } };
}

/** Whether a request of this wallet is still under way. @param id UUID */
export async function isUnderWay(sql: Sql, walletId: number, id: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM holds WHERE id = ${id} AND wallet = ${walletId}`;
  return rows.length > 0;
}

export interface FlaggedReceipt {
  readonly id: string;
  readonly settledAt: Date;
  readonly model: string;
  readonly provider: string | null;
  readonly charged: Nano;
  /** Names of numbers in the provider's usage that we do not know, contradictions, and classes without a price. */
  readonly flags: readonly string[];
}

/**
 * Receipts that wait for the operator's eye, newest first. Reads every receipt of that time: a million take a few seconds.
 * @param days how far back, @param limit how many at most
 */
export async function flaggedReceipts(
  sql: Sql,
  days: number,
  limit: number,
): Promise<FlaggedReceipt[]> {
  // Ids begin with the time, so the primary key finds the first of them.
  const first = lowestIdAt(Math.max(0, Date.now() - days * 86_400_000));
  return sql<FlaggedReceipt[]>`
    SELECT id, created_at AS "settledAt", model, provider, charged, detail -> 'flags' AS flags
    FROM receipts
    WHERE id >= ${first} AND strpos(detail::text, '"flags":') > 0 AND detail -> 'flags' IS NOT NULL
    ORDER BY id DESC LIMIT ${limit}`;
}
