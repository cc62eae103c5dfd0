//! A plain appending writer of a spool directory, with both ways in which other tools rotate files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::Lines;

/// How a file is taken away from its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// `logrotate`'s default: the file is renamed and the writer opens a new one.
    Rename,
    /// `logrotate`'s `copytruncate`: the file is copied, then cut to nothing under the writer.
    CopyTruncate,
}

/// Appends lines to `events.jsonl` of a directory and remembers what it wrote.
#[derive(Debug)]
pub struct SpoolWriter {
    path: PathBuf,
    file: File,
    lines: Lines,
    written: BTreeMap<String, Vec<String>>,
    last_id: String,
    count: usize,
    rotations: usize,
}

impl SpoolWriter {
    /// Opens the file in `directory`, which must exist.
    pub fn create(directory: &Path, lines: Lines) -> io::Result<Self> {
        let path = directory.join("events.jsonl");
        let file = open(&path)?;
        Ok(Self {
            path,
            file,
            lines,
            written: BTreeMap::new(),
            last_id: String::new(),
            count: 0,
            rotations: 0,
        })
    }

    /// Appends `count` lines with one write.
    pub fn append(&mut self, count: usize) -> io::Result<()> {
        let now = OffsetDateTime::now_utc();
        let mut text = String::with_capacity(count * 400);
        for _ in 0..count {
            let line = self.lines.next_at(now);
            text.push_str(&line.text);
            text.push('\n');
            self.last_id.clone_from(&line.id);
            self.written.entry(line.room).or_default().push(line.id);
        }
        self.count += count;
        self.file.write_all(text.as_bytes())
    }

    /// Rotates the file: `events.jsonl` becomes `events.jsonl.1`, `.1` becomes `.2` and so on.
    pub fn rotate(&mut self, how: Rotation) -> io::Result<()> {
        for number in (1..=self.rotations).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        self.rotations += 1;
        match how {
            Rotation::Rename => {
                fs::rename(&self.path, self.numbered(1))?;
                self.file = open(&self.path)?;
                Ok(())
            }
            Rotation::CopyTruncate => {
                fs::copy(&self.path, self.numbered(1))?;
                self.file.set_len(0)
            }
        }
    }

    /// How many lines were written.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The id of the last line; empty before the first.
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// How often the file was rotated.
    pub fn rotations(&self) -> usize {
        self.rotations
    }

    /// The ids of each room in the order in which they were written.
    pub fn written(&self) -> &BTreeMap<String, Vec<String>> {
        &self.written
    }

    fn numbered(&self, number: usize) -> PathBuf {
        self.path.with_extension(format!("jsonl.{number}"))
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rotations_keep_every_line_in_some_file() {
        for how in [Rotation::Rename, Rotation::CopyTruncate] {
            let directory = tempfile::tempdir().unwrap();
            let mut writer = SpoolWriter::create(directory.path(), Lines::in_rooms(1, 2)).unwrap();
            for _ in 0..3 {
                writer.append(4).unwrap();
                writer.rotate(how).unwrap();
            }
            writer.append(4).unwrap();
            let lines = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap().lines().count();
            let files = ["events.jsonl", "events.jsonl.1", "events.jsonl.2", "events.jsonl.3"];
            assert_eq!(files.map(lines), [4, 4, 4, 4], "{how:?}");
            assert_eq!(writer.written().values().map(Vec::len).sum::<usize>(), 16);
        }
    }
}
