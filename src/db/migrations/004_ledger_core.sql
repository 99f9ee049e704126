-- The ledger's second shape: receipts and transfers in monthly partitions, every row sealed by a hash over all its columns,
-- limits of spending for a key, and fewer, shorter constraints, because PostgreSQL reads each of them anew for every statement.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TYPE ledger_account_kind AS ENUM ('wallet', 'platform');
CREATE TYPE transfer_kind AS ENUM ('charge', 'loss', 'topup', 'bonus', 'adjustment', 'refund');
-- settled: by the provider's usage · estimated: by what was delivered · recovered: by the last checkpoint of a dead process · released: free
CREATE TYPE request_outcome AS ENUM ('settled', 'estimated', 'recovered', 'released');

-- The functions of 003 that name what changes here; they are made anew below.
DROP FUNCTION ledger_settle, ledger_hold_one, ledger_apply, ledger_checkpoint, ledger_recover, ledger_open_wallet,
  ledger_credit, ledger_book_loss;

-- What never changes of an account. Its balance and held are proven by transfers and holds.
CREATE FUNCTION ledger_account_seal(id bigint, kind ledger_account_kind, name text, user_id uuid, created_at timestamptz)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, kind::text, name, user_id, created_at), 0));

-- Every column of a hold, also those that change: nothing else tells what its key, model or checkpoint should be.
CREATE FUNCTION hold_seal(id uuid, wallet bigint, instance uuid, amount bigint, key_id uuid, model text, checkpoint bigint,
  checkpoint_input int, checkpoint_output int, created_at timestamptz)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, wallet, instance, amount, key_id, model, checkpoint, checkpoint_input, checkpoint_output,
  created_at), 0));

DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT conname FROM pg_constraint WHERE contype = 'c'
    AND conrelid = 'ledger_accounts'::regclass LOOP
    EXECUTE format('ALTER TABLE ledger_accounts DROP CONSTRAINT %I', name);
  END LOOP;
  FOR name IN SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'holds'::regclass LOOP
    EXECUTE format('ALTER TABLE holds DROP CONSTRAINT %I', name);
  END LOOP;
END $$;
ALTER TABLE ledger_accounts
  ALTER COLUMN kind TYPE ledger_account_kind USING kind::ledger_account_kind,
  -- Whether a key that pays from this wallet has limits: then its holds are taken one by one.
  ADD COLUMN keys_limited boolean NOT NULL DEFAULT false,
  -- Receipts of this wallet: tells when one is gone that cost nothing, which no sum would miss.
  ADD COLUMN ended bigint NOT NULL DEFAULT 0,
  ADD COLUMN seal bytea;
UPDATE ledger_accounts a SET seal = ledger_account_seal(id, kind, name, user_id, created_at),
  ended = (SELECT count(*) FROM receipts r WHERE r.wallet = a.id);
ALTER TABLE ledger_accounts
  ALTER COLUMN seal SET NOT NULL,
  -- A wallet has a user, never goes below zero and never promises more than it has. A platform account has a name, and no
  -- balance here: that is the sum of its transfers, since a row would be a lock that every request fights for.
  ADD CONSTRAINT ledger_accounts_sound CHECK (CASE WHEN user_id IS NULL THEN name IS NOT NULL AND balance = 0 AND held = 0
    ELSE name IS NULL AND held >= 0 AND balance >= held AND balance <= 9007199254740991 END);
ALTER TABLE holds ADD COLUMN seal bytea;
UPDATE holds SET seal = hold_seal(id, wallet, instance, amount, key_id, model, checkpoint, checkpoint_input, checkpoint_output, created_at);
ALTER TABLE holds ALTER COLUMN seal SET NOT NULL;
ALTER TABLE holds ADD CONSTRAINT holds_sound CHECK (amount >= 0 AND checkpoint >= 0 AND checkpoint <= amount);

ALTER TABLE transfers RENAME TO transfers_of_003;
ALTER TABLE receipts RENAME TO receipts_of_003;
ALTER TABLE transfers_of_003 RENAME CONSTRAINT transfers_pkey TO transfers_of_003_pkey;
ALTER TABLE receipts_of_003 RENAME CONSTRAINT receipts_pkey TO receipts_of_003_pkey;
DROP INDEX transfers_debit, transfers_credit;

