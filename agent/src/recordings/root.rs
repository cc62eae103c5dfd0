//! A directory that holds session directories.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::now_ns;
use super::session::{self, Looks};

/// A root is listed anew after so long even when it looks as before: network file systems show changes late.
const LIST_AGAIN: Duration = Duration::from_mins(1);

/// A root that changed less than this ago, in nanoseconds, may change again without looking different: file systems count
/// time in ticks.
const TICK: i128 = 2_000_000_000;

/// A directory that holds session directories, or will.
pub(super) struct Root {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it was when it was listed last: device, inode and looks, and when that was.
    listed: Option<((u64, u64), Looks, Instant)>,
}

impl Root {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, listed: None }
    }

    /// Its session directories, or `None` when they are the same as before. A root whose device and inode are among
    /// those `seen` is another root by another name: it has none of its own.
    pub(super) fn sessions(&mut self, seen: &mut HashSet<(u64, u64)>) -> io::Result<Option<Vec<PathBuf>>> {
        let listed = self.listed.take();
        let metadata = fs::metadata(&self.path)?;
        let (identity, looks) = ((metadata.dev(), metadata.ino()), Looks::of(&metadata));
        if !seen.insert(identity) {
            return Ok(Some(Vec::new()));
        }
        let now = Instant::now();
        if let Some((before, looked, at)) = listed
            && (before, looked) == (identity, looks)
            && now_ns() - looks.modified > TICK
            && now - at < LIST_AGAIN
        {
            self.listed = listed;
            return Ok(None);
        }
        let entries = fs::read_dir(&self.path)?;
        self.listed = Some((identity, looks, now));
        Ok(Some(entries.flatten().filter(session::is_one).map(|entry| entry.path()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_listed_when_it_changed_and_never_under_two_names() {
        let directory = tempfile::tempdir().unwrap();
        let [at, link] = ["real", "link"].map(|name| directory.path().join(name));
        std::os::unix::fs::symlink(&at, &link).unwrap();
        let mut root = Root::new(at.clone());
        let list = |root: &mut Root| root.sessions(&mut HashSet::new());
        assert_eq!(list(&mut root).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::create_dir_all(at.join("s1")).unwrap();
        assert_eq!(list(&mut root).unwrap(), Some(vec![at.join("s1")]));
        // Long enough ago for any tick.
        let settle = |path: &PathBuf, second: u64| {
            let then = std::time::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::open(path).unwrap().set_modified(then).unwrap();
        };
        settle(&at, 1);
        assert!(list(&mut root).unwrap().is_some(), "it looks different");
        assert_eq!(list(&mut root).unwrap(), None);
        fs::remove_dir_all(&at).unwrap();
        fs::create_dir_all(at.join("s2")).unwrap();
        settle(&at, 2);
        assert_eq!(list(&mut root).unwrap(), Some(vec![at.join("s2")]), "it is another directory");
        let mut seen = HashSet::new();
        root.sessions(&mut seen).unwrap();
        let mut same = Root::new(link.clone());
        assert_eq!(same.sessions(&mut seen).unwrap(), Some(Vec::new()));
        assert_eq!(
            list(&mut same).unwrap(),
            Some(vec![link.join("s2")]),
            "a linked root is one like any other"
        );
    }
}
