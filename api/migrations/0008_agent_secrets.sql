-- Agents with a secret of their own. The secret itself is not here: it is derived from the salt and the service's SECRET_KEY, so
-- that whoever reads the database can sign for nobody.
CREATE TABLE reflector.agent_secret (
  name        text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'), -- what the header X-Reflector-Agent carries
  salt        text NOT NULL,
  enrolled_at timestamptz NOT NULL DEFAULT now(),
  revoked_at  timestamptz
);

-- As whom the agent signed its last heartbeat; with the secret that all hosts share: as nobody.
ALTER TABLE reflector.agent ADD COLUMN enrolled_as text;
