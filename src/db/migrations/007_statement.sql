-- Statements that are fast at any length: indexes by wallet and by key, and day totals that are counted behind the requests.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- A charge is found by its receipt, which also knows its key and model, and is there when nothing was charged.
DROP INDEX transfers_debit;
CREATE INDEX transfers_debit ON transfers (debit, id) WHERE kind NOT IN ('charge', 'loss');
CREATE INDEX transfers_moment ON transfers (created_at) WHERE kind NOT IN ('charge', 'loss');
CREATE INDEX receipts_wallet ON receipts (wallet, id);
CREATE INDEX receipts_key ON receipts (key_id, id);
-- Rows lie on the disk in the order in which they were written, so this is tiny and costs a request next to nothing.
CREATE INDEX receipts_moment ON receipts USING brin (created_at) WITH (autosummarize = on);

-- What a wallet's statement shows of the lines written after p_after and up to p_to; amounts in nano-USD, below zero for money that
-- left. Planned as part of the query around it.
CREATE FUNCTION ledger_lines(p_after timestamptz, p_to timestamptz)
RETURNS TABLE (wallet bigint, day date, kind transfer_kind, key_id uuid, model text, id uuid, input_tokens bigint, output_tokens bigint, amount bigint)
LANGUAGE sql STABLE AS $$
  SELECT r.wallet, ledger_day(r.created_at), 'charge'::transfer_kind, r.key_id, r.model, r.id, r.input_tokens::bigint, r.output_tokens::bigint,
    -r.charged
  FROM receipts r WHERE r.created_at > p_after AND r.created_at <= p_to
  UNION ALL
  SELECT a.id, ledger_day(t.created_at), t.kind, NULL, NULL, t.id, 0, 0, CASE WHEN a.id = t.credit THEN t.amount ELSE -t.amount END
  FROM transfers t JOIN ledger_accounts a ON a.id IN (t.credit, t.debit) AND a.kind = 'wallet'
  WHERE t.kind NOT IN ('charge', 'loss') AND t.created_at > p_after AND t.created_at <= p_to
$$;

-- The lines of a wallet for a Dhaka day, added up. A line belongs to the day on which it was written.
CREATE TABLE day_totals (
  wallet bigint NOT NULL,
  day date NOT NULL,
  kind transfer_kind NOT NULL,
  key_id uuid,
  model text,
  lines bigint NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  amount bigint NOT NULL,
  -- Between these are all its lines: what finds the lines of a day fast, though they are kept in the order of their ids.
  first_id uuid NOT NULL,
  last_id uuid NOT NULL
);
CREATE UNIQUE INDEX day_totals_line ON day_totals (wallet, day, kind, key_id, model) NULLS NOT DISTINCT;

-- The lines that have gone to archives, in the same form: totals are the sum of these and of the lines that are here.
CREATE TABLE archived_totals (LIKE day_totals INCLUDING INDEXES);

-- How far the totals have come. Lines written after `counted_to` are in none of them: a statement reads these themselves.
CREATE TABLE day_totals_mark (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  counted_to timestamptz NOT NULL,
  -- Where the next count will end, once the transactions are over that ran when this was said.
  next_to timestamptz,
  waiting text[] NOT NULL DEFAULT '{}',
  seen_at timestamptz NOT NULL
);
INSERT INTO day_totals_mark (counted_to, seen_at)
SELECT least(now(), (SELECT min(created_at) FROM receipts), (SELECT min(created_at) FROM transfers)) - interval '1 second', now();

