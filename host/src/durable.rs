//! A file that is there whole or not at all, whatever crashes meanwhile.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// What a file is to hold, whose it is, and who may read it. What it holds may be a secret, so it has no `Debug`.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Its place. A link there is replaced, and not followed.
    pub path: &'a Path,
    /// What it is to hold.
    pub bytes: &'a [u8],
    /// Who may do what with it.
    pub mode: u32,
    /// The user that it belongs to; `None`: whoever runs this.
    pub owner: Option<u32>,
    /// The group that it belongs to; `None`: that of whoever runs this.
    pub group: Option<u32>,
}

impl Wanted<'_> {
    /// Writes it, unless it is so already; says whether it was written.
    pub fn write(&self) -> io::Result<bool> {
        if self.is_there()? {
            // A run that was killed after it had put the file there may not have come to this.
            sync(parent(self.path))?;
            return Ok(false);
        }
        let beside = self.beside();
        // What a run left behind that was killed.
        ignoring(ErrorKind::NotFound, fs::remove_file(&beside))?;
        let written = self.write_beside(&beside).and_then(|()| fs::rename(&beside, self.path));
        if let Err(error) = written {
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        sync(parent(self.path))?;
        Ok(true)
    }

    fn is_there(&self) -> io::Result<bool> {
        let metadata = match fs::symlink_metadata(self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            metadata => metadata?,
        };
        let owner = self.owner.unwrap_or_else(|| geteuid().as_raw());
        Ok(self.fits(&metadata, owner) && fs::read(self.path)? == self.bytes)
    }

    /// Whether a file is one that `owner` would have written, but for its bytes. Another owner could change it.
    fn fits(&self, metadata: &Metadata, owner: u32) -> bool {
        metadata.is_file()
            && metadata.uid() == owner
            && metadata.mode() & 0o7777 == self.mode
            && self.group.is_none_or(|group| group == metadata.gid())
    }

    /// A hidden name in the same directory, which no pattern for configuration files matches.
    fn beside(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.new"))
    }

    fn write_beside(&self, beside: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        if self.owner.is_some() || self.group.is_some() {
            fchown(&file, self.owner, self.group)?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.write_all(self.bytes)?;
        file.sync_all()
    }
}

/// Makes a directory for `group` to read, if there is none, with those above it.
pub fn directory(path: &Path, group: Option<u32>) -> io::Result<()> {
    let above = parent(path);
    if path.is_dir() {
        return sync(above);
    }
    DirBuilder::new().recursive(true).mode(0o755).create(above)?;
    DirBuilder::new().mode(0o750).create(path)?;
    let directory = File::open(path)?;
    if group.is_some() {
        fchown(&directory, None, group)?;
    }
    // Whatever the mask has taken away.
    directory.set_permissions(Permissions::from_mode(0o750))?;
    sync(above)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn ignoring(kind: ErrorKind, result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted<'a>(path: &'a Path, bytes: &'a [u8]) -> Wanted<'a> {
        Wanted { path, bytes, mode: 0o640, owner: None, group: None }
    }

    fn names(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_written_once_and_again_only_if_it_differs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(wanted(&path, b"one").write().unwrap());
        assert!(!wanted(&path, b"one").write().unwrap());
        assert!(wanted(&path, b"two").write().unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(wanted(&path, b"two").write().unwrap(), "others could read it");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(directory.path()), ["file"], "nothing is left beside it");
    }

    #[test]
    fn a_file_that_belongs_to_somebody_else_is_not_the_wanted_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = wanted(&path, b"one");
        assert!(file.write().unwrap());
        let metadata = fs::metadata(&path).unwrap();
        assert!(file.fits(&metadata, metadata.uid()));
        assert!(!file.fits(&metadata, metadata.uid() + 1));
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            assert!(file.write().unwrap(), "its owner could change it");
            assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
        }
    }

    #[test]
    fn what_a_killed_run_left_behind_is_no_hindrance_and_a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("file"), directory.path().join("other"));
        fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        std::os::unix::fs::symlink(&other, directory.path().join(".file.new")).unwrap();
        assert!(wanted(&path, b"mine").write().unwrap());
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&other).unwrap()),
            (b"mine".to_vec(), b"other".to_vec())
        );
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::create_dir(&path).unwrap();
        assert!(wanted(&path, b"one").write().is_err());
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_directory_is_made_for_its_group_and_left_alone_when_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("etc/reflector-agent");
        directory(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        directory(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    }
}
