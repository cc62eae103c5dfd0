//! Forgets recordings whose files have been gone for a long time, and the proof that the storage holds them.
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
    use std::fs;
    use std::time::Duration;

    use contract::id::EventId;

    use super::*;
    use crate::outbox::model::{Kind, NewItem};
    use crate::outbox::uploads::{Ending, FileIdentity, NewRecording, UploadState};
    use crate::outbox::{Limits, Reader};

    #[test]
    fn the_proof_is_kept_while_the_file_may_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
        let (writer, _signals) = Outbox::open(directory.path(), limits).unwrap();
        let (outbox, reader) = (writer.outbox().uploading(), Reader::open(directory.path()).unwrap());
        for name in ["here", "away"] {
            let path = directory.path().join(name);
            fs::write(&path, b"abc").unwrap();
            let notice = NewItem {
                id: EventId::parse(name).unwrap(),
                room: "a".into(),
                kind: Kind::Recording,
                body: b"{}".to_vec(),
                offset: 0,
                parked: None,
            };
            let file = FileIdentity::of(&fs::metadata(&path).unwrap());
            let recording = NewRecording { notice: notice.clone(), path, file, sha256: String::new() };
            outbox.queue_recording(&recording).unwrap();
            let seq = reader.open_uploads(0).unwrap()[0].seq;
            let state = UploadState::Verified;
            outbox
                .end_upload(seq, &Ending { state, object: None, note: None, notice, releases: true })
                .unwrap();
        }
        fs::remove_file(directory.path().join("away")).unwrap();
        let stop = Stop::new().unwrap();
        let left = |now: i64| {
            pass(&outbox, &stop, now).unwrap();
            let confirmed = reader.confirmed_recordings().unwrap();
            confirmed.into_iter().map(|recording| recording.id).collect::<Vec<_>>()
        };
        let start = 1_000_000;
        assert_eq!(left(start), ["here", "away"]);
        assert_eq!(left(start + LONG - 1), ["here", "away"]);
        assert_eq!(left(start + LONG), ["here"]);
        writer.close();
    }

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
