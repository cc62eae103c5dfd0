//! Events in Whereby's envelope.

use contract::event::format_timestamp;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// What a webhook tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique: whoever gets it twice has got the same event.
    pub id: String,
    /// When it happened, to the millisecond.
    pub created_at: OffsetDateTime,
    /// The `type`, as in `room.client.joined`.
    pub kind: String,
    /// The rest.
    pub data: Value,
}

impl Event {
    /// A new event with an id of its own.
    pub fn new(kind: &str, data: Value, created_at: OffsetDateTime) -> Self {
        let id = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        Self { id, created_at, kind: kind.to_owned(), data }
    }

    /// The body as it goes over the wire: without spaces, and beyond ASCII as it is.
    pub fn body(&self) -> String {
        json!({
            "id": self.id,
            "apiVersion": "1.0",
            "createdAt": format_timestamp(self.created_at),
            "type": self.kind,
            "data": self.data,
        })
        .to_string()
    }
}
