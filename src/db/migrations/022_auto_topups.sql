-- Automatic top-ups: standing agreements of payers, and when they are to be used.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE payment_agreements (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  method text NOT NULL CHECK (method IN ('bkash', 'nagad', 'uddoktapay', 'manual')),
  environment text NOT NULL CHECK (environment IN ('sandbox', 'live')),
  -- Names the request for it at the provider.
  invoice text NOT NULL UNIQUE,
  -- SHA-256 of the secret in the address that the provider sends the browser back to.
  token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  state text NOT NULL DEFAULT 'created' CHECK (state IN ('created', 'pending', 'active', 'ending', 'ended', 'failed')),
  reason text,
  -- The provider's id of the request, then of the agreement, the latter sealed with the installation's secret.
  request_id text,
  redirect_url text,
  agreement bytea,
  payer_shown text,
  created_at timestamptz NOT NULL DEFAULT now(),
  agreed_at timestamptz,
  changed_at timestamptz NOT NULL DEFAULT now(),
  -- When the provider is asked again to end it.
  ask_at timestamptz,
  CHECK (state NOT IN ('active', 'ending', 'ended') OR (agreement IS NOT NULL AND agreed_at IS NOT NULL))
);
CREATE INDEX payment_agreements_user ON payment_agreements (user_id, id);
-- An account has one at a time.
CREATE UNIQUE INDEX payment_agreements_active ON payment_agreements (user_id) WHERE state = 'active';
CREATE INDEX payment_agreements_ask ON payment_agreements (ask_at) WHERE ask_at IS NOT NULL;

CREATE TABLE auto_topups (
  user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  -- Below so many nano-USD, so many paisa are charged: so often within 24 hours, and so many paisa within 30 days at most.
  threshold bigint NOT NULL CHECK (threshold > 0),
  amount bigint NOT NULL CHECK (amount > 0),
  per_day int NOT NULL CHECK (per_day BETWEEN 1 AND 24),
  per_month bigint NOT NULL CHECK (per_month >= amount),
  -- Set when it failed too often, or its agreement ended; whoever sets it anew starts it again.
  stopped_at timestamptz,
  stopped_reason text,
  -- Not tried before; also what claims it for one process.
  next_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((stopped_at IS NULL) = (stopped_reason IS NULL))
);

-- Whatever processes do at once, one automatic payment of an account is begun at a time.
CREATE UNIQUE INDEX payments_one_automatic ON payments (user_id) WHERE cause = 'automatic' AND state IN ('created', 'pending');
CREATE INDEX payments_automatic ON payments (user_id, created_at) WHERE cause = 'automatic';

-- Rules whose balance is below, within their bounds; `failures` counts those since the last that went well.
-- With an account: whether its rule is due, whenever it was to be tried.
CREATE FUNCTION auto_topups_due(p_user uuid)
RETURNS TABLE (user_id uuid, email text, language text, amount bigint, method text, agreement_id uuid, agreement bytea, failures int)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT r.user_id, u.email, u.language, r.amount, g.method, g.id, g.agreement, used.failures
  FROM auto_topups r
    JOIN users u ON u.id = r.user_id AND u.disabled_at IS NULL
    JOIN payment_agreements g ON g.user_id = r.user_id AND g.state = 'active'
    JOIN ledger_accounts a ON a.user_id = r.user_id AND a.balance < r.threshold
    JOIN LATERAL (
      SELECT count(*) FILTER (WHERE p.state IN ('created', 'pending', 'verified', 'needs_review')) AS open,
        count(*) FILTER (WHERE p.state NOT IN ('failed', 'cancelled', 'expired') AND p.created_at > now() - interval '1 day') AS day,
        coalesce(sum(p.amount) FILTER (WHERE p.state NOT IN ('failed', 'cancelled', 'expired')), 0) AS month,
        (count(*) FILTER (WHERE p.state IN ('failed', 'cancelled', 'expired') AND p.created_at > r.changed_at AND p.created_at > coalesce(
          (SELECT max(c.created_at) FROM payments c WHERE c.user_id = r.user_id AND c.cause = 'automatic' AND c.credited_at IS NOT NULL),
          '-infinity')))::int AS failures
      FROM payments p WHERE p.user_id = r.user_id AND p.cause = 'automatic' AND p.created_at > now() - interval '30 days'
    ) used ON used.open = 0 AND used.day < r.per_day AND used.month + r.amount <= r.per_month
  WHERE r.stopped_at IS NULL AND CASE WHEN p_user IS NULL THEN r.next_at <= now() ELSE r.user_id = p_user END
$$;

REVOKE EXECUTE ON FUNCTION auto_topups_due FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT ON payment_agreements TO akai_app;
    GRANT UPDATE (state, reason, request_id, redirect_url, agreement, payer_shown, agreed_at, changed_at, ask_at) ON payment_agreements TO akai_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON auto_topups TO akai_app;
    GRANT EXECUTE ON FUNCTION auto_topups_due TO akai_app;
  END IF;
END $$;
