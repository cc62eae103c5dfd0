//! One spool file and how far it has been read.
//!
//! A file is recognised by device and inode, so a rename changes nothing. Before every read the bytes just before the
//! cursor are compared with what was read there: a file that was truncated and filled again, or another file that got
//! the same inode, does not pass, and is read from its start. Lines that come twice that way (from a copy, say) are
//! the same events by id.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use contract::event::MAX_EVENT_BYTES;
use sha2::{Digest, Sha256};

use super::framing::{Frame, frame};
use super::line::{self, Place};
use crate::outbox::model::{Cursor, NewItem};
use crate::rooms::Rooms;

/// How many bytes before the cursor are compared.
const GUARD: usize = 256;

/// How many bytes are read at once. More than [`MAX_EVENT_BYTES`], so that a full chunk without a line break is a line
/// that is too long.
const CHUNK: usize = 2 * MAX_EVENT_BYTES;

/// How far apart the times of two changes may be that a file system's clock does not tell apart, in milliseconds. Most keep
/// nanoseconds and move them every few milliseconds; some keep seconds.
const COARSEST_MS: i64 = 2_000;

/// The size of the buffer that [`Tail::read`] needs.
pub const BUFFER: usize = GUARD + CHUNK;

/// A spool file.
pub struct Tail {
    /// How far it was read; moves only after the outbox has what was read.
    pub cursor: Cursor,
    /// Where it is now.
    pub path: PathBuf,
    /// Whether the directory still lists it.
    pub listed: bool,
    file: Option<File>,
    /// What it looked like when it was last read to its end.
    seen: Option<Stamp>,
    /// How long it was when its turn in the order of reading ended last.
    turned: Option<u64>,
    /// A line that is too long was searched for its end up to here.
    searched: u64,
    /// The cursor is from the outbox, and nothing was read with it yet.
    resumed: bool,
}

/// What changes whenever a file's content does, once it has settled: see [`Stamp::is_settled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The last modification, in nanoseconds since 1970.
    pub modified: i128,
    /// The length in bytes.
    pub length: u64,
}

impl Stamp {
    /// Whether a later change of the file would give it another stamp. `now` is the time at which the stamp was taken, in
    /// milliseconds since 1970.
    pub fn is_settled(self, now: i64) -> bool {
        self.modified + i128::from(COARSEST_MS) * 1_000_000 < i128::from(now) * 1_000_000
    }
}

/// What a read found.
#[derive(Debug)]
pub enum Found {
    /// What follows the cursor.
    Reading(Reading),
    /// Not the content that was read before: the cursor went back to the start. What the file held before may stand in a
    /// copy beside it, so look at the directory before reading on.
    Restarted,
}

/// What follows the cursor.
#[derive(Debug)]
pub struct Reading {
    /// The items to queue.
    pub items: Vec<NewItem>,
    /// The cursor once they are queued.
    pub cursor: Cursor,
    /// What the file looked like, if its end was reached.
    pub end: Option<Stamp>,
}

impl Tail {
    /// A file that is new to us, or one whose cursor was found in the outbox.
    pub fn new(path: PathBuf, identity: (u64, u64), stored: Option<Cursor>) -> Self {
        let fresh = || Cursor {
            file: 0,
            path: String::new(),
            identity,
            head: Vec::new(),
            offset: 0,
            guard: Vec::new(),
        };
        let resumed = stored.is_some();
        let cursor = stored.unwrap_or_else(fresh);
        Self { cursor, path, listed: true, file: None, seen: None, turned: None, searched: 0, resumed }
    }

