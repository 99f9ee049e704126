-- Answers that are kept: of requests with an Idempotency-Key, and of streams that may be resumed. What a model wrote stands
-- here encrypted (src/answers), for a day, bounded for each answer and for each account.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE answers (
  -- The request's id, and therefore its receipt's.
  id uuid PRIMARY KEY,
  account uuid NOT NULL,
  -- The API key that asked: no other may read it, end it, or repeat it. Its share of the room is the account's.
  key_id uuid NOT NULL,
  -- SHA-256 of the Idempotency-Key; null for a stream that is only resumable, and for a key that may be used again.
  key_hash bytea CHECK (length(key_hash) = 32),
  body_hash bytea NOT NULL CHECK (length(body_hash) = 32),
  instance uuid NOT NULL,
  -- running · done: all of it is here · failed: nothing was charged · lost: its process could not finish it
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'lost')),
  -- False: too much of it; what there was has been thrown away.
  kept boolean NOT NULL DEFAULT true,
  cancelled boolean NOT NULL DEFAULT false,
  -- Status and headers, or the error; sealed.
  head bytea,
  -- What counts against the account's share: sealed bytes, and a lump for each row.
  bytes bigint NOT NULL DEFAULT 0,
  -- When a client last read it from here.
  followed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX answers_key ON answers (key_id, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX answers_expiry ON answers (expires_at);

-- The body, in pieces of whole events; `last` is the number of the last one, counted from 1.
CREATE TABLE answer_parts (
  answer uuid NOT NULL REFERENCES answers ON DELETE CASCADE,
  last int NOT NULL,
  sealed bytea NOT NULL,
  PRIMARY KEY (answer, last)
);

CREATE TABLE answer_totals (
  account uuid PRIMARY KEY,
  bytes bigint NOT NULL CHECK (bytes >= 0)
) WITH (fillfactor = 50);

-- Requests that ran anew because their process died, or could not keep the answer: what they were charged goes back once the one
-- that took their place has been answered and charged. Key and body: the same sent once more takes that place over.
CREATE TABLE superseded_requests (
  id uuid PRIMARY KEY,
  -- The request that took its place, the last one where there were several.
  successor uuid NOT NULL,
  key_id uuid NOT NULL,
  key_hash bytea NOT NULL,
  body_hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX superseded_requests_key ON superseded_requests (key_id, key_hash);

CREATE FUNCTION instance_lives(p_instance uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM instances WHERE id = p_instance AND lease_until > clock_timestamp())
$$;

-- Begins an answer, or finds the one that its key stands for. `own`: it is the caller's to write.
-- One that nobody will finish any more gives its key to the caller, who runs the request anew (`superseded`).
CREATE FUNCTION answer_claim(
  p_id uuid, p_account uuid, p_key_id uuid, p_key bytea, p_body bytea, p_instance uuid, p_lifetime interval
) RETURNS TABLE (own boolean, answer uuid, same_body boolean, is_kept boolean, superseded boolean) LANGUAGE plpgsql AS $$
DECLARE
  known answers%ROWTYPE;
  anew boolean := false;
BEGIN
  LOOP
    INSERT INTO answers (id, account, key_id, key_hash, body_hash, instance, expires_at)
    VALUES (p_id, p_account, p_key_id, p_key, p_body, p_instance, clock_timestamp() + p_lifetime)
    ON CONFLICT (key_id, key_hash) WHERE key_hash IS NOT NULL DO NOTHING;
    IF FOUND THEN
      -- Also those whose successor cost nothing.
      IF p_key IS NOT NULL THEN
        UPDATE superseded_requests SET successor = p_id WHERE key_id = p_key_id AND key_hash = p_key AND body_hash = p_body;
        anew := FOUND;
      END IF;
      RETURN QUERY SELECT true, p_id, true, true, anew;
      RETURN;
    END IF;
    SELECT * INTO known FROM answers WHERE key_id = p_key_id AND key_hash = p_key FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    IF known.expires_at < clock_timestamp() THEN
      UPDATE answers SET key_hash = NULL WHERE id = known.id;
      CONTINUE;
    END IF;
    IF known.body_hash = p_body AND
      (known.state = 'lost' OR known.state = 'running' AND NOT instance_lives(known.instance)) THEN
      UPDATE answers SET state = 'lost', key_hash = NULL WHERE id = known.id;
      INSERT INTO superseded_requests (id, successor, key_id, key_hash, body_hash)
      VALUES (known.id, p_id, p_key_id, p_key, p_body) ON CONFLICT DO NOTHING;
      CONTINUE;
    END IF;
    RETURN QUERY SELECT false, known.id, known.body_hash = p_body, known.kept, false;
    RETURN;
  END LOOP;
END $$;

-- Writes what has come since: of each answer at most one piece, a head, and a new state (null: as before).
-- Rows returned: what the writers must know. 'gone': it is no longer theirs · 'dropped': too large, nothing more is kept ·
-- 'cancelled': the client has said so.
CREATE FUNCTION answer_write(
  p_id uuid[], p_last int[], p_sealed bytea[], p_head bytea[], p_state text[], p_free boolean[], p_drop boolean[],
  p_lump int, p_most bigint, p_most_account bigint
) RETURNS TABLE (answer uuid, verdict text) LANGUAGE plpgsql AS $$
DECLARE
  w record;
  size bigint;
BEGIN
  -- In one order, so that two processes that write for the same accounts wait instead of deadlocking.
  FOR w IN
    SELECT a.id, a.account, a.bytes, a.kept, a.state, a.cancelled,
      n.last, n.sealed, n.head, n.new_state, n.free, n.drop
    FROM unnest(p_id, p_last, p_sealed, p_head, p_state, p_free, p_drop)
      AS n (id, last, sealed, head, new_state, free, drop) JOIN answers a ON a.id = n.id
    ORDER BY a.account, a.id FOR UPDATE OF a
  LOOP
    IF w.state <> 'running' THEN
      -- The same once more, after a commit whose acknowledgement was lost.
      IF w.state IS DISTINCT FROM w.new_state THEN
        answer := w.id; verdict := 'gone';
        RETURN NEXT;
      END IF;
      CONTINUE;
    END IF;
    IF w.cancelled THEN
      answer := w.id; verdict := 'cancelled';
      RETURN NEXT;
    END IF;
    size := 0;
    IF w.kept THEN
      IF w.bytes = 0 THEN size := p_lump; END IF;
      IF w.sealed IS NOT NULL THEN size := size + p_lump + length(w.sealed); END IF;
      IF w.head IS NOT NULL THEN size := size + length(w.head); END IF;
      INSERT INTO answer_totals (account, bytes) VALUES (w.account, 0) ON CONFLICT (account) DO NOTHING;
      IF w.bytes + size <= p_most AND NOT w.drop THEN
        UPDATE answer_totals t SET bytes = t.bytes + size
        WHERE t.account = w.account AND t.bytes + size <= p_most_account;
      END IF;
      IF w.bytes + size <= p_most AND NOT w.drop AND FOUND THEN
        IF w.sealed IS NOT NULL THEN
          INSERT INTO answer_parts (answer, last, sealed) VALUES (w.id, w.last, w.sealed) ON CONFLICT DO NOTHING;
        END IF;
      ELSE
        UPDATE answer_totals t SET bytes = t.bytes - w.bytes WHERE t.account = w.account;
        DELETE FROM answer_parts p WHERE p.answer = w.id;
        size := -w.bytes;
        w.kept := false;
        answer := w.id; verdict := 'dropped';
        RETURN NEXT;
      END IF;
    END IF;
    UPDATE answers a SET kept = w.kept, bytes = a.bytes + size,
      head = CASE WHEN w.kept THEN coalesce(w.head, a.head) END,
      state = coalesce(w.new_state, a.state),
      key_hash = CASE WHEN NOT w.free THEN a.key_hash END,
      -- An error is kept for those only who wait for it now.
      expires_at = CASE WHEN w.new_state = 'failed' THEN clock_timestamp() + interval '5 minutes' ELSE a.expires_at END
    WHERE a.id = w.id;
  END LOOP;
  -- Expired, or never begun.
  RETURN QUERY SELECT n.id, 'gone' FROM unnest(p_id) AS n (id) WHERE NOT EXISTS (SELECT FROM answers a WHERE a.id = n.id);
END $$;

-- What an API key may read of an answer beyond event p_after, in pieces. No row: there is no such answer. `tip`: its last event so far.
CREATE FUNCTION answer_read(p_id uuid, p_key_id uuid, p_after int, p_pieces int)
RETURNS TABLE (state text, kept boolean, cancelled boolean, alive boolean, tip int, head bytea, last int, sealed bytea) LANGUAGE sql STABLE AS $$
  SELECT a.state, a.kept, a.cancelled, a.state <> 'running' OR instance_lives(a.instance),
    coalesce((SELECT max(answer_parts.last) FROM answer_parts WHERE answer = a.id), 0), a.head, p.last, p.sealed
  FROM answers a LEFT JOIN LATERAL (
    SELECT * FROM answer_parts WHERE answer = a.id AND answer_parts.last > p_after ORDER BY answer_parts.last LIMIT p_pieces
  ) p ON true
  WHERE a.id = p_id AND a.key_id = p_key_id AND a.expires_at > clock_timestamp()
  ORDER BY p.last
$$;

-- Deletes up to p_most answers whose day is over. Returns how many.
CREATE FUNCTION answer_expire(p_most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  ids uuid[];
BEGIN
  SELECT array_agg(id) INTO ids FROM (
    SELECT id FROM answers WHERE expires_at < clock_timestamp() ORDER BY account, id LIMIT p_most FOR UPDATE SKIP LOCKED
  ) old;
  IF ids IS NULL THEN RETURN 0; END IF;
  PERFORM 1 FROM answer_totals WHERE account IN (SELECT account FROM answers WHERE id = ANY (ids))
    ORDER BY account FOR NO KEY UPDATE;
  UPDATE answer_totals t SET bytes = t.bytes - gone.bytes
  FROM (SELECT account, sum(bytes)::bigint AS bytes FROM answers WHERE id = ANY (ids) GROUP BY account) gone
  WHERE t.account = gone.account;
  DELETE FROM answers WHERE id = ANY (ids);
  DELETE FROM superseded_requests WHERE created_at < clock_timestamp() - interval '2 days';
  RETURN cardinality(ids);
END $$;

-- Gives back what superseded requests were charged, once each, so that of a request and all that ran in its place the dearest is paid.
-- Each waits until its end is known, and until the one that took its place is over and was charged: where that cost nothing, for the
-- next. Returns how many wait.
CREATE FUNCTION ledger_refund_superseded()
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  r record;
  hex text;
BEGIN
  -- Wallets are locked in the order of their ids, as everywhere.
  FOR r IN
    SELECT s.id, s.successor, c.wallet,
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
    IF r.amount > 0 THEN
      -- Time-ordered by the request that ran instead, and the same whenever this is done again.
      hex := md5('refund of ' || r.id);
      PERFORM ledger_credit(
        (left(r.successor::text, 15) || left(hex, 3) || '-8' || substr(hex, 4, 3) || '-' || substr(hex, 7, 12))::uuid,
        'refund', 'revenue', r.wallet, r.amount,
        'req_' || replace(r.id::text, '-', '') || ' was not finished: req_' || replace(r.successor::text, '-', '') || ' ran instead');
    END IF;
    DELETE FROM superseded_requests WHERE id = r.id;
  END LOOP;
  RETURN (SELECT count(*) FROM superseded_requests);
END $$;

REVOKE EXECUTE ON FUNCTION ledger_refund_superseded FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON answers, answer_parts, answer_totals TO akai_app;
    GRANT SELECT, INSERT, UPDATE (successor), DELETE ON superseded_requests TO akai_app;
    GRANT EXECUTE ON FUNCTION ledger_refund_superseded TO akai_app;
  END IF;
END $$;
