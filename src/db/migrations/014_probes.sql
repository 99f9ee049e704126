-- What tiny requests of our own find out about offers. The operator pays them; no wallet does.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Nothing has ever written them.
DROP FUNCTION offer_probe_claim, offer_probe_note;
DROP TABLE offer_probes, offer_probe_turns;

CREATE TABLE offer_probes (
  -- `author/model@provider`
  offer text NOT NULL,
  probe text NOT NULL CHECK (probe IN ('plain', 'tools', 'structured_outputs', 'usage')),
  at timestamptz NOT NULL,
  -- Null: it could not be found out.
  passed boolean,
  -- Why it failed, or could not be found out.
  reason text NOT NULL,
  ms int NOT NULL,
  -- Null where the provider told no usage.
  input_tokens int,
  output_tokens int,
  -- Nano-USD at the prices of the offer: for information, nobody is charged.
  cost bigint CHECK (cost >= 0),
  PRIMARY KEY (offer, probe, at)
);
CREATE INDEX offer_probes_at ON offer_probes (at);

CREATE TABLE probe_turns (
  provider text PRIMARY KEY,
  claimed_at timestamptz NOT NULL
);

-- Whether it is the caller's turn to probe the offers of a provider: of several processes one does.
CREATE FUNCTION probe_claim(p_provider text, p_every_ms int)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  WITH turn AS (
    INSERT INTO probe_turns AS t (provider, claimed_at) VALUES (p_provider, now())
    ON CONFLICT (provider) DO UPDATE SET claimed_at = now()
      WHERE t.claimed_at <= now() - p_every_ms * interval '1 ms'
    RETURNING 1
  )
  SELECT EXISTS (SELECT FROM turn)
$$;

-- Keeps 30 days; tells every process.
CREATE FUNCTION probe_note(
  p_offer text, p_probe text, p_passed boolean, p_reason text, p_ms int, p_input int, p_output int, p_cost bigint
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  noted timestamptz := clock_timestamp();
BEGIN
  DELETE FROM offer_probes WHERE at < now() - interval '30 days';
  INSERT INTO offer_probes (offer, probe, at, passed, reason, ms, input_tokens, output_tokens, cost)
  VALUES (p_offer, p_probe, noted, p_passed, p_reason, p_ms, p_input, p_output, p_cost);
  PERFORM pg_notify('offer_probes', json_build_object(
    'offer', p_offer, 'probe', p_probe, 'passed', p_passed, 'at', (extract(epoch FROM noted) * 1000)::bigint
  )::text);
END $$;

REVOKE EXECUTE ON FUNCTION probe_claim, probe_note FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON offer_probes TO akai_app;
    GRANT EXECUTE ON FUNCTION probe_claim, probe_note TO akai_app;
  END IF;
END $$;
