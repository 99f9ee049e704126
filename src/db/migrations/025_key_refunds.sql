-- A charge that was given back is none: it gives its key the room back, in the day, week and month in which it was made.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Requests whose charge was given back because another ran in their place, each once.
CREATE TABLE request_refunds (
  -- Of the transfer.
  id uuid PRIMARY KEY,
  request uuid NOT NULL UNIQUE,
  wallet bigint NOT NULL,
  -- Null for none, and where the receipt had gone to an archive before this table was.
  key_id uuid,
  -- On which it was charged, of Dhaka.
  day date NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  row_seal bytea NOT NULL
);
CREATE INDEX request_refunds_key ON request_refunds (key_id) WHERE key_id IS NOT NULL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON request_refunds
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER zz_sealed BEFORE INSERT ON request_refunds FOR EACH ROW EXECUTE FUNCTION row_is_sealed();

-- Takes a charge of a day out of what its key has used. The caller has locked the wallet of the key.
CREATE FUNCTION ledger_return_to_key(p_key uuid, p_day date, p_amount bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  k key_limits%ROWTYPE;
  today date;
BEGIN
  SELECT * INTO k FROM key_limits WHERE key_id = p_key;
  IF NOT FOUND THEN RETURN; END IF;
  today := greatest(k.day, ledger_day(now()));
  k.total_used := k.total_used - p_amount;
  k.day_used := ledger_used('day', k.day, today, k.day_used) - ledger_used('day', p_day, today, p_amount);
  k.week_used := ledger_used('week', k.day, today, k.week_used) - ledger_used('week', p_day, today, p_amount);
  k.month_used := ledger_used('month', k.day, today, k.month_used) - ledger_used('month', p_day, today, p_amount);
  k.day := today;
  PERFORM ledger_write_key(k);
END $$;

-- As in 006_answers.sql; a charge that is given back is written down, and its key has the room again.
CREATE OR REPLACE FUNCTION ledger_refund_superseded()
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  r record;
  hex text;
  transfer uuid;
BEGIN
  -- Wallets are locked in the order of their ids, as everywhere.
  FOR r IN
    SELECT s.id, s.successor, c.wallet, c.key_id, ledger_day(c.created_at) AS day,
      -- At most what was charged for it later: its successor, and those between the two that were superseded themselves.
      least(c.charged, greatest(n.charged, (
        SELECT max(later.charged) FROM superseded_requests x JOIN receipts later ON later.id = x.id
        WHERE x.successor = s.successor AND x.id > s.id
      ))) AS amount
    FROM superseded_requests s JOIN receipts c ON c.id = s.id
      LEFT JOIN receipts n ON n.id = s.successor LEFT JOIN answers a ON a.id = s.successor
    WHERE c.charged = 0 OR n.charged > 0 AND (a.id IS NULL OR a.state IN ('done', 'failed'))
    ORDER BY c.wallet, s.id LIMIT 500 FOR UPDATE OF s SKIP LOCKED
  LOOP
    IF r.amount > 0 AND NOT EXISTS (SELECT FROM request_refunds WHERE request = r.id) THEN
      -- Time-ordered by the request that ran instead, and the same whenever this is done again.
      hex := md5('refund of ' || r.id);
      transfer := (left(r.successor::text, 15) || left(hex, 3) || '-8' || substr(hex, 4, 3) || '-' || substr(hex, 7, 12))::uuid;
      PERFORM ledger_credit(transfer, 'refund', 'revenue', r.wallet, r.amount,
        'req_' || replace(r.id::text, '-', '') || ' was not finished: req_' || replace(r.successor::text, '-', '') || ' ran instead');
      INSERT INTO request_refunds (id, request, wallet, key_id, day, amount)
      VALUES (transfer, r.id, r.wallet, r.key_id, r.day, r.amount);
      PERFORM ledger_return_to_key(r.key_id, r.day, r.amount);
    END IF;
    DELETE FROM superseded_requests WHERE id = r.id;
  END LOOP;
  RETURN (SELECT count(*) FROM superseded_requests);
END $$;

-- As in 004_ledger_core.sql; what was given back is not spent.
CREATE OR REPLACE FUNCTION ledger_count_key(p_key uuid, p_wallet bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  k key_limits%ROWTYPE;
  seen record;
  mark timestamptz;
  today date;
BEGIN
  SELECT * INTO k FROM key_limits WHERE key_id = p_key;
  IF k.counted THEN RETURN true; END IF;
  IF k.key_id IS NULL THEN
    PERFORM 1 FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'there is no wallet %', p_wallet; END IF;
    SELECT * INTO k FROM key_limits WHERE key_id = p_key;
    IF FOUND THEN RETURN k.counted; END IF;
    UPDATE ledger_accounts SET keys_counted = true WHERE id = p_wallet AND NOT keys_counted;
    k := ROW(p_key, p_wallet, NULL, NULL, NULL, NULL, 0, 0, ledger_day(clock_timestamp()), 0, 0, 0, false, NULL);
    PERFORM ledger_write_key(k);
    RETURN false;
  END IF;
  -- What the books say and the row has not counted was spent before there was a row. Totals of days, which outlive their receipts, and
  -- the receipts after them: 007_statement.sql. One statement, and so one moment; again where the totals have grown since it was planned.
  LOOP
    SELECT counted_to INTO STRICT mark FROM day_totals_mark;
    EXECUTE $q$
      SELECT now.today, coalesce(sum(c.charged), 0)::bigint - min(o.total_used) AS total,
        coalesce(sum(c.charged) FILTER (WHERE c.day = now.today), 0)::bigint - min(ledger_used('day', o.day, now.today, o.day_used)) AS day,
        coalesce(sum(c.charged) FILTER (WHERE ledger_used('week', c.day, now.today, 1) = 1), 0)::bigint
          - min(ledger_used('week', o.day, now.today, o.week_used)) AS week,
        coalesce(sum(c.charged) FILTER (WHERE ledger_used('month', c.day, now.today, 1) = 1), 0)::bigint
          - min(ledger_used('month', o.day, now.today, o.month_used)) AS month
      FROM key_limits o CROSS JOIN LATERAL (SELECT greatest(o.day, ledger_day(clock_timestamp())) AS today) now
      LEFT JOIN (
        SELECT day, -amount AS charged FROM day_totals WHERE wallet = $2 AND key_id = $1 AND kind = 'charge'
        UNION ALL
        SELECT ledger_day(created_at), charged FROM receipts WHERE created_at > $3 AND key_id = $1
        UNION ALL
        SELECT day, -amount FROM request_refunds WHERE key_id = $1
      ) c ON true
      WHERE o.key_id = $1 AND o.wallet = $2 AND (SELECT counted_to FROM day_totals_mark) = $3 GROUP BY now.today
    $q$ INTO seen USING p_key, p_wallet, mark;
    EXIT WHEN seen.today IS NOT NULL;
    IF NOT EXISTS (SELECT 1 FROM key_limits WHERE key_id = p_key AND wallet = p_wallet) THEN
      RAISE EXCEPTION 'key % pays from another wallet', p_key;
    END IF;
  END LOOP;
  PERFORM 1 FROM ledger_accounts WHERE id = p_wallet FOR NO KEY UPDATE;
  SELECT * INTO k FROM key_limits WHERE key_id = p_key;
  IF k.counted THEN RETURN true; END IF;
  today := greatest(k.day, seen.today);
  k.total_used := k.total_used + seen.total;
  k.day_used := ledger_used('day', k.day, today, k.day_used) + ledger_used('day', seen.today, today, greatest(0, seen.day));
  k.week_used := ledger_used('week', k.day, today, k.week_used) + ledger_used('week', seen.today, today, greatest(0, seen.week));
  k.month_used := ledger_used('month', k.day, today, k.month_used) + ledger_used('month', seen.today, today, greatest(0, seen.month));
  k.day := today;
  k.counted := true;
  PERFORM ledger_write_key(k);
  RETURN true;
END $$;

-- What was given back before.
INSERT INTO request_refunds (id, request, wallet, key_id, day, amount, created_at)
SELECT t.id, t.request, t.credit, r.key_id, ledger_day(coalesce(r.created_at, t.created_at)), t.amount, t.created_at
FROM (
  SELECT id, credit, amount, created_at,
    CASE WHEN note ~ '^req_[0-9a-f]{32} was not finished: req_[0-9a-f]{32} ran instead$' THEN substr(note, 5, 32)::uuid END AS request
  FROM transfers WHERE kind = 'refund' AND debit = (SELECT id FROM ledger_accounts WHERE name = 'revenue')
) t LEFT JOIN receipts r ON r.id = t.request
WHERE t.request IS NOT NULL
-- Of two for one request the audit names the other.
ORDER BY t.id ON CONFLICT (request) DO NOTHING;
DO $$
BEGIN
  PERFORM 1 FROM ledger_accounts WHERE id IN (SELECT wallet FROM request_refunds) ORDER BY id FOR NO KEY UPDATE;
  PERFORM ledger_return_to_key(key_id, day, amount) FROM request_refunds;
END $$;

REVOKE EXECUTE ON FUNCTION ledger_return_to_key FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON request_refunds TO akai_app;
  END IF;
END $$;
