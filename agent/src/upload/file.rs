//! The file of an upload: whether it is still the one whose checksum is known.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use contract::id::hex;
use sha2::{Digest, Sha256};

use crate::kept;
use crate::outbox::uploads::FileIdentity;
use crate::watch::Stop;

/// How a file looks compared with what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    /// As it did when its checksum was computed.
    Same,
    /// Written to since, but as long as before: its checksum tells.
    Touched,
    /// Another file, or another length. The recordings source finds it anew.
    Another,
    /// There is no file.
    Gone,
    /// There is no file, and nothing else where recordings are: their disk may not be mounted.
    Away,
}

/// Where the file is: at its path, or kept from a finalize script that has removed or replaced it there.
fn place(path: &Path, known: FileIdentity) -> Cow<'_, Path> {
    let is_it = |path: &Path| fs::metadata(path).is_ok_and(|file| file.ino() == known.inode);
    if is_it(path) {
        return Cow::Borrowed(path);
    }
    kept::link_of(path).filter(|link| is_it(link)).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// Compares what is at `path` with what is `known`.
pub(super) fn look(path: &Path, known: FileIdentity) -> io::Result<Looks> {
    match fs::metadata(place(path, known)) {
        Ok(file) => Ok(compare(FileIdentity::of(&file), known)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(if is_away(path) { Looks::Away } else { Looks::Gone })
        }
        Err(error) => Err(error),
    }
}

/// Whether the directory of the sessions is not there or holds nothing, as a mount point without its disk.
fn is_away(path: &Path) -> bool {
    let root = path.parent().and_then(Path::parent);
    root.is_none_or(|root| fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none()))
}

fn compare(seen: FileIdentity, known: FileIdentity) -> Looks {
    if seen == known {
        Looks::Same
    } else if seen.inode == known.inode && seen.size == known.size {
        Looks::Touched
    } else {
        Looks::Another
    }
}

/// The opened file, if it is the one that is known.
pub(super) fn open(path: &Path, known: FileIdentity) -> io::Result<Option<Arc<File>>> {
    match File::open(place(path, known)) {
        Ok(file) => Ok(is_unchanged(&file, known)?.then(|| Arc::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an open file looks as it is known.
pub(super) fn is_unchanged(file: &File, known: FileIdentity) -> io::Result<bool> {
    Ok(FileIdentity::of(&file.metadata()?) == known)
}

/// Reads the file through. Returns how it looked before, and its checksum; `None` when the agent stops meanwhile.
pub(super) fn digest(
    path: &Path,
    known: FileIdentity,
    stop: &Stop,
) -> io::Result<Option<(FileIdentity, String)>> {
    let mut file = File::open(place(path, known))?;
    let identity = FileIdentity::of(&file.metadata()?);
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
    while !stop.is_given() {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Some((identity, hex(&hash.finalize()))));
        }
        hash.update(&buffer[..read]);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: FileIdentity = FileIdentity { inode: 1, size: 10, modified: 5 };

    #[test]
    fn a_file_is_known_by_inode_length_and_time() {
        for (seen, expected) in [
            (KNOWN, Looks::Same),
            (FileIdentity { modified: 6, ..KNOWN }, Looks::Touched),
            (FileIdentity { modified: 4, ..KNOWN }, Looks::Touched),
            (FileIdentity { size: 11, ..KNOWN }, Looks::Another),
            (FileIdentity { inode: 2, ..KNOWN }, Looks::Another),
        ] {
            assert_eq!(compare(seen, KNOWN), expected, "{seen:?}");
        }
        let root = tempfile::tempdir().unwrap();
        let look = || look(&root.path().join("session/a.mp4"), KNOWN).unwrap();
        assert_eq!(look(), Looks::Away);
        fs::create_dir(root.path().join("another")).unwrap();
        assert_eq!(look(), Looks::Gone);
        assert!(open(Path::new("/nowhere/at/all"), KNOWN).unwrap().is_none());
    }

    #[test]
    fn a_file_that_a_finalize_script_removed_or_replaced_is_found_where_it_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let session = directory.path().join("4a0f2c1e");
        let path = session.join("a.mp4");
        fs::create_dir(&session).unwrap();
        fs::write(&path, "media").unwrap();
        let known = FileIdentity::of(&fs::metadata(&path).unwrap());
        let seen = || (look(&path, known).unwrap(), open(&path, known).unwrap().is_some());
        kept::keep(&session).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(seen(), (Looks::Same, true), "removed");
        fs::write(&path, "other").unwrap();
        assert_eq!(seen(), (Looks::Same, true), "replaced");
        fs::remove_dir_all(directory.path().join(kept::DIRECTORY)).unwrap();
        assert_eq!(seen(), (Looks::Another, false), "replaced, and not kept");
    }

    #[test]
    fn a_digest_is_of_the_whole_file_and_ends_with_the_agent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"abc").unwrap();
        let stop = Stop::new().unwrap();
        let (identity, sha256) = digest(file.path(), KNOWN, &stop).unwrap().unwrap();
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(look(file.path(), identity).unwrap(), Looks::Same);
        stop.give();
        assert!(digest(file.path(), KNOWN, &stop).unwrap().is_none());
    }
}
