-- Who says that the books are right. The checks are the program's, and run over the service's own connection: a result of the scheduled
-- scan is the service's word, since the database cannot know what was looked at. So a result of an audit of the whole is the owner's
-- alone to write, and what it found only another of the owner's takes back: the service can call such rows neither right nor checked.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Found, or found again, by an audit of the whole.
ALTER TABLE audit_findings ADD COLUMN by_owner boolean NOT NULL DEFAULT false;

DROP FUNCTION audit_find, audit_finish;

-- Of a check with 1,000 findings the others were left out: what is known of it may be among these, and is kept.
CREATE FUNCTION audit_find(p_scope text, p_findings jsonb, p_by_owner boolean)
RETURNS void LANGUAGE sql AS $$
  UPDATE audit_findings SET last_seen = clock_timestamp() WHERE resolved_at IS NULL AND check_name IN (
    SELECT f.name FROM jsonb_to_recordset(p_findings) AS f (name text) GROUP BY f.name HAVING count(*) >= 1000);
  INSERT INTO audit_findings AS known (check_name, row_id, scope, detail, by_owner)
  SELECT DISTINCT ON (f.name, f.id) f.name, f.id, coalesce(p_scope, f.scope), f.detail, p_by_owner
  FROM jsonb_to_recordset(p_findings) AS f (name text, id text, scope text, detail text)
  ON CONFLICT (check_name, row_id) DO UPDATE SET detail = excluded.detail, last_seen = clock_timestamp(), resolved_at = NULL,
    by_owner = excluded.by_owner OR (known.by_owner AND known.resolved_at IS NULL),
    first_seen = CASE WHEN known.resolved_at IS NULL THEN known.first_seen ELSE clock_timestamp() END
$$;

-- Writes down what a step of the scan found between two positions. False when another process has gone on from there meanwhile.
-- p_last: the pass has come to its end; what only scans found, and this one did not find again, is resolved.
CREATE OR REPLACE FUNCTION audit_note(p_scope text, p_from text, p_to text, p_rows bigint, p_totals jsonb, p_findings jsonb, p_last boolean, p_for interval)
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
  PERFORM audit_find(p_scope, p_findings, false);
  UPDATE audit_state SET claimed_until = greatest(claimed_until, clock_timestamp() + p_for);
  IF p_last THEN
    UPDATE audit_findings SET resolved_at = clock_timestamp()
    WHERE scope = p_scope AND resolved_at IS NULL AND last_seen < began AND NOT by_owner;
    UPDATE audit_scans SET position = '', passed_at = clock_timestamp(), passed_rows = pass_rows, totals = pass_totals,
      passed_seconds = extract(epoch FROM clock_timestamp() - began), pass_rows = 0, pass_totals = '{}'
    WHERE scope = p_scope;
  END IF;
  RETURN true;
END $$;

-- Ends a scheduled run, whose steps have noted what they found. Returns how many rows lie, as far as is known.
CREATE FUNCTION audit_finish(p_started timestamptz, p_seconds double precision, p_rows bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  open bigint := (SELECT count(*) FROM audit_findings WHERE resolved_at IS NULL);
  last audit_runs%ROWTYPE;
BEGIN
  UPDATE audit_state SET ran_at = clock_timestamp(), seconds = p_seconds, rows = p_rows, runs = runs + 1;
  SELECT * INTO last FROM audit_runs ORDER BY id DESC LIMIT 1;
  IF last.id IS NULL OR last.findings <> open OR last.started_at < clock_timestamp() - interval '1 hour' THEN
    INSERT INTO audit_runs (kind, started_at, seconds, rows, findings) VALUES ('scheduled', p_started, p_seconds, p_rows, open);
  END IF;
  RETURN open;
END $$;

-- Ends an audit of the whole, all of whose findings are given. Runs with the rights of who calls it: the owner of the tables.
CREATE FUNCTION audit_record(p_started timestamptz, p_seconds double precision, p_rows bigint, p_findings jsonb)
RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  open bigint;
BEGIN
  PERFORM audit_find(NULL, p_findings, true);
  UPDATE audit_findings SET resolved_at = clock_timestamp() WHERE resolved_at IS NULL AND last_seen < p_started;
  SELECT count(*) INTO open FROM audit_findings WHERE resolved_at IS NULL;
  INSERT INTO audit_runs (kind, started_at, seconds, rows, findings) VALUES ('full', p_started, p_seconds, p_rows, open);
  RETURN open;
END $$;

REVOKE EXECUTE ON FUNCTION audit_find, audit_finish, audit_record FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT EXECUTE ON FUNCTION audit_finish TO akai_app;
  END IF;
END $$;
