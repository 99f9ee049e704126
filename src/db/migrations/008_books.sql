-- The memory of the audit: how far its scan has come, what it found, how it went. And seals for the two tables of 005.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION price_version_seal(id text, content json, created_at timestamptz)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, content::text, created_at), 0));
CREATE FUNCTION receipt_key_seal(id text, public_key bytea, created_at timestamptz)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, public_key, created_at), 0));

CREATE FUNCTION price_version_is_sealed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.seal := price_version_seal(NEW.id, NEW.content, NEW.created_at);
  RETURN NEW;
END $$;
CREATE FUNCTION receipt_key_is_sealed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.seal := receipt_key_seal(NEW.id, NEW.public_key, NEW.created_at);
  RETURN NEW;
END $$;

ALTER TABLE price_versions ADD COLUMN seal bytea;
ALTER TABLE receipt_keys ADD COLUMN seal bytea;
ALTER TABLE price_versions DISABLE TRIGGER append_only;
ALTER TABLE receipt_keys DISABLE TRIGGER append_only;
UPDATE price_versions SET seal = price_version_seal(id, content, created_at);
UPDATE receipt_keys SET seal = receipt_key_seal(id, public_key, created_at);
ALTER TABLE price_versions ENABLE TRIGGER append_only;
ALTER TABLE receipt_keys ENABLE TRIGGER append_only;
ALTER TABLE price_versions ALTER COLUMN seal SET NOT NULL;
ALTER TABLE receipt_keys ALTER COLUMN seal SET NOT NULL;
CREATE TRIGGER sealed BEFORE INSERT ON price_versions FOR EACH ROW EXECUTE FUNCTION price_version_is_sealed();
CREATE TRIGGER sealed BEFORE INSERT ON receipt_keys FOR EACH ROW EXECUTE FUNCTION receipt_key_is_sealed();

-- The totals of a day lie side by side on the disk, more or less: for the scan, which goes by days.
CREATE INDEX day_totals_day ON day_totals USING brin (day);

-- One row for each part of the books that the scheduled scan goes through.
CREATE TABLE audit_scans (
  scope text PRIMARY KEY,
  -- What was checked last, and therefore where to go on; empty at the beginning of a pass.
  position text NOT NULL DEFAULT '',
  pass_started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  pass_rows bigint NOT NULL DEFAULT 0,
  pass_totals jsonb NOT NULL DEFAULT '{}',
  -- Of the last pass that came to its end; totals by name.
  passed_at timestamptz,
  passed_seconds double precision,
  passed_rows bigint,
  totals jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO audit_scans (scope) VALUES ('requests'), ('wallets'), ('days'), ('whole');

-- Rows that lied. One that no longer does is resolved by the next pass over its part.
CREATE TABLE audit_findings (
  check_name text NOT NULL,
  row_id text NOT NULL,
  scope text NOT NULL,
  detail text NOT NULL,
  first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz,
  PRIMARY KEY (check_name, row_id)
);

-- How audits went: every one of the whole, and of the scheduled ones each that changed the number of findings, and one an hour.
CREATE TABLE audit_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('full', 'scheduled')),
  started_at timestamptz NOT NULL,
  seconds double precision NOT NULL,
  rows bigint NOT NULL,
  -- Rows that lie, as far as is known when the run ends.
  findings bigint NOT NULL,
  ok boolean GENERATED ALWAYS AS (findings = 0) STORED
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_runs
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- One row: whose turn it is, and how the last scheduled run went.
CREATE TABLE audit_state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- Until when one process scans and the others leave it alone.
  claimed_until timestamptz NOT NULL DEFAULT '-infinity',
  ran_at timestamptz,
  seconds double precision,
  rows bigint,
  runs bigint NOT NULL DEFAULT 0
);
INSERT INTO audit_state DEFAULT VALUES;

-- Whether the caller may scan now: of all processes one does, and while it goes on it keeps its claim by audit_note.
CREATE FUNCTION audit_claim(p_for interval)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  WITH claimed AS (
    UPDATE audit_state SET claimed_until = clock_timestamp() + p_for WHERE claimed_until < clock_timestamp() RETURNING 1
  )
  SELECT EXISTS (SELECT 1 FROM claimed)
$$;

