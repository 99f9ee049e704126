-- The scheduled audit goes through payments and vouchers as through everything else: by and by. What each must fulfil is with the other
-- checks, so that it can be asked of a part.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

INSERT INTO audit_scans (scope) VALUES ('payments'), ('vouchers');
DROP FUNCTION payments_wrong, vouchers_wrong;
