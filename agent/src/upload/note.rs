//! What went wrong with an upload, in words.

/// A reason, for two kinds of readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// For the outbox: with what an answer said.
    pub(super) full: String,
    /// For the log: an answer's own words, which may quote what was sent, stay in the outbox.
    pub(super) brief: String,
}

impl Note {
    /// The same, and this.
    pub(super) fn and(self, more: &str) -> Self {
        Self { full: format!("{}; {more}", self.full), brief: format!("{}; {more}", self.brief) }
    }
}

/// Our own words are for everybody.
impl From<String> for Note {
    fn from(full: String) -> Self {
        Self { brief: full.clone(), full }
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
