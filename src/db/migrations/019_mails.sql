-- Mails that are to be sent: written in the transaction of what they tell about, sent by whichever server claims them first.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE mails (
  -- Also the Message-ID, the same at each try: a mail that arrives twice is seen to be one.
  id uuid PRIMARY KEY,
  -- What it is about: a second one with the same key is not written.
  key text NOT NULL UNIQUE,
  recipient text NOT NULL,
  language text NOT NULL CHECK (language IN ('en', 'bn')),
  subject text NOT NULL,
  -- Empty once it was sent by SMTP: links that let somebody in are not kept.
  plain text NOT NULL,
  html text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  tries int NOT NULL DEFAULT 0,
  -- When it is tried next; while it is being sent, when another server may think that the first one has died.
  next_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  -- Given up.
  failed_at timestamptz,
  -- Why the last try failed.
  failure text
);
CREATE INDEX ON mails (next_at) WHERE sent_at IS NULL AND failed_at IS NULL;

CREATE TABLE mail_attachments (
  mail_id uuid NOT NULL REFERENCES mails,
  place int NOT NULL,
  name text NOT NULL,
  type text NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (mail_id, place)
);

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT, INSERT, UPDATE ON mails, mail_attachments TO akai_app;
    GRANT DELETE ON mail_attachments TO akai_app;
  END IF;
END $$;
