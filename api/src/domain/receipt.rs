//! Receipts: what a sender brought, and what became of it.

use std::time::Duration;

use contract::problem::ProblemCode;
use time::OffsetDateTime;

/// What a request has in common with others that share its row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Method and path, the latter without ids.
    pub route: String,
    /// The answer's status.
    pub status: u16,
    /// What became of it.
    pub verdict: Verdict,
    /// Why not, if not.
    pub code: Option<ProblemCode>,
    /// The room that it spoke of.
    pub room: Option<String>,
    /// Who the sender said it was.
    pub agent: Option<String>,
    /// Where its connection came from.
    pub address: Option<String>,
    /// The program that sent it, as it says.
    pub user_agent: Option<String>,
}

/// What came, and what became of it: one request, or what it said of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What it has in common with others.
    pub kind: Kind,
    /// When it came.
    pub received_at: OffsetDateTime,
    /// The request's id.
    pub request_id: String,
    /// How long the answer took.
    pub duration: Duration,
    /// What became of its events.
    pub counts: Counts,
}

/// A row: like receipts that came together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The first of them, with the events of all and the longest duration.
    pub receipt: Receipt,
    /// How many requests these were.
    pub requests: u32,
    /// How many requests before got no receipt.
    pub missed: u64,
}

/// What became of a request. The first three are good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Something of it is stored, and nothing was refused.
    Stored,
    /// All of it was stored before.
    Duplicate,
    /// It was taken, and there was no event to store.
    Accepted,
    /// At least a part of it was refused for what it says.
    Rejected,
    /// It was not signed with a secret of ours.
    Unauthorised,
    /// There were too many.
    Limited,
    /// This service could not do its part.
    Failed,
}

/// What became of the events of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// New and stored.
    pub stored: u32,
    /// Stored before.
    pub duplicates: u32,
    /// Refused.
    pub rejected: u32,
    /// Why the first of them was.
    pub code: Option<ProblemCode>,
}

impl Verdict {
    /// Every verdict, in the order in which people are offered them.
    pub const ALL: [Self; 7] = [
        Self::Stored,
        Self::Duplicate,
        Self::Accepted,
        Self::Rejected,
        Self::Unauthorised,
        Self::Limited,
        Self::Failed,
    ];

    /// The verdict on a request that was answered with `status`.
    pub fn of(status: u16, counts: Counts) -> Self {
        match status {
            401 | 403 => Self::Unauthorised,
            429 => Self::Limited,
            500.. => Self::Failed,
            400.. => Self::Rejected,
            _ if counts.rejected > 0 => Self::Rejected,
            _ if counts.stored > 0 => Self::Stored,
            _ if counts.duplicates > 0 => Self::Duplicate,
            _ => Self::Accepted,
        }
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unauthorised => "unauthorised",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }

    /// The verdict that `word` stands for.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }

    /// Whether somebody should look.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Rejected | Self::Unauthorised | Self::Limited | Self::Failed)
    }
}

impl Counts {
    /// How many events there were.
    pub fn events(self) -> u32 {
        self.stored.saturating_add(self.duplicates).saturating_add(self.rejected)
    }

    /// Counts a refusal.
    pub fn reject(&mut self, code: ProblemCode) {
        self.rejected += 1;
        self.code.get_or_insert(code);
    }

    /// Takes back what was refused for `code`, and for nothing else.
    pub fn accept(&mut self, code: ProblemCode) {
        if self.code == Some(code) {
            (self.rejected, self.code) = (0, None);
        }
    }
}

impl Receipt {
    /// Whether anybody could have sent it, as often as they like: nothing of it was read.
    pub fn is_noise(&self) -> bool {
        self.kind.status >= 400 && self.kind.room.is_none() && self.counts.events() == 0
    }
}

impl Row {
    /// Adds a receipt of the same kind.
    pub fn add(&mut self, other: &Receipt) {
        let (one, more) = (&mut self.receipt.counts, other.counts);
        one.stored = one.stored.saturating_add(more.stored);
        one.duplicates = one.duplicates.saturating_add(more.duplicates);
        one.rejected = one.rejected.saturating_add(more.rejected);
        self.receipt.duration = self.receipt.duration.max(other.duration);
        self.requests = self.requests.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_that_of_the_answer_unless_the_answer_holds_several() {
        let counts = |stored, duplicates, rejected| Counts { stored, duplicates, rejected, code: None };
        for (status, counts, expected) in [
            (200, counts(1, 0, 0), Verdict::Stored),
            (200, counts(1, 3, 0), Verdict::Stored),
            (200, counts(0, 3, 0), Verdict::Duplicate),
            (200, counts(9, 3, 1), Verdict::Rejected),
            (200, counts(0, 0, 0), Verdict::Accepted),
            (307, counts(0, 0, 0), Verdict::Accepted),
            (401, counts(0, 0, 0), Verdict::Unauthorised),
            (403, counts(0, 0, 0), Verdict::Unauthorised),
            (404, counts(0, 0, 1), Verdict::Rejected),
            (413, counts(0, 0, 0), Verdict::Rejected),
            (429, counts(0, 0, 0), Verdict::Limited),
            (500, counts(0, 0, 0), Verdict::Failed),
            (503, counts(0, 0, 0), Verdict::Failed),
        ] {
            assert_eq!(Verdict::of(status, counts), expected, "{status} {counts:?}");
        }
    }

    #[test]
    fn a_word_leads_back_to_its_verdict() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::read(verdict.as_str()), Some(verdict));
        }
        assert_eq!(Verdict::read("lost"), None);
    }
}
