-- What each process has measured of the offers lately, so that all show the figures of all. Nothing is lost with it that matters.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE UNLOGGED TABLE offer_figures (
  process uuid NOT NULL,
  -- `author/model@provider`
  offer text NOT NULL,
  -- Of the last half hour.
  calls int NOT NULL,
  failures int NOT NULL,
  -- Ms and tokens a second: medians of the last five minutes, and of how many; null where there are none.
  latency real,
  latencies int NOT NULL,
  throughput real,
  throughputs int NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (process, offer)
);

-- Takes in what has changed for one process, and gives what all others have told in the last half hour. A process that is gone is forgotten by then.
CREATE FUNCTION offer_figures_share(p_process uuid, p_figures jsonb)
RETURNS SETOF offer_figures LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM offer_figures WHERE at < now() - interval '30 minutes';
  INSERT INTO offer_figures (process, offer, calls, failures, latency, latencies, throughput, throughputs)
  SELECT p_process, f.offer, f.calls, f.failures, f.latency, f.latencies, f.throughput, f.throughputs
  FROM jsonb_to_recordset(p_figures) AS f
    (offer text, calls int, failures int, latency real, latencies int, throughput real, throughputs int)
  ON CONFLICT (process, offer) DO UPDATE SET
    calls = excluded.calls, failures = excluded.failures, latency = excluded.latency, latencies = excluded.latencies,
    throughput = excluded.throughput, throughputs = excluded.throughputs, at = now();
  SELECT * FROM offer_figures WHERE process <> p_process;
$$;

REVOKE EXECUTE ON FUNCTION offer_figures_share FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT EXECUTE ON FUNCTION offer_figures_share TO akai_app;
  END IF;
END $$;