    /// What the file looks like now.
    pub fn stamp(&self) -> io::Result<Stamp> {
        let metadata = match &self.file {
            Some(file) => file.metadata()?,
            None => std::fs::symlink_metadata(&self.path)?,
        };
        if identity(&metadata) != self.cursor.identity {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(stamp(&metadata))
    }

    /// Whether it has changed since it was last read to its end.
    pub fn has_news(&self, now: Stamp) -> bool {
        self.seen != Some(now)
    }

    /// Whether what it holds was there at `then`, in milliseconds since 1970, as far as its stamp tells.
    pub fn is_unchanged_since(&self, then: i64) -> bool {
        self.stamp().is_ok_and(|stamp| stamp.is_settled(then))
    }

    /// Its turn in the order of reading is over: it was read to this length, or could not be.
    pub fn end_turn(&mut self, length: u64) {
        self.turned = Some(length);
    }

    /// Whether it holds something that had no turn yet. A file that cannot be looked at is taken at its last turn.
    pub fn waits_for_its_turn(&self) -> bool {
        self.stamp().map_or(self.turned.is_none(), |stamp| self.turned != Some(stamp.length))
    }

    /// Reads what follows the cursor, up to one chunk. The tail itself does not move: see [`Tail::advance`].
    pub fn read(&mut self, buffer: &mut [u8], rooms: &Rooms) -> io::Result<Found> {
        let stamp = stamp(&self.open()?.metadata()?);
        self.searched = self.searched.min(stamp.length);
        let back = GUARD.min(usize::try_from(self.cursor.offset).unwrap_or(usize::MAX));
        let from = self.cursor.offset - back as u64;
        // No more is asked for than is there: the kernel prepares for all that is asked for, which takes longer than the rest.
        let wanted =
            usize::try_from(stamp.length.saturating_sub(from)).unwrap_or(usize::MAX).min(back + CHUNK);
        let filled = read_at(self.open()?, &mut buffer[..wanted], from)?;
        // A cursor stands in the middle of a line only where its file had ended there. If that inode is seen again, it is another
        // file, and the few bytes that a line begins with may be the same in both.
        let in_a_line =
            std::mem::take(&mut self.resumed) && buffer[..back].last().is_some_and(|byte| *byte != b'\n');
        if filled < back || in_a_line || digest(&buffer[..back]) != self.cursor.guard && back > 0 {
            self.restart();
            return Ok(Found::Restarted);
        }
        let (chunk, full) = (&buffer[back..filled], filled == back + CHUNK);
        let mut cursor = self.cursor.clone();
        cursor.path = self.path.display().to_string();
        let (frames, consumed) = frame(chunk, MAX_EVENT_BYTES);
        if consumed == 0 && full {
            return self.read_long(chunk, cursor).map(Found::Reading);
        }
        if cursor.head.is_empty()
            && let Some(Frame::Line(first) | Frame::Long(first)) = frames.first()
        {
            cursor.head = digest(&chunk[first.clone()]);
        }
        let items = frames.into_iter().filter_map(|frame| to_item(chunk, frame, &cursor, rooms)).collect();
        cursor.offset += consumed as u64;
        let guard = GUARD.min(back + consumed);
        cursor.guard = digest(&buffer[back + consumed - guard..back + consumed]);
        Ok(Found::Reading(Reading { items, cursor, end: (!full).then_some(stamp) }))
    }

    /// The outbox has what was read up to `cursor`; the file was read to its end if it still looks like `end`, which must be
    /// a stamp that has settled.
    pub fn advance(&mut self, cursor: Cursor, end: Option<Stamp>) {
        self.cursor = cursor;
        self.seen = end;
    }

    /// What follows the last line break, if the file will not grow any more: an event whose line break is missing, or a line
    /// cut in half, for a person to see.
    pub fn remainder(&mut self, buffer: &mut [u8], rooms: &Rooms) -> io::Result<Option<Reading>> {
        let length = self.open()?.metadata()?.len();
        if length <= self.cursor.offset {
            return Ok(None);
        }
        let mut cursor = self.cursor.clone();
        let filled = read_at(self.open()?, &mut buffer[..CHUNK], cursor.offset)?;
        let rest = &buffer[..filled];
        if cursor.head.is_empty() {
            // The digest that the whole line would have given.
            cursor.head = digest(rest.strip_suffix(b"\r").unwrap_or(rest));
        }
        let place = Place { head: &cursor.head, offset: cursor.offset };
        let items = line::read_last(rest, length - cursor.offset, place, rooms).into_iter().collect();
        cursor.offset = length;
        cursor.guard = self.guard_before(length)?;
        Ok(Some(Reading { items, cursor, end: None }))
    }

    /// Whether everything in the file has been read.
    pub fn is_finished(&mut self) -> io::Result<bool> {
        Ok(self.open()?.metadata()?.len() == self.cursor.offset)
    }

    /// Lets go of the file descriptor; the next access opens the file again.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Whether its path still leads to it.
    pub fn is_at_its_path(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.cursor.identity)
    }

