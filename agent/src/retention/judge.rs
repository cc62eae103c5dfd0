//! What keeps a file of which the storage holds a copy: a pure function of what is seen.

use std::time::Duration;

use super::quiet::Quiet;
use crate::outbox::uploads::FileIdentity;

/// For how long nothing in a session may have changed. Jibri runs its finalize script after it wrote the metadata, and
/// works with the directory until that has ended. A script in a container, or of a user whose processes are hidden, is not
/// seen at work.
pub(super) const QUIET: Duration = Duration::from_mins(10);

/// The same while Jibri says that it is busy, by the times of the files: its script may be what it is busy with.
const QUIET_WHILE_BUSY: Duration = Duration::from_hours(24);

/// What is seen of a file that is to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Whether the API holds its notice.
    pub(super) notice_is_settled: bool,
    /// Whether the same file is about to be told or uploaded again, because more became known of it.
    pub(super) is_awaited_elsewhere: bool,
    /// The file as it was uploaded.
    pub(super) as_uploaded: FileIdentity,
    /// The file as it is; `None` if there is a link or a directory in its place.
    pub(super) as_found: Option<FileIdentity>,
    /// For how long nothing in its session directory has changed.
    pub(super) quiet: Quiet,
    /// Whether Jibri says that it is busy.
    pub(super) jibri_is_busy: bool,
}

/// Why a file stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The API does not hold its notice yet, or refused it.
    NoticeOpen,
    /// It is to be uploaded again.
    AwaitedElsewhere,
    /// It is not what the storage holds.
    Changed,
    /// Something in its session changed a short while ago.
    NotQuiet,
    /// A process writes to it.
    Written,
    /// A process was started with its session directory.
    InUse,
}

/// Why the file stays; `None` if nothing of what is seen keeps it.
pub(super) fn judge(seen: &Seen) -> Option<Obstacle> {
    if !seen.notice_is_settled {
        Some(Obstacle::NoticeOpen)
    } else if seen.is_awaited_elsewhere {
        Some(Obstacle::AwaitedElsewhere)
    } else if seen.as_found != Some(seen.as_uploaded) {
        Some(Obstacle::Changed)
    } else if !is_quiet(seen.quiet, seen.jibri_is_busy) {
        Some(Obstacle::NotQuiet)
    } else {
        None
    }
}

/// Whether nobody works in a session directory, by what is seen of its files.
pub(super) fn is_quiet(quiet: Quiet, jibri_is_busy: bool) -> bool {
    let told = if jibri_is_busy { QUIET_WHILE_BUSY } else { QUIET };
    quiet.told >= told && quiet.seen >= QUIET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_only_when_nothing_speaks_for_it() {
        let file = FileIdentity { inode: 1, size: 2, modified: 3 };
        let good = Seen {
            notice_is_settled: true,
            is_awaited_elsewhere: false,
            as_uploaded: file,
            as_found: Some(file),
            quiet: Quiet { told: QUIET, seen: QUIET },
            jibri_is_busy: false,
        };
        let just_under = |time: Duration| time.saturating_sub(Duration::from_millis(1));
        let quiet = |told, seen| Quiet { told, seen };
        for (seen, expected) in [
            (good, None),
            (Seen { notice_is_settled: false, ..good }, Some(Obstacle::NoticeOpen)),
            (Seen { is_awaited_elsewhere: true, ..good }, Some(Obstacle::AwaitedElsewhere)),
            (Seen { as_found: None, ..good }, Some(Obstacle::Changed)),
            (Seen { as_found: Some(FileIdentity { inode: 9, ..file }), ..good }, Some(Obstacle::Changed)),
            (Seen { as_found: Some(FileIdentity { size: 9, ..file }), ..good }, Some(Obstacle::Changed)),
            (Seen { as_found: Some(FileIdentity { modified: 9, ..file }), ..good }, Some(Obstacle::Changed)),
            (Seen { quiet: quiet(just_under(QUIET), QUIET), ..good }, Some(Obstacle::NotQuiet)),
            (Seen { quiet: quiet(QUIET_WHILE_BUSY, just_under(QUIET)), ..good }, Some(Obstacle::NotQuiet)),
            (Seen { jibri_is_busy: true, ..good }, Some(Obstacle::NotQuiet)),
            (
                Seen { jibri_is_busy: true, quiet: quiet(just_under(QUIET_WHILE_BUSY), QUIET), ..good },
                Some(Obstacle::NotQuiet),
            ),
            (Seen { jibri_is_busy: true, quiet: quiet(QUIET_WHILE_BUSY, QUIET), ..good }, None),
        ] {
            assert_eq!(judge(&seen), expected, "{seen:?}");
        }
    }
}
