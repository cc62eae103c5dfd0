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

-- When somebody was first seen in a meeting, and since when nobody is: by this service's clock, when it looked.
ALTER TABLE reflector.meeting
  ADD COLUMN started_at timestamptz,
  ADD COLUMN empty_since timestamptz,
  ADD COLUMN asked_at timestamptz,             -- when its platform was last asked who is in it, after it stopped telling
  DROP CONSTRAINT meeting_ended_reason_check,
  ADD CONSTRAINT meeting_ended_reason_check CHECK (ended_reason IN ('owner', 'empty', 'expired'));
-- Nothing ended meetings until now. Those of days past are over, and nobody is to be told of them.
UPDATE reflector.meeting SET is_active = false, ended_at = end_date, ended_reason = 'expired'
WHERE is_active AND end_date < now() - interval '1 day';
CREATE INDEX meeting_active ON reflector.meeting (id) WHERE is_active;

-- What webhooks are to tell of. The transaction that makes it true writes it here; whoever turns it into deliveries removes it.
CREATE TABLE reflector.webhook_fact (
  event       text NOT NULL,
  subject_id  text NOT NULL,                   -- the meeting's or the recording's id
  meeting_id  text NOT NULL,
  position    bigint GENERATED ALWAYS AS IDENTITY,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  due_at      timestamptz NOT NULL DEFAULT now(), -- later when it could not be announced
  PRIMARY KEY (event, subject_id)
);
CREATE INDEX webhook_fact_position ON reflector.webhook_fact (position);
CREATE INDEX webhook_fact_meeting ON reflector.webhook_fact (meeting_id, position);

CREATE FUNCTION reflector.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO reflector.webhook_fact (event, subject_id, meeting_id)
  VALUES (TG_ARGV[0], NEW.id, CASE TG_TABLE_NAME WHEN 'meeting' THEN NEW.id ELSE to_jsonb(NEW) ->> 'meeting_id' END)
  -- Whoever is about to announce it has to look again.
  ON CONFLICT (event, subject_id) DO UPDATE SET occurred_at = now();
  RETURN NULL;
END $$;
-- Triggers of one statement fire in the order of their names.
CREATE TRIGGER tell_1_start AFTER UPDATE OF started_at ON reflector.meeting
FOR EACH ROW WHEN (OLD.started_at IS NULL AND NEW.started_at IS NOT NULL)
EXECUTE FUNCTION reflector.tell('meeting.started');
CREATE TRIGGER tell_2_end AFTER UPDATE OF is_active ON reflector.meeting
FOR EACH ROW WHEN (OLD.is_active AND NOT NEW.is_active)
EXECUTE FUNCTION reflector.tell('meeting.ended');
CREATE TRIGGER tell_new_recording AFTER INSERT ON reflector.recording
FOR EACH ROW WHEN (NEW.state = 'stored' AND NEW.meeting_id IS NOT NULL AND NOT NEW.denied)
EXECUTE FUNCTION reflector.tell('recording.ready');
CREATE TRIGGER tell_recording AFTER UPDATE ON reflector.recording
FOR EACH ROW WHEN (
  NEW.state = 'stored' AND NEW.meeting_id IS NOT NULL AND NOT NEW.denied
  AND (OLD.state <> 'stored' OR OLD.meeting_id IS NULL OR OLD.denied)
)
EXECUTE FUNCTION reflector.tell('recording.ready');

-- What goes to one receiver: 'pipeline', or 'room:' and the room's id. One process at a time sends to it, so that one that is dead
-- costs no other anything.
CREATE TABLE reflector.webhook_target (
  target       text PRIMARY KEY,
  next_at      timestamptz,                    -- when the first of what waits is due; null when nothing waits
  rest_until   timestamptz,                    -- nothing is sent before then
  lease        text,
  leased_until timestamptz,
  failures     integer NOT NULL DEFAULT 0,     -- attempts in a row that got no answer
  CHECK ((lease IS NULL) = (leased_until IS NULL))
);
CREATE INDEX webhook_target_next ON reflector.webhook_target (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE reflector.webhook_delivery (
  id          text PRIMARY KEY,                -- the webhook's id, the same in every attempt
  position    bigint GENERATED ALWAYS AS IDENTITY,
  event       text NOT NULL,
  subject_id  text NOT NULL,
  meeting_id  text NOT NULL,
  target      text NOT NULL REFERENCES reflector.webhook_target,
  body        text NOT NULL,                   -- without the link to a recording, which is made for each attempt
  state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'parked')),
  attempts    integer NOT NULL DEFAULT 0,
  earlier     integer NOT NULL DEFAULT 0,      -- of these, those before an operator retried it
  next_at     timestamptz NOT NULL DEFAULT now(),
  since       timestamptz NOT NULL DEFAULT now(), -- when it began to be tried; anew when an operator retries it
  created_at  timestamptz NOT NULL DEFAULT now(),
  settled_at  timestamptz,
  reason      text,                            -- why it was parked
  CONSTRAINT webhook_delivery_once UNIQUE (event, subject_id, target),
  CHECK ((state = 'waiting') = (settled_at IS NULL)),
  CHECK ((state = 'parked') = (reason IS NOT NULL))
);
CREATE INDEX webhook_delivery_waiting ON reflector.webhook_delivery (target, next_at, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_settled ON reflector.webhook_delivery (state, settled_at) WHERE state <> 'waiting';
CREATE INDEX webhook_delivery_meeting ON reflector.webhook_delivery (meeting_id, position);

-- What came of each attempt. One that ended with its process has no row.
CREATE TABLE reflector.webhook_attempt (
  delivery_id text NOT NULL REFERENCES reflector.webhook_delivery ON DELETE CASCADE,
  number      integer NOT NULL,                -- from 1
  ended_at    timestamptz NOT NULL DEFAULT now(),
  duration_ms integer NOT NULL,
  status      integer,                         -- of the answer, if there was one
  error       text,                            -- why it was no success
  preview     text,                            -- the beginning of the answer's body
  PRIMARY KEY (delivery_id, number)
);