    /// Whether the file descriptor is held.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// The open file. Names move: a file that has taken this one's name since the directory was looked at is not it.
    fn open(&mut self) -> io::Result<&File> {
        match &mut self.file {
            Some(file) => Ok(file),
            empty => {
                let file = File::open(&self.path)?;
                if identity(&file.metadata()?) != self.cursor.identity {
                    return Err(io::ErrorKind::NotFound.into());
                }
                Ok(empty.insert(file))
            }
        }
    }

    /// The content is not what was read before: a new life of the file, under a new cursor.
    fn restart(&mut self) {
        tracing::info!(file = %self.path.display(), "the file was truncated or replaced; it is read from its start");
        *self = Self {
            file: self.file.take(),
            listed: self.listed,
            ..Self::new(self.path.clone(), self.cursor.identity, None)
        };
    }

    /// The chunk is the beginning of a line that is too long. Finds its end, or says that it has none yet.
    fn read_long(&mut self, chunk: &[u8], mut cursor: Cursor) -> io::Result<Reading> {
        let begin = cursor.offset;
        let from = self.searched.max(begin + chunk.len() as u64);
        let mut block = vec![0; 64 * 1024];
        let mut at = from;
        loop {
            let filled = read_at(self.open()?, &mut block, at)?;
            if let Some(end) = memchr::memchr(b'\n', &block[..filled]) {
                let length = at + end as u64 - begin;
                if cursor.head.is_empty() {
                    cursor.head = digest(chunk);
                }
                let why = format!("it is longer than {MAX_EVENT_BYTES} bytes; the whole line is in the file");
                let items =
                    vec![line::unreadable(chunk, length, Place { head: &cursor.head, offset: begin }, &why)];
                cursor.offset = begin + length + 1;
                cursor.guard = self.guard_before(cursor.offset)?;
                return Ok(Reading { items, cursor, end: None });
            }
            at += filled as u64;
            self.searched = at;
            if filled < block.len() {
                let end = Some(stamp(&self.open()?.metadata()?));
                return Ok(Reading { items: Vec::new(), cursor: self.cursor.clone(), end });
            }
        }
    }

    fn guard_before(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; GUARD.min(usize::try_from(offset).unwrap_or(GUARD))];
        let from = offset - bytes.len() as u64;
        let filled = read_at(self.open()?, &mut bytes, from)?;
        Ok(digest(&bytes[..filled]))
    }
}

fn to_item(chunk: &[u8], frame: Frame, cursor: &Cursor, rooms: &Rooms) -> Option<NewItem> {
    let at = |start: usize| Place { head: &cursor.head, offset: cursor.offset + start as u64 };
    match frame {
        Frame::Line(range) => line::read(&chunk[range.clone()], at(range.start), rooms),
        Frame::Long(range) => {
            let why = format!("it is longer than {MAX_EVENT_BYTES} bytes; the whole line is in the file");
            Some(line::unreadable(&chunk[range.clone()], range.len() as u64, at(range.start), &why))
        }
    }
}

/// What a file is recognised by: device and inode.
pub fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn stamp(metadata: &Metadata) -> Stamp {
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Stamp { modified, length: metadata.len() }
}

/// Fills `buffer` from `offset`, as far as the file goes.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes)[..16].to_vec()
}

#[cfg(test)]
mod tests;
