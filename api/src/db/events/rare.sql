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
    $36::int[], $37::text[], $38::text[], $39::text[], $40::timestamptz[], $41::text[], $42::text[], $43::bigint[],
    $44::bigint[], $45::text[], $46::text[], $47::text[]
  ) AS f (
    room, id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key
  )
  WHERE room.meeting_ids[f.room] IS NOT NULL
),
boot AS (
  INSERT INTO reflector.source_boot (boot_id, event_id, source, started_at, data)
  SELECT b.boot_id, b.event_id, b.source, b.started_at, b.data::jsonb
  FROM room, unnest($48::text[], $49::text[], $50::text[], $51::timestamptz[], $52::text[])
    AS b (boot_id, event_id, source, started_at, data)
  ON CONFLICT DO NOTHING
  RETURNING event_id
)
