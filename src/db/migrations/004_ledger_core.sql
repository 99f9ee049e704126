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
  -- Whether there is a row in key_limits for one: then settlements are counted there.
  ADD COLUMN keys_counted boolean NOT NULL DEFAULT false,
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
-- Rows of other times go to the default partitions, which also keep a month that they have rows of.
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
        BEGIN
          EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, base,
            ledger_first_id(month), ledger_first_id(month + interval '1 month'));
          EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()', part);
          made := made + 1;
        EXCEPTION WHEN check_violation THEN
          -- The default partition has rows of this month already, from a gateway whose clock was ahead: it keeps the month.
          NULL;
        END;
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

-- What a key may spend, and has spent, for keys that have had a limit or were asked what they spent; nano-USD. Days, weeks
-- (from Monday) and months are those of Dhaka. Who changes a row has locked the wallet of the key.
CREATE TABLE key_limits (
  key_id uuid PRIMARY KEY,
  wallet bigint NOT NULL,
  total_limit bigint,
  daily_limit bigint,
  weekly_limit bigint,
  monthly_limit bigint,
  -- What its open requests hold; 0 for a key without a limit, whose holds nobody counts.
  held bigint NOT NULL DEFAULT 0,
  total_used bigint NOT NULL DEFAULT 0,
  -- Day up to which the three below count; a later one has used nothing yet.
  day date NOT NULL,
  day_used bigint NOT NULL DEFAULT 0,
  week_used bigint NOT NULL DEFAULT 0,
  month_used bigint NOT NULL DEFAULT 0,
  -- False until what was spent before the row was made has been added.
  counted boolean NOT NULL,
  seal bytea NOT NULL,
  CHECK (least(total_limit, daily_limit, weekly_limit, monthly_limit) >= 0)
) WITH (fillfactor = 50);

CREATE FUNCTION key_limit_seal(k key_limits) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(k.key_id, k.wallet, k.total_limit, k.daily_limit, k.weekly_limit, k.monthly_limit, k.held,
  k.total_used, k.day, k.day_used, k.week_used, k.month_used, k.counted), 0));

-- Asked before a row is sealed anew: one that lies keeps its wrong seal.
CREATE FUNCTION ledger_key_is_sound(k key_limits) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN k.seal = key_limit_seal(k);

-- Writes a row and seals it.
CREATE FUNCTION ledger_write_key(k key_limits) RETURNS void LANGUAGE sql AS $$
  INSERT INTO key_limits AS o SELECT k.key_id, k.wallet, k.total_limit, k.daily_limit, k.weekly_limit, k.monthly_limit, k.held,
    k.total_used, k.day, k.day_used, k.week_used, k.month_used, k.counted, key_limit_seal(k)
  ON CONFLICT (key_id) DO UPDATE SET total_limit = excluded.total_limit, daily_limit = excluded.daily_limit,
    weekly_limit = excluded.weekly_limit, monthly_limit = excluded.monthly_limit, held = excluded.held,
    total_used = excluded.total_used, day = excluded.day, day_used = excluded.day_used, week_used = excluded.week_used,
    month_used = excluded.month_used, counted = excluded.counted,
    seal = CASE WHEN ledger_key_is_sound(o) THEN excluded.seal ELSE o.seal END
$$;

-- Dhaka is six hours ahead, all year.
CREATE FUNCTION ledger_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE
RETURN ((moment AT TIME ZONE 'UTC') + interval '6 hours')::date;

