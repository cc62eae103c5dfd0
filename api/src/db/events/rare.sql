,
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
    $23::int[], $24::text[], $25::timestamptz[],
    $26::timestamptz[], $27::bigint[], $28::text[],
    $29::timestamptz[], $30::bigint[], $31::text[],
    $32::text[], $33::text[]
  ) AS s (
    room, session_id, first_on_at,
    last_on_at, last_on_seq, last_on_boot,
    last_off_at, last_off_seq, failure_reason,
    mode, initiator
  )
  WHERE room.meeting_ids[s.room] IS NOT NULL
  ON CONFLICT (meeting_id, session_id) DO UPDATE SET
    first_on_at = LEAST(r.first_on_at, EXCLUDED.first_on_at),
    last_on_at = CASE WHEN reflector.is_later(
      EXCLUDED.last_on_at, EXCLUDED.last_on_seq, EXCLUDED.last_on_boot,
      r.last_on_at, r.last_on_seq, r.last_on_boot
    ) THEN EXCLUDED.last_on_at ELSE r.last_on_at END,
    last_on_seq = CASE WHEN reflector.is_later(
      EXCLUDED.last_on_at, EXCLUDED.last_on_seq, EXCLUDED.last_on_boot,
      r.last_on_at, r.last_on_seq, r.last_on_boot
    ) THEN EXCLUDED.last_on_seq ELSE r.last_on_seq END,
    last_on_boot = CASE WHEN reflector.is_later(
      EXCLUDED.last_on_at, EXCLUDED.last_on_seq, EXCLUDED.last_on_boot,
      r.last_on_at, r.last_on_seq, r.last_on_boot
    ) THEN EXCLUDED.last_on_boot ELSE r.last_on_boot END,
    last_off_at = CASE WHEN reflector.is_later(
      EXCLUDED.last_off_at, EXCLUDED.last_off_seq, EXCLUDED.failure_reason,
      r.last_off_at, r.last_off_seq, r.failure_reason
    ) THEN EXCLUDED.last_off_at ELSE r.last_off_at END,
    last_off_seq = CASE WHEN reflector.is_later(
      EXCLUDED.last_off_at, EXCLUDED.last_off_seq, EXCLUDED.failure_reason,
      r.last_off_at, r.last_off_seq, r.failure_reason
    ) THEN EXCLUDED.last_off_seq ELSE r.last_off_seq END,
    failure_reason = CASE WHEN reflector.is_later(
      EXCLUDED.last_off_at, EXCLUDED.last_off_seq, EXCLUDED.failure_reason,
      r.last_off_at, r.last_off_seq, r.failure_reason
    ) THEN EXCLUDED.failure_reason ELSE r.failure_reason END,
    mode = GREATEST(r.mode COLLATE "C", EXCLUDED.mode),
    initiator = GREATEST(r.initiator COLLATE "C", EXCLUDED.initiator)
),
file AS (
  INSERT INTO reflector.recording (
    id, meeting_id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key
  )
  SELECT
    f.id, room.meeting_ids[f.room], f.file, f.status, f.completed_at, f.session_id, f.host, f.size_bytes, f.duration_ms,
    f.sha256, f.bucket, f.object_key
  FROM room, unnest(
    $34::int[], $35::text[], $36::text[], $37::text[], $38::timestamptz[], $39::text[], $40::text[], $41::bigint[],
    $42::bigint[], $43::text[], $44::text[], $45::text[]
  ) AS f (
    room, id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key
  )
  WHERE room.meeting_ids[f.room] IS NOT NULL
),
boot AS (
  INSERT INTO reflector.source_boot (boot_id, event_id, source, started_at, data)
  SELECT b.boot_id, b.event_id, b.source, b.started_at, b.data::jsonb
  FROM room, unnest($46::text[], $47::text[], $48::text[], $49::timestamptz[], $50::text[])
    AS b (boot_id, event_id, source, started_at, data)
  ON CONFLICT DO NOTHING
  RETURNING event_id
),
room_end AS (
  INSERT INTO reflector.room_end AS r (meeting_id, breakout_room_id, ended_at, ended_seq)
  SELECT room.meeting_ids[d.room], d.breakout_room_id, d.ended_at, d.ended_seq
  FROM room, unnest($51::int[], $52::text[], $53::timestamptz[], $54::bigint[])
    AS d (room, breakout_room_id, ended_at, ended_seq)
  WHERE room.meeting_ids[d.room] IS NOT NULL
  ON CONFLICT (meeting_id, breakout_room_id) DO UPDATE SET ended_at = EXCLUDED.ended_at, ended_seq = EXCLUDED.ended_seq
  WHERE reflector.is_later(EXCLUDED.ended_at, EXCLUDED.ended_seq, NULL, r.ended_at, r.ended_seq, NULL)
)
