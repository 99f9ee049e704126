-- Payments: taka that people send, and the credit that it becomes, once. The rules that must hold whatever a program does are here.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Money in transit, one account a payment method: what it was debited is what the provider should have for us.
INSERT INTO ledger_accounts (id, kind, name, created_at, seal)
SELECT id, 'platform', name, now(), ledger_account_seal(id, 'platform', name, NULL, now())
FROM (VALUES (6::bigint, 'clearing:bkash'), (7, 'clearing:nagad'), (8, 'clearing:uddoktapay'), (9, 'clearing:manual')) fresh (id, name);

-- Money out of a wallet, as far as no request holds it. The same id again with the same content is answered, with other content refused.
-- Returns the balance, or null where the wallet has not enough.
CREATE FUNCTION ledger_debit(p_id uuid, p_kind transfer_kind, p_wallet bigint, p_to text, p_amount bigint, p_note text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  target bigint;
  wallet ledger_accounts%ROWTYPE;
  earlier transfers%ROWTYPE;
  result bigint;
BEGIN
  IF NOT (p_kind = 'refund' AND p_to LIKE 'clearing:%' OR p_kind = 'bonus' AND p_to = 'promotion') THEN
    RAISE EXCEPTION 'no % goes from a wallet to %', p_kind, p_to USING ERRCODE = 'check_violation';
  END IF;
  SELECT id INTO STRICT target FROM ledger_accounts WHERE name = p_to;
  SELECT * INTO STRICT wallet FROM ledger_accounts WHERE id = p_wallet AND kind = 'wallet' FOR NO KEY UPDATE;
  SELECT * INTO earlier FROM transfers WHERE id = p_id AND kind = p_kind;
  IF FOUND THEN
    IF earlier.debit <> p_wallet OR earlier.amount <> p_amount OR earlier.credit <> target THEN
      RAISE EXCEPTION 'transfer % exists with other content', p_id USING ERRCODE = 'unique_violation';
    END IF;
    RETURN wallet.balance;
  END IF;
  IF wallet.balance - wallet.held < p_amount THEN RETURN NULL; END IF;
  PERFORM ledger_write_transfer(p_id, p_kind, p_wallet, target, p_amount, p_note);
  UPDATE ledger_accounts SET balance = balance - p_amount WHERE id = p_wallet RETURNING balance INTO result;
  RETURN result;
END $$;

-- What the operator has set: rate, fees, bounds, bonuses, limits. The last row counts; payments name the row that they were quoted by.
CREATE TABLE payment_rules (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  content jsonb NOT NULL,
  who text NOT NULL CHECK (who <> ''),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_rules
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

CREATE TABLE payments (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE RESTRICT,
  wallet bigint NOT NULL,
  method text NOT NULL CHECK (method IN ('bkash', 'nagad', 'uddoktapay', 'manual')),
  environment text NOT NULL CHECK (environment IN ('sandbox', 'live')),
  -- The client's own key: the same again answers the same payment.
  client_key text CHECK (length(client_key) BETWEEN 1 AND 255),
  -- The quote, frozen: paisa that the payer sends and that are kept of them as a fee; taka a dollar × 10⁶; nano-USD.
  amount bigint NOT NULL CHECK (amount > 0),
  fee bigint NOT NULL CHECK (fee >= 0 AND fee < amount),
  rate bigint NOT NULL CHECK (rate > 0),
  credit bigint NOT NULL CHECK (credit > 0),
  bonus bigint NOT NULL CHECK (bonus >= 0),
  rules bigint REFERENCES payment_rules,
  quoted_until timestamptz NOT NULL,
  -- Why this account pays: by itself, or by a standing agreement.
  cause text NOT NULL DEFAULT 'user' CHECK (cause IN ('user', 'automatic')),
  -- What came in for that payment, where it was another amount than was quoted: this one stands in its place.
  corrects uuid UNIQUE REFERENCES payments,
  invoice text NOT NULL UNIQUE CHECK (invoice ~ '^[A-Z0-9]{8,20}$'),
  -- SHA-256 of the secret in the addresses that the provider sends browsers and webhooks to.
  token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  seal bytea NOT NULL,

  state text NOT NULL DEFAULT 'created' CHECK (state IN
    ('created', 'pending', 'verified', 'credited', 'failed', 'cancelled', 'expired', 'needs_review', 'refunded')),
  reason text,
  provider_id text CHECK (provider_id <> ''),
  nonce text,
  redirect_url text,
  expires_at timestamptz NOT NULL,
  -- The one capture: said before it is asked for.
  capture_asked_at timestamptz,
  trx_id text CHECK (trx_id <> ''),
  -- The payer's number, masked for people, and as a keyed hash to count by.
  payer_shown text,
  payer_hash bytea,
  paid_at timestamptz,
  verified_at timestamptz,
  -- Of the transfer that credits it: made with the verification, so that it is the same however often the credit is tried.
  transfer_id uuid UNIQUE,
  -- Credited no earlier; null for at once.
  held_until timestamptz,
  credited_at timestamptz,
  -- Paisa that have gone back, or are on their way.
  refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND amount),
  -- Came after it was given up, or after its quote.
  late boolean NOT NULL DEFAULT false,
  -- A person has said no: from here on only a person may say otherwise.
  rejected_at timestamptz,
  -- One process at a time settles it: a courtesy, what must not happen twice is guarded by itself.
  settling_until timestamptz,
  -- When the provider is to be asked next; null when nothing is to be asked. `asked` counts.
  ask_at timestamptz,
  asked int NOT NULL DEFAULT 0,
  changed_at timestamptz NOT NULL DEFAULT now(),

  UNIQUE (method, environment, provider_id),
  -- A transfer of money is credited once, to one payment, for ever.
  UNIQUE (method, environment, trx_id),
  UNIQUE (user_id, client_key),
  CHECK (state NOT IN ('verified', 'credited', 'refunded') OR (trx_id IS NOT NULL AND transfer_id IS NOT NULL AND verified_at IS NOT NULL)),
  CHECK ((credited_at IS NOT NULL) = (state IN ('credited', 'refunded'))),
  CHECK (refunded = 0 OR state IN ('credited', 'refunded'))
);
CREATE INDEX payments_user ON payments (user_id, id);
CREATE INDEX payments_state ON payments (state, id);
CREATE INDEX payments_ask ON payments (ask_at) WHERE ask_at IS NOT NULL;
-- Some methods name the wallet before the id of the transfer: the same money must not be credited by two of them.
CREATE UNIQUE INDEX payments_trx ON payments (split_part(trx_id, ':', -1), environment) WHERE trx_id IS NOT NULL;
CREATE INDEX payments_payer ON payments (payer_hash, id) WHERE payer_hash IS NOT NULL;

-- Over what never changes: the money and whose it is.
CREATE FUNCTION payment_seal(p payments) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN int8send(hash_record_extended(ROW(p.id, p.user_id, p.wallet, p.method, p.environment, p.client_key, p.amount, p.fee, p.rate, p.credit,
  p.bonus, p.rules, p.quoted_until, p.cause, p.corrects, p.invoice, p.token_hash, p.created_at), 0));

-- Nano-USD, rounded down: paisa ÷ 100 ÷ (rate ÷ 10⁶) × 10⁹.
CREATE FUNCTION payment_credit(p payments) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN div((p.amount - p.fee)::numeric * 10000000000000, p.rate::numeric);

-- What may follow what. A payment that was given up may still turn out to be paid: that is real money.
CREATE FUNCTION payment_may_become(p_from text, p_to text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN p_from = p_to OR (p_from, p_to) IN (
  ('created', 'pending'), ('created', 'failed'), ('created', 'expired'), ('created', 'needs_review'),
  ('pending', 'verified'), ('pending', 'failed'), ('pending', 'cancelled'), ('pending', 'expired'), ('pending', 'needs_review'),
  ('cancelled', 'verified'), ('cancelled', 'needs_review'), ('failed', 'verified'), ('failed', 'needs_review'),
  ('expired', 'verified'), ('expired', 'needs_review'),
  ('needs_review', 'verified'), ('needs_review', 'failed'), ('needs_review', 'pending'),
  ('verified', 'credited'), ('verified', 'needs_review'), ('credited', 'refunded'), ('refunded', 'credited'));

CREATE FUNCTION payment_is_sound() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'created' OR NEW.environment <> (SELECT mode FROM installation) THEN
      RAISE EXCEPTION 'a payment begins as created, in the mode of the installation' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.credit <> payment_credit(NEW) OR NEW.bonus > NEW.credit THEN
      RAISE EXCEPTION 'the credit of a payment follows from its amount, fee and rate' USING ERRCODE = 'check_violation';
    END IF;
    IF num_nonnulls(NEW.trx_id, NEW.transfer_id, NEW.verified_at) > 0
      OR NOT EXISTS (SELECT FROM ledger_accounts a WHERE a.id = NEW.wallet AND a.user_id = NEW.user_id) THEN
      RAISE EXCEPTION 'a payment begins unpaid, for a wallet of its own account' USING ERRCODE = 'check_violation';
    END IF;
  ELSE
    IF payment_seal(NEW) <> payment_seal(OLD) OR NEW.seal <> OLD.seal THEN
      RAISE EXCEPTION 'what payment % is for does not change', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF NOT payment_may_become(OLD.state, NEW.state) THEN
      RAISE EXCEPTION 'payment % is %, and cannot become %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    -- What was once told by the provider is not told anew; a capture is asked for once.
    IF NEW.trx_id IS DISTINCT FROM OLD.trx_id AND OLD.state IN ('verified', 'credited', 'refunded')
      OR NEW.transfer_id IS DISTINCT FROM OLD.transfer_id AND OLD.credited_at IS NOT NULL
      OR NEW.provider_id IS DISTINCT FROM OLD.provider_id AND OLD.provider_id IS NOT NULL
      OR NEW.capture_asked_at IS DISTINCT FROM OLD.capture_asked_at AND OLD.capture_asked_at IS NOT NULL THEN
      RAISE EXCEPTION 'payment % cannot forget what is known of it', OLD.id USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  NEW.seal := payment_seal(NEW);
  NEW.changed_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER sound BEFORE INSERT OR UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION payment_is_sound();
CREATE FUNCTION payment_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'payments are kept' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON payments FOR EACH STATEMENT EXECUTE FUNCTION payment_stays();

-- Everything that ever happened to a payment, as evidence and as the timeline that its owner sees.
CREATE TABLE payment_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  payment uuid NOT NULL REFERENCES payments,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Such as `opened`, `returned`, `webhook`, `asked`, `captured`, `state`, `refund`, `review`.
  kind text NOT NULL,
  -- Who made it happen: `user`, `browser`, `provider`, `server`, or the address of an admin.
  actor text NOT NULL,
  -- For its owner; null for what is for the operator only.
  sentence text,
  -- Redacted before it comes here.
  detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX payment_events_payment ON payment_events (payment, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_events
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Money that goes back. The wallet is debited first, under the same id; a definite refusal credits it again.
CREATE TABLE payment_refunds (
  id uuid PRIMARY KEY,
  payment uuid NOT NULL REFERENCES payments,
  reference text NOT NULL UNIQUE CHECK (reference ~ '^[A-Z0-9]{8,20}$'),
  -- Paisa to the payer; nano-USD from the wallet, of the credit and of its bonus.
  amount bigint NOT NULL CHECK (amount > 0),
  credit bigint NOT NULL CHECK (credit > 0),
  bonus bigint NOT NULL CHECK (bonus >= 0),
  reason text NOT NULL CHECK (reason <> ''),
  who text NOT NULL CHECK (who <> ''),
  state text NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'asked', 'refunded', 'refused', 'needs_review')),
  provider_refund_id text,
  -- Of the transfer that gives the money back to the wallet after a refusal.
  undo_id uuid UNIQUE,
  note text,
  -- When the provider is asked next what became of it; null when it is not asked.
  ask_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((state = 'refused') = (undo_id IS NOT NULL))
);
CREATE INDEX payment_refunds_payment ON payment_refunds (payment, id);
CREATE INDEX payment_refunds_open ON payment_refunds (state) WHERE state NOT IN ('refunded', 'refused');
CREATE INDEX payment_refunds_ask ON payment_refunds (ask_at) WHERE ask_at IS NOT NULL;

CREATE FUNCTION payment_refund_is_sound() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'refunds are kept' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.state = 'reserved' AND NEW.provider_refund_id IS NULL THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'a refund begins as reserved' USING ERRCODE = 'check_violation';
  END IF;
  IF (NEW.id, NEW.payment, NEW.reference, NEW.amount, NEW.credit, NEW.bonus, NEW.reason, NEW.who, NEW.created_at)
    IS DISTINCT FROM (OLD.id, OLD.payment, OLD.reference, OLD.amount, OLD.credit, OLD.bonus, OLD.reason, OLD.who, OLD.created_at)
    OR NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (('reserved', 'asked'), ('reserved', 'refused'), ('asked', 'refunded'),
      ('asked', 'refused'), ('asked', 'needs_review'), ('needs_review', 'refunded'), ('needs_review', 'refused')) THEN
    RAISE EXCEPTION 'refund % is %, and cannot become so', OLD.id, OLD.state USING ERRCODE = 'check_violation';
  END IF;
  NEW.changed_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER sound BEFORE INSERT OR UPDATE OR DELETE ON payment_refunds FOR EACH ROW EXECUTE FUNCTION payment_refund_is_sound();

-- Money that a provider says came in and that fits no payment: for the operator to look at, never credited by itself.
CREATE TABLE unmatched_receipts (
  id uuid PRIMARY KEY,
  method text NOT NULL,
  environment text NOT NULL,
  trx_id text NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  payer_shown text,
  paid_at timestamptz,
  source text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz,
  resolution text,
  who text,
  UNIQUE (method, environment, trx_id)
);

-- What a feed said a dollar costs, in taka.
CREATE TABLE exchange_rates (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  taka text NOT NULL CHECK (taka ~ '^[0-9]{1,4}([.][0-9]{1,4})?$'),
  fetched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX exchange_rates_source ON exchange_rates (source, id);

-- TrxIDs that payers say they have: by hand, and where a payment was not credited. Anybody may claim anything: a claim reserves nothing.
CREATE TABLE payment_claims (
  payment uuid NOT NULL REFERENCES payments,
  trx_id text NOT NULL,
  -- Where the money was sent to, for payments by hand.
  sent_to text,
  payer_shown text,
  payer_hash bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (payment, trx_id)
);
CREATE INDEX payment_claims_trx ON payment_claims (trx_id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_claims
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Webhooks that were heard, so that each is heard once.
CREATE TABLE payment_webhooks (
  method text NOT NULL,
  message_id text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (method, message_id)
);

-- Payments and refunds that do not fit the books, for the audit.
CREATE FUNCTION payments_wrong() RETURNS TABLE (id text, detail text) LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT p.id::text, 'what it is for does not fit its seal' FROM payments p WHERE p.seal IS DISTINCT FROM payment_seal(p)
  UNION ALL
  SELECT p.id::text, format('credit of %s; its amount, fee and rate give %s', p.credit, payment_credit(p))
  FROM payments p WHERE p.credit <> payment_credit(p)
  UNION ALL
  -- Of the payment in whose place it stands a person has said so there.
  SELECT p.id::text, 'credited, and neither its provider nor a person has called it paid'
  FROM payments p WHERE p.credited_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payment_events e
    WHERE e.payment IN (p.id, p.corrects) AND e.detail ->> 'trxId' = p.trx_id
      AND (e.detail ->> 'state' = 'paid' OR e.kind = 'review' AND e.detail ->> 'accepted' = 'true'))
  UNION ALL
  SELECT p.id::text, format('%s of %s paisa went back', p.refunded, p.amount) FROM payments p WHERE p.state = 'refunded' AND p.refunded <> p.amount
  UNION ALL
  SELECT p.id::text, format('%s, credit of %s to wallet %s; the books say %s to %s', p.state, p.credit, p.wallet, t.amount, t.credit)
  FROM payments p LEFT JOIN ledger_accounts a ON a.name = 'clearing:' || p.method
    LEFT JOIN transfers t ON t.id = p.transfer_id AND t.kind = 'topup'
  WHERE (p.credited_at IS NOT NULL AND (t.amount, t.credit, t.debit) IS DISTINCT FROM (p.credit, p.wallet, a.id))
    OR (p.credited_at IS NULL AND t.id IS NOT NULL)
  UNION ALL
  SELECT p.id::text, format('bonus of %s; the books say %s', p.bonus, coalesce(t.amount, 0))
  FROM payments p LEFT JOIN transfers t ON t.id = p.transfer_id AND t.kind = 'bonus'
  WHERE p.credited_at IS NOT NULL AND p.bonus <> coalesce(t.amount, 0)
  UNION ALL
  SELECT p.id::text, format('credited beside %s, which stands in its place', c.id)
  FROM payments p JOIN payments c ON c.corrects = p.id WHERE p.credited_at IS NOT NULL
  UNION ALL
  SELECT t.id::text, format('top-up of %s by %s without a payment', t.amount, a.name)
  FROM transfers t JOIN ledger_accounts a ON a.id = t.debit AND a.name LIKE 'clearing:%'
  WHERE t.kind = 'topup' AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.transfer_id = t.id)
  UNION ALL
  SELECT r.id::text, format('refund of %s; the books took %s', r.credit, coalesce(t.amount, 0))
  FROM payment_refunds r JOIN payments p ON p.id = r.payment LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'refund'
  WHERE (t.amount, t.debit) IS DISTINCT FROM (r.credit, p.wallet)
  UNION ALL
  SELECT r.id::text, format('refused refund of %s; the books gave back %s', r.credit, coalesce(t.amount, 0))
  FROM payment_refunds r JOIN payments p ON p.id = r.payment LEFT JOIN transfers t ON t.id = r.undo_id AND t.kind = 'refund'
  WHERE r.state = 'refused' AND (t.amount, t.credit) IS DISTINCT FROM (r.credit, p.wallet)
  UNION ALL
  SELECT r.id::text, format('refund of a bonus of %s; the books took %s and gave back %s', r.bonus, coalesce(t.amount, 0), coalesce(u.amount, 0))
  FROM payment_refunds r JOIN payments p ON p.id = r.payment LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'bonus' AND t.debit = p.wallet
    LEFT JOIN transfers u ON u.id = r.undo_id AND u.kind = 'bonus' AND u.credit = p.wallet
  WHERE coalesce(t.amount, 0) <> r.bonus OR coalesce(u.amount, 0) <> CASE r.state WHEN 'refused' THEN r.bonus ELSE 0 END
  UNION ALL
  SELECT t.id::text, format('bonus of %s taken back without an order', t.amount)
  FROM transfers t JOIN ledger_accounts a ON a.id = t.credit AND a.name = 'promotion'
  WHERE t.kind = 'bonus' AND NOT EXISTS (SELECT 1 FROM payment_refunds r WHERE r.id = t.id)
  UNION ALL
  SELECT t.id::text, format('refund of %s without an order', t.amount)
  FROM transfers t JOIN ledger_accounts a ON a.id IN (t.credit, t.debit) AND a.name LIKE 'clearing:%'
  WHERE t.kind = 'refund' AND NOT EXISTS (SELECT 1 FROM payment_refunds r WHERE t.id IN (r.id, r.undo_id))
  UNION ALL
  SELECT p.id::text, format('%s paisa went back; its refunds say %s', p.refunded, coalesce(sum(r.amount), 0))
  FROM payments p LEFT JOIN payment_refunds r ON r.payment = p.id AND r.state <> 'refused'
  GROUP BY p.id HAVING p.refunded <> coalesce(sum(r.amount), 0)
  UNION ALL
  -- Each refund may take a nano-USD less than its share, where one before it was refused.
  SELECT p.id::text, format('%s of %s paisa went back, and %s of %s credit', p.refunded, p.amount, sum(r.credit), p.credit)
  FROM payments p JOIN payment_refunds r ON r.payment = p.id AND r.state <> 'refused'
  GROUP BY p.id HAVING (sum(r.credit) + count(*)) * p.amount < p.credit::numeric * p.refunded
$$;

REVOKE EXECUTE ON FUNCTION ledger_debit FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON payment_events TO akai_app;
    -- When it was is not for the program to say.
    GRANT INSERT (payment, kind, actor, sentence, detail) ON payment_events TO akai_app;
    GRANT SELECT, INSERT ON payments, payment_rules, payment_refunds, payment_claims, exchange_rates, unmatched_receipts TO akai_app;
    GRANT SELECT, INSERT, DELETE ON payment_webhooks TO akai_app;
    GRANT UPDATE (state, reason, provider_id, nonce, redirect_url, expires_at, capture_asked_at, trx_id, payer_shown, payer_hash, paid_at,
      verified_at, transfer_id, held_until, credited_at, refunded, late, rejected_at, settling_until, ask_at, asked) ON payments TO akai_app;
    GRANT UPDATE (state, provider_refund_id, undo_id, note, ask_at) ON payment_refunds TO akai_app;
    GRANT UPDATE (resolved_at, resolution, who) ON unmatched_receipts TO akai_app;
    GRANT EXECUTE ON FUNCTION ledger_debit TO akai_app;
  END IF;
END $$;
