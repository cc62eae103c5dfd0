-- Tables live in the schema `reflector`. The schema `public` holds only what people query by hand: the view `meeting`
-- (the Jitsi guide's `SELECT events FROM meeting WHERE id = …`) and the two functions that the guide's second query calls.
CREATE SCHEMA reflector;

-- For a user named `reflector`, which is the guides' name, the schema of that name would hide the view.
DO $$ BEGIN
  EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = public', current_user, current_database());
END $$;

CREATE TABLE reflector.room (
  id                text PRIMARY KEY,
  name              text NOT NULL CONSTRAINT room_name_key UNIQUE,
  user_id           text NOT NULL,
  created_at        timestamptz NOT NULL,
  platform          text NOT NULL CHECK (platform IN ('jitsi', 'whereby')),
  room_mode         text NOT NULL CHECK (room_mode IN ('normal', 'group')),
  recording_type    text NOT NULL CHECK (recording_type IN ('none', 'local', 'cloud')),
  recording_trigger text NOT NULL CHECK (recording_trigger IN ('none', 'prompt', 'automatic', 'automatic-2nd-participant')),
  is_locked         boolean NOT NULL,
  is_shared         boolean NOT NULL,
  zulip_auto_post   boolean NOT NULL,
  zulip_stream      text NOT NULL,
  zulip_topic       text NOT NULL,
  webhook_url       text,
  webhook_secret    text
);
CREATE INDEX room_user_created ON reflector.room (user_id, created_at DESC, id);
CREATE INDEX room_shared_created ON reflector.room (created_at DESC, id) WHERE is_shared;

-- A meeting copies the room's settings as they were when it began. Join addresses carry tokens and are made when asked for.
CREATE TABLE reflector.meeting (
  id                text PRIMARY KEY,
  room_id           text REFERENCES reflector.room ON DELETE CASCADE,
  room_name         text NOT NULL CHECK (room_name = lower(room_name)),
  platform          text NOT NULL,
  start_date        timestamptz NOT NULL,
  end_date          timestamptz NOT NULL,
  is_active         boolean NOT NULL DEFAULT true,
  is_locked         boolean NOT NULL,
  room_mode         text NOT NULL,
  recording_type    text NOT NULL,
  recording_trigger text NOT NULL
);
-- Events find their meeting by room name; the newest one wins where a name was used again.
CREATE INDEX meeting_room_name ON reflector.meeting (room_name, start_date DESC);
CREATE INDEX meeting_room ON reflector.meeting (room_id, end_date DESC);

-- What arrived, append-only. `position` is the order of storing. An id is stored once, whoever repeats it.
CREATE TABLE reflector.meeting_event (
  id          text PRIMARY KEY,
  position    bigint GENERATED ALWAYS AS IDENTITY,
  meeting_id  text NOT NULL,
  name        text NOT NULL,
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  data        jsonb NOT NULL
);
CREATE INDEX meeting_event_meeting ON reflector.meeting_event (meeting_id, position);

-- One row per boot of a writer of events (a load of the Prosody module). Everything that an earlier boot of the same source left
-- open ended when the next one started; that is derived when read, so it holds for events that arrive late, too. Which boot is the
-- later one is told by the order of storing: a clock may step back across a restart.
CREATE TABLE reflector.source_boot (
  boot_id     text PRIMARY KEY,
  position    bigint GENERATED ALWAYS AS IDENTITY,
  event_id    text NOT NULL UNIQUE,
  source      text NOT NULL,
  started_at  timestamptz NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  data        jsonb NOT NULL
);
CREATE INDEX source_boot_source ON reflector.source_boot (source, position);

-- Whether the first of two dated statements is the later one: by the source's clock, then by its sequence number, then by the
-- texts, so that there is an answer for any two. NULL comes before everything. Postgres puts the bodies in place of the calls.
CREATE FUNCTION reflector.is_later(
  at timestamptz, seq bigint, said text,
  other_at timestamptz, other_seq bigint, other_said text
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (COALESCE(at, '-infinity'), COALESCE(seq, -1), COALESCE(said, '') COLLATE "C")
     > (COALESCE(other_at, '-infinity'), COALESCE(other_seq, -1), COALESCE(other_said, '') COLLATE "C");

-- Presence, folded: each column is a maximum or minimum over the events that speak of the occupant, so the result is the same
-- in whatever order and however often they arrive. `*_at` with `*_seq` is a place in the source's order. What describes an occupant
-- is a text with the moment before it, 48 characters that sort like moments: each is the latest that was said, and what an event
-- does not mention stays.
CREATE TABLE reflector.participant (
  meeting_id    text NOT NULL,
  occupant_id   text NOT NULL,
  breakout_room_id text NOT NULL,            -- '' in the main room; a breakout room's events have an order of their own
  first_join_at timestamptz,                 -- earliest join
  last_join_at  timestamptz,                 -- latest join, and the boot that saw it
  last_join_seq bigint,
  last_join_boot text,
  last_left_at  timestamptz,                 -- latest leave, and its reason
  last_left_seq bigint,
  left_reason   text,
  user_id       text COLLATE "C",
  display_name  text COLLATE "C",
  email         text COLLATE "C",
  role          text COLLATE "C",
  affiliation   text COLLATE "C",
  kind          text COLLATE "C",
  PRIMARY KEY (meeting_id, occupant_id, breakout_room_id)
);

-- Recording sessions, folded in the same way from jibri-recording-on and -off.
CREATE TABLE reflector.recording_session (
  meeting_id     text NOT NULL REFERENCES reflector.meeting ON DELETE CASCADE,
  session_id     text NOT NULL,
  first_on_at    timestamptz,
  last_on_at     timestamptz,
  last_on_seq    bigint,
  last_on_boot   text,
  last_off_at    timestamptz,
  last_off_seq   bigint,
  failure_reason text,                       -- of the latest off
  mode           text,
  initiator      text,
  PRIMARY KEY (meeting_id, session_id)
);

-- The latest end of each room of a meeting ('' is the main one). Who has not left by then left with it, and what is recorded by then
-- ended with it; whoever joins later is there again.
CREATE TABLE reflector.room_end (
  meeting_id       text NOT NULL REFERENCES reflector.meeting ON DELETE CASCADE,
  breakout_room_id text NOT NULL,
  ended_at         timestamptz NOT NULL,
  ended_seq        bigint,
  PRIMARY KEY (meeting_id, breakout_room_id)
);

-- Events and participants are only ever stored by a statement that has just looked their meeting up. A foreign key would look it
-- up again for each row, which costs more than the row; this is the half of it that is needed.
CREATE FUNCTION reflector.forget_meeting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM reflector.meeting_event WHERE meeting_id = OLD.id;
  DELETE FROM reflector.participant WHERE meeting_id = OLD.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_meeting AFTER DELETE ON reflector.meeting
FOR EACH ROW EXECUTE FUNCTION reflector.forget_meeting();

-- Finished recording files: one per notice.
CREATE TABLE reflector.recording (
  id           text PRIMARY KEY,             -- the notice's event id
  meeting_id   text NOT NULL REFERENCES reflector.meeting ON DELETE CASCADE,
  session_id   text,
  host         text,
  file         text NOT NULL,
  status       text NOT NULL,
  completed_at timestamptz NOT NULL,
  size_bytes   bigint,
  duration_ms  bigint,
  sha256       text,
  bucket       text,
  object_key   text
);
CREATE INDEX recording_meeting ON reflector.recording (meeting_id, completed_at);

-- The guide's reading face.
CREATE VIEW public.meeting AS
SELECT
  m.*,
  COALESCE((
    SELECT json_agg(
      json_build_object(
        'type', e.name,
        'timestamp', to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', jsonb_build_object('timestamp', to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) || e.data
      ) ORDER BY e.position)
    FROM reflector.meeting_event e
    WHERE e.meeting_id = m.id
  ), '[]'::json) AS events
FROM reflector.meeting m;

-- The guide counts joins with json_array_length(json_extract(events, '$[*] ? (…)')). Postgres has the first function only.
CREATE FUNCTION public.json_extract(document json, path jsonpath) RETURNS json
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN jsonb_path_query_array(document::jsonb, path)::json;