-- Ids begin with the time, so a range of ids is a span of time.
CREATE TABLE transfers (
  id uuid NOT NULL,
  kind transfer_kind NOT NULL,
  debit bigint NOT NULL,
  credit bigint NOT NULL,
  amount bigint NOT NULL,
  note text,
  created_at timestamptz NOT NULL DEFAULT now(),
  seal bytea NOT NULL,
  PRIMARY KEY (id, kind),
  CHECK (amount > 0 AND credit <> debit)
) PARTITION BY RANGE (id);
CREATE INDEX transfers_debit ON transfers (debit, id);
CREATE INDEX transfers_credit ON transfers (credit, id) WHERE kind NOT IN ('charge', 'loss');

-- How each request ended, once: the primary key is what makes a second settlement impossible.
CREATE TABLE receipts (
  id uuid PRIMARY KEY,
  wallet bigint NOT NULL,
  key_id uuid,
  model text NOT NULL,
  provider text,
  outcome request_outcome NOT NULL,
  input_tokens int NOT NULL,
  output_tokens int NOT NULL,
  cost bigint NOT NULL,
  charged bigint NOT NULL,
  held bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  detail json NOT NULL,
  seal bytea NOT NULL,
  CHECK (input_tokens >= 0 AND output_tokens >= 0 AND charged >= 0 AND cost >= charged AND held >= charged)
) PARTITION BY RANGE (id);

-- The seals: 64 bits over every column. They find rows that something has changed; who can recompute them is kept out by rights.
CREATE FUNCTION transfer_seal(id uuid, kind transfer_kind, debit bigint, credit bigint, amount bigint, note text, created_at timestamptz)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, kind::text, debit, credit, amount, note, created_at), 0));

CREATE FUNCTION receipt_seal(id uuid, wallet bigint, key_id uuid, model text, provider text, outcome request_outcome,
  input_tokens int, output_tokens int, cost bigint, charged bigint, held bigint, created_at timestamptz, detail json)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, wallet, key_id, model, provider, outcome::text, input_tokens, output_tokens, cost, charged, held,
  created_at, detail::text), 0));

-- The lowest id of a moment.
CREATE FUNCTION ledger_first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;

-- Makes the partitions of every month (UTC) from `p_from` on that are not there yet, up to `p_ahead` months from now. Returns how many.
-- Rows of other times go to the default partitions.
CREATE FUNCTION ledger_make_partitions(p_from timestamptz, p_ahead int)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  month timestamptz := date_trunc('month', p_from, 'UTC');
  last timestamptz := date_trunc('month', now(), 'UTC') + make_interval(months => p_ahead);
  base text;
  part text;
  made int := 0;
BEGIN
  -- Of processes that start together one makes them.
  PERFORM pg_advisory_xact_lock(7311982);
  WHILE month <= last LOOP
    FOREACH base IN ARRAY ARRAY['transfers', 'receipts'] LOOP
      part := base || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
      IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, base,
          ledger_first_id(month), ledger_first_id(month + interval '1 month'));
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
          FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()', part);
        made := made + 1;
      END IF;
    END LOOP;
    month := month + interval '1 month';
  END LOOP;
  RETURN made;
END $$;

CREATE TABLE transfers_other PARTITION OF transfers DEFAULT;
CREATE TABLE receipts_other PARTITION OF receipts DEFAULT;
SELECT ledger_make_partitions(least(now(), (SELECT min(created_at) FROM transfers_of_003)), 3);

INSERT INTO transfers (id, kind, debit, credit, amount, note, created_at, seal)
SELECT id, kind::transfer_kind, debit, credit, amount, note, created_at,
  transfer_seal(id, kind::transfer_kind, debit, credit, amount, note, created_at)
FROM transfers_of_003;
INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail, seal)
SELECT id, wallet, key_id, model, provider, outcome::request_outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail,
  receipt_seal(id, wallet, key_id, model, provider, outcome::request_outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail)