-- Adds the lines of a span to the totals.
CREATE FUNCTION ledger_add_days(p_after timestamptz, p_to timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- Planned each time, with the moments known: by the small index that leads to the lines written last.
  EXECUTE 'INSERT INTO day_totals AS t
    SELECT wallet, day, kind, key_id, model, count(*), sum(input_tokens), sum(output_tokens), sum(amount),
      min(id::text COLLATE "C")::uuid, max(id::text COLLATE "C")::uuid
    FROM ledger_lines($1, $2) GROUP BY wallet, day, kind, key_id, model
    ON CONFLICT (wallet, day, kind, key_id, model) DO UPDATE SET lines = t.lines + excluded.lines,
      input_tokens = t.input_tokens + excluded.input_tokens, output_tokens = t.output_tokens + excluded.output_tokens,
      amount = t.amount + excluded.amount,
      first_id = least(t.first_id, excluded.first_id), last_id = greatest(t.last_id, excluded.last_id)'
  USING p_after, p_to;
END $$;

-- Forgets the totals from a day on: its lines are read themselves again at once, and counted anew by and by.
CREATE FUNCTION ledger_recount_days(p_from date)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  start timestamptz := (p_from::timestamp - interval '6 hours') AT TIME ZONE 'UTC';
BEGIN
  PERFORM 1 FROM day_totals_mark WHERE counted_to >= start FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE day_totals_mark SET counted_to = start - interval '1 microsecond', next_to = NULL;
  DELETE FROM day_totals WHERE day >= p_from;
  INSERT INTO day_totals SELECT * FROM archived_totals WHERE day >= p_from;
END $$;

-- Counts what is known to be complete: lines written before a moment since which every transaction that ran then has ended. Called
-- every few seconds, less than p_margin apart, by any number of processes. True: there is more to count at once.
CREATE FUNCTION ledger_count_days(p_margin interval)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  m day_totals_mark%ROWTYPE;
  clock timestamptz;
  upto timestamptz;
  more boolean := false;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'counting needs a view of what is committed now';
  END IF;
  IF NOT pg_try_advisory_xact_lock(7311983) THEN RETURN false; END IF;
  clock := clock_timestamp();
  SELECT * INTO m FROM day_totals_mark FOR UPDATE;
  IF clock < m.seen_at THEN
    -- The clock was put back: lines may be written within what was counted.
    PERFORM ledger_recount_days(ledger_day(clock - p_margin));
    SELECT * INTO m FROM day_totals_mark;
  END IF;
  -- A transaction holds the lock on its virtual id as long as it runs.
  IF m.next_to IS NOT NULL AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND virtualxid = ANY (m.waiting)) THEN
    upto := least(m.next_to, m.counted_to + interval '1 day');
    PERFORM ledger_add_days(m.counted_to, upto);
    m.counted_to := upto;
    more := upto < m.next_to;
    IF NOT more THEN m.next_to := NULL; END IF;
  END IF;
  IF m.next_to IS NULL AND clock - p_margin > m.counted_to THEN
    -- Who begins after this writes later moments: a margin is between, for clocks that are put back by less than it.
    m.next_to := clock - p_margin;
    m.waiting := ARRAY(SELECT virtualxid FROM pg_locks
      WHERE locktype = 'virtualxid' AND granted AND pid <> pg_backend_pid() AND mode = 'ExclusiveLock');
  END IF;
  UPDATE day_totals_mark SET counted_to = m.counted_to, next_to = m.next_to, waiting = m.waiting, seen_at = clock;
  RETURN more;
END $$;

