//! What this host has written down and the API does not have yet: unread lines, unqueued files, uploads, deliveries.
//!
//! Everything is read from the disk and from the outbox's file, so it is as true when the agent does not run.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Survey;
use crate::jibri::roots::Finder;
use crate::outbox::OutboxError;
use crate::outbox::log::DeliveryLog;
use crate::outbox::model::Cursor;
use crate::recordings::notice::{self, Finished};
use crate::recordings::session::{self, METADATA, Session};
use crate::recordings::sidecar::Sidecar;
use crate::recordings::stage::Stage;
use crate::rooms::Rooms;

/// What is left to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Left {
    /// Whole lines' bytes in the spool that are not in the outbox.
    pub(super) unread_bytes: u64,
    /// Recording files of reported rooms that are not queued: most are being written.
    pub(super) files: Vec<PathBuf>,
    /// Items to be delivered.
    pub(super) deliveries: u64,
    /// Files to be uploaded.
    pub(super) uploads: u64,
    /// Bytes of them.
    pub(super) upload_bytes: u64,
    /// Items and uploads that wait for a person: nobody waits for them.
    pub(super) parked: u64,
    /// Directories and files that could not be read, and why. What is in them is not known.
    pub(super) unreadable: Vec<String>,
}

impl Left {
    /// Whether all is done that can be done without a person.
    pub(super) fn is_nothing(&self) -> bool {
        self.unread_bytes == 0 && self.files.is_empty() && self.deliveries == 0 && self.uploads == 0
    }

    /// In words.
    pub(super) fn in_words(&self) -> String {
        let mut parts = Vec::new();
        if self.unread_bytes > 0 {
            parts.push(format!("{} bytes unread in the spool", self.unread_bytes));
        }
        match &self.files[..] {
            [] => {}
            [file] => parts.push(format!("1 recording not finished ({})", file.display())),
            [file, ..] => {
                parts.push(format!("{} recordings not finished ({}, …)", self.files.len(), file.display()));
            }
        }
        if self.uploads > 0 {
            let mebibytes = self.upload_bytes.div_ceil(1 << 20);
            parts.push(format!(
                "{} to upload ({mebibytes} MiB)",
                super::view::count(self.uploads, "file", "files")
            ));
        }
        if self.deliveries > 0 {
            parts.push(super::view::count(self.deliveries, "delivery waits", "deliveries wait"));
        }
        if parts.is_empty() { "nothing is left".to_owned() } else { parts.join(", ") }
    }
}

/// Looks everywhere.
pub(super) fn look(log: &DeliveryLog, survey: &Survey) -> Result<Left, OutboxError> {
    let backlog = log.backlog()?;
    let uploads = log.upload_totals()?;
    let mut left = Left {
        deliveries: backlog.ready,
        uploads: uploads.active + uploads.waiting,
        upload_bytes: uploads.bytes_left,
        parked: backlog.parked + uploads.parked,
        ..Left::default()
    };
    if survey.spool.enabled {
        let (unread, trouble) = unread(&survey.spool.directory, &log.cursors()?);
        left.unread_bytes = unread;
        left.unreadable.extend(trouble);
    }
    if survey.recordings.enabled {
        let rooms = Rooms::new(&survey.api.rooms);
        let known = log.known_recordings()?;
        for root in Finder::new(&survey.recordings, &survey.jibri).find().roots {
            files(&root.path, &rooms, &known, &mut left);
        }
    }
    Ok(left)
}

/// Bytes of whole lines behind the cursors; half a line waits for its writer, and nobody can deliver it.
fn unread(directory: &Path, cursors: &[Cursor]) -> (u64, Vec<String>) {
    let mut trouble = Vec::new();
    let mut unread = 0;
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (0, trouble),
        Err(error) => return (0, vec![format!("{}: {error}", directory.display())]),
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        match unread_in(&path, cursors) {
            Ok(bytes) => unread += bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => trouble.push(format!("{}: {error}", path.display())),
        }
    }
    (unread, trouble)
}

fn unread_in(path: &Path, cursors: &[Cursor]) -> io::Result<u64> {
    /// Lines are shorter: what is farther from the end is unread whatever is there.
    const TAIL: u64 = 1 << 20;
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let identity = (metadata.dev(), metadata.ino());
    let known = cursors.iter().find(|cursor| cursor.identity == identity).map_or(0, |cursor| cursor.offset);
    let behind = metadata.len().saturating_sub(known);
    if behind == 0 || behind > TAIL {
        return Ok(behind);
    }
    file.seek(SeekFrom::Start(known))?;
    let mut bytes = Vec::new();
    file.take(behind).read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1))
}

/// The media files of a root that belong to reported rooms and were never queued.
fn files(root: &Path, rooms: &Rooms, known: &HashSet<String>, left: &mut Left) {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            left.unreadable.push(format!("{}: {error}", root.display()));
            return;
        }
    };
    for directory in entries.flatten().filter(session::is_one).map(|entry| entry.path()) {
        let session = match Session::read(&directory) {
            Ok(session) => session,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                left.unreadable.push(format!("{}: {error}", directory.display()));
                continue;
            }
        };
        let sidecar = Sidecar::read(&directory.join(METADATA));
        for (path, _) in session.media {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let finished = Finished {
                path: &path,
                session: &name,
                stage: Stage::Closed,
                metadata: sidecar.metadata(),
                finished_at: 0,
            };
            let reported = notice::room(&finished).is_none_or(|room| rooms.contains(room.as_str()));
            if reported && !known.contains(&path.display().to_string()) {
                left.files.push(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_nobodys_work() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        fs::write(&path, "{}\n{\"half").unwrap();
        fs::write(directory.path().join("notes.txt"), "no segment\n").unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let cursor = |offset| Cursor {
            file: 1,
            path: String::new(),
            identity: (metadata.dev(), metadata.ino()),
            head: vec![],
            offset,
            guard: vec![],
        };
        assert_eq!(unread(directory.path(), &[]), (3, vec![]));
        assert_eq!(unread(directory.path(), &[cursor(3)]), (0, vec![]));
        assert_eq!(unread(&directory.path().join("missing"), &[]), (0, vec![]));
    }

    #[test]
    fn what_is_left_is_said_in_the_order_of_its_way() {
        let left = Left {
            unread_bytes: 7,
            files: vec!["/r/a.mp4".into()],
            deliveries: 1,
            uploads: 2,
            upload_bytes: 3 << 20,
            ..Left::default()
        };
        assert_eq!(
            left.in_words(),
            "7 bytes unread in the spool, 1 recording not finished (/r/a.mp4), 2 files to upload (3 MiB), 1 delivery waits"
        );
        assert!(!left.is_nothing() && Left { parked: 1, ..Left::default() }.is_nothing());
    }
}
