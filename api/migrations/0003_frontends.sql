-- What the frontends say of rooms besides: calendars are kept as they were set, and synchronised by nobody yet.
ALTER TABLE reflector.room
  ADD COLUMN skip_consent boolean NOT NULL DEFAULT false,
  ADD COLUMN ics_url text,
  ADD COLUMN ics_fetch_interval integer NOT NULL DEFAULT 300 CHECK (ics_fetch_interval > 0),
  ADD COLUMN ics_enabled boolean NOT NULL DEFAULT false;

-- The addresses are Whereby's, which makes them once. Those of a Jitsi meeting carry tokens and are made when asked for.
ALTER TABLE reflector.meeting
  ADD COLUMN room_url text,
  ADD COLUMN host_room_url text,
  ADD COLUMN ended_at timestamptz,
  ADD COLUMN ended_reason text CHECK (ended_reason IN ('owner', 'empty', 'expired', 'room_destroyed')),
  ADD CONSTRAINT meeting_addresses CHECK (platform <> 'whereby' OR room_url IS NOT NULL),
  ADD CONSTRAINT meeting_ended CHECK ((ended_at IS NULL) = (ended_reason IS NULL) AND (ended_at IS NULL OR NOT is_active));
CREATE INDEX meeting_active ON reflector.meeting (end_date) WHERE is_active;

-- Who agreed to be recorded, and who did not. Of somebody who is known the last word counts; each anonymous answer stands for
-- itself.
CREATE TABLE reflector.meeting_consent (
  id                text PRIMARY KEY,
  meeting_id        text NOT NULL REFERENCES reflector.meeting ON DELETE CASCADE,
  user_id           text,
  consent_given     boolean NOT NULL,
  consent_timestamp timestamptz NOT NULL,
  CONSTRAINT meeting_consent_user UNIQUE (meeting_id, user_id)
);
CREATE INDEX meeting_consent_denied ON reflector.meeting_consent (meeting_id) WHERE NOT consent_given;

-- Keys for people's programs. Only a hash of the key is kept: 48 random bytes cannot be guessed from it.
CREATE TABLE reflector.api_key (
  id         text PRIMARY KEY,
  user_id    text NOT NULL,
  name       text,
  sha256     bytea NOT NULL CONSTRAINT api_key_sha256 UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_key_user ON reflector.api_key (user_id, created_at, id);
