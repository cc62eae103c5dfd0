-- A meeting of Whereby's has Whereby's own id, and as its name that of Whereby's room without the slash that it begins with there.

-- How many people are in such a meeting is what the latest of these events says.
CREATE INDEX meeting_event_whereby_count ON reflector.meeting_event (meeting_id, occurred_at, id)
WHERE name IN ('room.client.joined', 'room.client.left');

-- A room that is about to be made at Whereby, where nothing takes part in a transaction. The row is there before Whereby is asked
-- and goes with the commit of the meeting; what outlives its lease tells of a room that may have been made for nobody. It refers to
-- its room without a foreign key: what was made has to be found and removed, whatever became of the room.
CREATE TABLE reflector.whereby_intent (
  id           text PRIMARY KEY,
  room_id      text NOT NULL,
  is_exclusive boolean NOT NULL,               -- visitors wait for this meeting
  prefix       text NOT NULL,                  -- what the name at Whereby begins with
  end_date     timestamptz NOT NULL,           -- as Whereby is told: with the prefix it tells our room from all others
  begun_at     timestamptz NOT NULL DEFAULT now(),
  leased_until timestamptz NOT NULL,           -- nobody else begins a meeting for these visitors until then
  abandoned_at timestamptz,                    -- nobody will use what it made from then on
  meeting_id   text                            -- what Whereby called it, where that is known
);
CREATE UNIQUE INDEX whereby_intent_open ON reflector.whereby_intent (room_id) WHERE is_exclusive AND abandoned_at IS NULL;
CREATE INDEX whereby_intent_lease ON reflector.whereby_intent (leased_until) WHERE abandoned_at IS NULL;
CREATE INDEX whereby_intent_alike ON reflector.whereby_intent (prefix, end_date) WHERE abandoned_at IS NULL;
CREATE INDEX whereby_intent_abandoned ON reflector.whereby_intent (abandoned_at) WHERE abandoned_at IS NOT NULL;

-- Webhooks of rooms that no meeting has. Whereby repeats nothing that it was answered, and the meeting may be a moment behind.
CREATE TABLE reflector.whereby_stray (
  id          text PRIMARY KEY,
  room_name   text,                            -- null where the webhook names no room
  event       text NOT NULL,                   -- the whole event, as it is stored once its meeting is there
  received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX whereby_stray_received ON reflector.whereby_stray (received_at);

-- Whereby counts requests in points per minute, of all replicas together.
CREATE TABLE reflector.whereby_budget (
  is_only      boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  points       double precision NOT NULL,      -- what was left then
  counted_at   timestamptz NOT NULL,
  closed_until timestamptz NOT NULL            -- Whereby wants to be left alone until then
);
INSERT INTO reflector.whereby_budget (points, counted_at, closed_until) VALUES (0, 'epoch', 'epoch');
