-- Tokens of payment providers, shared by all processes, and how often they were asked for one: bKash allows two calls an hour.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE provider_tokens (
  -- The provider and a fingerprint of whom it knows us as. Part of what the text is sealed with.
  name text PRIMARY KEY,
  -- The token and what renews it, encrypted by src/accounts/secret.ts with the installation's secret.
  sealed bytea NOT NULL,
  expires_at timestamptz NOT NULL
);

-- Written down before each call, so that one whose process died counts, too.
CREATE TABLE provider_token_calls (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON provider_token_calls (name, at);

DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON provider_tokens, provider_token_calls TO akai_app;
  END IF;
END $$;
