//! What a disk holds after a power cut: everything that was flushed, and any part of what was not.
//!
//! The rules are those that POSIX gives, not those of one file system. A flush of a file keeps its bytes and its length, not
//! its name; a name is kept by a flush of its directory. What was not flushed may be there or not, in pieces of a sector, in
//! any order, and each sector in any of the versions that it had since.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// What a disk writes wholly or not at all, in bytes.
const SECTOR: usize = 512;

/// Something that the recorded process did.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// It made a file.
    Create(PathBuf, u64),
    /// It wrote bytes at an offset.
    Write(u64, usize, Vec<u8>),
    /// It gave a file this length.
    Resize(u64, usize),
    /// It flushed a file.
    Sync(u64),
    /// It flushed a directory.
    SyncNames(PathBuf),
    /// It removed a file's name.
    Unlink(PathBuf),
    /// It sent bytes to somebody.
    Sent(Vec<u8>),
}

/// Reads what the recorder wrote.
pub(super) fn acts(log: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut rest = log;
    while let Some((header, after)) = rest.split_at_checked(40) {
        let member = |n: usize| u64::from_ne_bytes(header[8 * n..8 * n + 8].try_into().unwrap());
        let size = |n: usize| usize::try_from(member(n)).unwrap();
        let (object, offset) = (member(1), size(2));
        // The process was killed in the middle of its last record.
        let Some((name, after)) = after.split_at_checked(size(3)) else { break };
        let Some((data, after)) = after.split_at_checked(size(4)) else { break };
        let path = || PathBuf::from(std::str::from_utf8(name).unwrap());
        acts.push(match member(0) {
            1 => Act::Create(path(), object),
            2 => Act::Write(object, offset, data.to_vec()),
            3 => Act::Resize(object, offset),
            4 => Act::Sync(object),
            5 => Act::SyncNames(path()),
            6 => Act::Unlink(path()),
            7 => Act::Sent(data.to_vec()),
            other => panic!("the recorder knows an act {other} that the disk does not"),
        });
        rest = after;
    }
    acts
}

/// A disk while a process works on it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// Which file has an inode at the moment.
    inodes: HashMap<u64, usize>,
    names: BTreeMap<PathBuf, usize>,
    /// Names that came and went since their directory was flushed; `None` for one that went.
    renamed: Vec<(PathBuf, Option<usize>)>,
}

/// A file: its flushed content, and what was done to it since.
#[derive(Debug, Default, Clone)]
struct File {
    content: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Disk {
    /// A disk that holds a file for good.
    pub(super) fn put(&mut self, path: &Path, content: Vec<u8>) {
        self.names.insert(path.to_owned(), self.files.len());
        self.files.push(File { content, since: Vec::new() });
    }

    pub(super) fn take(&mut self, act: &Act) {
        match act {
            Act::Create(path, inode) => {
                self.inodes.insert(*inode, self.files.len());
                self.renamed.push((path.clone(), Some(self.files.len())));
                self.files.push(File::default());
            }
            Act::Write(inode, offset, bytes) => self.change(*inode, Change::Write(*offset, bytes.clone())),
            Act::Resize(inode, length) => self.change(*inode, Change::Resize(*length)),
            Act::Sync(inode) => {
                if let Some(file) = self.inodes.get(inode) {
                    self.files[*file].flush();
                }
            }
            Act::SyncNames(directory) => {
                let (flushed, rest): (Vec<_>, Vec<_>) =
                    self.renamed.drain(..).partition(|(path, _)| path.parent() == Some(directory));
                self.renamed = rest;
                for change in flushed {
                    rename(&mut self.names, change);
                }
            }
            Act::Unlink(path) => self.renamed.push((path.clone(), None)),
            Act::Sent(_) => {}
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        let file = self.inodes.get(&inode).expect("the disk knows every file that is written");
        self.files[*file].since.push(change);
    }

    /// What a power cut leaves, written below `to` instead of `from`.
    pub(super) fn cut(&self, random: &mut Rng, from: &Path, to: &Path) {
        let mut names = self.names.clone();
        for change in &self.renamed {
            if random.bool() {
                rename(&mut names, change.clone());
            }
        }
        for (path, file) in names {
            let path = to.join(path.strip_prefix(from).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, self.files[file].cut(random)).unwrap();
        }
    }
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, (path, file): (PathBuf, Option<usize>)) {
    match file {
        Some(file) => names.insert(path, file),
        None => names.remove(&path),
    };
}

impl File {
    fn flush(&mut self) {
        for change in std::mem::take(&mut self.since) {
            apply(&mut self.content, &change);
        }
    }

    /// Nothing, all, or some of what was not flushed.
    fn cut(&self, random: &mut Rng) -> Vec<u8> {
        match random.u8(..4) {
            0 => self.content.clone(),
            1 => {
                let mut all = self.clone();
                all.flush();
                all.content
            }
            _ => self.scatter(random),
        }
    }

    /// Each sector in one of its versions, and the file in one of its lengths.
    fn scatter(&self, random: &mut Rng) -> Vec<u8> {
        let mut now = self.content.clone();
        let mut lengths = vec![now.len()];
        let mut versions: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for change in &self.since {
            apply(&mut now, change);
            lengths.push(now.len());
            if let Change::Write(offset, bytes) = change {
                for sector in offset / SECTOR..(offset + bytes.len()).div_ceil(SECTOR) {
                    versions.entry(sector).or_default().push(sector_of(&now, sector));
                }
            }
        }
        let mut left = self.content.clone();
        let length = lengths[random.usize(..lengths.len())];
        left.resize(length, 0);
        for (sector, versions) in versions {
            let choice = random.usize(..=versions.len());
            if let Some(version) = versions.get(choice) {
                let at = sector * SECTOR;
                let end = (at + version.len()).min(length);
                if at < end {
                    left[at..end].copy_from_slice(&version[..end - at]);
                }
            }
        }
        left
    }
}

fn sector_of(content: &[u8], sector: usize) -> Vec<u8> {
    let end = ((sector + 1) * SECTOR).min(content.len());
    content[sector * SECTOR..end].to_vec()
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, bytes) => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
        Change::Resize(length) => content.resize(*length, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_flushed_is_there_after_every_cut() {
        let (from, to) = (Path::new("/d"), tempfile::tempdir().unwrap());
        let path = from.join("a");
        let mut disk = Disk::default();
        for act in [
            Act::Create(path.clone(), 1),
            Act::Write(1, 0, b"kept".to_vec()),
            Act::Sync(1),
            Act::SyncNames(from.to_owned()),
            Act::Write(1, 4, b" or not".to_vec()),
        ] {
            disk.take(&act);
        }
        let mut random = Rng::with_seed(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            disk.cut(&mut random, from, to.path());
            seen.insert(fs::read(to.path().join("a")).unwrap());
        }
        assert!(seen.iter().all(|content| content.starts_with(b"kept")), "{seen:?}");
        assert!(seen.contains(&b"kept"[..]) && seen.contains(&b"kept or not"[..]), "{seen:?}");
    }
}
