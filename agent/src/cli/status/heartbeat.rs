//! How the heartbeats fare, as the agent has written it down.

use serde_json::{Value, json};

use crate::cli::view::{ago, printable};
use crate::clock::rfc3339;
use crate::outbox::fact::Fact;

/// The fate of the last heartbeats.
pub(super) struct Pulse {
    /// The agent's own words, see [`crate::outbox::fact::HEARTBEAT`].
    said: Value,
    since: i64,
}

impl Pulse {
    /// Reads it; `None` if an agent said it that ran before the one that `started` then.
    pub(super) fn read(fact: &Fact, started: Option<i64>) -> Option<Self> {
        let said: Value = serde_json::from_str(&fact.body).ok()?;
        let is_of_this_run = started.is_none_or(|started| fact.at >= started);
        is_of_this_run.then_some(Self { said, since: fact.at })
    }

    /// Whether the API hears this host.
    pub(super) fn is_taken(&self) -> bool {
        self.said["state"] == "taken"
    }

    pub(super) fn as_json(&self) -> Value {
        let Self { said, since } = self;
        json!({
            "state": said["state"], "since": rfc3339(*since), "status": said["status"],
            "reason": said["reason"], "next_step": said["next_step"],
        })
    }

    pub(super) fn in_words(&self, now: i64) -> String {
        let text = |name: &str| printable(self.said[name].as_str().unwrap_or("?"));
        let since = format!("since {} ({} ago)", rfc3339(self.since), ago(now - self.since));
        match self.said["state"].as_str() {
            Some("taken") => "taken by the API".to_owned(),
            Some("not-known") => "the API knows no heartbeats".to_owned(),
            _ => format!("{} {since}: {}; next: {}", text("state"), text("reason"), text("next_step")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_said_that_has_ended_since_counts_no_more() {
        let fact = Fact { at: 1_000, body: r#"{"state":"taken"}"#.to_owned() };
        for (started, expected) in [(None, true), (Some(1_000), true), (Some(1_001), false)] {
            assert_eq!(Pulse::read(&fact, started).is_some(), expected, "{started:?}");
        }
    }
}
