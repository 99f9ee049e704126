-- Low balance: what an account wants to be told, and the messages to addresses of its own that are on their way.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE balance_alerts (
  user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  -- Nano-USD.
  threshold bigint NOT NULL CHECK (threshold > 0),
  mail boolean NOT NULL,
  webhook_url text CHECK (length(webhook_url) <= 2000),
  -- Sealed with the installation's secret.
  webhook_secret bytea,
  -- Whether the balance was below the threshold when it was last looked at; told once, when it becomes so.
  below boolean NOT NULL DEFAULT false,
  told_at timestamptz,
  changed_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((webhook_url IS NULL) = (webhook_secret IS NULL))
);

CREATE TABLE alert_messages (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  -- As it is signed and sent.
  body text NOT NULL,
  tries int NOT NULL DEFAULT 0,
  -- Null when it was delivered or given up.
  next_at timestamptz DEFAULT now(),
  delivered_at timestamptz,
  failed_at timestamptz,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((next_at IS NULL) = (num_nonnulls(delivered_at, failed_at) = 1))
);
CREATE INDEX alert_messages_next ON alert_messages (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX alert_messages_user ON alert_messages (user_id, id);

-- Compares balances with thresholds; returns those that have fallen below since the last time. One that goes up and down is told of once an hour.
-- Two at once: the second waits for the first and finds nothing left to turn.
CREATE FUNCTION balance_alerts_turn()
RETURNS TABLE (user_id uuid, email text, language text, balance bigint, threshold bigint, mail boolean, webhook boolean)
LANGUAGE sql SET search_path FROM CURRENT AS $$
  WITH turned AS (
    UPDATE balance_alerts b SET below = a.balance < b.threshold, told_at = CASE WHEN a.balance < b.threshold THEN now() ELSE b.told_at END
    FROM ledger_accounts a
    WHERE a.user_id = b.user_id AND b.below <> (a.balance < b.threshold)
      AND (b.below OR b.told_at IS NULL OR b.told_at < now() - interval '1 hour')
    RETURNING b.user_id, b.below, a.balance, b.threshold, b.mail, b.webhook_url IS NOT NULL AS webhook
  )
  SELECT t.user_id, u.email, u.language, t.balance, t.threshold, t.mail, t.webhook FROM turned t JOIN users u ON u.id = t.user_id WHERE t.below
$$;

REVOKE EXECUTE ON FUNCTION balance_alerts_turn FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON balance_alerts TO akai_app;
    GRANT SELECT, INSERT, DELETE ON alert_messages TO akai_app;
    GRANT UPDATE (tries, next_at, delivered_at, failed_at, last_error) ON alert_messages TO akai_app;
    GRANT EXECUTE ON FUNCTION balance_alerts_turn TO akai_app;
  END IF;
END $$;
