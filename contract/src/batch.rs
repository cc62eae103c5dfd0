//! Many events in one request: `application/x-ndjson`, one event per line, and its answer.
//!
//! The answer has one result per line, in the same order, so a refused event never takes its neighbours with it.

use serde::{Deserialize, Serialize};

use crate::problem::ProblemCode;

/// The most events in one request.
pub const MAX_EVENTS: usize = 500;

/// The most bytes in one request body.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The content type of one event.
pub const JSON: &str = "application/json";

/// The content type of a batch.
pub const NDJSON: &str = "application/x-ndjson";

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BatchReply {
    /// One result per line of the request, in its order.
    pub results: Vec<EventResult>,
}

/// What became of one event of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventResult {
    /// The event's id; empty when the line was not readable enough to have one.
    pub id: String,
    /// What became of it.
    pub status: EventStatus,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_code")]
    pub code: Option<ProblemCode>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Committed by this request.
    Stored,
    /// Committed before; nothing changed.
    Duplicate,
    /// Refused; `code` says why.
    Rejected,
}

/// The answer to a single event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventReply {
    /// Always `ok`.
    pub status: String,
    /// The event's name.
    pub event: String,
    /// The event's room, normalised.
    pub room: String,
}

/// A code that this release does not know is no code: the verdict must not rest on it.
fn known_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<ProblemCode>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_short_when_all_is_well() {
        let result =
            EventResult { id: "evt_1".into(), status: EventStatus::Stored, code: None, detail: None };
        assert_eq!(serde_json::to_string(&result).unwrap(), r#"{"id":"evt_1","status":"stored"}"#);
    }

    #[test]
    fn a_code_of_a_later_release_does_not_spoil_the_answer() {
        let reply: BatchReply = serde_json::from_str(
            r#"{"results":[{"id":"evt_1","status":"rejected","code":"quota_exceeded"}]}"#,
        )
        .unwrap();
        assert_eq!(reply.results[0].code, None);
    }
}
