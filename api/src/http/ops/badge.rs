//! A state in one word, with a colour that says whether it is well.

use std::fmt::{self, Display};

use crate::db::ops_webhooks;
use crate::domain::receipt::Verdict;
use crate::domain::recording_state;

/// A word in its colour. The word is one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Badge {
    tone: &'static str,
    word: &'static str,
}

const GOOD: &str = "good";
const WARN: &str = "warn";
const BAD: &str = "bad";
const PLAIN: &str = "plain";

impl Badge {
    const fn new(tone: &'static str, word: &'static str) -> Self {
        Self { tone, word }
    }

    /// Of a receipt.
    pub(super) fn of_verdict(word: &str) -> Self {
        match Verdict::read(word) {
            Some(verdict @ (Verdict::Stored | Verdict::Accepted)) => Self::new(GOOD, verdict.as_str()),
            Some(verdict @ Verdict::Duplicate) => Self::new(PLAIN, verdict.as_str()),
            Some(verdict @ (Verdict::Rejected | Verdict::Limited)) => Self::new(WARN, verdict.as_str()),
            Some(verdict @ (Verdict::Unauthorised | Verdict::Failed)) => Self::new(BAD, verdict.as_str()),
            None => Self::new(PLAIN, "unknown"),
        }
    }

    /// Of a recording.
    pub(super) fn of_recording(state: recording_state::State, is_withheld: bool) -> Self {
        use recording_state::State;
        match state {
            State::Deleted => Self::new(PLAIN, "deleted"),
            _ if is_withheld => Self::new(WARN, "withheld"),
            State::Stored => Self::new(GOOD, "stored"),
            State::OnHost => Self::new(PLAIN, "on its host"),
            State::Announced => Self::new(PLAIN, "announced"),
            State::Missing => Self::new(BAD, "missing"),
        }
    }

    /// Of a webhook.
    pub(super) fn of_webhook(state: ops_webhooks::State) -> Self {
        use ops_webhooks::State;
        match state {
            State::Delivered => Self::new(GOOD, "delivered"),
            State::Waiting => Self::new(PLAIN, "waiting"),
            State::Parked => Self::new(BAD, "parked"),
        }
    }

    /// Of a meeting.
    pub(super) fn of_meeting(is_on: bool) -> Self {
        if is_on { Self::new(GOOD, "on") } else { Self::new(PLAIN, "over") }
    }

    /// Of an agent.
    pub(super) fn of_agent(problems: usize, warnings: usize) -> Self {
        match (problems, warnings) {
            (0, 0) => Self::new(GOOD, "well"),
            (0, _) => Self::new(WARN, "look"),
            _ => Self::new(BAD, "in trouble"),
        }
    }
}

impl Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"<span class="badge {}">{}</span>"#, self.tone, self.word)
    }
}

impl askama::filters::HtmlSafe for Badge {}
