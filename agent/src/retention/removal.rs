//! Removes a file, and what is left of its session directory.
//!
//! Others may write where recordings are. So the directory is opened first, never through a link, and what is removed is
//! looked at in there: a link that somebody puts in its place leads nowhere.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat, unlinkat};

use crate::outbox::uploads::FileIdentity;
use crate::recordings::session::METADATA;

/// Removes the file at `path` in `directory`, if it is still this one.
pub(super) fn remove(directory: &Path, path: &Path, file: &FileIdentity) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(CWD, directory, flags, Mode::empty())?;
    let found = statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (found.st_ino, found.st_size.cast_unsigned()) != (file.inode, file.size) {
        return Err(io::Error::other("it is another file now"));
    }
    Ok(unlinkat(&opened, name, AtFlags::empty())?)
}

/// Removes a session directory in which nothing but its metadata is left. Whatever else is in it keeps it.
pub(super) fn tidy(directory: &Path) -> io::Result<()> {
    let mut metadata = false;
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        if entry?.file_name() != METADATA {
            return Ok(());
        }
        metadata = true;
    }
    if metadata {
        fs::remove_file(directory.join(METADATA))?;
    }
    match fs::remove_dir(directory) {
        // Somebody was quicker, in either way.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> (tempfile::TempDir, std::path::PathBuf, FileIdentity) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("s1");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a.mp4"), b"abc").unwrap();
        fs::write(directory.join(METADATA), b"{}").unwrap();
        let file = FileIdentity::of(&fs::metadata(directory.join("a.mp4")).unwrap());
        (root, directory, file)
    }

    #[test]
    fn the_file_goes_then_the_metadata_and_the_directory() {
        let (_root, directory, file) = session();
        tidy(&directory).unwrap();
        assert!(directory.join(METADATA).exists(), "there is media");
        remove(&directory, &directory.join("a.mp4"), &file).unwrap();
        assert!(directory.join(METADATA).exists());
        tidy(&directory).unwrap();
        assert!(!directory.exists());
        tidy(&directory).unwrap();
    }

    #[test]
    fn whatever_else_is_there_keeps_the_directory_and_the_metadata() {
        for other in ["b.mp4", ".nfs0001", "notes"] {
            let (_root, directory, file) = session();
            fs::write(directory.join(other), b"").unwrap();
            remove(&directory, &directory.join("a.mp4"), &file).unwrap();
            tidy(&directory).unwrap();
            assert!(directory.join(METADATA).exists() && directory.join(other).exists(), "{other}");
        }
    }

    #[test]
    fn another_file_and_a_linked_directory_are_left_alone() {
        let (root, directory, file) = session();
        let path = directory.join("a.mp4");
        let longer = FileIdentity { size: 4, ..file };
        assert!(remove(&directory, &path, &longer).is_err());
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        assert!(remove(&link, &link.join("a.mp4"), &file).is_err());
        assert!(path.exists());
    }
}
