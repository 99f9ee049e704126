-- Credit that was given by mistake is taken back as an adjustment, as far as it is free; and what is moved by hand is moved once.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- As in 015_payments.sql; adjustments besides.
CREATE OR REPLACE FUNCTION ledger_debit(p_id uuid, p_kind transfer_kind, p_wallet bigint, p_to text, p_amount bigint, p_note text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  target bigint;
  wallet ledger_accounts%ROWTYPE;
  earlier transfers%ROWTYPE;
  result bigint;
BEGIN
  IF NOT (p_kind = 'refund' AND p_to LIKE 'clearing:%' OR p_kind = 'bonus' AND p_to = 'promotion'
    OR p_kind = 'adjustment' AND p_to = 'adjustment') THEN
    RAISE EXCEPTION 'no % goes from a wallet to %', p_kind, p_to USING ERRCODE = 'check_violation';
  END IF;
  SELECT id INTO STRICT target FROM ledger_accounts WHERE name = p_to;
  SELECT * INTO STRICT wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  SELECT * INTO earlier FROM transfers WHERE id = p_id AND kind = p_kind;
  IF FOUND THEN
    IF earlier.debit <> p_wallet OR earlier.amount <> p_amount OR earlier.credit <> target THEN
      RAISE EXCEPTION 'transfer % exists with other content', p_id USING ERRCODE = 'unique_violation';
    END IF;
    RETURN wallet.balance;
  END IF;
  IF wallet.balance - wallet.held < p_amount THEN RETURN NULL; END IF;
  PERFORM ledger_write_transfer(p_id, p_kind, p_wallet, target, p_amount, p_note);
  UPDATE ledger_accounts SET balance = balance - p_amount WHERE id = p_wallet RETURNING balance INTO result;
  RETURN result;
END $$;

-- Which transfer a key of the operator's own stands for: the same key again is the same transfer.
CREATE TABLE wallet_requests (
  request_key text PRIMARY KEY CHECK (length(request_key) BETWEEN 1 AND 255),
  transfer uuid NOT NULL UNIQUE,
  kind transfer_kind NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_requests
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON wallet_requests TO akai_app;
    GRANT INSERT (request_key, transfer, kind) ON wallet_requests TO akai_app;
  END IF;
END $$;
