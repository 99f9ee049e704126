-- Vouchers: codes that put credit into a wallet, each as often as its batch says. Only hashes of codes are kept.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Codes that were made together. What they are worth never changes.
CREATE TABLE voucher_batches (
  id uuid PRIMARY KEY,
  -- Nano-USD that one redemption of a code gives.
  value bigint NOT NULL CHECK (value > 0),
  -- Codes of the batch, and how often each may be redeemed: once for a voucher, more often for a promotion.
  codes int NOT NULL CHECK (codes BETWEEN 1 AND 10000),
  uses int NOT NULL CHECK (uses BETWEEN 1 AND 1000000),
  -- Whether an account may redeem only one code of the batch; one code it may redeem once in any case.
  once boolean NOT NULL,
  -- For accounts of at most so many days; null for all.
  newer_than_days int CHECK (newer_than_days BETWEEN 1 AND 3650),
  -- For accounts with a credited payment of at least so many paisa; null for all.
  least_payment bigint CHECK (least_payment > 0),
  expires_at timestamptz,
  note text NOT NULL,
  who text NOT NULL CHECK (who <> ''),
  created_at timestamptz NOT NULL DEFAULT now(),
  disabled_at timestamptz,
  disabled_by text,
  CHECK ((disabled_at IS NULL) = (disabled_by IS NULL))
);

CREATE TABLE voucher_codes (
  -- SHA-256: a code has more bits than anybody can try.
  hash bytea PRIMARY KEY CHECK (length(hash) = 32),
  batch uuid NOT NULL REFERENCES voucher_batches,
  -- Printed on the card, so that one can be talked about.
  number int NOT NULL CHECK (number > 0),
  last_four text NOT NULL,
  used int NOT NULL DEFAULT 0 CHECK (used >= 0),
  disabled_at timestamptz,
  disabled_by text,
  UNIQUE (batch, number),
  CHECK ((disabled_at IS NULL) = (disabled_by IS NULL))
);

CREATE TABLE voucher_redemptions (
  -- Of the transfer, too.
  id uuid PRIMARY KEY,
  batch uuid NOT NULL REFERENCES voucher_batches,
  code bytea NOT NULL REFERENCES voucher_codes,
  user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  wallet bigint NOT NULL,
  value bigint NOT NULL,
  once boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (code, user_id)
);
CREATE UNIQUE INDEX voucher_redemptions_once ON voucher_redemptions (batch, user_id) WHERE once;
CREATE INDEX voucher_redemptions_batch ON voucher_redemptions (batch, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON voucher_redemptions
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Takes one use of a code and writes the redemption down; the caller credits the wallet under its id in the same transaction.
-- `verdict` is `taken`, or why not: unknown, disabled, expired, used, repeated (by this account), account, payment.
CREATE FUNCTION voucher_take(p_id uuid, p_hash bytea, p_user uuid, p_wallet bigint)
RETURNS TABLE (verdict text, value bigint, batch uuid, least_payment bigint, redeemed uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  code voucher_codes%ROWTYPE;
  lot voucher_batches%ROWTYPE;
  account users%ROWTYPE;
  earlier uuid;
BEGIN
  -- The account before the code, everywhere in this order: one redeems one at a time, and so does a code.
  SELECT * INTO STRICT account FROM users WHERE id = p_user FOR NO KEY UPDATE;
  SELECT c.* INTO code FROM voucher_codes c WHERE c.hash = p_hash FOR UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'unknown', NULL::bigint, NULL::uuid, NULL::bigint, NULL::uuid;
    RETURN;
  END IF;
  SELECT b.* INTO STRICT lot FROM voucher_batches b WHERE b.id = code.batch FOR SHARE;
  SELECT r.id INTO earlier FROM voucher_redemptions r
    WHERE r.user_id = p_user AND (r.code = p_hash OR lot.once AND r.batch = lot.id) ORDER BY r.code <> p_hash LIMIT 1;
  verdict := CASE
    WHEN earlier IS NOT NULL THEN 'repeated'
    WHEN code.disabled_at IS NOT NULL OR lot.disabled_at IS NOT NULL THEN 'disabled'
    WHEN code.used >= lot.uses THEN 'used'
    WHEN lot.expires_at <= clock_timestamp() THEN 'expired'
    WHEN account.created_at < clock_timestamp() - lot.newer_than_days * interval '1 day' THEN 'account'
    WHEN lot.least_payment IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payments p
      WHERE p.user_id = p_user AND p.credited_at IS NOT NULL AND p.amount - p.refunded >= lot.least_payment) THEN 'payment'
    ELSE 'taken' END;
  IF verdict = 'taken' THEN
    IF NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = p_wallet AND a.user_id = p_user) THEN
      RAISE EXCEPTION 'wallet % is not of account %', p_wallet, p_user USING ERRCODE = 'check_violation';
    END IF;
    UPDATE voucher_codes c SET used = c.used + 1 WHERE c.hash = p_hash;
    INSERT INTO voucher_redemptions (id, batch, code, user_id, wallet, value, once)
    VALUES (p_id, lot.id, p_hash, p_user, p_wallet, lot.value, lot.once);
  END IF;
  RETURN QUERY SELECT verdict, lot.value, lot.id, lot.least_payment, earlier;
END $$;

-- Redemptions that do not fit the books or their batches, for the audit.
CREATE FUNCTION vouchers_wrong() RETURNS TABLE (id text, detail text) LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT r.id::text, format('redemption of %s to wallet %s; the books say %s to %s', r.value, r.wallet, t.amount, t.credit)
  FROM voucher_redemptions r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'bonus'
    LEFT JOIN ledger_accounts a ON a.id = t.debit
  WHERE (t.amount, t.credit, a.name) IS DISTINCT FROM (r.value, r.wallet, 'promotion')
  UNION ALL
  SELECT r.id::text, format('redemption of %s in a batch of %s', r.value, b.value)
  FROM voucher_redemptions r JOIN voucher_codes c ON c.hash = r.code JOIN voucher_batches b ON b.id = c.batch
  WHERE (r.value, r.batch) <> (b.value, b.id)
  UNION ALL
  SELECT c.batch || ' ' || c.number, format('used %s times of %s; it was redeemed %s times', c.used, b.uses, count(r.id))
  FROM voucher_codes c JOIN voucher_batches b ON b.id = c.batch LEFT JOIN voucher_redemptions r ON r.code = c.hash
  GROUP BY c.hash, b.uses HAVING c.used <> count(r.id) OR c.used > b.uses
  UNION ALL
  -- In a sandbox credit is given to whoever asks.
  SELECT t.id::text, format('bonus of %s for no voucher and no payment', t.amount)
  FROM transfers t JOIN ledger_accounts a ON a.id = t.debit AND a.name = 'promotion'
  WHERE t.kind = 'bonus' AND (SELECT mode FROM installation) = 'live'
    AND NOT EXISTS (SELECT 1 FROM voucher_redemptions r WHERE r.id = t.id) AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.transfer_id = t.id)
    AND NOT EXISTS (SELECT 1 FROM payment_refunds f WHERE f.undo_id = t.id)
$$;

REVOKE EXECUTE ON FUNCTION voucher_take FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT ON voucher_batches, voucher_codes TO akai_app;
    GRANT SELECT ON voucher_redemptions TO akai_app;
    GRANT UPDATE (disabled_at, disabled_by) ON voucher_batches, voucher_codes TO akai_app;
    GRANT EXECUTE ON FUNCTION voucher_take TO akai_app;
  END IF;
END $$;
