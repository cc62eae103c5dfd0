//! What keeps a file of which the storage holds a copy: a pure function of what is seen.

use std::time::Duration;

use crate::outbox::uploads::FileIdentity;

/// For how long nothing in a session may have changed. Jibri runs its finalize script after it wrote the metadata, and
/// works with the directory until that has ended.
pub(super) const QUIET: Duration = Duration::from_mins(10);

/// What is seen of a file that is to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Whether the API holds its notice.
    pub(super) notice_is_settled: bool,
    /// Whether the same file is about to be told or uploaded again, because more became known of it.
    pub(super) is_awaited_elsewhere: bool,
    /// Whether there is a plain file, and not a link or a directory.
    pub(super) is_plain: bool,
    /// The file as it was uploaded.
    pub(super) as_uploaded: FileIdentity,
    /// The file as it is.
    pub(super) as_found: FileIdentity,
    /// For how long nothing in its session directory has changed.
    pub(super) quiet: Duration,
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
    } else if !seen.is_plain || seen.as_found != seen.as_uploaded {
        Some(Obstacle::Changed)
    } else if seen.quiet < QUIET {
        Some(Obstacle::NotQuiet)
    } else {
        None
    }
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
            is_plain: true,
            as_uploaded: file,
            as_found: file,
            quiet: QUIET,
        };
        for (seen, expected) in [
            (good, None),
            (Seen { notice_is_settled: false, ..good }, Some(Obstacle::NoticeOpen)),
            (Seen { is_awaited_elsewhere: true, ..good }, Some(Obstacle::AwaitedElsewhere)),
            (Seen { is_plain: false, ..good }, Some(Obstacle::Changed)),
            (Seen { as_found: FileIdentity { inode: 9, ..file }, ..good }, Some(Obstacle::Changed)),
            (Seen { as_found: FileIdentity { size: 9, ..file }, ..good }, Some(Obstacle::Changed)),
            (Seen { as_found: FileIdentity { modified: 9, ..file }, ..good }, Some(Obstacle::Changed)),
            (
                Seen { quiet: QUIET.saturating_sub(Duration::from_millis(1)), ..good },
                Some(Obstacle::NotQuiet),
            ),
        ] {
            assert_eq!(judge(&seen), expected, "{seen:?}");
        }
    }
}
