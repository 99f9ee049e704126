-- Which offer answers: what the operator has set for offers, which of them and which keys are left alone, what probes found.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Ends holds: charges at most the hold, books what exceeds it to the operator, gives the rest back.
-- The caller has locked the wallets, in a statement of its own, so that this one sees what the locks waited for.
-- s_detail: JSON texts, one a line; where another model answered than the hold names, its first member is that "model". p_counted: keys of these wallets are counted. Returns the ids whose hold was there to end.
CREATE OR REPLACE FUNCTION ledger_settle(
  s_id uuid[], s_cost bigint[], s_chargeable bigint[], s_outcome request_outcome[], s_provider text[],
  s_input int[], s_output int[], s_detail text, p_counted boolean
) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
  ids uuid[];
  details text[] := string_to_array(s_detail, E'\n');
BEGIN
  IF cardinality(details) <> cardinality(s_id) THEN
    RAISE EXCEPTION '% details for % settlements', cardinality(details), cardinality(s_id);
  END IF;
  WITH ended AS (
    -- By its index, and so in the order of ids: a checkpoint of the same requests waits instead of deadlocking.
    DELETE FROM holds WHERE id = ANY (s_id) RETURNING id, wallet, amount, key_id, model
  ), charges AS MATERIALIZED (
    SELECT s.id, s.cost, s.outcome, s.provider, s.input, s.output, s.detail::json AS detail,
      e.wallet, e.amount, e.key_id,
      CASE WHEN starts_with(s.detail, '{"model":') THEN s.detail::json ->> 'model' ELSE e.model END AS model, least(s.chargeable, e.amount) AS charged
    FROM unnest(s_id, s_cost, s_chargeable, s_outcome, s_provider, s_input, s_output, details)
      AS s (id, cost, chargeable, outcome, provider, input, output, detail)
    JOIN ended e USING (id)
  ), receipt AS (
    INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens,
      cost, charged, held, detail, seal)
    SELECT id, wallet, key_id, model, provider, outcome, input, output, cost, charged, amount, detail,
      receipt_seal(id, wallet, key_id, model, provider, outcome, input, output, cost, charged, amount, now(), detail)
    FROM charges
  ), transfer AS (
    INSERT INTO transfers (id, kind, debit, credit, amount, seal)
    SELECT id, kind, debit, 1, amount, transfer_seal(id, kind, debit, 1, amount, NULL, now()) FROM (
      SELECT id, 'charge'::transfer_kind AS kind, wallet AS debit, charged AS amount FROM charges WHERE charged > 0
      UNION ALL
      SELECT id, 'loss', 2, cost - charged FROM charges WHERE cost > charged
    ) t
  ), wallet AS (
    UPDATE ledger_accounts a SET balance = a.balance - t.charged, held = a.held - t.held, ended = a.ended + t.ended
    FROM (SELECT wallet, sum(charged)::bigint AS charged, sum(amount)::bigint AS held, count(*) AS ended
          FROM charges GROUP BY wallet) t
    WHERE a.id = t.wallet AND a.id = ANY (ARRAY(SELECT wallet FROM charges))
  )
  SELECT coalesce(array_agg(id), '{}') INTO ids FROM charges;
  IF p_counted THEN PERFORM ledger_count_keys(ids); END IF;
  RETURN ids;
END $$;