-- What was used up to `p_day` in its day, week or month, if that is the one of `p_today` too; else nothing.
CREATE FUNCTION ledger_used(p_unit text, p_day date, p_today date, p_used bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN date_trunc(p_unit, p_day::timestamp) = date_trunc(p_unit, p_today::timestamp) THEN p_used ELSE 0 END;

-- What the limits of a key leave it, with nothing held: total, daily, weekly, monthly; null where there is no such limit.
-- A day that has begun does not end before its time: a clock that is set back gives no limit anew.
CREATE FUNCTION ledger_key_rooms(p_key uuid, OUT rooms bigint[], OUT held bigint) LANGUAGE sql STABLE AS $$
  SELECT ARRAY[
    k.total_limit - k.total_used,
    k.daily_limit - ledger_used('day', k.day, today, k.day_used),
    k.weekly_limit - ledger_used('week', k.day, today, k.week_used),
    k.monthly_limit - ledger_used('month', k.day, today, k.month_used)
  ], k.held
  FROM key_limits k, LATERAL (SELECT greatest(k.day, ledger_day(clock_timestamp())) AS today) now WHERE k.key_id = p_key
$$;

-- Which of the limits leaves less than an amount, 0 for none: of several the one that stays longest.
CREATE FUNCTION ledger_full_limit(rooms bigint[], amount bigint) RETURNS int LANGUAGE sql IMMUTABLE
RETURN CASE WHEN rooms[1] < amount THEN 1 WHEN rooms[4] < amount THEN 4 WHEN rooms[3] < amount THEN 3 WHEN rooms[2] < amount THEN 2 ELSE 0 END;

-- Counts what these requests, whose receipts have been written by this transaction, have cost their keys: on the day of the receipt.
CREATE FUNCTION ledger_count_keys(p_ids uuid[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  k key_limits%ROWTYPE;
  ended record;
  today date;
BEGIN
  FOR ended IN SELECT key_id, sum(held)::bigint AS held, sum(charged)::bigint AS charged FROM receipts WHERE id = ANY (p_ids) GROUP BY key_id LOOP
    SELECT * INTO k FROM key_limits WHERE key_id = ended.key_id;
    CONTINUE WHEN NOT FOUND;
    IF least(k.total_limit, k.daily_limit, k.weekly_limit, k.monthly_limit) IS NOT NULL THEN k.held := k.held - ended.held; END IF;
    today := greatest(k.day, ledger_day(now()));
    k.total_used := k.total_used + ended.charged;
    k.day_used := ledger_used('day', k.day, today, k.day_used) + ended.charged;
    k.week_used := ledger_used('week', k.day, today, k.week_used) + ended.charged;
    k.month_used := ledger_used('month', k.day, today, k.month_used) + ended.charged;
    k.day := today;
    PERFORM ledger_write_key(k);
  END LOOP;
END $$;

-- Ends holds: charges at most the hold, books what exceeds it to the operator, gives the rest back.
-- The caller has locked the wallets, in a statement of its own, so that this one sees what the locks waited for.
-- s_detail: JSON texts, one a line. p_counted: keys of these wallets are counted. Returns the ids whose hold was there to end.
CREATE FUNCTION ledger_settle(
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
      e.wallet, e.amount, e.key_id, e.model, least(s.chargeable, e.amount) AS charged
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

-- One hold, or the growth of one, by itself: grants between `least` and `wanted`, as much as is free.
-- h_believed: what the process takes the hold to be that should grow; it is more where this growth has been applied before.
-- Returns the amount granted; -1 when the wallet could not pay it even with nothing held; -2 when other requests hold the money;
-- -3 when the hold that should grow is gone; -11 to -14 when a limit of the key could not pay it even with nothing held (total, daily,
-- weekly, monthly; of several the one that stays longest), -21 to -24 when it could but for what other requests of the key hold.
CREATE FUNCTION ledger_hold_one(
  p_instance uuid, h_id uuid, h_wallet bigint, h_wanted bigint, h_least bigint, h_key uuid, h_model text,
  h_grow boolean, h_believed bigint, p_floor bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  account ledger_accounts%ROWTYPE;
  own bigint := 0;
  granted bigint;
  rooms bigint[];
  key_held bigint;
  full_limit int;
  limits key_limits%ROWTYPE;
BEGIN
  SELECT * INTO STRICT account FROM ledger_accounts WHERE id = h_wallet;
  SELECT amount INTO own FROM holds WHERE id = h_id;
  IF h_grow AND NOT FOUND THEN RETURN -3; END IF;
  -- The same again, after a commit whose acknowledgement was lost: answered, not applied.
  IF NOT h_grow AND FOUND THEN RETURN own; END IF;
  IF h_grow AND own > h_believed THEN RETURN own - h_believed; END IF;
  granted := least(h_wanted, account.balance - account.held);
  IF NOT h_grow AND account.balance < p_floor THEN RETURN -1; END IF;
  own := coalesce(own, 0);
  IF granted < h_least AND account.balance - own < h_least THEN RETURN -1; END IF;
  IF account.keys_limited THEN
    SELECT r.rooms, r.held INTO rooms, key_held FROM ledger_key_rooms(h_key) r;
    full_limit := ledger_full_limit(rooms, own + h_least);
    IF h_least > 0 AND full_limit > 0 THEN RETURN -10 - full_limit; END IF;
    granted := least(granted, rooms[1] - key_held, rooms[2] - key_held, rooms[3] - key_held, rooms[4] - key_held);
    -- A limit that was lowered below what is held leaves nothing, which is what may cost nothing.
    IF granted < 0 AND h_least = 0 THEN granted := 0; END IF;
  END IF;
  IF granted < h_least THEN
    RETURN CASE WHEN account.balance - account.held < h_least THEN -2 ELSE -20 - ledger_full_limit(rooms, key_held + h_least) END;
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
  IF least(rooms[1], rooms[2], rooms[3], rooms[4]) IS NOT NULL THEN
    SELECT * INTO limits FROM key_limits WHERE key_id = h_key;
    limits.held := limits.held + granted;
    PERFORM ledger_write_key(limits);
  END IF;
  RETURN granted;
END $$;

-- A batch of settlements and holds, committed together. Settlements first: what they give back, the holds may use.
-- p_epoch: failures that the process has met; a batch of an earlier epoch, which the network delivers late, is refused.
-- p_careful: some of these may have been applied before (a lost acknowledgement): take holds one by one, asking whether they are there.
-- Rows returned: ('wallet', id, balance, held) for each wallet, ('limited', …) where its keys have limits; ('hold', position, granted or
-- refusal, 0) for holds that were not granted as wanted, ('hold total' or '… daily', '… weekly', '… monthly', …, …, room) for all of a key with
-- limits, of which this one leaves least, that much with nothing held; ('settle', position, charged or null, 1 when by recovery) for settlements that found no hold.
CREATE FUNCTION ledger_apply(
  p_instance uuid, p_epoch int, p_floor bigint, p_careful boolean, p_wallets bigint[],
  s_id uuid[], s_cost bigint[], s_chargeable bigint[], s_outcome request_outcome[], s_provider text[],
  s_input int[], s_output int[], s_detail text,
  h_id uuid[], h_wallet bigint[], h_wanted bigint[], h_least bigint[], h_key uuid[], h_model text[], h_grow boolean[], h_believed bigint[]
) RETURNS TABLE (row_kind text, ref bigint, first bigint, second bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
-- Planned once, by index: statistics of tables whose rows come and go by the second mislead, and planning costs more than doing.
-- A plan knows neither how long the arrays are nor how many wallets there will be: no loops inside loops.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  ended uuid[];
  fitting bigint[];
  admitted int := 0;
  granted bigint;
  pos int;
  known int;
  counted boolean;
  limited boolean;
  full_keys uuid[] := '{}';
  full_answers bigint[] := '{}';
BEGIN
  -- A batch of this process that still runs has the same lock: it ends before a later epoch begins.
  SELECT epoch INTO known FROM instances WHERE id = p_instance FOR SHARE;
  IF known IS NULL OR known > p_epoch THEN
    RAISE EXCEPTION 'instance % has no lease, or has given this batch up', p_instance USING ERRCODE = 'serialization_failure';
  END IF;
  IF known < p_epoch THEN UPDATE instances SET epoch = p_epoch WHERE id = p_instance; END IF;

  SELECT bool_or(locked.keys_counted), bool_or(locked.keys_limited) INTO counted, limited
  FROM (SELECT keys_counted, keys_limited FROM ledger_accounts WHERE id = ANY (p_wallets) ORDER BY id FOR NO KEY UPDATE) locked;

  IF cardinality(s_id) > 0 THEN
    ended := ledger_settle(s_id, s_cost, s_chargeable, s_outcome, s_provider, s_input, s_output, s_detail, counted);
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
        WHERE acc.id = asked.wallet AND acc.id = ANY (ARRAY(SELECT wallet FROM asked)) AND acc.balance - acc.held >= asked.total AND acc.balance >= p_floor AND NOT acc.keys_limited
        RETURNING acc.id
      )
      -- Null where all of them can: the usual case, in which nobody looks each hold up in a list.
      SELECT CASE WHEN count(*) < (SELECT count(*) FROM asked) THEN coalesce(array_agg(id), '{}') END INTO fitting FROM fits;
      INSERT INTO holds (id, wallet, instance, amount, key_id, model, seal)
      SELECT h.id, h.wallet, p_instance, h.wanted, h.key_id, h.model,
        hold_seal(h.id, h.wallet, p_instance, h.wanted, h.key_id, h.model, 0, 0, 0, now())
      FROM unnest(h_id, h_wallet, h_wanted, h_key, h_model, h_grow) AS h (id, wallet, wanted, key_id, model, grow)
      WHERE NOT h.grow AND (fitting IS NULL OR h.wallet = ANY (fitting));
      GET DIAGNOSTICS admitted = ROW_COUNT;
    END IF;
    IF admitted < cardinality(h_id) THEN
      FOR pos IN 1 .. cardinality(h_id) LOOP
        CONTINUE WHEN NOT p_careful AND NOT h_grow[pos] AND EXISTS (SELECT 1 FROM holds WHERE id = h_id[pos]);
        -- Behind one that waits for the room of its key: nobody is to pass it by.
        IF NOT p_careful AND NOT h_grow[pos] AND h_key[pos] = ANY (full_keys) THEN
          granted := full_answers[array_position(full_keys, h_key[pos])];
        ELSE
          granted := ledger_hold_one(p_instance, h_id[pos], h_wallet[pos], h_wanted[pos],
            h_least[pos], h_key[pos], h_model[pos], h_grow[pos], h_believed[pos], p_floor);
          IF granted < -20 THEN
            full_keys := full_keys || h_key[pos];
            full_answers := full_answers || granted;
          END IF;
        END IF;
        row_kind := 'hold';
        second := 0;
        IF limited THEN
          SELECT 'hold ' || which, room INTO row_kind, second FROM ledger_key_rooms(h_key[pos]) r,
            unnest(r.rooms, ARRAY['total', 'daily', 'weekly', 'monthly']) AS l (room, which)
            WHERE room IS NOT NULL ORDER BY room LIMIT 1;
        END IF;
        IF granted <> h_wanted[pos] OR row_kind <> 'hold' THEN
          row_kind := coalesce(row_kind, 'hold'); ref := pos; first := granted;
          RETURN NEXT;
        END IF;
      END LOOP;
    END IF;
  END IF;

  RETURN QUERY SELECT CASE WHEN acc.keys_limited THEN 'limited' ELSE 'wallet' END, acc.id, acc.balance, acc.held FROM ledger_accounts acc WHERE acc.id = ANY (p_wallets);
END $$;

-- Raises checkpoints. Returns the ids whose hold is gone.
CREATE FUNCTION ledger_checkpoint(c_id uuid[], c_amount bigint[], c_input int[], c_output int[], p_durable boolean)
RETURNS SETOF uuid LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
  -- The first ones, for which a first byte waits, do not wait for the disk: a checkpoint is read when the gateway has died and
  -- the database lives. Should both lose their power at once, streams that began within the last moment are free, at the operator's cost.
  SELECT set_config('synchronous_commit', 'off', true) WHERE NOT p_durable;
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
  counted boolean;
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
  SELECT bool_or(locked.keys_counted) INTO counted
  FROM (SELECT keys_counted FROM ledger_accounts WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE) locked;
  -- A process that awoke may be raising its checkpoints: what is charged must be the last that it was told of.
  PERFORM 1 FROM holds WHERE id = ANY (ids) ORDER BY id FOR UPDATE;
  SELECT cardinality(ledger_settle(array_agg(h.id), array_agg(h.checkpoint), array_agg(h.checkpoint),
    array_agg(CASE WHEN h.checkpoint > 0 THEN 'recovered' ELSE 'released' END::request_outcome),
    array_agg(NULL::text), array_agg(h.checkpoint_input), array_agg(h.checkpoint_output),
    string_agg(CASE WHEN h.checkpoint > 0
      THEN '{"recovered":true,"reason":"the server stopped while it was answering"}'
      ELSE '{"recovered":true,"reason":"the server stopped before it answered"}' END, E'\n'), counted))
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

-- Begins to count what a key spends, and at a later call adds what it spent before. Returns whether that is done: to be called, in
-- transactions of their own, until it is. Only the beginning locks the wallet, for a moment; the books of a long life are read without.
CREATE FUNCTION ledger_count_key(p_key uuid, p_wallet bigint)
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

-- Sets the limits of a key that is counted; null for none. What it has used stays counted, also where the limits are taken away again.
CREATE FUNCTION ledger_limit_key(p_key uuid, p_wallet bigint, p_total bigint, p_daily bigint, p_weekly bigint, p_monthly bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  k key_limits%ROWTYPE;
BEGIN
  PERFORM 1 FROM ledger_accounts WHERE id = p_wallet FOR NO KEY UPDATE;
  SELECT * INTO k FROM key_limits WHERE key_id = p_key AND wallet = p_wallet;
  IF k.counted IS NOT TRUE THEN RAISE EXCEPTION 'key % is not counted', p_key; END IF;
  k.total_limit := p_total;
  k.daily_limit := p_daily;
  k.weekly_limit := p_weekly;
  k.monthly_limit := p_monthly;
  -- Requests under way before there was a limit count from now on.
  k.held := CASE WHEN least(p_total, p_daily, p_weekly, p_monthly) IS NULL THEN 0
    ELSE (SELECT coalesce(sum(amount), 0) FROM holds WHERE key_id = p_key) END;
  PERFORM ledger_write_key(k);
  UPDATE ledger_accounts SET keys_limited = EXISTS (SELECT 1 FROM key_limits o WHERE o.wallet = p_wallet
    AND least(o.total_limit, o.daily_limit, o.weekly_limit, o.monthly_limit) IS NOT NULL) WHERE id = p_wallet;
END $$;
CREATE INDEX ON key_limits (wallet);

REVOKE EXECUTE ON FUNCTION
  ledger_settle, ledger_hold_one, ledger_apply, ledger_checkpoint, ledger_recover, ledger_open_wallet, ledger_credit,
  ledger_book_loss, ledger_limit_key, ledger_write_transfer, ledger_make_partitions, ledger_count_keys, ledger_count_key,
  ledger_write_key, ledger_key_rooms, ledger_full_limit FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON transfers, receipts, key_limits TO akai_app;
    GRANT EXECUTE ON FUNCTION ledger_apply, ledger_checkpoint, ledger_recover, ledger_open_wallet, ledger_credit,
      ledger_book_loss, ledger_limit_key, ledger_make_partitions, ledger_count_key TO akai_app;
  END IF;
END $$;
