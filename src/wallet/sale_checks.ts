/** What must be true of payments and vouchers: each is in the books as it says, and what the books say of them is theirs. */
import type { Check, Scope, Within } from './check.ts';

interface SealedTable {
  readonly scope: Scope;
  /** What names a row. */
  readonly name: string;
  /** By which it belongs to a part. */
  readonly part: string;
}

/** Tables whose rows a trigger seals whole. */
const sealedWhole: Readonly<Record<string, SealedTable>> = {
  payments: { scope: 'payments', name: 'x.id', part: 'x.id' },
  payment_refunds: { scope: 'payments', name: 'x.id', part: 'x.payment' },
  payment_events: { scope: 'payments', name: 'x.id', part: 'x.payment' },
  payment_claims: {
    scope: 'payments',
    name: "x.payment || ' ' || x.trx_id",
    part: 'x.payment',
  },
  voucher_codes: { scope: 'vouchers', name: "x.batch || ' ' || x.number", part: 'x.hash' },
  voucher_redemptions: { scope: 'vouchers', name: 'x.id', part: 'x.code' },
  voucher_batches: { scope: 'whole', name: 'x.id', part: 'x.id' },
  payment_rules: { scope: 'whole', name: 'x.id', part: 'x.id' },
  unmatched_receipts: { scope: 'whole', name: 'x.id', part: 'x.id' },
  payment_agreements: { scope: 'whole', name: 'x.id', part: 'x.id' },
  auto_topups: { scope: 'whole', name: 'x.user_id', part: 'x.user_id' },
  wallet_requests: { scope: 'whole', name: 'x.request_key', part: 'x.transfer' },
};

function sealedRows(name: string, scope: Scope): Check {
  const tables = Object.entries(sealedWhole).filter(([, table]) => table.scope === scope);
  return {
    name,
    scope,
    rows: (within) =>
      tables
        .map(
          ([table, { name: id, part }]) => `
        SELECT '${table} ' || ${id} AS id, format('the row does not fit its seal %s', encode(x.row_seal, 'hex')) AS detail
        FROM ${table} x WHERE ${within(part)} AND x.row_seal IS DISTINCT FROM row_seal(x)`,
        )
        .join(' UNION ALL '),
  };
}

const credited = (within: Within): string => `
  SELECT p.id::text AS id, 'what it is for does not fit its seal' AS detail FROM payments p
  WHERE ${within('p.id')} AND p.seal IS DISTINCT FROM payment_seal(p)
  UNION ALL
  SELECT p.id::text, format('credit of %s; its amount, fee and rate give %s', p.credit, payment_credit(p))
  FROM payments p WHERE ${within('p.id')} AND p.credit <> payment_credit(p)
  UNION ALL
  -- Of the payment in whose place it stands a person has said so there.
  SELECT p.id::text, 'credited, and neither its provider nor a person has called it paid'
  FROM payments p WHERE ${within('p.id')} AND p.credited_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payment_events e
    WHERE e.payment IN (p.id, p.corrects) AND e.detail ->> 'trxId' = p.trx_id
      AND (e.detail ->> 'state' = 'paid' OR e.kind = 'review' AND e.detail ->> 'accepted' = 'true'))
  UNION ALL
  SELECT p.id::text, format('%s, credit of %s to wallet %s; the books say %s to %s', p.state, p.credit, p.wallet, t.amount, t.credit)
  FROM payments p LEFT JOIN ledger_accounts a ON a.name = 'clearing:' || p.method
    LEFT JOIN transfers t ON t.id = p.transfer_id AND t.kind = 'topup'
  WHERE ${within('p.id')} AND ((p.credited_at IS NOT NULL AND (t.amount, t.credit, t.debit) IS DISTINCT FROM (p.credit, p.wallet, a.id))
    OR (p.credited_at IS NULL AND t.id IS NOT NULL))
  UNION ALL
  SELECT p.id::text, format('bonus of %s; the books say %s', p.bonus, coalesce(t.amount, 0))
  FROM payments p LEFT JOIN transfers t ON t.id = p.transfer_id AND t.kind = 'bonus'
  WHERE ${within('p.id')} AND p.credited_at IS NOT NULL AND p.bonus <> coalesce(t.amount, 0)
  UNION ALL
  SELECT p.id::text, format('credited beside %s, which stands in its place', c.id)
  FROM payments p JOIN payments c ON c.corrects = p.id WHERE ${within('p.id')} AND p.credited_at IS NOT NULL`;

