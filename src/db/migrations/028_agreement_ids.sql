-- Ids of agreements, by which money can be taken, are sealed where they are needed; where they are not, they are forgotten.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

UPDATE payments SET nonce = NULL WHERE cause = 'automatic' AND nonce IS NOT NULL AND state NOT IN ('created', 'pending');
UPDATE payment_agreements SET request_id = NULL WHERE agreement IS NOT NULL AND request_id IS NOT NULL;
