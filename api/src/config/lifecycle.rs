//! When meetings end by themselves.

use std::time::Duration;

use super::reader::Reader;

/// Long enough to load a page again, short enough that the next visitors meet in a new meeting.
const DEFAULT_GRACE: u64 = 60;

/// When meetings end by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    /// How long nobody may be in a meeting before it ends: `MEETING_EMPTY_GRACE_SECONDS`.
    pub grace: Duration,
}

impl Lifecycle {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let seconds = reader.within("MEETING_EMPTY_GRACE_SECONDS", DEFAULT_GRACE, 0..=86_400);
        Self { grace: Duration::from_secs(seconds) }
    }
}