FROM receipts_of_003;
DROP TABLE transfers_of_003, receipts_of_003;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipts
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers_other
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipts_other
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- What a key may spend, and has spent, for keys that have a limit; nano-USD. Days, weeks (from Monday) and months are those of
-- Dhaka. Who changes a row has locked the wallet of the key.
CREATE TABLE key_limits (
  key_id uuid PRIMARY KEY,
  wallet bigint NOT NULL,
  total_limit bigint,
  daily_limit bigint,
  weekly_limit bigint,
  monthly_limit bigint,
  held bigint NOT NULL DEFAULT 0,
  total_used bigint NOT NULL DEFAULT 0,
  -- Day up to which the three below count; a later one has used nothing yet.
  day date NOT NULL,
  day_used bigint NOT NULL DEFAULT 0,
  week_used bigint NOT NULL DEFAULT 0,
  month_used bigint NOT NULL DEFAULT 0,
  seal bytea NOT NULL
);

CREATE FUNCTION key_limit_seal(key_id uuid, wallet bigint, total_limit bigint, daily_limit bigint, weekly_limit bigint,
  monthly_limit bigint, held bigint, total_used bigint, day date, day_used bigint, week_used bigint, month_used bigint)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(key_id, wallet, total_limit, daily_limit, weekly_limit, monthly_limit, held, total_used,
  day, day_used, week_used, month_used), 0));

-- Asked before a row is sealed anew: one that lies keeps its wrong seal.
CREATE FUNCTION ledger_key_is_sound(k key_limits) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN k.seal = key_limit_seal(k.key_id, k.wallet, k.total_limit, k.daily_limit, k.weekly_limit, k.monthly_limit, k.held, k.total_used,
  k.day, k.day_used, k.week_used, k.month_used);

-- Dhaka is six hours ahead, all year.
CREATE FUNCTION ledger_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE
RETURN ((moment AT TIME ZONE 'UTC') + interval '6 hours')::date;

-- What the limits of a key leave free, and which of them is the tightest: 1 total, 2 daily, 3 weekly, 4 monthly; null without a limit.
-- `whole`: the same with nothing held.
CREATE FUNCTION ledger_key_room(p_key uuid, OUT free bigint, OUT whole bigint, OUT tightest int)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  k key_limits%ROWTYPE;
  today date := ledger_day(clock_timestamp());
BEGIN
  SELECT * INTO k FROM key_limits WHERE key_id = p_key;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT room, which INTO whole, tightest FROM (VALUES
    (k.total_limit - k.total_used, 1),
    (k.daily_limit - CASE WHEN k.day = today THEN k.day_used ELSE 0 END, 2),
    (k.weekly_limit - CASE WHEN date_trunc('week', k.day) = date_trunc('week', today) THEN k.week_used ELSE 0 END, 3),
    (k.monthly_limit - CASE WHEN date_trunc('month', k.day) = date_trunc('month', today) THEN k.month_used ELSE 0 END, 4)
  ) AS rooms (room, which) WHERE room IS NOT NULL ORDER BY room, which LIMIT 1;
  free := whole - k.held;
END $$;

-- Counts what these requests, whose receipts have been written, have cost their keys.
CREATE FUNCTION ledger_count_keys(p_ids uuid[])
RETURNS void LANGUAGE sql AS $$
  UPDATE key_limits k SET held = n.held, total_used = n.total_used, day = n.today,
    day_used = n.day_used, week_used = n.week_used, month_used = n.month_used,
    seal = CASE WHEN ledger_key_is_sound(k) THEN key_limit_seal(k.key_id, k.wallet, k.total_limit, k.daily_limit, k.weekly_limit,
      k.monthly_limit, n.held, n.total_used, n.today, n.day_used, n.week_used, n.month_used) ELSE k.seal END
  FROM (
    SELECT key_id, today, o.held - r.held AS held, total_used + charged AS total_used,
      CASE WHEN day = today THEN day_used ELSE 0 END + charged AS day_used,
      CASE WHEN date_trunc('week', day) = date_trunc('week', today) THEN week_used ELSE 0 END + charged AS week_used,
      CASE WHEN date_trunc('month', day) = date_trunc('month', today) THEN month_used ELSE 0 END + charged AS month_used
    FROM key_limits o JOIN (
      SELECT key_id, sum(held)::bigint AS held, sum(charged)::bigint AS charged, ledger_day(clock_timestamp()) AS today
      FROM receipts WHERE id = ANY (p_ids) GROUP BY key_id
    ) r USING (key_id)
  ) n
  WHERE k.key_id = n.key_id
