//! The agent's sign of life: `POST /v1/agents/heartbeat`, signed like every delivery, and always dated.
//!
//! It tells operators what waits on each host, and the agent how far its clock is from the API's.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::utc;

/// Where heartbeats go.
pub const PATH: &str = "/v1/agents/heartbeat";

/// The longest host id, in bytes: it is a key.
pub const MAX_HOST_ID_BYTES: usize = 128;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(expecting = "a heartbeat, as a JSON object")]
pub struct Heartbeat {
    /// The agent's version.
    pub version: String,
    /// The host's name, for people. It may change, and two hosts may share it.
    pub host: String,
    /// What the agent's outbox calls the host: the same for as long as the outbox is. 1 to [`MAX_HOST_ID_BYTES`] bytes.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 128))]
    pub host_id: String,
    /// When the agent's process started.
    #[serde(with = "utc")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub started_at: OffsetDateTime,
    /// What the host runs.
    pub roles: Vec<Role>,
    /// What is not delivered yet.
    pub backlog: Backlog,
    /// How many items are parked.
    pub parked: u64,
    /// How many items were delivered since the outbox was made.
    pub delivered_total: u64,
    /// Files on their way into the object storage.
    pub uploads: Uploads,
    /// The file systems that the agent writes or reads.
    pub disk: Vec<Disk>,
    /// What Jibri says of itself, where it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jibri: Option<Jibri>,
    /// When this was said, by the host's clock.
    #[serde(with = "utc")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub sent_at: OffsetDateTime,
}

/// What a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A Prosody whose events the agent carries.
    Prosody,
    /// A Jibri whose recordings the agent carries.
    Jibri,
    /// Something that this release does not know.
    #[serde(other)]
    Other,
}

/// What is not delivered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Backlog {
    /// How many items wait.
    pub events: u64,
    /// How many rooms they belong to.
    pub rooms: u64,
    /// How many bytes their bodies have.
    pub bytes: u64,
    /// When the oldest of them was queued.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "utc::option")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, format = DateTime))]
    pub oldest_at: Option<OffsetDateTime>,
}

/// Files on their way into the object storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Uploads {
    /// How many are being sent.
    pub active: u64,
    /// How many wait for their turn.
    pub waiting: u64,
    /// How many bytes are left to send.
    pub bytes_left: u64,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Disk {
    /// A directory on it.
    pub path: String,
    /// Bytes that the agent can still write.
    pub free_bytes: u64,
    /// Its size in bytes.
    pub total_bytes: u64,
}

/// What Jibri's health address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Jibri {
    /// Whether it records.
    pub busy: bool,
    /// Whether it is healthy.
    pub healthy: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeartbeatReply {
    /// Always `ok`.
    pub status: String,
    /// The API's clock.
    #[serde(with = "utc")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub server_time: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_body_is_the_documented_one() {
        let body = json!({
            "version": "0.1.0", "host": "jitsi-1", "host_id": "a1b2", "started_at": "2026-01-31T10:00:00.000Z",
            "roles": ["prosody", "jibri"],
            "backlog": {"events": 3, "rooms": 1, "bytes": 900, "oldest_at": "2026-01-31T10:29:00.000Z"},
            "parked": 0, "delivered_total": 12, "uploads": {"active": 1, "waiting": 0, "bytes_left": 5},
            "disk": [{"path": "/var/recordings", "free_bytes": 1, "total_bytes": 2}],
            "jibri": {"busy": false, "healthy": true}, "sent_at": "2026-01-31T10:30:00.000Z",
        });
        let read: Heartbeat = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), body);
    }

    #[test]
    fn a_role_of_a_later_release_is_read() {
        assert_eq!(serde_json::from_value::<Role>(json!("coturn")).unwrap(), Role::Other);
    }
}
