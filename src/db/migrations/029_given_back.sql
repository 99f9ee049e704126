-- A charge whose commit nobody could hear of before its request was answered with an error is given back.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Of these requests, those that were charged and have not got it back. Returns how many.
CREATE FUNCTION ledger_give_back(p_ids uuid[])
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  r record;
  hex text;
  transfer uuid;
  given int := 0;
BEGIN
  -- Wallets are locked in the order of their ids, as everywhere.
  FOR r IN
    SELECT id, wallet, key_id, ledger_day(created_at) AS day, charged FROM receipts
    WHERE id = ANY (p_ids) AND charged > 0 ORDER BY wallet, id
  LOOP
    PERFORM 1 FROM ledger_accounts WHERE id = r.wallet FOR NO KEY UPDATE;
    CONTINUE WHEN EXISTS (SELECT FROM request_refunds WHERE request = r.id);
    hex := md5('given back ' || r.id);
    transfer := (left(ledger_first_id(clock_timestamp())::text, 13) || '-7' || left(hex, 3) || '-8' || substr(hex, 4, 3) || '-' || substr(hex, 7, 12))::uuid;
    PERFORM ledger_credit(transfer, 'refund', 'revenue', r.wallet, r.charged,
      'req_' || replace(r.id::text, '-', '') || ' was answered with an error');
    INSERT INTO request_refunds (id, request, wallet, key_id, day, amount)
    VALUES (transfer, r.id, r.wallet, r.key_id, r.day, r.charged);
    PERFORM ledger_return_to_key(r.key_id, r.day, r.charged);
    given := given + 1;
  END LOOP;
  RETURN given;
END $$;

REVOKE EXECUTE ON FUNCTION ledger_give_back FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT EXECUTE ON FUNCTION ledger_give_back TO akai_app;
  END IF;
END $$;
