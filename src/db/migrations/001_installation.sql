-- One row: what this database was made for. MODE is fixed by it, so that play money and real money never meet.
CREATE TABLE installation (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  mode text NOT NULL CHECK (mode IN ('sandbox', 'live')),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The role is missing where the database's user may not create roles; then that user owns the table and needs no grant.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'akai_app') THEN
    GRANT SELECT ON installation, migrations TO akai_app;
  END IF;
END $$;