-- Offers whose circuit breaker is open (`author/model@provider`), and keys that do not work (`provider#` and digits of the
-- key's hash). Past `until` an offer is half-open; when it answers again, its row goes.
CREATE TABLE routing_rests (
  name text PRIMARY KEY,
  until timestamptz NOT NULL,
  reason text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);

-- Every process hears of it. Spans travel, not times: clocks of machines differ.
CREATE FUNCTION routing_rest(p_name text, p_ms int, p_reason text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM routing_rests WHERE until < now() - interval '1 day';
  INSERT INTO routing_rests (name, until, reason) VALUES (p_name, now() + p_ms * interval '1 ms', p_reason)
  ON CONFLICT (name) DO UPDATE SET until = excluded.until, reason = excluded.reason, changed_at = now();
  SELECT pg_notify('routing_rests', json_build_object('name', p_name, 'ms', p_ms)::text);
$$;

CREATE FUNCTION routing_resume(p_name text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM routing_rests WHERE name = p_name;
  SELECT pg_notify('routing_rests', json_build_object('name', p_name, 'ms', NULL)::text);
$$;

-- What the operator has set in place of the catalogue's data or the settings. An empty provider: for all offers of the model.
CREATE TABLE offer_overrides (
  model text NOT NULL,
  provider text NOT NULL DEFAULT '',
  enabled boolean,
  -- As in the catalogue: decimal strings, USD a million tokens.
  prices json,
  -- Percent.
  margin text,
  -- Lower ones are tried before those without a place, which go by price.
  place int,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (model, provider),
  CHECK (prices IS NULL OR provider <> ''),
  CHECK (place IS NULL OR (provider <> '' AND place BETWEEN 1 AND 1000))
);

CREATE TABLE offer_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  who text NOT NULL CHECK (who <> ''),
  model text NOT NULL,
  provider text NOT NULL,
  field text NOT NULL CHECK (field IN ('enabled', 'prices', 'margin', 'place')),
  -- Null: as the catalogue and the settings have it.
  before text,
  after text
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON offer_changes
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Sets one thing, or by null gives it back to the catalogue; writes down who did it; tells every process.
CREATE FUNCTION offer_set(p_who text, p_model text, p_provider text, p_field text, p_value text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  old offer_overrides;
BEGIN
  INSERT INTO offer_overrides (model, provider) VALUES (p_model, p_provider) ON CONFLICT DO NOTHING;
  SELECT * INTO old FROM offer_overrides WHERE model = p_model AND provider = p_provider FOR UPDATE;
  INSERT INTO offer_changes (who, model, provider, field, before, after)
  VALUES (p_who, p_model, p_provider, p_field, to_json(old) ->> p_field, p_value);
  UPDATE offer_overrides SET changed_at = now(),
    enabled = CASE WHEN p_field = 'enabled' THEN p_value::boolean ELSE enabled END,
    prices = CASE WHEN p_field = 'prices' THEN p_value::json ELSE prices END,
    margin = CASE WHEN p_field = 'margin' THEN p_value ELSE margin END,
    place = CASE WHEN p_field = 'place' THEN p_value::int ELSE place END
  WHERE model = p_model AND provider = p_provider;
  DELETE FROM offer_overrides WHERE model = p_model AND provider = p_provider
    AND enabled IS NULL AND prices IS NULL AND margin IS NULL AND place IS NULL;
  PERFORM pg_notify('offer_overrides', '');
END $$;

-- What tiny requests of our own found out about an offer. The operator pays them; no wallet does.
CREATE TABLE offer_probes (
  offer text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('plain', 'tool', 'schema', 'stream_usage')),
  at timestamptz NOT NULL DEFAULT now(),
  -- Null: it could not be found out.
  passed boolean,
  reason text,
  ms int NOT NULL,
  -- Nano-USD at the provider's own prices.
  cost bigint NOT NULL CHECK (cost >= 0),
  PRIMARY KEY (offer, kind, at)
);

CREATE TABLE offer_probe_turns (
  offer text PRIMARY KEY,
  claimed_at timestamptz NOT NULL
);

-- Whether it is the caller's turn to probe an offer: of several processes one does.
CREATE FUNCTION offer_probe_claim(p_offer text, p_every interval)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  WITH turn AS (
    INSERT INTO offer_probe_turns AS t (offer, claimed_at) VALUES (p_offer, now())
    ON CONFLICT (offer) DO UPDATE SET claimed_at = now() WHERE t.claimed_at <= now() - p_every RETURNING 1
  )
  SELECT EXISTS (SELECT FROM turn)
$$;

CREATE FUNCTION offer_probe_note(p_offer text, p_kind text, p_passed boolean, p_reason text, p_ms int, p_cost bigint)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM offer_probes WHERE at < now() - interval '90 days';
  INSERT INTO offer_probes (offer, kind, at, passed, reason, ms, cost)
  VALUES (p_offer, p_kind, clock_timestamp(), p_passed, p_reason, p_ms, p_cost);
  SELECT pg_notify('offer_probes', p_offer);
$$;

REVOKE EXECUTE ON FUNCTION routing_rest, routing_resume, offer_set, offer_probe_claim, offer_probe_note FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON routing_rests, offer_overrides, offer_changes, offer_probes TO akai_app;
    GRANT EXECUTE ON FUNCTION routing_rest, routing_resume, offer_set, offer_probe_claim, offer_probe_note TO akai_app;
  END IF;
END $$;
