-- events.store
WITH room AS MATERIALIZED (
  SELECT ARRAY(
    SELECT (SELECT m.id FROM reflector.meeting m WHERE m.room_name = asked.name ORDER BY m.start_date DESC LIMIT 1)
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
    ORDER BY asked.place
  ) AS meeting_ids
),
