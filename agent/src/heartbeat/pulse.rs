//! How the heartbeats fare: logged once for every change, and written down for `status`.

use serde_json::json;

use crate::chain::Chain;
use crate::outbox::Outbox;
use crate::outbox::fact::{self, Fact};

/// What became of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// The API took it.
    Taken,
    /// The API knows no heartbeats.
    NotKnown,
    /// The API did not hear it.
    Lost(Loss),
}

/// Why a heartbeat was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// For the log, which takes nothing that a stranger wrote.
    pub brief: String,
    /// For a person who asks: with what the answer said.
    pub note: String,
    /// What that person should do.
    pub next: &'static str,
}

/// The fate of the heartbeats so far.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// The fate of the one before, and since when it is that of all.
    before: Option<(Fate, i64)>,
    /// Whether the outbox says so.
    is_written: bool,
}

impl Fate {
    /// Its name in metrics and in `status`.
    fn name(&self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::NotKnown => "not-known",
            Self::Lost(Loss { status: Some(401 | 403), .. }) => "refused",
            Self::Lost(_) => "failed",
        }
    }

    /// Whether it says nothing that `before` did not. Texts may differ from one answer to the next.
    fn is_as(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Lost(now), Self::Lost(before)) => (now.status, now.next) == (before.status, before.next),
            (now, before) => now == before,
        }
    }
}

impl Pulse {
    /// Takes in the fate of one more heartbeat.
    pub(super) fn feel(&mut self, fate: Fate, now: i64, outbox: &Outbox) {
        tracing::debug!(count.heartbeats = 1, outcome = fate.name(), "a heartbeat ended");
        if self.is_news(&fate) {
            tell(&fate, self.before.as_ref().map(|(before, _)| before));
            self.before = Some((fate, now));
            self.is_written = false;
        }
        if let Some((fate, since)) = self.before.as_ref().filter(|_| !self.is_written) {
            let written = outbox.say(fact::HEARTBEAT, &Fact { at: *since, body: body(fate) });
            self.is_written = written
                .inspect_err(|error| tracing::debug!(error = %Chain(error), "the heartbeat's fate could not be written down"))
                .is_ok();
        }
    }

    fn is_news(&self, fate: &Fate) -> bool {
        self.before.as_ref().is_none_or(|(before, _)| !fate.is_as(before))
    }
}

/// That the first heartbeat is taken, nobody needs to hear.
fn tell(fate: &Fate, before: Option<&Fate>) {
    match (fate, before) {
        (Fate::Lost(loss), _) => tracing::warn!(
            reason = loss.brief,
            next = loss.next,
            "the API does not hear how this host is: its heartbeats are {}; tried again every half minute (see `reflector-agent status`)",
            if fate.name() == "refused" { "refused" } else { "lost" }
        ),
        (Fate::NotKnown, _) => tracing::info!("the API knows no heartbeats; it is asked again in an hour"),
        (Fate::Taken, Some(_)) => tracing::info!("the API takes heartbeats again"),
        (Fate::Taken, None) => {}
    }
}

fn body(fate: &Fate) -> String {
    let state = fate.name();
    match fate {
        Fate::Lost(Loss { status, note, next, .. }) => {
            json!({ "state": state, "status": status, "reason": note, "next_step": next }).to_string()
        }
        Fate::Taken | Fate::NotKnown => json!({ "state": state }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(status: Option<u16>, note: &str, next: &'static str) -> Fate {
        Fate::Lost(Loss { status, brief: String::new(), note: note.to_owned(), next })
    }

    #[test]
    fn a_fate_is_news_once_per_change() {
        let refused = || lost(Some(401), "a", "compare");
        for (before, now, expected) in [
            (None, Fate::Taken, true),
            (Some(Fate::Taken), Fate::Taken, false),
            (Some(Fate::Taken), refused(), true),
            (Some(refused()), lost(Some(401), "another text", "compare"), false),
            (Some(refused()), lost(Some(401), "a", "set the clock"), true),
            (Some(refused()), lost(None, "a", "compare"), true),
            (Some(refused()), Fate::Taken, true),
            (Some(Fate::NotKnown), Fate::NotKnown, false),
        ] {
            let pulse = Pulse { before: before.clone().map(|before| (before, 0)), is_written: true };
            assert_eq!(pulse.is_news(&now), expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn only_a_refusal_is_called_one() {
        for (fate, expected) in [
            (Fate::Taken, "taken"),
            (Fate::NotKnown, "not-known"),
            (lost(Some(401), "", ""), "refused"),
            (lost(Some(403), "", ""), "refused"),
            (lost(Some(200), "", ""), "failed"),
            (lost(None, "", ""), "failed"),
        ] {
            assert_eq!(fate.name(), expected, "{fate:?}");
        }
    }
}
