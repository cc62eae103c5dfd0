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
-- A host's or platform's word of a finished file. It says what the file is; where the object is, it only says until somebody has
-- looked, unless a verified upload of the same recording vouches for it. It says nothing of another meeting's recording.
file AS (
  INSERT INTO reflector.recording AS r (
    id, meeting_id, room_name, file, status, completed_at, session_id, host, started_at, announced_at,
    size_bytes, duration_ms, sha256, bucket, object_key, found_at, stored_at
  )
  SELECT
    f.id, room.meeting_ids[f.room], ($1::text[])[f.room], f.file, f.status, f.completed_at, f.session_id, f.host, f.started_at,
    CASE WHEN f.object_key IS NOT NULL THEN f.completed_at END,
    f.size_bytes, f.duration_ms, f.sha256, f.bucket, f.object_key, u.verified_at, u.verified_at
  FROM room
  CROSS JOIN unnest(
    $34::int[], $35::text[], $36::text[], $37::text[], $38::timestamptz[], $39::text[], $40::text[], $41::bigint[],
    $42::bigint[], $43::text[], $44::text[], $45::text[], $55::timestamptz[]
  ) AS f (
    room, id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key, started_at
  )
  LEFT JOIN LATERAL (
    SELECT upload.verified_at
    FROM reflector.upload
    WHERE upload.recording_id = f.id AND upload.meeting_id = room.meeting_ids[f.room] AND upload.verified_at IS NOT NULL
      AND upload.bucket = f.bucket AND upload.object_key = f.object_key
      AND upload.size_bytes = f.size_bytes AND upload.sha256 = f.sha256
    LIMIT 1
  ) u ON true
  WHERE room.meeting_ids[f.room] IS NOT NULL
  ON CONFLICT (id) DO UPDATE SET
    meeting_id = COALESCE(r.meeting_id, EXCLUDED.meeting_id),
    room_name = COALESCE(r.room_name, EXCLUDED.room_name),
    file = EXCLUDED.file,
    status = EXCLUDED.status,
    completed_at = EXCLUDED.completed_at,
    session_id = EXCLUDED.session_id,
    host = EXCLUDED.host,
    started_at = COALESCE(r.started_at, EXCLUDED.started_at),
    duration_ms = EXCLUDED.duration_ms,
    announced_at = LEAST(r.announced_at, EXCLUDED.announced_at),
    size_bytes = CASE WHEN EXCLUDED.found_at IS NULL AND r.found_at IS NOT NULL THEN r.size_bytes ELSE EXCLUDED.size_bytes END,
    sha256 = CASE WHEN EXCLUDED.found_at IS NULL AND r.found_at IS NOT NULL THEN r.sha256 ELSE EXCLUDED.sha256 END,
    bucket = CASE WHEN EXCLUDED.found_at IS NULL AND COALESCE(r.found_at, r.missed_at) IS NOT NULL THEN r.bucket ELSE EXCLUDED.bucket END,
    object_key = CASE WHEN EXCLUDED.found_at IS NULL AND COALESCE(r.found_at, r.missed_at) IS NOT NULL THEN r.object_key ELSE EXCLUDED.object_key END,
    found_at = GREATEST(r.found_at, EXCLUDED.found_at),
    stored_at = LEAST(r.stored_at, EXCLUDED.stored_at)
  WHERE r.meeting_id IS NULL AND r.forgotten_at IS NULL OR r.meeting_id = EXCLUDED.meeting_id
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
