SELECT
  ARRAY(SELECT unnest(meeting_ids) IS NOT NULL),
  '{}'::text[],
  '{}'::text[]
FROM room
