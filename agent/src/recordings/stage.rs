//! Where a recording file stands: a pure function of what is seen on disk.
//!
//! Jibri's order of stopping (read in its source): ffmpeg ends, then `metadata.json` is written, then the call is left
//! and the finalize script runs. A complete `metadata.json` therefore proves that the media file is final. Media without
//! metadata is still being recorded, or Jibri died; nothing on disk tells the two apart but time and the absence of a
//! writer.

use std::time::Duration;

use super::metadata::Metadata;

/// What is seen of one media file and its directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The metadata beside the file.
    pub metadata: Sidecar,
    /// For how long neither the file nor the metadata has changed.
    pub unchanged: Duration,
    /// Whether a process has the file open for writing, as far as we may know.
    pub has_writer: bool,
}

/// The state of `metadata.json`.
#[derive(Debug, Clone, PartialEq)]
pub enum Sidecar {
    /// There is none.
    Absent,
    /// There is a file that is not JSON, perhaps because it is being written.
    Unreadable,
    /// It was read.
    Complete(Box<Metadata>),
}

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Being recorded.
    Growing,
    /// Final, with metadata.
    Closed,
    /// Final because its recorder is gone.
    Abandoned,
}

/// Decides where a file stands. `patience` is how long a file without metadata must have been left alone.
pub fn stage(seen: &Seen, patience: Duration) -> Stage {
    match seen.metadata {
        Sidecar::Complete(_) => Stage::Closed,
        Sidecar::Absent | Sidecar::Unreadable if !seen.has_writer && seen.unchanged >= patience => {
            Stage::Abandoned
        }
        Sidecar::Absent | Sidecar::Unreadable => Stage::Growing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_final_with_metadata_or_when_it_was_left_alone() {
        let patience = Duration::from_mins(5);
        let complete = Sidecar::Complete(Box::default());
        for (metadata, seconds, has_writer, expected) in [
            (complete.clone(), 0, false, Stage::Closed),
            (complete, 0, true, Stage::Closed),
            (Sidecar::Absent, 299, false, Stage::Growing),
            (Sidecar::Absent, 300, false, Stage::Abandoned),
            (Sidecar::Absent, 86_400, true, Stage::Growing),
            (Sidecar::Unreadable, 299, false, Stage::Growing),
            (Sidecar::Unreadable, 300, false, Stage::Abandoned),
        ] {
            let seen = Seen { metadata, unchanged: Duration::from_secs(seconds), has_writer };
            assert_eq!(stage(&seen, patience), expected, "{seen:?}");
        }
    }
}
