-- What explains the charge of a request that was recovered: who had begun to answer, and at which prices. It comes with the checkpoint.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- {"provider": …, "detail": members of the receipt's detail}; the names of its "prices" are the classes of the tokens of the checkpoint.
-- Null before the first checkpoint, and for holds of an earlier release.
ALTER TABLE holds ADD COLUMN basis json;

-- Every column of a hold, as before. A hold begins without a basis.
ALTER FUNCTION hold_seal RENAME TO hold_seal_of_004;
CREATE FUNCTION hold_seal(id uuid, wallet bigint, instance uuid, amount bigint, key_id uuid, model text, checkpoint bigint,
  checkpoint_input int, checkpoint_output int, created_at timestamptz, basis json DEFAULT NULL)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(id, wallet, instance, amount, key_id, model, checkpoint, checkpoint_input, checkpoint_output,
  created_at, basis::text), 0));
-- A row that lies keeps its wrong seal.
UPDATE holds SET seal = hold_seal(id, wallet, instance, amount, key_id, model, checkpoint, checkpoint_input, checkpoint_output, created_at, basis)
WHERE seal = hold_seal_of_004(id, wallet, instance, amount, key_id, model, checkpoint, checkpoint_input, checkpoint_output, created_at);
DROP FUNCTION hold_seal_of_004;

-- The detail of a receipt for what was charged at a checkpoint: its basis, with the tokens of it by class, and members of JSON beside them.
CREATE FUNCTION ledger_explanation(p_members text, p_basis json, p_input int, p_output int)
RETURNS text LANGUAGE sql STABLE
RETURN CASE WHEN p_basis IS NULL THEN format('{%s}', p_members) ELSE format('%s,"tokens":{%s},%s}',
  -- As it was written: where another model answered than was asked for, that must stand first.
  left((p_basis -> 'detail')::text, -1),
  (SELECT string_agg(format('%s:%s', to_json(class), CASE class WHEN 'input' THEN p_input WHEN 'request' THEN 1 ELSE p_output END), ',')
    FROM json_object_keys(p_basis -> 'detail' -> 'prices') AS class),
  p_members) END;

-- One hold, or the growth of one, by itself: grants between `least` and `wanted`, as much as is free.
-- h_believed: what the process takes the hold to be that should grow; it is more where this growth has been applied before.
-- Returns the amount granted; -1 when the wallet could not pay it even with nothing held; -2 when other requests hold the money;
-- -3 when the hold that should grow is gone; -11 to -14 when a limit of the key could not pay it even with nothing held (total, daily,
-- weekly, monthly; of several the one that stays longest), -21 to -24 when it could but for what other requests of the key hold.
CREATE OR REPLACE FUNCTION ledger_hold_one(
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
      seal = hold_seal(id, wallet, instance, amount + granted, key_id, model, checkpoint, checkpoint_input, checkpoint_output, created_at, basis)
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

DROP FUNCTION ledger_checkpoint;
-- Raises checkpoints. c_basis: JSON texts, one a line; a line is empty where the hold has its basis already, as all are of an earlier
-- release that still runs. Returns the ids whose hold is gone.
CREATE FUNCTION ledger_checkpoint(c_id uuid[], c_amount bigint[], c_input int[], c_output int[], p_durable boolean, c_basis text DEFAULT '')
RETURNS SETOF uuid LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
  -- The first ones, for which a first byte waits, do not wait for the disk: a checkpoint is read when the gateway has died and
  -- the database lives. Should both lose their power at once, streams that began within the last moment are free, at the operator's cost.
  SELECT set_config('synchronous_commit', 'off', true) WHERE NOT p_durable;
  SELECT 1 FROM holds WHERE id = ANY (c_id) ORDER BY id FOR UPDATE;
  WITH c AS (
    SELECT * FROM unnest(c_id, c_amount, c_input, c_output, string_to_array(c_basis, E'\n', '')::json[]) AS c (id, amount, input, output, basis)
  ), raised AS (
    -- One that arrives late, after a higher one, changes nothing but a basis that is missing.
    UPDATE holds h SET checkpoint = greatest(h.checkpoint, least(h.amount, c.amount)),
      checkpoint_input = greatest(h.checkpoint_input, c.input), checkpoint_output = greatest(h.checkpoint_output, c.output),
      basis = coalesce(h.basis, c.basis),
      seal = hold_seal(h.id, h.wallet, h.instance, h.amount, h.key_id, h.model, greatest(h.checkpoint, least(h.amount, c.amount)),
        greatest(h.checkpoint_input, c.input), greatest(h.checkpoint_output, c.output), h.created_at,
        coalesce(h.basis, c.basis))
    FROM c WHERE h.id = c.id RETURNING h.id
  )
  SELECT id FROM c WHERE id NOT IN (SELECT id FROM raised)
$$;

-- Settles, at their last checkpoint, up to 1,000 holds of processes whose lease has been over for the grace period.
-- Returns how many. Holds of an instance that is not in the table (retired, yet late) count as dead, too.
CREATE OR REPLACE FUNCTION ledger_recover(p_grace interval)
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
    array_agg(CASE WHEN h.checkpoint > 0 THEN h.basis ->> 'provider' END), array_agg(h.checkpoint_input), array_agg(h.checkpoint_output),
    string_agg(CASE WHEN h.checkpoint > 0
      THEN ledger_explanation('"recovered":true,"reason":"the server stopped while it was answering"', h.basis, h.checkpoint_input, h.checkpoint_output)
      ELSE '{"recovered":true,"reason":"the server stopped before it answered"}' END, E'\n'), counted))
  INTO recovered
  FROM holds h LEFT JOIN instances i ON i.id = h.instance
  WHERE h.id = ANY (ids) AND (i.id IS NULL OR i.lease_until < clock_timestamp() - p_grace);
  RETURN coalesce(recovered, 0);
END $$;

REVOKE EXECUTE ON FUNCTION ledger_checkpoint FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT EXECUTE ON FUNCTION ledger_checkpoint TO akai_app;
  END IF;
END $$;
