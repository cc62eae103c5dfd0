-- events.store, cautiously
-- Ids that are stored already. Where there is one, `room` has no row, and nothing below writes anything.
WITH known AS MATERIALIZED (
  SELECT id FROM reflector.meeting_event WHERE id = ANY($2::text[])
),
room AS MATERIALIZED (
  SELECT ARRAY(
    SELECT (SELECT m.id FROM reflector.meeting m WHERE m.room_name = asked.name ORDER BY m.start_date DESC LIMIT 1)
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
    ORDER BY asked.place
  ) AS meeting_ids
  WHERE NOT EXISTS (SELECT FROM known)
),
