//! For how long nothing in a session directory has changed: by its files' times, and by what this process saw of them.
//!
//! A clock that is set forward makes every file look old, so its word alone is not enough.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::recordings::session::{Session, Settled};

/// For how long nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Quiet {
    /// By the times of the files.
    pub(super) told: Duration,
    /// By our own looks.
    pub(super) seen: Duration,
}

/// The sessions that were looked at.
#[derive(Default)]
pub(super) struct Looks {
    /// How each session was at the last pass, and since when it has been like that.
    known: HashMap<PathBuf, (Settled, Instant)>,
    /// The same of this pass.
    current: HashMap<PathBuf, (Settled, Instant)>,
}

impl Looks {
    /// Looks at a session directory. One that cannot be read is not quiet. `now` is in milliseconds since 1970, and it is
    /// `at` now by the clock that nobody sets.
    pub(super) fn look(&mut self, directory: &Path, now: i64, at: Instant) -> Quiet {
        let Ok(session) = Session::read(directory) else { return Quiet::default() };
        let looks = session.settled();
        let since = match self.known.get(directory) {
            Some((known, since)) if *known == looks => *since,
            _ => at,
        };
        self.current.insert(directory.to_owned(), (looks, since));
        let told = i128::from(now) - looks.newest() / 1_000_000;
        Quiet {
            told: Duration::from_millis(u64::try_from(told).unwrap_or(0)),
            seen: at.saturating_duration_since(since),
        }
    }

    /// Ends a pass: what was not looked at in it is forgotten.
    pub(super) fn end(&mut self) {
        self.known = std::mem::take(&mut self.current);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::clock::now_ms;

    #[test]
    fn a_session_is_as_quiet_as_it_was_seen_to_be_and_every_change_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let (now, start) = (now_ms(), Instant::now());
        let mut looks = Looks::default();
        let mut seen = |after: u64| {
            let quiet = looks.look(path, now + 86_400_000, start + Duration::from_secs(after));
            looks.end();
            assert!(quiet.told > Duration::from_hours(23), "by a clock that was set");
            quiet.seen.as_secs()
        };
        assert_eq!((seen(0), seen(60), seen(90)), (0, 60, 90));
        fs::write(path.join("a.mp4"), b"").unwrap();
        assert_eq!((seen(120), seen(150)), (0, 30));
        let mut looks = Looks::default();
        looks.look(path, now, start);
        looks.end();
        looks.end();
        let later = start + Duration::from_mins(1);
        assert_eq!(looks.look(path, now, later).seen, Duration::ZERO, "it was out of sight");
        assert_eq!(looks.look(&path.join("nothing"), now, later), Quiet::default());
    }
}
