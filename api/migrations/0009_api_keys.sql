-- API keys: what a user's programs send instead of a bearer token. Of the key itself only the digest is kept, which finds it and
-- from which nobody can make it again. Name and e-mail address are what the issuer knew of the user when the key was made.
CREATE TABLE reflector.api_key (
  id         text PRIMARY KEY,
  user_id    text NOT NULL,
  user_name  text,
  user_email text,
  name       text,
  digest     bytea NOT NULL CONSTRAINT api_key_digest UNIQUE CHECK (length(digest) = 32),
  created_at timestamptz NOT NULL
);
CREATE INDEX api_key_user ON reflector.api_key (user_id, created_at DESC, id);
