//! Where a recording file stands: a pure function of what is seen on disk.
//!
//! Jibri's order of stopping (read in its source): ffmpeg ends, then `metadata.json` is written, then the call is left
//! and the finalize script runs. A complete `metadata.json` therefore proves that the media written before it are final.
//! It proves nothing about later media: Jicofo tries again with the same session, whose directory then holds the first
//! attempt's metadata beside the second attempt's growing file. Media without such proof are still being recorded, or
//! Jibri died; nothing on disk tells the two apart but time and the absence of a writer.

use std::time::Duration;

use super::sidecar::Sidecar;

/// What is seen of one media file and its directory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen<'a> {
    /// The metadata beside the file.
    pub metadata: &'a Sidecar,
    /// Whether the metadata was written after the file was, or at the same time as far as the file system tells.
    pub metadata_is_newer: bool,
    /// For how long neither the file nor the metadata has changed.
    pub unchanged: Duration,
    /// Whether a process has the file open for writing, as far as we may know.
    pub has_writer: bool,
}

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Being recorded.
    Growing,
    /// Final: its metadata prove it.
    Closed,
    /// Final because it was left alone, beside metadata that are older and may be another file's.
    LeftAlone,
    /// Final because its recorder is gone.
    Abandoned,
}

impl Stage {
    /// The stage as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Closed => "closed",
            Self::LeftAlone => "left-alone",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Decides where a file stands. `patience` is how long a file without proof must have been left alone.
///
/// A file that is younger than the metadata beside it was written anew by a finalize script, or is the second attempt of a
/// recorder that died: once left alone it is final, and whether it is whole must be seen from the file. Metadata that we may
/// not read could be a proof of either, so the file waits for the operator.
pub fn stage(seen: &Seen<'_>, patience: Duration) -> Stage {
    let left_alone = !seen.has_writer && seen.unchanged >= patience;
    match seen.metadata {
        Sidecar::Complete(_) if seen.metadata_is_newer => Stage::Closed,
        Sidecar::Complete(_) if left_alone => Stage::LeftAlone,
        Sidecar::Absent | Sidecar::Unreadable | Sidecar::TooLong if left_alone => Stage::Abandoned,
        Sidecar::Complete(_)
        | Sidecar::Absent
        | Sidecar::Unreadable
        | Sidecar::TooLong
        | Sidecar::Withheld(_) => Stage::Growing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_final_with_later_metadata_or_when_it_was_left_alone() {
        let patience = Duration::from_mins(5);
        let complete = Sidecar::Complete(Box::default());
        let withheld = Sidecar::Withheld("Permission denied".into());
        for (metadata, metadata_is_newer, seconds, has_writer, expected) in [
            (&complete, true, 0, false, Stage::Closed),
            (&complete, true, 0, true, Stage::Closed),
            (&complete, false, 0, false, Stage::Growing),
            (&complete, false, 299, false, Stage::Growing),
            (&complete, false, 300, false, Stage::LeftAlone),
            (&complete, false, 86_400, true, Stage::Growing),
            (&Sidecar::Absent, false, 299, false, Stage::Growing),
            (&Sidecar::Absent, false, 300, false, Stage::Abandoned),
            (&Sidecar::Absent, false, 86_400, true, Stage::Growing),
            (&Sidecar::Unreadable, true, 299, false, Stage::Growing),
            (&Sidecar::Unreadable, true, 300, false, Stage::Abandoned),
            (&Sidecar::TooLong, true, 299, false, Stage::Growing),
            (&Sidecar::TooLong, true, 300, false, Stage::Abandoned),
            (&withheld, true, 0, false, Stage::Growing),
            (&withheld, true, 86_400, false, Stage::Growing),
        ] {
            let unchanged = Duration::from_secs(seconds);
            let seen = Seen { metadata, metadata_is_newer, unchanged, has_writer };
            assert_eq!(stage(&seen, patience), expected, "{seen:?}");
        }
    }
}
