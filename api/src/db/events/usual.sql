-- Positions are drawn in the order of the events, rows are written in the order of the ids: so two groups with the same ids never
-- wait for each other crosswise. An id that is stored already, or that another transaction stores meanwhile, makes the whole
-- statement fail.
event AS (
  INSERT INTO reflector.meeting_event (id, position, meeting_id, name, occurred_at, data)
  OVERRIDING SYSTEM VALUE
  SELECT e.id, e.position, e.meeting_id, e.name, e.occurred_at, e.data::jsonb
  FROM (
    SELECT
      e.id, nextval('reflector.meeting_event_position_seq') AS position, room.meeting_ids[e.room] AS meeting_id, e.name,
      e.occurred_at, e.data
    FROM room, unnest($2::text[], $3::int[], $4::text[], $5::timestamptz[], $6::text[])
      WITH ORDINALITY AS e (id, room, name, occurred_at, data, place)
    WHERE room.meeting_ids[e.room] IS NOT NULL
    ORDER BY e.place
  ) AS e
  ORDER BY e.id COLLATE "C"
),
occupant AS (
  INSERT INTO reflector.participant AS p (
    meeting_id, occupant_id, breakout_room_id, first_join_at,
    last_join_at, last_join_seq, last_join_boot,
    last_left_at, last_left_seq, left_reason,
    user_id, display_name, email, role, affiliation, kind
  )
  SELECT
    room.meeting_ids[o.room], o.occupant_id, o.breakout_room_id, o.first_join_at,
    o.last_join_at, o.last_join_seq, o.last_join_boot,
    o.last_left_at, o.last_left_seq, o.left_reason,
    o.user_id, o.display_name, o.email, o.role, o.affiliation, o.kind
  FROM room, unnest(
    $7::int[], $8::text[], $9::text[], $10::timestamptz[],
    $11::timestamptz[], $12::bigint[], $13::text[],
    $14::timestamptz[], $15::bigint[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[]
  ) AS o (
    room, occupant_id, breakout_room_id, first_join_at,
    last_join_at, last_join_seq, last_join_boot,
    last_left_at, last_left_seq, left_reason,
    user_id, display_name, email, role, affiliation, kind
  )
  WHERE room.meeting_ids[o.room] IS NOT NULL
  ON CONFLICT (meeting_id, occupant_id, breakout_room_id) DO UPDATE SET
    first_join_at = LEAST(p.first_join_at, EXCLUDED.first_join_at),
    last_join_at = CASE WHEN reflector.is_later(
      EXCLUDED.last_join_at, EXCLUDED.last_join_seq, EXCLUDED.last_join_boot,
      p.last_join_at, p.last_join_seq, p.last_join_boot
    ) THEN EXCLUDED.last_join_at ELSE p.last_join_at END,
    last_join_seq = CASE WHEN reflector.is_later(
      EXCLUDED.last_join_at, EXCLUDED.last_join_seq, EXCLUDED.last_join_boot,
      p.last_join_at, p.last_join_seq, p.last_join_boot
    ) THEN EXCLUDED.last_join_seq ELSE p.last_join_seq END,
    last_join_boot = CASE WHEN reflector.is_later(
      EXCLUDED.last_join_at, EXCLUDED.last_join_seq, EXCLUDED.last_join_boot,
      p.last_join_at, p.last_join_seq, p.last_join_boot
    ) THEN EXCLUDED.last_join_boot ELSE p.last_join_boot END,
    last_left_at = CASE WHEN reflector.is_later(
      EXCLUDED.last_left_at, EXCLUDED.last_left_seq, EXCLUDED.left_reason,
      p.last_left_at, p.last_left_seq, p.left_reason
    ) THEN EXCLUDED.last_left_at ELSE p.last_left_at END,
    last_left_seq = CASE WHEN reflector.is_later(
      EXCLUDED.last_left_at, EXCLUDED.last_left_seq, EXCLUDED.left_reason,
      p.last_left_at, p.last_left_seq, p.left_reason
    ) THEN EXCLUDED.last_left_seq ELSE p.last_left_seq END,
    left_reason = CASE WHEN reflector.is_later(
      EXCLUDED.last_left_at, EXCLUDED.last_left_seq, EXCLUDED.left_reason,
      p.last_left_at, p.last_left_seq, p.left_reason
    ) THEN EXCLUDED.left_reason ELSE p.left_reason END,
    user_id = GREATEST(p.user_id, EXCLUDED.user_id),
    display_name = GREATEST(p.display_name, EXCLUDED.display_name),
    email = GREATEST(p.email, EXCLUDED.email),
    role = GREATEST(p.role, EXCLUDED.role),
    affiliation = GREATEST(p.affiliation, EXCLUDED.affiliation),
    kind = GREATEST(p.kind, EXCLUDED.kind)
)
