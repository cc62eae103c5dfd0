//! A check as data: what was tried, what came of it, what to do next.

use serde::Serialize;

/// What came of a check; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
    /// It is as it should be.
    Ok,
    /// It works, and there is something worth knowing.
    Note,
    /// It works, and may stop working, or something is missing that most people want.
    Warning,
    /// Something does not arrive because of this.
    Failure,
}

impl Outcome {
    /// The outcome as people read it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// Its name, which stays the same between releases.
    pub(super) name: &'static str,
    /// What was tried.
    pub(super) tried: String,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// The same in words.
    pub(super) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// A check whose outcome is still to come.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    name: &'static str,
    tried: String,
}

/// Begins a check.
pub(super) fn trial(name: &'static str, tried: impl Into<String>) -> Trial {
    Trial { name, tried: tried.into() }
}

impl Trial {
    pub(super) fn ok(self, found: impl Into<String>) -> Check {
        self.ends(Outcome::Ok, found, None)
    }

    pub(super) fn note(self, found: impl Into<String>, next: impl Into<String>) -> Check {
        self.ends(Outcome::Note, found, Some(next.into()))
    }

    pub(super) fn warning(self, found: impl Into<String>, next: impl Into<String>) -> Check {
        self.ends(Outcome::Warning, found, Some(next.into()))
    }

    pub(super) fn failure(self, found: impl Into<String>, next: impl Into<String>) -> Check {
        self.ends(Outcome::Failure, found, Some(next.into()))
    }

    /// `why` it was not looked at.
    pub(super) fn skipped(self, why: impl Into<String>) -> Check {
        self.ends(Outcome::Skipped, why, None)
    }

    fn ends(self, outcome: Outcome, found: impl Into<String>, next: Option<String>) -> Check {
        Check { name: self.name, tried: self.tried, outcome, found: found.into(), next }
    }
}