$$;

-- Ends holds: charges at most the hold, books what exceeds it to the operator, gives the rest back.
-- The caller has locked the wallets, in a statement of its own, so that this one sees what the locks waited for.
-- s_detail: JSON texts, one a line. p_limited: keys of these wallets have limits. Returns the ids whose hold was there to end.
CREATE FUNCTION ledger_settle(
  s_id uuid[], s_cost bigint[], s_chargeable bigint[], s_outcome request_outcome[], s_provider text[],
  s_input int[], s_output int[], s_detail text, p_limited boolean
) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
  ids uuid[];
  details text[] := string_to_array(s_detail, E'\n');
BEGIN
  IF cardinality(details) <> cardinality(s_id) THEN
    RAISE EXCEPTION '% details for % settlements', cardinality(details), cardinality(s_id);
  END IF;
  -- In one order, so that a checkpoint of the same requests waits instead of deadlocking.
  PERFORM 1 FROM holds WHERE id = ANY (s_id) ORDER BY id FOR UPDATE;
  WITH ended AS (
    DELETE FROM holds WHERE id = ANY (s_id) RETURNING id, wallet, amount, key_id, model
  ), charges AS MATERIALIZED (
    SELECT s.*, e.wallet, e.amount, e.key_id, e.model, least(s.chargeable, e.amount) AS charged
    FROM unnest(s_id, s_cost, s_chargeable, s_outcome, s_provider, s_input, s_output, details)
      AS s (id, cost, chargeable, outcome, provider, input, output, detail)
    JOIN ended e USING (id)
  ), receipt AS (
    INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens,
      cost, charged, held, detail, seal)
    SELECT id, wallet, key_id, model, provider, outcome, input, output, cost, charged, amount, detail::json,
      receipt_seal(id, wallet, key_id, model, provider, outcome, input, output, cost, charged, amount, now(), detail::json)
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
  IF p_limited THEN PERFORM ledger_count_keys(ids); END IF;
  RETURN ids;
END $$;