-- Of a check with 1,000 findings the others were left out: what is known of it may be among these, and is kept.
CREATE FUNCTION audit_find(p_scope text, p_findings jsonb)
RETURNS void LANGUAGE sql AS $$
  UPDATE audit_findings SET last_seen = clock_timestamp() WHERE resolved_at IS NULL AND check_name IN (
    SELECT f.name FROM jsonb_to_recordset(p_findings) AS f (name text) GROUP BY f.name HAVING count(*) >= 1000);
  INSERT INTO audit_findings AS known (check_name, row_id, scope, detail)
  SELECT DISTINCT ON (f.name, f.id) f.name, f.id, coalesce(p_scope, f.scope), f.detail
  FROM jsonb_to_recordset(p_findings) AS f (name text, id text, scope text, detail text)
  ON CONFLICT (check_name, row_id) DO UPDATE SET detail = excluded.detail, last_seen = clock_timestamp(), resolved_at = NULL,
    first_seen = CASE WHEN known.resolved_at IS NULL THEN known.first_seen ELSE clock_timestamp() END
$$;

-- Writes down what a step of the scan found between two positions. False when another process has gone on from there meanwhile.
-- p_last: the pass has come to its end; what it did not find again is resolved.
CREATE FUNCTION audit_note(p_scope text, p_from text, p_to text, p_rows bigint, p_totals jsonb, p_findings jsonb, p_last boolean, p_for interval)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  began timestamptz;
BEGIN
  UPDATE audit_scans s SET position = p_to, pass_rows = s.pass_rows + p_rows,
    pass_started_at = CASE WHEN p_from = '' THEN now() ELSE s.pass_started_at END,
    pass_totals = (
      SELECT coalesce(jsonb_object_agg(name, amount), '{}') FROM (
        SELECT name, sum(amount::numeric) AS amount
        FROM (SELECT * FROM jsonb_each_text(s.pass_totals) UNION ALL SELECT * FROM jsonb_each_text(p_totals)) parts (name, amount)
        GROUP BY name
      ) sums
    )
  WHERE scope = p_scope AND position = p_from RETURNING pass_started_at INTO began;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM audit_find(p_scope, p_findings);
  UPDATE audit_state SET claimed_until = greatest(claimed_until, clock_timestamp() + p_for);
  IF p_last THEN
    UPDATE audit_findings SET resolved_at = clock_timestamp() WHERE scope = p_scope AND resolved_at IS NULL AND last_seen < began;
    UPDATE audit_scans SET position = '', passed_at = clock_timestamp(), passed_rows = pass_rows, totals = pass_totals,
      passed_seconds = extract(epoch FROM clock_timestamp() - began), pass_rows = 0, pass_totals = '{}'
    WHERE scope = p_scope;
  END IF;
  RETURN true;
END $$;

-- Ends a run. p_findings: of an audit of the whole, all that it found; null for a scheduled run, whose steps have noted theirs.
-- Returns how many rows lie.
CREATE FUNCTION audit_finish(p_started timestamptz, p_seconds double precision, p_rows bigint, p_findings jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  open bigint;
  last audit_runs%ROWTYPE;
BEGIN
  IF p_findings IS NOT NULL THEN
    PERFORM audit_find(NULL, p_findings);
    UPDATE audit_findings SET resolved_at = clock_timestamp() WHERE resolved_at IS NULL AND last_seen < p_started;
  ELSE
    UPDATE audit_state SET ran_at = clock_timestamp(), seconds = p_seconds, rows = p_rows, runs = runs + 1;
  END IF;
  SELECT count(*) INTO open FROM audit_findings WHERE resolved_at IS NULL;
  SELECT * INTO last FROM audit_runs ORDER BY id DESC LIMIT 1;
  IF p_findings IS NOT NULL OR last.id IS NULL OR last.findings <> open OR last.started_at < clock_timestamp() - interval '1 hour' THEN
    INSERT INTO audit_runs (kind, started_at, seconds, rows, findings)
    VALUES (CASE WHEN p_findings IS NULL THEN 'scheduled' ELSE 'full' END, p_started, p_seconds, p_rows, open);
  END IF;
  RETURN open;
END $$;

REVOKE EXECUTE ON FUNCTION audit_claim, audit_find, audit_note, audit_finish, price_version_is_sealed, receipt_key_is_sealed FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON audit_scans, audit_findings, audit_runs, audit_state TO akai_app;
    GRANT EXECUTE ON FUNCTION audit_claim, audit_note, audit_finish TO akai_app;
  END IF;
END $$;
