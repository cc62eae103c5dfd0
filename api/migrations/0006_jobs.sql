-- Periodic work, one row per job: whoever holds the lease runs it. `next_at` moves on when a run begins, so that what is asked for
-- during a run is not lost.
CREATE TABLE reflector.job (
  name            text PRIMARY KEY,
  next_at         timestamptz NOT NULL,
  holder          text,
  leased_until    timestamptz,
  last_started_at timestamptz,
  last_ended_at   timestamptz,
  last_succeeded  boolean,
  last_outcome    text,
  CHECK ((holder IS NULL) = (leased_until IS NULL))
);
