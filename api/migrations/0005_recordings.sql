-- Recordings of both platforms. What is known of one is kept as the moments at which something was learned of it, each of which only
-- ever moves one way: so the state is the same in whatever order, and however often, notices, uploads, notifications of the storage,
-- scans of the bucket and removals speak of it. `domain::recording_state` is the same rule in words.
ALTER TABLE reflector.recording
  ADD COLUMN room_name text,                   -- the meeting's name on its platform, by which it is found when it is not known yet
  ADD COLUMN started_at timestamptz,
  ADD COLUMN announced_at timestamptz,         -- first word of host or platform that there is an object
  ADD COLUMN found_at timestamptz,             -- latest proof that the storage holds the object
  ADD COLUMN stored_at timestamptz,            -- first such proof, by our clock
  ADD COLUMN missed_at timestamptz,            -- latest proof that it does not
  ADD COLUMN deleted_at timestamptz,           -- removed by us, for good
  ADD COLUMN deleted_reason text CHECK (deleted_reason IN ('retention', 'consent')),
  ADD COLUMN forgotten_at timestamptz,         -- its meeting was deleted
  ADD COLUMN denied boolean NOT NULL DEFAULT false, -- somebody in its meeting does not agree to be recorded; final once that is deleted
  ADD CONSTRAINT recording_deleted CHECK ((deleted_at IS NULL) = (deleted_reason IS NULL)),
  ADD CONSTRAINT recording_found CHECK (found_at IS NULL OR bucket IS NOT NULL AND object_key IS NOT NULL AND stored_at IS NOT NULL),
  ALTER COLUMN meeting_id DROP NOT NULL,
  DROP CONSTRAINT recording_meeting_id_fkey,
  ADD CONSTRAINT recording_meeting_id_fkey FOREIGN KEY (meeting_id) REFERENCES reflector.meeting ON DELETE SET NULL;

ALTER TABLE reflector.recording
  ADD COLUMN state text NOT NULL GENERATED ALWAYS AS (
    CASE
      WHEN deleted_at IS NOT NULL THEN 'deleted'
      WHEN found_at IS NOT NULL AND (missed_at IS NULL OR found_at >= missed_at) THEN 'stored'
      WHEN missed_at IS NOT NULL THEN 'missing'
      WHEN announced_at IS NOT NULL THEN 'announced'
      ELSE 'on_host'
    END
  ) STORED;

UPDATE reflector.recording r
SET room_name = (SELECT m.room_name FROM reflector.meeting m WHERE m.id = r.meeting_id),
  announced_at = CASE WHEN r.object_key IS NOT NULL THEN r.completed_at END,
  found_at = u.verified_at,
  stored_at = u.verified_at
FROM reflector.recording same
LEFT JOIN LATERAL (
  SELECT verified_at FROM reflector.upload
  WHERE recording_id = same.id AND meeting_id = same.meeting_id AND verified_at IS NOT NULL
    AND bucket = same.bucket AND object_key = same.object_key AND size_bytes = same.size_bytes AND sha256 = same.sha256
  LIMIT 1
) u ON true
WHERE same.id = r.id;

-- What was verified and never noticed: its host did not come back. From now on a verified upload makes its recording known.
INSERT INTO reflector.recording (
  id, meeting_id, room_name, file, status, completed_at, session_id, host, size_bytes, sha256, bucket, object_key, announced_at,
  found_at, stored_at, forgotten_at
)
SELECT u.recording_id, m.id, m.room_name, u.file_name, 'completed', COALESCE(u.finished_at, u.verified_at), u.session_id, u.host,
  u.size_bytes, u.sha256, u.bucket, u.object_key, u.verified_at, u.verified_at, u.verified_at,
  CASE WHEN m.id IS NULL THEN u.verified_at END
FROM reflector.upload u
LEFT JOIN reflector.meeting m ON m.id = u.meeting_id
WHERE u.state = 'verified'
ON CONFLICT (id) DO NOTHING;