-- One hold, or the growth of one, by itself: grants between `least` and `wanted`, as much as is free.
-- h_believed: what the process takes the hold to be that should grow; it is more where this growth has been applied before.
-- Returns the amount granted; -1 when the wallet could not pay it even with nothing held; -2 when other requests hold the money;
-- -3 when the hold that should grow is gone; -11 to -14 when a limit of the key is used up (total, daily, weekly, monthly).
CREATE FUNCTION ledger_hold_one(
  p_instance uuid, h_id uuid, h_wallet bigint, h_wanted bigint, h_least bigint, h_key uuid, h_model text,
  h_grow boolean, h_believed bigint, p_floor bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  account ledger_accounts%ROWTYPE;
  own bigint := 0;
  granted bigint;
  room record;
BEGIN
  SELECT * INTO STRICT account FROM ledger_accounts WHERE id = h_wallet;
  SELECT amount INTO own FROM holds WHERE id = h_id;
  IF h_grow AND NOT FOUND THEN RETURN -3; END IF;
  -- The same again, after a commit whose acknowledgement was lost: answered, not applied.
  IF NOT h_grow AND FOUND THEN RETURN own; END IF;
  IF h_grow AND own > h_believed THEN RETURN own - h_believed; END IF;
  granted := least(h_wanted, account.balance - account.held);
  IF NOT h_grow AND account.balance < p_floor THEN RETURN -1; END IF;
  IF account.keys_limited THEN
    room := ledger_key_room(h_key);
    IF room.free < granted THEN granted := room.free; END IF;
    IF room.whole - coalesce(own, 0) < h_least OR room.whole <= 0 THEN RETURN -10 - room.tightest; END IF;
  END IF;
  IF granted < h_least OR granted < 0 THEN
    RETURN CASE WHEN account.balance - coalesce(own, 0) < h_least THEN -1 ELSE -2 END;
  END IF;
  IF h_grow THEN
    UPDATE holds SET amount = amount + granted,
      seal = hold_seal(id, wallet, instance, amount + granted, key_id, model, checkpoint, checkpoint_input, checkpoint_output, created_at)
    WHERE id = h_id;
  ELSE
    INSERT INTO holds (id, wallet, instance, amount, key_id, model, seal) VALUES (h_id, h_wallet, p_instance, granted, h_key, h_model,
      hold_seal(h_id, h_wallet, p_instance, granted, h_key, h_model, 0, 0, 0, now()));
  END IF;
  UPDATE ledger_accounts SET held = held + granted WHERE id = h_wallet;
  IF account.keys_limited THEN
    UPDATE key_limits SET held = held + granted, seal = CASE WHEN ledger_key_is_sound(key_limits) THEN key_limit_seal(key_id, wallet,
      total_limit, daily_limit, weekly_limit, monthly_limit, held + granted, total_used, day, day_used, week_used, month_used) ELSE seal END
    WHERE key_id = h_key;
  END IF;
  RETURN granted;
END $$;

-- A batch of settlements and holds, committed together. Settlements first: what they give back, the holds may use.
-- p_epoch: failures that the process has met; a batch of an earlier epoch, which the network delivers late, is refused.
-- p_careful: some of these may have been applied before (a lost acknowledgement): take holds one by one, asking whether they are there.
-- Rows returned: ('wallet', id, balance, held) for each wallet; ('hold', position, granted or refusal, 0) for holds that were not
-- granted as wanted; ('settle', position, charged or null, 1 when by recovery) for settlements that found no hold.
CREATE FUNCTION ledger_apply(
  p_instance uuid, p_epoch int, p_floor bigint, p_careful boolean, p_wallets bigint[],
  s_id uuid[], s_cost bigint[], s_chargeable bigint[], s_outcome request_outcome[], s_provider text[],
  s_input int[], s_output int[], s_detail text,
  h_id uuid[], h_wallet bigint[], h_wanted bigint[], h_least bigint[], h_key uuid[], h_model text[], h_grow boolean[], h_believed bigint[]
) RETURNS TABLE (row_kind text, ref bigint, first bigint, second bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
-- Planned once, by index: statistics of tables whose rows come and go by the second mislead, and planning costs more than doing.
-- A plan knows neither how long the arrays are nor how many wallets there will be: no loops inside loops.
SET enable_seqscan = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  ended uuid[];
  fitting bigint[];
  admitted int := 0;
  granted bigint;
  pos int;
  known int;
  limited boolean;
BEGIN
  -- A batch of this process that still runs has the same lock: it ends before a later epoch begins.
  SELECT epoch INTO known FROM instances WHERE id = p_instance FOR SHARE;
  IF known IS NULL OR known > p_epoch THEN
    RAISE EXCEPTION 'instance % has no lease, or has given this batch up', p_instance USING ERRCODE = 'serialization_failure';
  END IF;
  IF known < p_epoch THEN UPDATE instances SET epoch = p_epoch WHERE id = p_instance; END IF;

  SELECT bool_or(locked.keys_limited) INTO limited
  FROM (SELECT keys_limited FROM ledger_accounts WHERE id = ANY (p_wallets) ORDER BY id FOR NO KEY UPDATE) locked;

  IF cardinality(s_id) > 0 THEN
    ended := ledger_settle(s_id, s_cost, s_chargeable, s_outcome, s_provider, s_input, s_output, s_detail, limited);
    IF cardinality(ended) < cardinality(s_id) THEN
      -- Ended before: by this same settlement whose acknowledgement was lost, or by recovery. The caller compares.
      RETURN QUERY
        SELECT 'settle', s.ord, r.charged, (r.detail ->> 'recovered' IS NOT NULL)::int::bigint
        FROM unnest(s_id) WITH ORDINALITY AS s (id, ord)
        LEFT JOIN LATERAL (SELECT * FROM receipts WHERE id = s.id OFFSET 0) r ON true
        WHERE s.id <> ALL (ended);
    END IF;
  END IF;

  IF cardinality(h_id) > 0 THEN
    IF NOT p_careful THEN
      -- Wallets that can pay all their holds of this batch, at once; the others' are taken one by one below.
      WITH asked AS (
        SELECT wallet, sum(wanted)::bigint AS total
        FROM unnest(h_wallet, h_wanted, h_grow) AS h (wallet, wanted, grow) WHERE NOT grow GROUP BY wallet
      ), fits AS (
        UPDATE ledger_accounts acc SET held = acc.held + asked.total FROM asked
        WHERE acc.id = asked.wallet AND acc.id = ANY (p_wallets) AND acc.balance - acc.held >= asked.total AND acc.balance >= p_floor AND NOT acc.keys_limited
        RETURNING acc.id
      )
      SELECT array_agg(id) INTO fitting FROM fits;
      INSERT INTO holds (id, wallet, instance, amount, key_id, model, seal)
      SELECT h.id, h.wallet, p_instance, h.wanted, h.key_id, h.model,
        hold_seal(h.id, h.wallet, p_instance, h.wanted, h.key_id, h.model, 0, 0, 0, now())
      FROM unnest(h_id, h_wallet, h_wanted, h_key, h_model, h_grow) AS h (id, wallet, wanted, key_id, model, grow)
      WHERE NOT h.grow AND h.wallet = ANY (fitting);
      GET DIAGNOSTICS admitted = ROW_COUNT;
    END IF;
    IF admitted < cardinality(h_id) THEN
      FOR pos IN 1 .. cardinality(h_id) LOOP
        CONTINUE WHEN NOT p_careful AND NOT h_grow[pos] AND EXISTS (SELECT 1 FROM holds WHERE id = h_id[pos]);
        granted := ledger_hold_one(p_instance, h_id[pos], h_wallet[pos], h_wanted[pos],
          h_least[pos], h_key[pos], h_model[pos], h_grow[pos], h_believed[pos], p_floor);
        IF granted <> h_wanted[pos] THEN
          row_kind := 'hold'; ref := pos; first := granted; second := 0;
          RETURN NEXT;
        END IF;
      END LOOP;
    END IF;
  END IF;

  RETURN QUERY SELECT 'wallet', acc.id, acc.balance, acc.held FROM ledger_accounts acc WHERE acc.id = ANY (p_wallets);
END $$;

-- Raises checkpoints. Returns the ids whose hold is gone.
CREATE FUNCTION ledger_checkpoint(c_id uuid[], c_amount bigint[], c_input int[], c_output int[])
RETURNS SETOF uuid LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
  -- Not waited for on the disk: a checkpoint is read when the gateway has died, while the database lives. Should both lose their
  -- power at once, the streams that began within the last moment are free, at the operator's cost.
  SELECT set_config('synchronous_commit', 'off', true);
  SELECT 1 FROM holds WHERE id = ANY (c_id) ORDER BY id FOR UPDATE;
  WITH c AS (
    SELECT * FROM unnest(c_id, c_amount, c_input, c_output) AS c (id, amount, input, output)
  ), raised AS (
    -- One that arrives late, after a higher one, changes nothing.
    UPDATE holds h SET checkpoint = greatest(h.checkpoint, least(h.amount, c.amount)),
      checkpoint_input = greatest(h.checkpoint_input, c.input), checkpoint_output = greatest(h.checkpoint_output, c.output),
      seal = hold_seal(h.id, h.wallet, h.instance, h.amount, h.key_id, h.model, greatest(h.checkpoint, least(h.amount, c.amount)),
        greatest(h.checkpoint_input, c.input), greatest(h.checkpoint_output, c.output), h.created_at)
    FROM c WHERE h.id = c.id RETURNING h.id
  )
  SELECT id FROM c WHERE id NOT IN (SELECT id FROM raised)
$$;

-- Settles, at their last checkpoint, up to 1,000 holds of processes whose lease has been over for the grace period.
-- Returns how many. Holds of an instance that is not in the table (retired, yet late) count as dead, too.
CREATE FUNCTION ledger_recover(p_grace interval)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  ids uuid[];
  wallets bigint[];
  recovered int := 0;
  limited boolean;
BEGIN
  SELECT array_agg(id), array_agg(DISTINCT wallet) INTO ids, wallets FROM (
    SELECT h.id, h.wallet FROM holds h LEFT JOIN instances i ON i.id = h.instance
    WHERE i.id IS NULL OR i.lease_until < clock_timestamp() - p_grace
    ORDER BY h.id LIMIT 1000
  ) dead;
  IF ids IS NULL THEN
    DELETE FROM instances i WHERE lease_until < clock_timestamp() - p_grace - interval '1 hour'
      AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.instance = i.id);
    RETURN 0;
  END IF;
  SELECT bool_or(locked.keys_limited) INTO limited
  FROM (SELECT keys_limited FROM ledger_accounts WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE) locked;
  -- A process that awoke may be raising its checkpoints: what is charged must be the last that it was told of.
  PERFORM 1 FROM holds WHERE id = ANY (ids) ORDER BY id FOR UPDATE;
  SELECT cardinality(ledger_settle(array_agg(h.id), array_agg(h.checkpoint), array_agg(h.checkpoint),
    array_agg(CASE WHEN h.checkpoint > 0 THEN 'recovered' ELSE 'released' END::request_outcome),
    array_agg(NULL::text), array_agg(h.checkpoint_input), array_agg(h.checkpoint_output),
    string_agg(CASE WHEN h.checkpoint > 0
      THEN '{"recovered":true,"reason":"the server stopped while it was answering"}'
      ELSE '{"recovered":true,"reason":"the server stopped before it answered"}' END, E'\n'), limited))
  INTO recovered
  FROM holds h LEFT JOIN instances i ON i.id = h.instance
  WHERE h.id = ANY (ids) AND (i.id IS NULL OR i.lease_until < clock_timestamp() - p_grace);
  RETURN coalesce(recovered, 0);
END $$;

CREATE FUNCTION ledger_open_wallet(p_user uuid)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  wallet bigint;
BEGIN
  INSERT INTO ledger_accounts (id, kind, user_id, created_at, seal)
  SELECT id, 'wallet', p_user, now(), ledger_account_seal(id, 'wallet', NULL, p_user, now())
  FROM (SELECT nextval(pg_get_serial_sequence('ledger_accounts', 'id')) AS id) fresh
  WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts WHERE user_id = p_user)
  ON CONFLICT (user_id) DO NOTHING;
  SELECT id INTO STRICT wallet FROM ledger_accounts WHERE user_id = p_user;
  RETURN wallet;
