-- events.store
WITH room AS MATERIALIZED (
  SELECT COALESCE(array_agg(newest.id ORDER BY asked.place), '{}') AS meeting_ids
  FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
  LEFT JOIN LATERAL (
    SELECT m.id FROM reflector.meeting m WHERE m.room_name = asked.name ORDER BY m.start_date DESC LIMIT 1
  ) AS newest ON true
),
stored AS (
  INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, data)
  SELECT e.id, room.meeting_ids[e.room], e.name, e.occurred_at, e.data::jsonb
  FROM room, unnest($2::text[], $3::int[], $4::text[], $5::timestamptz[], $6::text[])
    WITH ORDINALITY AS e (id, room, name, occurred_at, data, place)
  WHERE room.meeting_ids[e.room] IS NOT NULL
  ORDER BY e.place
  ON CONFLICT (id) DO NOTHING
  RETURNING id, meeting_id
),
occupant AS (
  INSERT INTO reflector.participant AS p (
    meeting_id, occupant_id, breakout_room_id, first_join_at,
    last_join_at, last_join_seq, last_join_boot,
    last_left_at, last_left_seq, left_reason,
    described_at, described_seq, user_id, display_name, email, role, affiliation, kind
  )
  SELECT
    room.meeting_ids[o.room], o.occupant_id, o.breakout_room_id, o.first_join_at,
    o.last_join_at, o.last_join_seq, o.last_join_boot,
    o.last_left_at, o.last_left_seq, o.left_reason,
    o.described_at, o.described_seq, o.user_id, o.display_name, o.email, o.role, o.affiliation, o.kind
  FROM room, unnest(
    $7::int[], $8::text[], $9::text[], $10::timestamptz[],
    $11::timestamptz[], $12::bigint[], $13::text[],
    $14::timestamptz[], $15::bigint[], $16::text[],
    $17::timestamptz[], $18::bigint[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[]
  ) AS o (
    room, occupant_id, breakout_room_id, first_join_at,
    last_join_at, last_join_seq, last_join_boot,
    last_left_at, last_left_seq, left_reason,
    described_at, described_seq, user_id, display_name, email, role, affiliation, kind
  )
  WHERE room.meeting_ids[o.room] IS NOT NULL
  ON CONFLICT (meeting_id, occupant_id, breakout_room_id) DO UPDATE SET
    first_join_at = LEAST(p.first_join_at, EXCLUDED.first_join_at),
    (last_join_at, last_join_seq, last_join_boot) = (
      SELECT * FROM (VALUES
        (p.last_join_at, p.last_join_seq, p.last_join_boot COLLATE "C"),
        (EXCLUDED.last_join_at, EXCLUDED.last_join_seq, EXCLUDED.last_join_boot)
      ) AS said (at, seq, text)
      ORDER BY at DESC NULLS LAST, seq DESC NULLS LAST, text DESC NULLS LAST LIMIT 1
    ),
    (last_left_at, last_left_seq, left_reason) = (
      SELECT * FROM (VALUES
        (p.last_left_at, p.last_left_seq, p.left_reason COLLATE "C"),
        (EXCLUDED.last_left_at, EXCLUDED.last_left_seq, EXCLUDED.left_reason)
      ) AS said (at, seq, text)
      ORDER BY at DESC NULLS LAST, seq DESC NULLS LAST, text DESC NULLS LAST LIMIT 1
    ),
    (described_at, described_seq, user_id, display_name, email, role, affiliation, kind) = (
      SELECT * FROM (VALUES
        (p.described_at, p.described_seq, p.user_id COLLATE "C", p.display_name COLLATE "C", p.email COLLATE "C",
          p.role COLLATE "C", p.affiliation COLLATE "C", p.kind COLLATE "C"),
        (EXCLUDED.described_at, EXCLUDED.described_seq, EXCLUDED.user_id, EXCLUDED.display_name, EXCLUDED.email,
          EXCLUDED.role, EXCLUDED.affiliation, EXCLUDED.kind)
      ) AS said (at, seq, user_id, display_name, email, role, affiliation, kind)
      ORDER BY at DESC NULLS LAST, seq DESC NULLS LAST, user_id DESC NULLS LAST, display_name DESC NULLS LAST,
        email DESC NULLS LAST, role DESC NULLS LAST, affiliation DESC NULLS LAST, kind DESC NULLS LAST
      LIMIT 1
    )
),
session AS (
  INSERT INTO reflector.recording_session AS r (
    meeting_id, session_id, first_on_at,
    last_on_at, last_on_seq, last_on_boot,
    last_off_at, last_off_seq, failure_reason,
    mode, initiator
  )
  SELECT
    room.meeting_ids[s.room], s.session_id, s.first_on_at,
    s.last_on_at, s.last_on_seq, s.last_on_boot,
    s.last_off_at, s.last_off_seq, s.failure_reason,
    s.mode, s.initiator
  FROM room, unnest(
    $25::int[], $26::text[], $27::timestamptz[],
    $28::timestamptz[], $29::bigint[], $30::text[],
    $31::timestamptz[], $32::bigint[], $33::text[],
    $34::text[], $35::text[]
  ) AS s (
    room, session_id, first_on_at,
    last_on_at, last_on_seq, last_on_boot,
    last_off_at, last_off_seq, failure_reason,
    mode, initiator
  )
  WHERE room.meeting_ids[s.room] IS NOT NULL
  ON CONFLICT (meeting_id, session_id) DO UPDATE SET
    first_on_at = LEAST(r.first_on_at, EXCLUDED.first_on_at),
    (last_on_at, last_on_seq, last_on_boot) = (
      SELECT * FROM (VALUES
        (r.last_on_at, r.last_on_seq, r.last_on_boot COLLATE "C"),
        (EXCLUDED.last_on_at, EXCLUDED.last_on_seq, EXCLUDED.last_on_boot)
      ) AS said (at, seq, text)
      ORDER BY at DESC NULLS LAST, seq DESC NULLS LAST, text DESC NULLS LAST LIMIT 1
    ),
    (last_off_at, last_off_seq, failure_reason) = (
      SELECT * FROM (VALUES
        (r.last_off_at, r.last_off_seq, r.failure_reason COLLATE "C"),
        (EXCLUDED.last_off_at, EXCLUDED.last_off_seq, EXCLUDED.failure_reason)
      ) AS said (at, seq, text)
      ORDER BY at DESC NULLS LAST, seq DESC NULLS LAST, text DESC NULLS LAST LIMIT 1
    ),
    mode = GREATEST(r.mode COLLATE "C", EXCLUDED.mode),
    initiator = GREATEST(r.initiator COLLATE "C", EXCLUDED.initiator)
),
file AS (
  INSERT INTO reflector.recording (
    id, meeting_id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key
  )
  SELECT
    f.id, stored.meeting_id, f.file, f.status, f.completed_at, f.session_id, f.host, f.size_bytes, f.duration_ms,
    f.sha256, f.bucket, f.object_key
  FROM unnest(
    $36::text[], $37::text[], $38::text[], $39::timestamptz[], $40::text[], $41::text[], $42::bigint[], $43::bigint[],
    $44::text[], $45::text[], $46::text[]
  ) AS f (
    id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key
  )
  JOIN stored ON stored.id = f.id
  ON CONFLICT (id) DO NOTHING
),
boot AS (
  INSERT INTO reflector.source_boot (boot_id, event_id, source, started_at, data)
  SELECT b.boot_id, b.event_id, b.source, b.started_at, b.data::jsonb
  FROM unnest($47::text[], $48::text[], $49::text[], $50::timestamptz[], $51::text[])
    AS b (boot_id, event_id, source, started_at, data)
  ON CONFLICT DO NOTHING
  RETURNING event_id
)
SELECT
  (SELECT ARRAY(SELECT unnest(meeting_ids) IS NOT NULL) FROM room),
  ARRAY(SELECT id FROM stored),
  ARRAY(SELECT event_id FROM boot)
