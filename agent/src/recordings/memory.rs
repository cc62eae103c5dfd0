//! What is remembered of a session directory between two looks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::session::{Looks, Settled};

/// How a media file and the metadata beside it looked.
pub(super) type Pair = (Looks, Option<Looks>);

/// What is remembered of a session directory between two looks. There may be ten thousand, so the usual one is small.
#[derive(Default)]
pub(super) struct Memory {
    /// How it looked when everything in it had been dealt with.
    pub(super) settled: Option<Settled>,
    /// Whether the last listing of its root had it.
    pub(super) present: bool,
    /// Whether the kernel was asked to report its changes.
    pub(super) watched: bool,
    /// When something in it changed last, by the file system's clock, in nanoseconds since 1970.
    pub(super) happened: i128,
    /// Each media file that is not dealt with: how it looked, and since when.
    files: Vec<(PathBuf, Pair, Instant)>,
}

impl Memory {
    /// Everything in the session has been dealt with.
    pub(super) fn settle(&mut self, settled: Settled) {
        *self = Self { settled: Some(settled), present: self.present, ..Self::default() };
    }

    /// Whether a file of it changed within this time, as far as was seen.
    pub(super) fn grew_within(&self, time: Duration, now: Instant) -> bool {
        self.files.iter().any(|(.., since)| now - *since < time)
    }

    /// Takes in how a file looks `now`, and tells for how long it has looked so.
    ///
    /// Counted by our own observation, so that no clock of a file system can be wrong.
    pub(super) fn unchanged(&mut self, path: &Path, looks: Pair, now: Instant) -> Duration {
        match self.files.iter_mut().find(|(known, ..)| known == path) {
            Some((_, known, since)) if *known == looks => now - *since,
            Some((_, known, since)) => {
                (*known, *since) = (looks, now);
                Duration::ZERO
            }
            None => {
                self.files.push((path.to_owned(), looks, now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_the_file_or_its_metadata_starts_the_count_again() {
        let looks = |length, modified| Looks { length, modified };
        let (path, start, mut memory) = (Path::new("a.mp4"), Instant::now(), Memory::default());
        for (second, pair, expected) in [
            (0, (looks(1, 1), None), 0),
            (5, (looks(1, 1), None), 5),
            (6, (looks(2, 1), None), 0),
            (9, (looks(2, 1), None), 3),
            (10, (looks(2, 2), None), 0),
            (11, (looks(2, 2), Some(looks(9, 9))), 0),
            (12, (looks(2, 2), Some(looks(9, 9))), 1),
            (13, (looks(2, 2), Some(looks(9, 10))), 0),
        ] {
            let unchanged = memory.unchanged(path, pair, start + Duration::from_secs(second));
            assert_eq!(unchanged, Duration::from_secs(expected), "after {second} s");
        }
    }
}
