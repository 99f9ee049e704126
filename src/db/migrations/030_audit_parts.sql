-- What is known of a row that lies belongs to the part of the books that it is read with today, and request keys are sealed as all that
-- money is moved by.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- As in 010_books.sql; where an earlier release read the row with another part, passes of that one resolve it no more.
CREATE OR REPLACE FUNCTION audit_find(p_scope text, p_findings jsonb, p_by_owner boolean)
RETURNS void LANGUAGE sql AS $$
  UPDATE audit_findings SET last_seen = clock_timestamp() WHERE resolved_at IS NULL AND check_name IN (
    SELECT f.name FROM jsonb_to_recordset(p_findings) AS f (name text) GROUP BY f.name HAVING count(*) >= 1000);
  INSERT INTO audit_findings AS known (check_name, row_id, scope, detail, by_owner)
  SELECT DISTINCT ON (f.name, f.id) f.name, f.id, coalesce(p_scope, f.scope), f.detail, p_by_owner
  FROM jsonb_to_recordset(p_findings) AS f (name text, id text, scope text, detail text)
  ON CONFLICT (check_name, row_id) DO UPDATE SET scope = excluded.scope, detail = excluded.detail, last_seen = clock_timestamp(),
    resolved_at = NULL, by_owner = excluded.by_owner OR (known.by_owner AND known.resolved_at IS NULL),
    first_seen = CASE WHEN known.resolved_at IS NULL THEN known.first_seen ELSE clock_timestamp() END
$$;
UPDATE audit_findings SET scope = CASE check_name WHEN 'a voucher is in the books as often as it was redeemed' THEN 'vouchers' ELSE 'payments' END
WHERE check_name IN ('a voucher is in the books as often as it was redeemed', 'a payment is in the books as it was credited and refunded');

-- As text: another database, restored from a copy, hashes values of its types otherwise.
ALTER TABLE wallet_requests ALTER COLUMN kind TYPE text USING kind::text, ADD COLUMN row_seal bytea;
SELECT seal_rows('wallet_requests');
ALTER TABLE wallet_requests ALTER COLUMN row_seal SET NOT NULL;
CREATE TRIGGER zz_sealed BEFORE INSERT ON wallet_requests FOR EACH ROW EXECUTE FUNCTION row_is_sealed();
