/** How payments stand, in numbers: for monitoring. */
import type { Statements } from '../db/database.ts';

export interface PaymentsState {
  /** Begun, and may still be paid. */
  readonly open: number;
  readonly needsReview: number;
  /** Paid, due, and without credit. */
  readonly uncredited: number;
  /** Since the longest of these was confirmed; seconds, 0 for none. */
  readonly uncreditedSeconds: number;
  readonly oldestReviewSeconds: number;
  readonly refundsOpen: number;
  readonly unmatched: number;
  /** Differences to what providers say, of the last 30 days. */
  readonly differences: number;
}

export async function paymentsState(sql: Statements): Promise<PaymentsState> {
  const [state] = await sql<PaymentsState[]>`
    SELECT p.*, (SELECT count(*) FROM payment_refunds WHERE state NOT IN ('refunded', 'refused'))::int AS "refundsOpen",
      (SELECT count(*) FROM unmatched_receipts u WHERE resolved_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM payments m WHERE split_part(m.trx_id, ':', -1) = split_part(u.trx_id, ':', -1)))::int AS unmatched,
      (SELECT count(*) FROM payment_events WHERE kind = 'compared' AND detail ->> 'found' <> 'the same'
        AND at > now() - interval '30 days')::int AS differences
    FROM (SELECT count(*) FILTER (WHERE state IN ('created', 'pending'))::int AS open,
        count(*) FILTER (WHERE state = 'needs_review')::int AS "needsReview",
        count(*) FILTER (WHERE state = 'verified' AND due < clock_timestamp())::int AS uncredited,
        coalesce(extract(epoch FROM clock_timestamp() - min(due) FILTER (WHERE state = 'verified' AND due < clock_timestamp())), 0)::float8
          AS "uncreditedSeconds",
        coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE state = 'needs_review')), 0)::float8
          AS "oldestReviewSeconds"
      FROM (SELECT *, greatest(verified_at, held_until) AS due FROM payments
        WHERE state IN ('created', 'pending', 'verified', 'needs_review')) o) p`;
  if (!state) throw new Error('the payments were not counted');
  return state;
}
