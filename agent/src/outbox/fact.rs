//! Facts: what the agent says of itself to those who look at its outbox, and what they ask of it.
//!
//! `status` and `drain` are other processes; the outbox's file is what they share with the agent.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::log::DeliveryLog;
use super::{Outbox, OutboxError};

/// What is said or asked, as JSON, under a name; a later one takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// When it was said, in milliseconds since 1970.
    pub at: i64,
    /// What was said.
    pub body: String,
}

/// How far this host's clock is from the API's: `{"offset_ms": …}`, positive when ours is ahead.
pub const CLOCK: &str = "clock";

/// How the heartbeats fare, and since when: `{"state": "taken" | "not-known" | "refused" | "failed", "reason": …, "next_step": …}`.
pub const HEARTBEAT: &str = "heartbeat";

/// Somebody waits until nothing is left to do.
pub const DRAIN: &str = "drain";

/// The agent that runs, or that ran last: `{"version": …, "pid": …, "api": …}`.
pub const AGENT: &str = "agent";

const SAY: &str = "INSERT INTO fact (name, at, body) VALUES (?1, ?2, ?3)
  ON CONFLICT (name) DO UPDATE SET at = excluded.at, body = excluded.body";

impl Outbox {
    /// Says something, durably. Costs a write to the disk: for what changes rarely.
    pub fn say(&self, name: &str, fact: &Fact) -> Result<(), OutboxError> {
        self.database()?.connection.prepare_cached(SAY)?.execute(params![name, fact.at, fact.body])?;
        Ok(())
    }
}

impl DeliveryLog {
    /// What was said under this name last. An outbox that no release with facts has opened yet has none.
    pub fn fact(&self, name: &str) -> Result<Option<Fact>, OutboxError> {
        let tables: i64 = self.connection.query_row(
            "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'fact'",
            [],
            |row| row.get(0),
        )?;
        if tables == 0 {
            return Ok(None);
        }
        let fact = self.connection.query_row("SELECT at, body FROM fact WHERE name = ?1", [name], |row| {
            Ok(Fact { at: row.get(0)?, body: row.get(1)? })
        });
        Ok(fact.optional()?)
    }

    /// By how many milliseconds this host's clock is ahead of the API's; `None` until a heartbeat was answered.
    pub fn clock_offset_ms(&self) -> Result<Option<i64>, OutboxError> {
        let said = self.fact(CLOCK)?.and_then(|fact| serde_json::from_str::<Value>(&fact.body).ok());
        Ok(said.and_then(|said| said["offset_ms"].as_i64()))
    }

    /// Asks the agent something. The running agent notices within seconds, and tries everything that waits at once.
    pub fn ask(&self, name: &str, fact: &Fact) -> Result<(), OutboxError> {
        self.connection.execute(SAY, params![name, fact.at, fact.body])?;
        Ok(())
    }
}
