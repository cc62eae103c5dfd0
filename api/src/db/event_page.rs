//! A meeting's events, page by page: a meeting may have a million of them.

use contract::event::format_timestamp;
use serde_json::value::RawValue;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

/// The most events in one page.
const MAX_EVENTS: i64 = 1000;

/// A page ends after the event with which it is this large, in bytes of `data`: single events may have 256 KiB.
const MAX_BYTES: i64 = 4 * 1024 * 1024;

/// A page of a meeting's events, in the order in which they were stored.
#[derive(Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// After which position the next page begins; `None` when this is the last.
    pub next: Option<i64>,
}

/// An event as it was stored.
#[derive(Debug)]
pub struct StoredEvent {
    /// The event's id.
    pub id: String,
    /// The event's name.
    pub name: String,
    /// When it was stored.
    pub received_at: OffsetDateTime,
    /// Its data, with the source's time as `timestamp`: the same as in the view `public.meeting`.
    pub data: Box<RawValue>,
}

#[derive(FromRow)]
struct Row {
    position: i64,
    id: String,
    name: String,
    received_at: OffsetDateTime,
    occurred_at: OffsetDateTime,
    data: String,
    is_dated: bool,
    has_next: bool,
}

/// The events of the meeting `id` after position `after`.
pub(super) async fn read(db: &mut PgConnection, id: &str, after: i64) -> Result<EventPage, sqlx::Error> {
    let rows = sqlx::query_as::<_, Row>(
        "-- event_page.read
        WITH candidate AS (
          SELECT position, id, name, received_at, occurred_at, data::text AS data, data ? 'timestamp' AS is_dated
          FROM reflector.meeting_event
          WHERE meeting_id = $1 AND position > $2
          ORDER BY position
          LIMIT $3 + 1
        ), measured AS (
          SELECT *,
            sum(octet_length(data)) OVER (ORDER BY position) - octet_length(data) AS bytes_before,
            lead(position) OVER (ORDER BY position) IS NOT NULL AS has_next
          FROM candidate
        )
        SELECT position, id, name, received_at, occurred_at, data, is_dated, has_next
        FROM measured
        WHERE bytes_before < $4
        ORDER BY position
        LIMIT $3",
    )
    .bind(id)
    .bind(after)
    .bind(MAX_EVENTS)
    .bind(MAX_BYTES)
    .fetch_all(db)
    .await?;
    let next = rows.last().filter(|row| row.has_next).map(|row| row.position);
    let events = rows.into_iter().map(StoredEvent::try_from).collect::<Result<_, _>>()?;
    Ok(EventPage { events, next })
}

impl TryFrom<Row> for StoredEvent {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let data = if row.is_dated { row.data } else { dated(&row.data, row.occurred_at) };
        let data = RawValue::from_string(data).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self { id: row.id, name: row.name, received_at: row.received_at, data })
    }
}

/// An object, as Postgres writes it, with the source's time. Postgres itself takes three times as long to build it.
fn dated(object: &str, occurred_at: OffsetDateTime) -> String {
    let members = object.strip_prefix('{').unwrap_or(object);
    let comma = if members == "}" { "" } else { ", " };
    format!("{{\"timestamp\": \"{}\"{comma}{members}", format_timestamp(occurred_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_s_time_is_the_first_member() {
        for (object, expected) in [
            ("{}", r#"{"timestamp": "1970-01-01T00:00:00.000Z"}"#),
            (r#"{"a": {"b": 1}}"#, r#"{"timestamp": "1970-01-01T00:00:00.000Z", "a": {"b": 1}}"#),
        ] {
            assert_eq!(dated(object, OffsetDateTime::UNIX_EPOCH), expected);
        }
    }
}