-- The lines of a wallet that no total knows yet, where days up to p_to may have any. All of it is read from one snapshot: that of the
-- query around it.
CREATE FUNCTION ledger_tail(p_wallet bigint, p_to date)
RETURNS TABLE (day date, kind transfer_kind, key_id uuid, model text, id uuid, input_tokens bigint, output_tokens bigint, amount bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  after timestamptz := (SELECT counted_to FROM day_totals_mark);
BEGIN
  IF p_to < ledger_day(after) THEN RETURN; END IF;
  RETURN QUERY EXECUTE 'SELECT day, kind, key_id, model, id, input_tokens, output_tokens, amount
    FROM ledger_lines($1, ''infinity'') WHERE wallet = $2' USING after, p_wallet;
END $$;

-- Between which ids the requests of a wallet lie that ended on these days; nulls where there are none.
CREATE FUNCTION ledger_span(p_wallet bigint, p_key uuid, p_from date, p_to date, OUT first_id uuid, OUT last_id uuid)
LANGUAGE sql STABLE AS $$
  SELECT min(s.first_id::text COLLATE "C")::uuid, max(s.last_id::text COLLATE "C")::uuid FROM (
    SELECT t.first_id, t.last_id FROM day_totals t
    WHERE t.wallet = p_wallet AND t.day BETWEEN p_from AND p_to AND t.kind = 'charge' AND (p_key IS NULL OR t.key_id = p_key)
    UNION ALL
    SELECT id, id FROM ledger_tail(p_wallet, p_to) WHERE day BETWEEN p_from AND p_to AND kind = 'charge' AND (p_key IS NULL OR key_id = p_key)
  ) s
$$;

-- Proves the totals of these days: returns each that is not what its lines add up to. Days that are not wholly counted are compared as
-- far as they are.
CREATE FUNCTION ledger_wrong_days(p_from date, p_to date)
RETURNS TABLE (wallet bigint, day date, kind transfer_kind, key_id uuid, model text, detail text) LANGUAGE plpgsql STABLE AS $$
DECLARE
  after timestamptz := (p_from::timestamp - interval '6 hours') AT TIME ZONE 'UTC' - interval '1 microsecond';
  upto timestamptz := least((SELECT counted_to FROM day_totals_mark),
    ((p_to + 1)::timestamp - interval '6 hours') AT TIME ZONE 'UTC' - interval '1 microsecond');
BEGIN
  RETURN QUERY EXECUTE 'SELECT wallet, day, kind, key_id, model,
      format(''total of %s lines, %s + %s tokens, %s nano-USD; lines add up to %s, %s + %s, %s'',
        sum(lines) FILTER (WHERE side), sum(input_tokens) FILTER (WHERE side), sum(output_tokens) FILTER (WHERE side), sum(amount) FILTER (WHERE side),
        sum(lines) FILTER (WHERE NOT side), sum(input_tokens) FILTER (WHERE NOT side), sum(output_tokens) FILTER (WHERE NOT side),
        sum(amount) FILTER (WHERE NOT side))
    FROM (
      SELECT true AS side, t.wallet, t.day, t.kind, t.key_id, t.model, t.lines, t.input_tokens, t.output_tokens, t.amount,
        t.first_id::text COLLATE "C" AS first_id, t.last_id::text COLLATE "C" AS last_id
      FROM day_totals t WHERE t.day BETWEEN $3 AND $4
      UNION ALL
      SELECT false, a.wallet, a.day, a.kind, a.key_id, a.model, a.lines, a.input_tokens, a.output_tokens, a.amount, a.first_id::text, a.last_id::text
      FROM archived_totals a WHERE a.day BETWEEN $3 AND $4
      UNION ALL
      SELECT false, l.wallet, l.day, l.kind, l.key_id, l.model, count(*), sum(l.input_tokens), sum(l.output_tokens), sum(l.amount),
        min(l.id::text COLLATE "C"), max(l.id::text COLLATE "C")
      FROM ledger_lines($1, $2) l GROUP BY l.wallet, l.day, l.kind, l.key_id, l.model
    ) both_sides
    GROUP BY wallet, day, kind, key_id, model
    HAVING (sum(lines) FILTER (WHERE side), sum(input_tokens) FILTER (WHERE side), sum(output_tokens) FILTER (WHERE side),
        sum(amount) FILTER (WHERE side), min(first_id) FILTER (WHERE side), max(last_id) FILTER (WHERE side))
      IS DISTINCT FROM (sum(lines) FILTER (WHERE NOT side), sum(input_tokens) FILTER (WHERE NOT side), sum(output_tokens) FILTER (WHERE NOT side),
        sum(amount) FILTER (WHERE NOT side), min(first_id) FILTER (WHERE NOT side), max(last_id) FILTER (WHERE NOT side))'
  USING after, upto, p_from, p_to;
END $$;

-- Months whose requests have gone to files: what left each table. Their lines stand in archived_totals.
CREATE TABLE ledger_archives (
  base text NOT NULL CHECK (base IN ('receipts', 'transfers')),
  -- The ids of the month; the second is the first of the next.
  from_id uuid NOT NULL,
  to_id uuid NOT NULL,
  rows bigint NOT NULL,
  -- Sum of what was charged (receipts), or of the amounts (transfers).
  charged bigint NOT NULL,
  -- All seals, combined by exclusive or.
  seals bigint NOT NULL,
  file text NOT NULL,
  -- Of the file.
  sha256 bytea NOT NULL CHECK (length(sha256) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Of all the columns above, as ledger_archive_seal makes it.
  seal bytea NOT NULL,
  PRIMARY KEY (base, from_id)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_archives
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

CREATE FUNCTION ledger_archive_seal(a ledger_archives)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(a.base, a.from_id, a.to_id, a.rows, a.charged, a.seals, a.file, a.sha256, a.created_at), 0));
CREATE FUNCTION ledger_archive_is_sealed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.seal := ledger_archive_seal(NEW);
  RETURN NEW;
END $$;
CREATE TRIGGER sealed BEFORE INSERT ON ledger_archives FOR EACH ROW EXECUTE FUNCTION ledger_archive_is_sealed();

-- What of a table and a month goes to an archive: every receipt; of the transfers, charges and losses.
CREATE FUNCTION ledger_archivable(p_month date)
RETURNS TABLE (base text, from_id uuid, to_id uuid, rows bigint, charged bigint, seals bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
  low uuid := ledger_first_id(p_month::timestamp AT TIME ZONE 'UTC');
  high uuid := ledger_first_id((p_month + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
  -- Planned with the ids known, and so of this month's partitions alone.
  RETURN QUERY EXECUTE 'SELECT ''receipts'', $1, $2, count(*), coalesce(sum(charged), 0)::bigint,
      coalesce(bit_xor((''x'' || encode(seal, ''hex''))::bit(64)::bigint), 0) FROM receipts WHERE id >= $1 AND id < $2
    UNION ALL
    SELECT ''transfers'', $1, $2, count(*), coalesce(sum(amount), 0)::bigint,
      coalesce(bit_xor((''x'' || encode(seal, ''hex''))::bit(64)::bigint), 0)
    FROM transfers WHERE id >= $1 AND id < $2 AND kind IN (''charge'', ''loss'')' USING low, high;
END $$;

-- For the owner of the database, who may drop its tables anyway: whoever the service is made to call for cannot vouch for files.
-- Takes the requests of a month, which have been written to files and read back from them, out of the tables. p_rows, p_charged, p_seals,
-- p_file and p_sha256 say what is in the files, of receipts first and then of transfers. Raises unless that is what is here, the totals
-- of these days are what their lines add up to, and the month has been over for two more. Other money than requests' stays.
CREATE FUNCTION ledger_archive(p_month date, p_rows bigint[], p_charged bigint[], p_seals bigint[], p_file text[], p_sha256 bytea[])
RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  suffix text := to_char(p_month, '_YYYY_MM');
  low uuid := ledger_first_id(p_month::timestamp AT TIME ZONE 'UTC');
  high uuid := ledger_first_id((p_month + interval '1 month') AT TIME ZONE 'UTC');
  part record;
  first timestamptz;
  last timestamptz;
BEGIN
  IF p_month <> date_trunc('month', p_month) OR p_month + interval '3 months' > now() AT TIME ZONE 'UTC' THEN
    RAISE EXCEPTION 'only months that have been over for two more are archived';
  END IF;
  IF to_regclass('receipts' || suffix) IS NULL OR to_regclass('transfers' || suffix) IS NULL THEN
    RAISE EXCEPTION 'there are no partitions of %', to_char(p_month, 'YYYY-MM');
  END IF;
  EXECUTE format('LOCK TABLE %I, %I IN SHARE MODE', 'receipts' || suffix, 'transfers' || suffix);
  IF EXISTS (SELECT FROM holds WHERE id >= low AND id < high) THEN
    RAISE EXCEPTION 'requests of that month are still under way';
  END IF;
  FOR part IN SELECT a.*, n.* FROM ledger_archivable(p_month) a
    JOIN unnest(ARRAY['receipts', 'transfers'], p_rows, p_charged, p_seals) AS n (name, n_rows, n_charged, n_seals) ON n.name = a.base LOOP
    IF (part.rows, part.charged, part.seals) IS DISTINCT FROM (part.n_rows, part.n_charged, part.n_seals) THEN
      RAISE EXCEPTION 'the file of % has % rows of % nano-USD, the table % of %', part.base, part.n_rows, part.n_charged, part.rows, part.charged;
    END IF;
  END LOOP;
  IF EXISTS (SELECT FROM receipts_other WHERE id >= low AND id < high)
    OR EXISTS (SELECT FROM transfers_other WHERE id >= low AND id < high AND kind IN ('charge', 'loss')) THEN
    RAISE EXCEPTION 'requests of that month stand in the partition of all other times';
  END IF;
  EXECUTE format('SELECT min(created_at), max(created_at) FROM %I', 'receipts' || suffix) INTO first, last;
  -- Nothing is counted meanwhile.
  PERFORM 1 FROM day_totals_mark FOR UPDATE;
  IF last > (SELECT counted_to FROM day_totals_mark) THEN
    RAISE EXCEPTION 'the totals of that month are not counted yet';
  END IF;
  IF EXISTS (SELECT FROM ledger_wrong_days(ledger_day(first), ledger_day(last))) THEN
    RAISE EXCEPTION 'the totals of that month are not what its lines add up to: see akai audit';
  END IF;
  EXECUTE format('INSERT INTO archived_totals AS t
    SELECT wallet, ledger_day(created_at), ''charge'', key_id, model, count(*), sum(input_tokens), sum(output_tokens), -sum(charged),
      min(id::text COLLATE "C")::uuid, max(id::text COLLATE "C")::uuid
    FROM %I GROUP BY wallet, ledger_day(created_at), key_id, model
    ON CONFLICT (wallet, day, kind, key_id, model) DO UPDATE SET lines = t.lines + excluded.lines,
      input_tokens = t.input_tokens + excluded.input_tokens, output_tokens = t.output_tokens + excluded.output_tokens,
      amount = t.amount + excluded.amount,
      first_id = least(t.first_id, excluded.first_id), last_id = greatest(t.last_id, excluded.last_id)', 'receipts' || suffix);
  INSERT INTO ledger_archives (base, from_id, to_id, rows, charged, seals, file, sha256)
  SELECT name, low, high, n_rows, n_charged, n_seals, n_file, n_sha256
  FROM unnest(ARRAY['receipts', 'transfers'], p_rows, p_charged, p_seals, p_file, p_sha256) AS n (name, n_rows, n_charged, n_seals, n_file, n_sha256);
  EXECUTE format('ALTER TABLE receipts DETACH PARTITION %I', 'receipts' || suffix);
  EXECUTE format('ALTER TABLE transfers DETACH PARTITION %I', 'transfers' || suffix);
  EXECUTE format('INSERT INTO transfers SELECT * FROM %I WHERE kind NOT IN (''charge'', ''loss'')', 'transfers' || suffix);
  EXECUTE format('DROP TABLE %I, %I', 'receipts' || suffix, 'transfers' || suffix);
END $$;

REVOKE EXECUTE ON FUNCTION ledger_add_days, ledger_recount_days, ledger_count_days, ledger_archive FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON day_totals, archived_totals, day_totals_mark, ledger_archives TO akai_app;
    GRANT EXECUTE ON FUNCTION ledger_count_days TO akai_app;
  END IF;
END $$;