const refunded = (within: Within): string => `
  SELECT p.id::text, format('%s of %s paisa went back', p.refunded, p.amount)
  FROM payments p WHERE ${within('p.id')} AND p.state = 'refunded' AND p.refunded <> p.amount
  UNION ALL
  SELECT r.id::text, format('refund of %s; the books took %s', r.credit, coalesce(t.amount, 0))
  FROM payment_refunds r JOIN payments p ON p.id = r.payment LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'refund'
  WHERE ${within('r.payment')} AND (t.amount, t.debit) IS DISTINCT FROM (r.credit, p.wallet)
  UNION ALL
  SELECT r.id::text, format('refused refund of %s; the books gave back %s', r.credit, coalesce(t.amount, 0))
  FROM payment_refunds r JOIN payments p ON p.id = r.payment LEFT JOIN transfers t ON t.id = r.undo_id AND t.kind = 'refund'
  WHERE ${within('r.payment')} AND r.state = 'refused' AND (t.amount, t.credit) IS DISTINCT FROM (r.credit, p.wallet)
  UNION ALL
  SELECT r.id::text, format('refund of a bonus of %s; the books took %s and gave back %s', r.bonus, coalesce(t.amount, 0), coalesce(u.amount, 0))
  FROM payment_refunds r JOIN payments p ON p.id = r.payment LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'bonus' AND t.debit = p.wallet
    LEFT JOIN transfers u ON u.id = r.undo_id AND u.kind = 'bonus' AND u.credit = p.wallet
  WHERE ${within('r.payment')} AND (coalesce(t.amount, 0) <> r.bonus
    OR coalesce(u.amount, 0) <> CASE r.state WHEN 'refused' THEN r.bonus ELSE 0 END)
  UNION ALL
  SELECT p.id::text, format('%s paisa went back; its refunds say %s', p.refunded, coalesce(sum(r.amount), 0))
  FROM payments p LEFT JOIN payment_refunds r ON r.payment = p.id AND r.state <> 'refused'
  WHERE ${within('p.id')} GROUP BY p.id HAVING p.refunded <> coalesce(sum(r.amount), 0)
  UNION ALL
  -- Each refund may take a nano-USD less than its share, where one before it was refused.
  SELECT p.id::text, format('%s of %s paisa went back, and %s of %s credit', p.refunded, p.amount, sum(r.credit), p.credit)
  FROM payments p JOIN payment_refunds r ON r.payment = p.id AND r.state <> 'refused'
  WHERE ${within('p.id')} GROUP BY p.id HAVING (sum(r.credit) + count(*)) * p.amount < p.credit::numeric * p.refunded`;

/**
 * Money of payments and vouchers that none of them ordered. What is looked up by each transfer stands in subqueries that are no joins,
 * since steps of the scan do without nested loops: few transfers are of these kinds.
 */
const unordered = (within: Within): string => `
  WITH named AS MATERIALIZED (
    SELECT id, name FROM ledger_accounts WHERE name IS NOT NULL AND (name LIKE 'clearing:%' OR name = 'promotion')
  )
  SELECT t.id::text AS id, format('top-up of %s by %s without a payment', t.amount, a.name) AS detail
  FROM transfers t JOIN named a ON a.id = t.debit AND a.name <> 'promotion'
  WHERE ${within('t.id')} AND t.kind = 'topup' AND (SELECT count(*) FROM payments p WHERE p.transfer_id = t.id) = 0
  UNION ALL
  SELECT t.id::text, format('bonus of %s taken back without an order', t.amount)
  FROM transfers t JOIN named a ON a.id = t.credit AND a.name = 'promotion'
  WHERE ${within('t.id')} AND t.kind = 'bonus' AND (SELECT count(*) FROM payment_refunds r WHERE r.id = t.id) = 0
  UNION ALL
  SELECT t.id::text, format('refund of %s without an order', t.amount)
  FROM transfers t JOIN named a ON a.id IN (t.credit, t.debit) AND a.name <> 'promotion'
  WHERE ${within('t.id')} AND t.kind = 'refund' AND (SELECT count(*) FROM payment_refunds r WHERE r.id = t.id) = 0
    AND (SELECT count(*) FROM payment_refunds r WHERE r.undo_id = t.id) = 0
  UNION ALL
  -- In a sandbox credit is given to whoever asks.
  SELECT t.id::text, format('bonus of %s for no voucher and no payment', t.amount)
  FROM transfers t JOIN named a ON a.id = t.debit AND a.name = 'promotion'
  WHERE ${within('t.id')} AND t.kind = 'bonus' AND (SELECT mode FROM installation) = 'live'
    AND (SELECT count(*) FROM voucher_redemptions r WHERE r.id = t.id) = 0
    AND (SELECT count(*) FROM payments p WHERE p.transfer_id = t.id) = 0
    AND (SELECT count(*) FROM payment_refunds f WHERE f.undo_id = t.id) = 0`;

const redeemed = (within: Within): string => `
  SELECT r.id::text AS id, format('redemption of %s to wallet %s; the books say %s to %s', r.value, r.wallet, t.amount, t.credit) AS detail
  FROM voucher_redemptions r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'bonus'
    LEFT JOIN ledger_accounts a ON a.id = t.debit
  WHERE ${within('r.code')} AND (t.amount, t.credit, a.name) IS DISTINCT FROM (r.value, r.wallet, 'promotion')
  UNION ALL
  SELECT r.id::text, format('redemption of %s in a batch of %s', r.value, b.value)
  FROM voucher_redemptions r JOIN voucher_codes c ON c.hash = r.code JOIN voucher_batches b ON b.id = c.batch
  WHERE ${within('r.code')} AND (r.value, r.batch) <> (b.value, b.id)
  UNION ALL
  SELECT c.batch || ' ' || c.number, format('used %s times of %s; it was redeemed %s times', c.used, b.uses, count(r.id))
  FROM voucher_codes c JOIN voucher_batches b ON b.id = c.batch LEFT JOIN voucher_redemptions r ON r.code = c.hash
  WHERE ${within('c.hash')} GROUP BY c.hash, b.uses HAVING c.used <> count(r.id) OR c.used > b.uses`;

export const saleChecks: readonly Check[] = [
  {
    name: 'a payment is in the books as it was credited and refunded',
    scope: 'payments',
    rows: (within) => `${credited(within)} UNION ALL ${refunded(within)}`,
  },
  sealedRows('a row of a payment is as the program wrote it', 'payments'),
  {
    name: 'money of payments and vouchers was ordered by one of them',
    scope: 'requests',
    rows: unordered,
  },
  {
    name: 'a voucher is in the books as often as it was redeemed',
    scope: 'vouchers',
    rows: redeemed,
  },
  sealedRows('a row of a voucher is as the program wrote it', 'vouchers'),
  sealedRows('what money is moved by is as the program wrote it', 'whole'),
];
