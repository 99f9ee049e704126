-- Whether an account wants a model that its vendor has retired to be refused, or answered by its successor.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE users ADD COLUMN retired_models text NOT NULL DEFAULT 'refuse' CHECK (retired_models IN ('refuse', 'replace'));

-- Every process remembers this with each key of the account: it must ask again.
CREATE FUNCTION announce_keys_of_user() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_notify('api_keys', encode(hash, 'hex')) FROM api_keys WHERE user_id = NEW.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER announce_keys AFTER UPDATE OF retired_models ON users
  FOR EACH ROW WHEN (NEW.retired_models <> OLD.retired_models) EXECUTE FUNCTION announce_keys_of_user();
