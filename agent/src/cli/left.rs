//! What this host has written down and the API does not have yet: unread lines, unqueued files, uploads, deliveries.
//!
//! Everything is read from the disk and from the outbox's file, so it is as true when the agent does not run. It is read in
//! the order in which things move: what is on its way from one place to the next is seen in one of them at least.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Survey;
use crate::jibri::roots::Finder;
use crate::outbox::OutboxError;
use crate::outbox::log::DeliveryLog;
use crate::outbox::model::Cursor;
use crate::recordings::identity::Identity;
use crate::recordings::notice::{self, Finished, Origin};
use crate::recordings::session::{self, METADATA, Session};
use crate::recordings::sidecar::Sidecar;
use crate::rooms::Rooms;
use crate::spool;

/// What is left to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Left {
    /// Whole lines' bytes in the spool that are not in the outbox.
    pub(super) unread_bytes: u64,
    /// Recording files of reported rooms that are not queued: most are being written.
    pub(super) files: Vec<PathBuf>,
    /// Items to be delivered.
    pub(super) deliveries: u64,
    /// Items of rooms for which the API knows no meeting: nobody waits for them.
    pub(super) awaiting_meeting: u64,
    /// Files to be uploaded.
    pub(super) uploads: u64,
    /// Bytes of them.
    pub(super) upload_bytes: u64,
    /// Items and uploads that wait for a person: nobody waits for them.
    pub(super) parked: u64,
    /// Directories and files that could not be read, and why. What is in them is not known, so it counts as left.
    pub(super) unreadable: Vec<String>,
}

impl Left {
    /// Whether all is done that can be done without a person.
    pub(super) fn is_nothing(&self) -> bool {
        self.unread_bytes == 0
            && self.files.is_empty()
            && self.deliveries == 0
            && self.uploads == 0
            && self.unreadable.is_empty()
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
        if let [first, ..] = &self.unreadable[..] {
            let places = super::view::count(self.unreadable.len() as u64, "place", "places");
            parts.push(format!("{places} not seen ({first})"));
        }
        if parts.is_empty() { "nothing is left".to_owned() } else { parts.join(", ") }
    }
}

/// Looks everywhere. One look that finds nothing may have missed a file on its way from one name to another; two do not.
pub(super) fn look(log: &DeliveryLog, survey: &Survey) -> Result<Left, OutboxError> {
    let mut left = Left::default();
    if survey.spool.enabled {
        let (unread, trouble) = unread(&survey.spool.directory, &log.cursors()?);
        left.unread_bytes = unread;
        left.unreadable.extend(trouble);
    }
    if survey.recordings.enabled {
        let mut files = Files {
            log,
            rooms: Rooms::new(&survey.api.rooms),
            // The host's name is no part of an id.
            origin: Origin { host: String::new(), host_id: log.host_id()? },
            seen: HashSet::new(),
        };
        for root in Finder::new(&survey.recordings, &survey.jibri).find().roots {
            files.look(&root.path, &mut left)?;
        }
    }
    let uploads = log.upload_totals()?;
    let backlog = log.backlog()?;
    Ok(Left {
        deliveries: backlog.ready.saturating_sub(backlog.awaiting_meeting),
        awaiting_meeting: backlog.awaiting_meeting,
        uploads: uploads.active + uploads.waiting,
        upload_bytes: uploads.bytes_left,
        parked: backlog.parked + uploads.parked,
        ..left
    })
}

/// Bytes of whole lines behind the cursors, in the files that the agent reads; half a line waits for its writer, and nobody
/// can deliver it.
fn unread(directory: &Path, cursors: &[Cursor]) -> (u64, Vec<String>) {
    let mut trouble = Vec::new();
    let mut unread = 0;
    let listed = match spool::list(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (0, trouble),
        Err(error) => return (0, vec![format!("{}: {error}", directory.display())]),
    };
    for (_, path) in listed.files {
        match unread_in(&path, cursors) {
            Ok(bytes) => unread += bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => trouble.push(format!("{}: {error}", path.display())),
        }
    }
    (unread, trouble)
}

fn unread_in(path: &Path, cursors: &[Cursor]) -> io::Result<u64> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let identity = (metadata.dev(), metadata.ino());
    let known = cursors.iter().find(|cursor| cursor.identity == identity).map_or(0, |cursor| cursor.offset);
    // From the end, because the last line break is near it, however much is unread.
    let mut block = vec![0; 64 * 1024];
    let mut end = metadata.len();
    while end > known {
        let length = usize::try_from(end - known).unwrap_or(usize::MAX).min(block.len());
        let begin = end - length as u64;
        file.read_exact_at(&mut block[..length], begin)?;
        if let Some(at) = memchr::memrchr(b'\n', &block[..length]) {
            return Ok(begin + at as u64 + 1 - known);
        }
        end = begin;
    }
    Ok(0)
}

/// Looks for media files that belong to reported rooms and were not told.
struct Files<'a> {
    log: &'a DeliveryLog,
    rooms: Rooms,
    origin: Origin,
    /// Device and inode of each: one that is kept from a finalize script has two names.
    seen: HashSet<(u64, u64)>,
}

