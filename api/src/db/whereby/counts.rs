//! How many people are in meetings, as Whereby last said.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::PgExecutor;
use sqlx::types::Json;

use crate::domain::whereby::people;

/// The people in each of these meetings by the latest event that tells of somebody's coming or going, in whatever order those were stored.
/// Meetings of which none does are left out.
pub async fn latest(
    db: impl PgExecutor<'_>,
    meeting_ids: &[&str],
) -> Result<HashMap<String, usize>, sqlx::Error> {
    let rows: Vec<(String, Json<Map<String, Value>>)> = sqlx::query_as(
        "-- whereby.counts.latest
        SELECT m.id, e.data
        FROM unnest($1::text[]) AS m (id)
        CROSS JOIN LATERAL (
          SELECT data FROM reflector.meeting_event
          WHERE meeting_id = m.id AND name IN ('room.client.joined', 'room.client.left')
          ORDER BY occurred_at DESC, id DESC
          LIMIT 1
        ) e",
    )
    .bind(meeting_ids)
    .fetch_all(db)
    .await?;
    let counted = |(id, Json(data)): (String, Json<Map<_, _>>)| people(&data).map(|people| (id, people));
    Ok(rows.into_iter().filter_map(counted).collect())
}
