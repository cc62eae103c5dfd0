//! What a session directory looks like, so that a later look can tell whether anything in it went on.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the file that Jibri writes last.
pub const METADATA: &str = "metadata.json";

/// For how long after its last change a settled session is still compared file by file.
///
/// Jicofo tries again within minutes. After that only the directory itself is asked, which shows a new file but not an
/// old one that grows; so ten thousand old recordings cost one `stat` each.
const FRESH: Duration = Duration::from_hours(6);

/// What changes when somebody writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// The length in bytes.
    pub length: u64,
    /// The last modification, in nanoseconds since 1970.
    pub modified: i128,
}

/// A session directory at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let mut session =
            Self { media: Vec::new(), metadata: None, modified: looks(&fs::metadata(directory)?).modified };
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
                session.metadata = Some(looks(&file));
            } else if file.is_file() {
                session.media.push((entry.path(), looks(&file)));
            }
        }
        session.media.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(session)
    }

    /// Whether the directory still looks as it did. `now` is in nanoseconds since 1970.
    pub fn is_unchanged(&self, directory: &Path, now: i128) -> bool {
        if self.is_fresh(now) {
            Self::read(directory).is_ok_and(|session| session == *self)
        } else {
            fs::metadata(directory).is_ok_and(|metadata| looks(&metadata).modified == self.modified)
        }
    }

    /// Whether its first file is still to come: Jibri makes the directory before the browser has joined.
    pub fn is_awaited(&self, now: i128) -> bool {
        self.media.is_empty() && self.metadata.is_none() && self.is_fresh(now)
    }

    /// Whether anything in it changed a short while ago. `now` is in nanoseconds since 1970.
    pub fn is_fresh(&self, now: i128) -> bool {
        let files = self.media.iter().map(|(_, looks)| *looks).chain(self.metadata);
        let newest = files.map(|looks| looks.modified).fold(self.modified, i128::max);
        now - newest < i128::try_from(FRESH.as_nanos()).unwrap_or(i128::MAX)
    }
}

/// Whether an entry of a root is a session directory.
pub fn is_one(entry: &DirEntry) -> bool {
    let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn looks(metadata: &fs::Metadata) -> Looks {
    Looks {
        length: metadata.len(),
        modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
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

    #[test]
    fn what_leaves_the_directory_as_it_was_is_seen_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let (media, metadata) = (directory.path().join("a.mp4"), directory.path().join(METADATA));
        fs::write(&media, b"1").unwrap();
        fs::write(&metadata, b"{}").unwrap();
        let before = Session::read(directory.path()).unwrap();
        assert!(before.is_unchanged(directory.path(), now()));
        for file in [&media, &metadata] {
            let before = Session::read(directory.path()).unwrap();
            append(file);
            assert!(!before.is_unchanged(directory.path(), now()), "{}", file.display());
            assert_eq!(Session::read(directory.path()).unwrap().modified, before.modified);
        }
    }

    #[test]
    fn an_old_session_is_asked_for_new_files_only() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.mp4"), b"1").unwrap();
        let session = Session::read(directory.path()).unwrap();
        for (hours, fresh) in [(-1, true), (0, true), (5, true), (7, false)] {
            assert_eq!(session.is_fresh(now() + hours * HOUR), fresh, "{hours} h later");
        }
        append(&directory.path().join("a.mp4"));
        assert!(session.is_unchanged(directory.path(), now() + 7 * HOUR));
        fs::remove_file(directory.path().join("a.mp4")).unwrap();
        assert!(!session.is_unchanged(directory.path(), now() + 7 * HOUR));
    }
}