-- Which recording an object is; keys in the storage's order, so that a page of the bucket is a range.
CREATE INDEX recording_object ON reflector.recording (bucket, object_key COLLATE "C") WHERE bucket IS NOT NULL;
CREATE INDEX recording_without_meeting ON reflector.recording (completed_at) WHERE meeting_id IS NULL AND forgotten_at IS NULL;
CREATE INDEX recording_stored ON reflector.recording (completed_at, id) WHERE state = 'stored';
CREATE INDEX recording_announced ON reflector.recording (announced_at) WHERE state = 'announced';
CREATE INDEX recording_denied ON reflector.recording (id) WHERE denied AND state = 'stored';
CREATE INDEX meeting_consent_denied ON reflector.meeting_consent (meeting_id) WHERE NOT consent_given;

-- Whether somebody in the meeting did not agree to be recorded: then its recordings are given to nobody.
CREATE FUNCTION reflector.is_denied(meeting text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM reflector.meeting_consent c WHERE c.meeting_id = meeting AND NOT c.consent_given);

-- What was said is noted on the recordings, whichever comes first: whoever comes second waits at the meeting for the other.
CREATE FUNCTION reflector.heed_consent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM FROM reflector.meeting WHERE id = NEW.meeting_id FOR SHARE;
  NEW.denied := NEW.denied OR reflector.is_denied(NEW.meeting_id);
  RETURN NEW;
END $$;
CREATE TRIGGER heed_consent_new BEFORE INSERT ON reflector.recording
FOR EACH ROW WHEN (NEW.meeting_id IS NOT NULL) EXECUTE FUNCTION reflector.heed_consent();
CREATE TRIGGER heed_consent BEFORE UPDATE OF meeting_id ON reflector.recording
FOR EACH ROW WHEN (NEW.meeting_id IS NOT NULL AND OLD.meeting_id IS DISTINCT FROM NEW.meeting_id)
EXECUTE FUNCTION reflector.heed_consent();

CREATE FUNCTION reflector.note_consent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE is_denied boolean;
BEGIN
  PERFORM FROM reflector.meeting WHERE id = NEW.meeting_id FOR NO KEY UPDATE;
  is_denied := reflector.is_denied(NEW.meeting_id);
  UPDATE reflector.recording SET denied = is_denied WHERE meeting_id = NEW.meeting_id AND denied <> is_denied;
  RETURN NULL;
END $$;
CREATE TRIGGER note_consent AFTER INSERT OR UPDATE OF consent_given ON reflector.meeting_consent
FOR EACH ROW EXECUTE FUNCTION reflector.note_consent();

-- Meetings that were deleted, and whether somebody in them did not agree to be recorded: for what turns up of their recordings later.
CREATE TABLE reflector.deleted_meeting (
  id         text PRIMARY KEY,
  room_name  text NOT NULL,
  denied     boolean NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deleted_meeting_room_name ON reflector.deleted_meeting (room_name);

-- A recording outlives its meeting, as its object does: whoever removes the object later has to know of it, and of what was said.
CREATE FUNCTION reflector.keep_recordings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE is_denied boolean := reflector.is_denied(OLD.id);
BEGIN
  INSERT INTO reflector.deleted_meeting AS d (id, room_name, denied) VALUES (OLD.id, OLD.room_name, is_denied)
  ON CONFLICT (id) DO UPDATE SET room_name = EXCLUDED.room_name, denied = d.denied OR EXCLUDED.denied;
  UPDATE reflector.recording SET meeting_id = NULL, forgotten_at = now(), denied = denied OR is_denied WHERE meeting_id = OLD.id;
  RETURN OLD;
END $$;
CREATE TRIGGER keep_recordings BEFORE DELETE ON reflector.meeting
FOR EACH ROW EXECUTE FUNCTION reflector.keep_recordings();

-- Whether a room that was recorded from `recorded_at` on was one of a meeting that was deleted: NULL when not, else whether somebody
-- there did not agree. A meeting that came to have the name later is another one.
CREATE FUNCTION reflector.deleted_room_is_denied(room text, recorded_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
  SELECT bool_or(d.denied) FROM reflector.deleted_meeting d
  WHERE d.room_name = room
    AND NOT EXISTS (SELECT FROM reflector.meeting m WHERE m.room_name = room AND m.start_date <= recorded_at)
);

-- How far the scan of each bucket is: the key behind which it goes on; '' at the beginning.
CREATE TABLE reflector.bucket_scan (
  bucket      text PRIMARY KEY,
  after_key   text NOT NULL,
  began_at    timestamptz NOT NULL,
  finished_at timestamptz                      -- of the last whole scan
);
