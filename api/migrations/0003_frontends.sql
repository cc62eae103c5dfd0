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
  ADD COLUMN ended_reason text CHECK (ended_reason IN ('owner')),
  ADD CONSTRAINT meeting_addresses CHECK (platform <> 'whereby' OR room_url IS NOT NULL),
  ADD CONSTRAINT meeting_ended CHECK ((ended_at IS NULL) = (ended_reason IS NULL) AND (ended_at IS NULL OR NOT is_active));

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
