//! Forgets recordings whose files have been gone for a long time.
//!
//! What was told is remembered so that a restart does not tell it again. A file that is away for a while, on a disk that
//! is not mounted, must not be forgotten soon; one that comes back after all is told again under the same id, which the
//! API knows.

use std::path::Path;

use crate::kept;
use crate::outbox::{Outbox, OutboxError};
use crate::watch::Stop;

/// How long a file must have been gone, in milliseconds.
const LONG: i64 = 90 * super::DAY_MS;

/// How many recordings are looked at in one step.
const STEP: usize = 500;

/// Looks at every recording once. `now` is in milliseconds since 1970.
pub(super) fn pass(outbox: &Outbox, stop: &Stop, now: i64) -> Result<(), OutboxError> {
    let mut after = String::new();
    while !stop.is_given() {
        let known = outbox.known_recordings(&after, STEP)?;
        let Some(last) = known.last() else { return Ok(()) };
        after.clone_from(&last.id);
        let (mut changes, mut forgotten) = (Vec::new(), Vec::new());
        for recording in known {
            match fate(is_gone(&recording.path), recording.gone_since, now) {
                Fate::Stays => {}
                Fate::Note(since) => changes.push((recording.id, since)),
                Fate::Forgotten => forgotten.push(recording.id),
            }
        }
        if !changes.is_empty() {
            outbox.note_gone(&changes)?;
        }
        if !forgotten.is_empty() {
            tracing::info!(recordings = forgotten.len(), "recordings that are long gone are forgotten");
            outbox.forget_recordings(&forgotten)?;
        }
    }
    Ok(())
}

/// A name that is not UTF-8 is not known exactly, so nobody can tell. A file that is kept from a finalize script is there.
fn is_gone(path: &str) -> bool {
    let (exact, path) = (!path.contains(char::REPLACEMENT_CHARACTER), Path::new(path));
    exact && matches!(path.try_exists(), Ok(false)) && kept::link_of(path).is_none()
}

/// What is to be done about a recording.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It is noted since when the file is gone, or that it is there.
    Note(Option<i64>),
    Forgotten,
}

fn fate(gone: bool, gone_since: Option<i64>, now: i64) -> Fate {
    match (gone, gone_since) {
        (true, Some(since)) if now - since >= LONG => Fate::Forgotten,
        // A clock that was wrong must not make it stay for ever.
        (true, Some(since)) if since <= now => Fate::Stays,
        (true, _) => Fate::Note(Some(now)),
        (false, Some(_)) => Fate::Note(None),
        (false, None) => Fate::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_forgotten_when_its_file_has_been_gone_for_long() {
        for (gone, since, expected) in [
            (false, None, Fate::Stays),
            (false, Some(0), Fate::Note(None)),
            (true, None, Fate::Note(Some(LONG))),
            (true, Some(1), Fate::Stays),
            (true, Some(0), Fate::Forgotten),
            (true, Some(LONG + 1), Fate::Note(Some(LONG))),
        ] {
            assert_eq!(fate(gone, since, LONG), expected, "{gone} {since:?}");
        }
    }
}
