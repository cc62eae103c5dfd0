//! What a session directory looks like, so that a later look can tell whether anything in it went on.

use std::fs::{self, DirEntry};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the file that Jibri writes last.
pub const METADATA: &str = "metadata.json";

/// For how long after its last change a settled session is compared at every look: Jicofo tries again within minutes.
/// Older ones take turns.
const FRESH: Duration = Duration::from_hours(6);

/// What changes when somebody writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Looks {
    /// The length in bytes.
    pub length: u64,
    /// The last modification, in nanoseconds since 1970.
    pub modified: i128,
}

/// A session directory at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session {
    /// Every regular file that is neither hidden nor the metadata, by name: the extension is a matter of Jibri's
    /// configuration.
    pub media: Vec<(PathBuf, Looks)>,
    /// The metadata, if there is any.
    pub metadata: Option<Looks>,
    /// The directory's own modification time: files came, went or changed their names.
    modified: i128,
}

impl Session {
    /// Looks at a directory and the files in it, without opening them.
    pub fn read(directory: &Path) -> io::Result<Self> {
        // Asked first: what comes while the files are listed makes the next look differ.
        let mut session = Self {
            media: Vec::new(),
            metadata: None,
            modified: Looks::of(&fs::metadata(directory)?).modified,
        };
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let file = match entry.metadata() {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if name == METADATA {
                session.metadata = Some(Looks::of(&file));
            } else if file.is_file() {
                session.media.push((entry.path(), Looks::of(&file)));
            }
        }
        session.media.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(session)
    }

    /// Whether its first file is still to come: Jibri makes the directory before the browser has joined. `now` is in
    /// nanoseconds since 1970.
    pub fn is_awaited(&self, now: i128) -> bool {
        self.media.is_empty() && self.metadata.is_none() && is_fresh(self.newest(), now)
    }

    /// What is remembered of it once everything in it has been dealt with.
    pub fn settled(&self) -> Settled {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Settled { fingerprint: hasher.finish(), newest: self.newest() }
    }

    /// The last change of anything in it, in nanoseconds since 1970.
    pub fn newest(&self) -> i128 {
        let files = self.media.iter().map(|(_, looks)| *looks).chain(self.metadata);
        files.map(|looks| looks.modified).fold(self.modified, i128::max)
    }
}

/// What is remembered of a session in which everything has been dealt with: enough to see that it is another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    fingerprint: u64,
    newest: i128,
}

impl Settled {
    /// The last change of anything in the session, in nanoseconds since 1970.
    pub fn newest(&self) -> i128 {
        self.newest
    }

    /// Whether anything in the session changed a short while ago. `now` is in nanoseconds since 1970.
    pub fn is_fresh(&self, now: i128) -> bool {
        is_fresh(self.newest, now)
    }
}

fn is_fresh(newest: i128, now: i128) -> bool {
    now - newest < i128::try_from(FRESH.as_nanos()).unwrap_or(i128::MAX)
}

/// Whether an entry of a root is a session directory.
pub fn is_one(entry: &DirEntry) -> bool {
    let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

impl Looks {
    /// How the file with these metadata looks.
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::clock::now_ms;

    const HOUR: i128 = 3_600_000_000_000;

    fn now() -> i128 {
        i128::from(now_ms()) * 1_000_000
    }

    fn append(path: &Path) {
        fs::File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    }

    #[test]
    fn media_are_the_plain_files_beside_the_metadata() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in ["b.mp4", "a.mkv", ".hidden", METADATA] {
            fs::write(at.join(name), name).unwrap();
        }
        fs::create_dir(at.join("directory")).unwrap();
        let session = Session::read(at).unwrap();
        let names: Vec<_> = session.media.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(names, [at.join("a.mkv"), at.join("b.mp4")]);
        assert_eq!(session.metadata.map(|looks| looks.length), Some(METADATA.len() as u64));
    }

    type Change = fn(&Path);

    #[test]
    fn whatever_changes_in_a_session_makes_it_another() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let changes: [(&str, Change); 5] = [
            ("a file grows", |at| append(&at.join("a.mp4"))),
            ("the metadata grow", |at| append(&at.join(METADATA))),
            ("a file comes", |at| fs::write(at.join("b.mp4"), b"").unwrap()),
            ("a file gets another name", |at| fs::rename(at.join("b.mp4"), at.join("c.mp4")).unwrap()),
            ("the metadata go", |at| fs::remove_file(at.join(METADATA)).unwrap()),
        ];
        fs::write(at.join("a.mp4"), b"1").unwrap();
        fs::write(at.join(METADATA), b"{}").unwrap();
        for (what, change) in changes {
            let before = Session::read(at).unwrap().settled();
            assert_eq!(Session::read(at).unwrap().settled(), before);
            change(at);
            assert_ne!(Session::read(at).unwrap().settled(), before, "{what}");
        }
    }

    #[test]
    fn a_session_is_fresh_for_six_hours_and_awaited_while_it_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let empty = Session::read(directory.path()).unwrap();
        fs::write(directory.path().join("a.mp4"), b"1").unwrap();
        let session = Session::read(directory.path()).unwrap();
        for (hours, fresh) in [(-1, true), (0, true), (5, true), (7, false)] {
            let then = now() + hours * HOUR;
            assert_eq!(session.settled().is_fresh(then), fresh, "{hours} h later");
            assert_eq!(empty.is_awaited(then), fresh, "{hours} h later");
            assert!(!session.is_awaited(then));
        }
    }
}
