-- What senders brought, and what became of it: one row for like requests that came together. `position` is the order of
-- writing, which pages and retention follow.
CREATE TABLE reflector.receipt (
  position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_at timestamptz NOT NULL,            -- the first of the requests
  requests    integer NOT NULL,
  request_id  text NOT NULL,                   -- the first one's
  route       text NOT NULL,
  status      smallint NOT NULL,
  verdict     text NOT NULL CHECK (verdict IN ('stored', 'duplicate', 'accepted', 'rejected', 'unauthorised', 'limited', 'failed')),
  code        text,                            -- why not, as in the answer
  room        text,
  stored      integer NOT NULL,                -- events
  duplicates  integer NOT NULL,
  rejected    integer NOT NULL,
  agent       text,                            -- who the sender said it was
  address     text,                            -- where the sender's connection came from
  user_agent  text,
  duration_ms integer NOT NULL,                -- the longest
  missed      bigint NOT NULL                  -- how many requests before this one got no receipt
);
CREATE INDEX receipt_room ON reflector.receipt (room, position) WHERE room IS NOT NULL;
CREATE INDEX receipt_sender ON reflector.receipt (COALESCE(agent, address), position);
CREATE INDEX receipt_verdict ON reflector.receipt (verdict, position);
CREATE INDEX receipt_trouble ON reflector.receipt (received_at)
  WHERE verdict IN ('rejected', 'unauthorised', 'limited', 'failed');
CREATE INDEX receipt_received ON reflector.receipt (received_at);

-- What operators look for: the newest meetings, and those of a room by the beginning of its name.
CREATE INDEX meeting_started ON reflector.meeting (start_date DESC, id);
CREATE INDEX meeting_on ON reflector.meeting (start_date DESC, id) WHERE is_active;
CREATE INDEX meeting_room_name_begins ON reflector.meeting (room_name text_pattern_ops, start_date DESC);
CREATE INDEX recording_completed ON reflector.recording (completed_at DESC, id);
CREATE INDEX recording_missing ON reflector.recording (missed_at) WHERE state = 'missing';
CREATE INDEX recording_state_completed ON reflector.recording (state, completed_at DESC, id);
CREATE INDEX webhook_delivery_position ON reflector.webhook_delivery (position);
CREATE INDEX webhook_delivery_state_position ON reflector.webhook_delivery (state, position);
