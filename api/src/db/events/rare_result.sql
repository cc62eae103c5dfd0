SELECT
  (SELECT ARRAY(SELECT unnest(meeting_ids) IS NOT NULL) FROM room),
  ARRAY(SELECT id FROM known),
  ARRAY(SELECT event_id FROM boot)
