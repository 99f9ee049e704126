-- What signing in over the network needs: the language of an account, accounts that are switched off, and counted attempts.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE users
  ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'bn')),
  -- Set: nobody signs in to it, and its sessions are over.
  ADD COLUMN disabled_at timestamptz;

-- One row for whatever may be tried a number of times in a while, such as signing in from an address. `full_at` is the
-- moment at which all tries are there again: a bucket that leaks at a steady rate needs no more (GCRA). Rows in the past mean nothing.
CREATE TABLE attempts (
  bucket text PRIMARY KEY,
  full_at timestamptz NOT NULL
);
CREATE INDEX ON attempts (full_at);

-- Takes one try of p_most in p_every_ms. Null where it is granted, else ms until there is one.
CREATE FUNCTION attempt_take(p_bucket text, p_most int, p_every_ms bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  step interval := p_every_ms * interval '1 ms' / p_most;
  burst interval := p_every_ms * interval '1 ms';
  moment timestamptz := clock_timestamp();
  filled timestamptz;
BEGIN
  INSERT INTO attempts AS a (bucket, full_at) VALUES (p_bucket, moment + step)
  ON CONFLICT (bucket) DO UPDATE SET full_at = greatest(a.full_at, moment) + step
    WHERE greatest(a.full_at, moment) + step <= moment + burst
  RETURNING full_at INTO filled;
  IF filled IS NOT NULL THEN
    DELETE FROM attempts WHERE bucket IN (
      SELECT bucket FROM attempts WHERE full_at < moment - interval '1 hour' LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
  END IF;
  SELECT full_at INTO filled FROM attempts WHERE bucket = p_bucket;
  RETURN ceil(extract(epoch FROM filled + step - moment - burst) * 1000)::bigint;
END $$;

-- Gives one try back.
CREATE FUNCTION attempt_return(p_bucket text, p_most int, p_every_ms bigint) RETURNS void
LANGUAGE sql SET search_path FROM CURRENT AS $$
  UPDATE attempts SET full_at = full_at - p_every_ms * interval '1 ms' / p_most WHERE bucket = p_bucket
$$;

REVOKE EXECUTE ON FUNCTION attempt_take, attempt_return FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON attempts TO akai_app;
    GRANT EXECUTE ON FUNCTION attempt_take, attempt_return TO akai_app;
  END IF;
END $$;