END $$;

-- Writes one transfer, sealed. For the functions of this and of later migrations, which lock the accounts and keep the balances.
CREATE FUNCTION ledger_write_transfer(p_id uuid, p_kind transfer_kind, p_debit bigint, p_credit bigint, p_amount bigint, p_note text)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO transfers (id, kind, debit, credit, amount, note, created_at, seal) VALUES (p_id, p_kind, p_debit, p_credit, p_amount,
    p_note, now(), transfer_seal(p_id, p_kind, p_debit, p_credit, p_amount, p_note, now()))
$$;

-- Money into a wallet. The same id again with the same content is answered, with other content refused.
CREATE FUNCTION ledger_credit(p_id uuid, p_kind transfer_kind, p_from text, p_wallet bigint, p_amount bigint, p_note text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  source bigint;
  earlier transfers%ROWTYPE;
  result bigint;
BEGIN
  SELECT id INTO STRICT source FROM ledger_accounts WHERE name = p_from;
  SELECT balance INTO STRICT result FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  SELECT * INTO earlier FROM transfers WHERE id = p_id AND kind = p_kind;
  IF FOUND THEN
    IF earlier.credit <> p_wallet OR earlier.amount <> p_amount OR earlier.debit <> source THEN
      RAISE EXCEPTION 'transfer % exists with other content', p_id USING ERRCODE = 'unique_violation';
    END IF;
    RETURN result;
  END IF;
  PERFORM ledger_write_transfer(p_id, p_kind, source, p_wallet, p_amount, p_note);
  UPDATE ledger_accounts SET balance = balance + p_amount WHERE id = p_wallet RETURNING balance INTO result;
  RETURN result;
END $$;

-- A cost that no wallet pays, such as a provider's answer to a request whose hold was refused late.
CREATE FUNCTION ledger_book_loss(p_id uuid, p_amount bigint, p_note text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  INSERT INTO transfers (id, kind, debit, credit, amount, note, created_at, seal)
  VALUES (p_id, 'loss', 2, 1, p_amount, p_note, now(), transfer_seal(p_id, 'loss', 2, 1, p_amount, p_note, now()))
  ON CONFLICT (id, kind) DO NOTHING
$$;

-- Sets the limits of a key; null for none. What the key has spent so far is counted here once, with its wallet locked, and kept from
-- then on: also where the limits are taken away again.
CREATE FUNCTION ledger_limit_key(p_key uuid, p_wallet bigint, p_total bigint, p_daily bigint, p_weekly bigint, p_monthly bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  today date;
BEGIN
  PERFORM 1 FROM ledger_accounts WHERE id = p_wallet FOR NO KEY UPDATE;
  today := ledger_day(clock_timestamp());
  UPDATE key_limits SET total_limit = p_total, daily_limit = p_daily, weekly_limit = p_weekly, monthly_limit = p_monthly,
    seal = CASE WHEN ledger_key_is_sound(key_limits) THEN key_limit_seal(key_id, wallet, p_total, p_daily, p_weekly, p_monthly,
      held, total_used, day, day_used, week_used, month_used) ELSE seal END
  WHERE key_id = p_key AND wallet = p_wallet;
  IF NOT FOUND THEN
    INSERT INTO key_limits (key_id, wallet, total_limit, daily_limit, weekly_limit, monthly_limit, held, total_used, day, day_used, week_used,
      month_used, seal)
    SELECT p_key, p_wallet, p_total, p_daily, p_weekly, p_monthly, held, used, today, of_day, of_week, of_month,
      key_limit_seal(p_key, p_wallet, p_total, p_daily, p_weekly, p_monthly, held, used, today, of_day, of_week, of_month)
    FROM (
      SELECT coalesce((SELECT sum(amount) FROM holds WHERE key_id = p_key), 0)::bigint AS held,
        coalesce(sum(charged), 0)::bigint AS used,
        coalesce(sum(charged) FILTER (WHERE ledger_day(created_at) = today), 0)::bigint AS of_day,
        coalesce(sum(charged) FILTER (WHERE date_trunc('week', ledger_day(created_at)) = date_trunc('week', today)), 0)::bigint AS of_week,
        coalesce(sum(charged) FILTER (WHERE date_trunc('month', ledger_day(created_at)) = date_trunc('month', today)), 0)::bigint AS of_month
      FROM (
        SELECT r.charged, r.created_at FROM transfers t JOIN receipts r ON r.id = t.id
        WHERE t.debit = p_wallet AND t.kind = 'charge' AND r.key_id = p_key
      ) spent
    ) fresh;
  END IF;
  UPDATE ledger_accounts SET keys_limited = true WHERE id = p_wallet AND NOT keys_limited;
END $$;

REVOKE EXECUTE ON FUNCTION
  ledger_settle, ledger_hold_one, ledger_apply, ledger_checkpoint, ledger_recover, ledger_open_wallet, ledger_credit,
  ledger_book_loss, ledger_limit_key, ledger_write_transfer, ledger_make_partitions, ledger_count_keys, ledger_key_room FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON transfers, receipts, key_limits TO akai_app;
    GRANT EXECUTE ON FUNCTION ledger_apply, ledger_checkpoint, ledger_recover, ledger_open_wallet, ledger_credit,
      ledger_book_loss, ledger_limit_key, ledger_make_partitions, ledger_key_room TO akai_app;
  END IF;
END $$;
