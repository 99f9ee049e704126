-- Accounts and API keys. The first four tables are the ones that the sign-in library (better-auth 1.7) reads and
-- writes, under our own names; src/accounts/auth.ts holds the mapping of names. Its ids are uuids.

CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  email_verified boolean NOT NULL DEFAULT false,
  image text,
  admin boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- The sign-in library looks accounts up by the lower-cased address; any other spelling could never sign in.
  CHECK (email = lower(email))
);

CREATE TABLE sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  token text NOT NULL UNIQUE,
  expires_at timestamptz NOT NULL,
  ip_address text,
  user_agent text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON sessions (user_id);

-- One row for each way that a user can sign in: a password (provider 'credential'), GitHub, Google.
CREATE TABLE sign_in_methods (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  provider_id text NOT NULL,
  account_id text NOT NULL,
  password text,
  access_token text,
  refresh_token text,
  id_token text,
  access_token_expires_at timestamptz,
  refresh_token_expires_at timestamptz,
  scope text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (provider_id, account_id)
);
CREATE INDEX ON sign_in_methods (user_id);

CREATE TABLE verifications (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  identifier text NOT NULL,
  value text NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON verifications (identifier);

-- The text of a key is shown once and never stored: only its SHA-256 and the last four characters, to tell keys apart.
-- wallet_id has no foreign key because the wallets are made by a later migration and a wallet is never deleted.
CREATE TABLE api_keys (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  wallet_id bigint NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  last_four text NOT NULL CHECK (length(last_four) = 4),
  -- Empty means any address.
  allowed_networks cidr[] NOT NULL DEFAULT '{}',
  expires_at timestamptz,
  revoked_at timestamptz,
  error_format text NOT NULL DEFAULT 'text' CHECK (error_format IN ('text', 'object')),
  demo boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON api_keys (user_id, created_at);

-- Every process keeps the keys that it has seen in memory; this tells it to forget one. The payload is the hash in hex.
CREATE FUNCTION announce_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM pg_notify('api_keys', encode(OLD.hash, 'hex'));
  END IF;
  IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.hash <> OLD.hash) THEN
    PERFORM pg_notify('api_keys', encode(NEW.hash, 'hex'));
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON api_keys
  FOR EACH ROW EXECUTE FUNCTION announce_api_key();

-- Secrets that must be read back, encrypted by src/accounts/secret.ts with the installation's secret.
CREATE TABLE installation_secrets (
  name text PRIMARY KEY,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The role is missing where the database's user may not create roles; then that user owns these tables and needs no grant.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE
      ON users, sessions, sign_in_methods, verifications, api_keys, installation_secrets TO akai_app;
  END IF;
END
$$;
