-- Keys for providers that accounts brought themselves: what is asked with them, the provider charges to whom the key belongs to.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE provider_keys (
  -- Part of what the text is sealed with: a row whose text was copied from another cannot be opened.
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  provider text NOT NULL CHECK (provider <> ''),
  -- The text, encrypted by src/accounts/secret.ts with the installation's secret.
  sealed bytea NOT NULL,
  last_four text NOT NULL CHECK (length(last_four) = 4),
  note text NOT NULL DEFAULT '' CHECK (length(note) <= 200),
  enabled boolean NOT NULL DEFAULT true,
  -- Whether the wallet may pay where this key does not do.
  fallback boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- What the provider said last against it.
  last_error text,
  last_error_at timestamptz
);
CREATE INDEX ON provider_keys (user_id, created_at);

-- Who did what to them, and when. Outlives the keys, whose text is gone with their row.
CREATE TABLE provider_key_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  who text NOT NULL CHECK (who <> ''),
  user_id uuid NOT NULL,
  key_id uuid NOT NULL,
  provider text NOT NULL,
  last_four text NOT NULL,
  change text NOT NULL CHECK (change IN ('added', 'enabled', 'disabled', 'removed'))
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provider_key_changes
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Processes remember what an account has together with each of its API keys: they forget these, as when one of them is changed.
-- What a provider said last changes nothing for them.
CREATE FUNCTION announce_provider_key() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_notify('api_keys', encode(hash, 'hex')) FROM api_keys
  WHERE user_id = CASE WHEN TG_OP = 'DELETE' THEN OLD.user_id ELSE NEW.user_id END;
  RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE OF user_id, provider, sealed, enabled, fallback ON provider_keys
  FOR EACH ROW EXECUTE FUNCTION announce_provider_key();

-- As in 004, but a hold of nothing asks for no balance: who pays the provider with a key of their own needs none here.
CREATE OR REPLACE FUNCTION ledger_apply(
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

  -- All at once and in the order of ids, as a batch of checkpoints does, which may have the same holds. Without a growth, what is
  -- settled is locked in that order anyway, and nothing is locked behind it.
  IF true = ANY (h_grow) THEN
    PERFORM 1 FROM holds WHERE id = ANY (s_id || h_id) ORDER BY id FOR UPDATE;
  END IF;

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
            h_least[pos], h_key[pos], h_model[pos], h_grow[pos], h_believed[pos],
            CASE WHEN h_wanted[pos] > 0 THEN p_floor ELSE 0 END);
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

DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON provider_keys TO akai_app;
    GRANT SELECT, INSERT ON provider_key_changes TO akai_app;
  END IF;
END $$;
