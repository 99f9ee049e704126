-- What every price that was ever charged was made of, and with which keys receipts were signed. Append-only: a receipt names
-- its version of the prices and its key, which must mean the same for ever.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE price_versions (
  id text PRIMARY KEY,
  -- The provider's prices, the operator's margin and the user's prices, pico-USD a token.
  content json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- The name is made of the content: nobody can give an old name to new prices.
  CHECK (right(id, 16) = left(encode(sha256(convert_to(content::text, 'UTF8')), 'hex'), 16))
);

-- Public halves; the private ones are sealed in installation_secrets.
CREATE TABLE receipt_keys (
  id text PRIMARY KEY,
  public_key bytea NOT NULL CHECK (length(public_key) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (id = left(encode(sha256(public_key), 'hex'), 16))
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON price_versions
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt_keys
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- The same version again is known already; that it has the same content its name makes sure of. Returns how many are new.
CREATE FUNCTION price_versions_add(p_ids text[], p_contents text[])
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  WITH added AS (
    INSERT INTO price_versions (id, content)
    SELECT id, content::json FROM unnest(p_ids, p_contents) AS v (id, content) ORDER BY id
    ON CONFLICT (id) DO NOTHING RETURNING 1
  )
  SELECT count(*) FROM added
$$;

CREATE FUNCTION receipt_keys_add(p_public_key bytea)
RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  INSERT INTO receipt_keys (id, public_key)
  VALUES (left(encode(sha256(p_public_key), 'hex'), 16), p_public_key) ON CONFLICT (id) DO NOTHING;
  SELECT left(encode(sha256(p_public_key), 'hex'), 16)
$$;

REVOKE EXECUTE ON FUNCTION price_versions_add, receipt_keys_add FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON price_versions, receipt_keys TO akai_app;
    GRANT EXECUTE ON FUNCTION price_versions_add, receipt_keys_add TO akai_app;
  END IF;
END $$;
