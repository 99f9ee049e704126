-- Seals over whole rows of payments and vouchers, as the tables of the ledger have them: a value that something else has changed is found.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Over all columns but the seal itself, those that later migrations add included: these then call `seal_rows` of the table once more.
CREATE FUNCTION row_seal(x anyelement) RETURNS bytea LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  bare record;
BEGIN
  bare := x;
  bare.row_seal := NULL;
  RETURN int8send(hash_record_extended(bare, 0));
END $$;

CREATE FUNCTION row_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.row_seal := NULL;
  NEW.row_seal := int8send(hash_record_extended(NEW, 0));
  RETURN NEW;
END $$;

-- Seals what is in a table, as the owner: neither guards nor the times of rows are to know of it.
CREATE FUNCTION seal_rows(p_table regclass) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', p_table);
  EXECUTE format('UPDATE %s x SET row_seal = row_seal(x)', p_table);
  EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', p_table);
END $$;
REVOKE EXECUTE ON FUNCTION seal_rows FROM PUBLIC;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['payment_rules', 'payments', 'payment_events', 'payment_refunds', 'unmatched_receipts', 'payment_claims',
    'voucher_batches', 'voucher_codes', 'voucher_redemptions', 'payment_agreements', 'auto_topups']
  LOOP
    EXECUTE format('ALTER TABLE %I ADD COLUMN row_seal bytea', name);
    PERFORM seal_rows(name::regclass);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN row_seal SET NOT NULL', name);
    -- Triggers run in the order of their names: after whatever else sets values.
    EXECUTE format('CREATE TRIGGER zz_sealed BEFORE INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION row_is_sealed()', name);
  END LOOP;
END $$;