impl Files<'_> {
    /// Looks in one root.
    fn look(&mut self, root: &Path, left: &mut Left) -> Result<(), OutboxError> {
        let Some(entries) = read(root, fs::read_dir(root), left) else { return Ok(()) };
        for entry in entries {
            let Some(entry) = read(root, entry, left) else { continue };
            if !session::is_one(&entry) {
                continue;
            }
            let directory = entry.path();
            let Some(session) = read(&directory, Session::read(&directory), left) else { continue };
            let sidecar = Sidecar::read(&directory.join(METADATA));
            for (path, _) in session.media {
                let Some(file) = read(&path, fs::symlink_metadata(&path), left) else { continue };
                if self.is_left(&path, &Identity::of(&file), &sidecar)?
                    && self.seen.insert((file.dev(), file.ino()))
                {
                    left.files.push(path);
                }
            }
        }
        Ok(())
    }

    /// By its id, not by its name: a file that was written anew is to be told again.
    fn is_left(&self, path: &Path, identity: &Identity, sidecar: &Sidecar) -> Result<bool, OutboxError> {
        let finished = Finished::found(path, sidecar);
        if notice::room(&finished).is_some_and(|room| !self.rooms.contains(room.as_str())) {
            return Ok(false);
        }
        for id in notice::ids(&self.origin, &finished, identity) {
            if self.log.is_told(id.as_str())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What was read; what is just gone is nothing, and other troubles are noted.
fn read<T>(path: &Path, result: io::Result<T>, left: &mut Left) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            left.unreadable.push(format!("{}: {error}", path.display()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kept;
    use crate::outbox::model::Progress;
    use crate::outbox::{Limits, Outbox};

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
    fn only_whole_lines_of_files_that_the_agent_reads_are_unread() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("/etc/passwd", at("link.jsonl")).unwrap();
        fs::create_dir(at("directory.jsonl")).unwrap();
        fs::write(at("long.jsonl"), vec![b'x'; 3 << 20]).unwrap();
        assert_eq!(unread(directory.path(), &[]), (0, vec![]));
        fs::write(at("long.jsonl"), [b"{}\n", &vec![b'x'; 3 << 20][..]].concat()).unwrap();
        fs::write(at("rotated.jsonl.1"), "{}\n").unwrap();
        assert_eq!(unread(directory.path(), &[]), (6, vec![]));
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
        assert!(
            !left.is_nothing() && Left { parked: 1, awaiting_meeting: 1, ..Left::default() }.is_nothing()
        );
        let unseen = Left { unreadable: vec!["/r: Permission denied".into()], ..Left::default() };
        assert_eq!(unseen.in_words(), "1 place not seen (/r: Permission denied)");
        assert!(!unseen.is_nothing(), "nobody knows what is there");
    }

    #[test]
    fn a_file_is_left_until_it_was_told_as_it_is_now() {
        let directory = tempfile::tempdir().unwrap();
        let (outbox, root) = (directory.path().join("outbox"), directory.path().join("recordings"));
        let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
        let (writer, _) = Outbox::open(&outbox, limits).unwrap();
        let log = DeliveryLog::open(&outbox).unwrap();
        let origin = Origin { host: String::new(), host_id: log.host_id().unwrap() };
        let session = root.join("4a0f2c1e");
        let file = session.join("standup_2026-01-31-10-00-00.mp4");
        fs::create_dir_all(&session).unwrap();
        let left = || {
            let (rooms, origin) = (Rooms::new(&["standup".to_owned()]), origin.clone());
            let mut files = Files { log: &log, rooms, origin, seen: HashSet::new() };
            let mut left = Left::default();
            for root in [&root, &root.join(kept::DIRECTORY)] {
                files.look(root, &mut left).unwrap();
            }
            left.files
        };
        let tell = || {
            let sidecar = Sidecar::read(&session.join(METADATA));
            let finished = Finished::found(&file, &sidecar);
            let [id, _] = notice::ids(&origin, &finished, &Identity::of(&fs::metadata(&file).unwrap()));
            let notice = notice::nameless(id, &finished);
            let progress = Progress::Recording { path: file.display().to_string() };
            writer.outbox().append(&[notice], &progress).unwrap();
        };
        fs::write(&file, "half of").unwrap();
        fs::write(session.join("other_2026-01-31-10-00-00.mp4"), "another room's").unwrap();
        for (what, change) in [
            ("found without metadata", Box::new(|| {}) as Box<dyn Fn()>),
            ("written to", Box::new(|| fs::write(&file, "half of it").unwrap())),
            ("its metadata came", Box::new(|| fs::write(session.join(METADATA), "{}").unwrap())),
        ] {
            change();
            kept::keep(&session).unwrap();
            assert_eq!(left(), std::slice::from_ref(&file), "{what}");
            tell();
            assert!(left().is_empty(), "{what}, and told");
        }
        fs::remove_file(session.join(METADATA)).unwrap();
        assert!(left().is_empty(), "metadata that are taken away do not make it worse");
        let (rooms, mut left) = (Rooms::new(&["*".to_owned()]), Left::default());
        let mut files = Files { log: &log, rooms, origin, seen: HashSet::new() };
        files.look(&directory.path().join("missing"), &mut left).unwrap();
        assert!(left.is_nothing(), "Jibri makes its root at the first recording");
        files.look(&file, &mut left).unwrap();
        assert!(!left.is_nothing(), "what cannot be listed is not known");
        writer.close();
    }
}
