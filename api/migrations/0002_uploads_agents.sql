-- Uploads of recording files: one row per attempt to get one file into the object storage. Which parts are there, only the storage
-- knows. An upload refers to its meeting without a foreign key: the object outlives the meeting, and has to be found to be removed.
CREATE TABLE reflector.upload (
  id              text PRIMARY KEY,
  recording_id    text NOT NULL,               -- the id that the recording's notice will carry
  meeting_id      text NOT NULL,
  session_id      text NOT NULL,
  host            text NOT NULL,
  file_name       text NOT NULL,
  finished_at     timestamptz,
  size_bytes      bigint NOT NULL CHECK (size_bytes >= 0),
  sha256          text NOT NULL,               -- of the file, as its host says
  bucket          text NOT NULL,
  object_key      text NOT NULL,
  storage_id      text NOT NULL,               -- what the storage calls the multipart upload
  part_size_bytes bigint NOT NULL,
  part_count      integer NOT NULL,
  state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'verifying', 'verified', 'ended')),
  end_reason      text CHECK (end_reason IN ('mismatch', 'replaced', 'aborted', 'abandoned', 'lost')),
  lease           text,                        -- who verifies, and until when nobody else does
  leased_until    timestamptz,
  trouble         text,                        -- why the last verification came to no end
  has_debris      boolean NOT NULL DEFAULT false, -- something is left in the storage that has to be removed
  created_at      timestamptz NOT NULL DEFAULT now(),
  touched_at      timestamptz NOT NULL DEFAULT now(),
  verified_at     timestamptz,                 -- the storage held the file then; never taken back
  CONSTRAINT upload_object UNIQUE (bucket, object_key),
  CHECK ((state = 'ended') = (end_reason IS NOT NULL)),
  CHECK (state <> 'verified' OR verified_at IS NOT NULL)
);
-- A recording has one upload at a time, however many replicas are asked for one.
CREATE UNIQUE INDEX upload_recording ON reflector.upload (recording_id) WHERE state <> 'ended';
CREATE INDEX upload_vouching ON reflector.upload (recording_id) WHERE verified_at IS NOT NULL;
CREATE INDEX upload_waiting ON reflector.upload (touched_at) WHERE state IN ('open', 'verifying');
CREATE INDEX upload_debris ON reflector.upload (touched_at) WHERE has_debris;

-- Agents, as they last described themselves.
CREATE TABLE reflector.agent (
  host_id      text PRIMARY KEY,               -- made by the agent's outbox
  host         text NOT NULL,
  version      text NOT NULL,
  roles        text[] NOT NULL,
  started_at   timestamptz NOT NULL,
  sent_at      timestamptz NOT NULL,           -- by the agent's clock
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  heartbeat    jsonb NOT NULL                  -- the whole body
);
