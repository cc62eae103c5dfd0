SELECT
  (SELECT ARRAY(SELECT unnest(meeting_ids) IS NOT NULL) FROM room),
  ARRAY(SELECT id FROM stored),
  ARRAY(SELECT event_id FROM boot)
