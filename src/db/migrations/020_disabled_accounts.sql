-- The keys of an account that is switched off, or on again, are asked for anew by every process.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TRIGGER announce_keys_of_disabled AFTER UPDATE OF disabled_at ON users
  FOR EACH ROW WHEN (NEW.disabled_at IS DISTINCT FROM OLD.disabled_at) EXECUTE FUNCTION announce_keys_of_user();
