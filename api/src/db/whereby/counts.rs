//! How many people are in a meeting, as Whereby last said.

use serde_json::{Map, Value};
use sqlx::PgExecutor;
use sqlx::types::Json;

use crate::domain::whereby::people;

/// The people in the meeting by the latest event that tells of somebody's coming or going, in whatever order those were stored. `None`
/// where none does.
pub async fn latest(db: impl PgExecutor<'_>, meeting_id: &str) -> Result<Option<usize>, sqlx::Error> {
    let data: Option<Json<Map<String, Value>>> = sqlx::query_scalar(
        "-- whereby.counts.latest
        SELECT data FROM reflector.meeting_event
        WHERE meeting_id = $1 AND name IN ('room.client.joined', 'room.client.left')
        ORDER BY occurred_at DESC, id DESC
        LIMIT 1",
    )
    .bind(meeting_id)
    .fetch_optional(db)
    .await?;
    Ok(data.and_then(|Json(data)| people(&data)))
}
