//! A view of the outbox of one's own: the delivery loop's, the upload loop's, retention's.
//!
//! It sees only what is committed, so nothing is delivered that a power cut could still take back, and nobody waits
//! for the writer, nor the writer for them. What it cannot see yet are settlements that are still on their way into a commit: a caller that goes
//! on with a lane says behind which item.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::model::{Claimed, LaneId, Seq, Waiting};
use super::uploads::{self, Confirmed, OpenUpload, Upload, UploadSeq};
use super::{DATABASE, OutboxError, claim, schema};

/// A read-only connection.
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the view. The outbox in `directory` must have been opened for writing before.
    pub fn open(directory: &Path) -> Result<Self, OutboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(directory.join(DATABASE), flags)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -1024)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        schema::keep_log(&connection)?;
        Ok(Self { connection })
    }

    /// The oldest items of a lane behind `after` that fit one request: of one kind, recordings alone, at most `events`
    /// and `bytes`. The first item is taken whatever its size.
    pub fn claim(
        &self,
        lane: LaneId,
        after: Seq,
        events: usize,
        bytes: usize,
    ) -> Result<Vec<Claimed>, OutboxError> {
        Ok(claim::claim(&self.connection, lane, after, events, bytes)?)
    }

    /// The lanes that have something to deliver, the longest-waiting first.
    pub fn waiting(&self) -> Result<Vec<Waiting>, OutboxError> {
        Ok(claim::waiting(&self.connection)?)
    }

    /// The room of a lane; `None` if there is no such lane any more.
    pub fn room(&self, lane: LaneId) -> Result<Option<String>, OutboxError> {
        Ok(claim::room(&self.connection, lane)?)
    }

    /// The open uploads that were queued behind `after`, the oldest first.
    pub fn open_uploads(&self, after: UploadSeq) -> Result<Vec<OpenUpload>, OutboxError> {
        Ok(uploads::read::open(&self.connection, after)?)
    }

    /// Whether there is or was anything to upload, in whatever state.
    pub fn has_uploads(&self) -> Result<bool, OutboxError> {
        Ok(uploads::read::any(&self.connection)?)
    }

    /// One open upload; `None` if it is not open any more.
    pub fn upload(&self, seq: UploadSeq) -> Result<Option<Upload>, OutboxError> {
        Ok(uploads::read::one(&self.connection, seq)?)
    }

    /// Every recording of which the storage holds a verified copy, the longest verified first.
    pub fn confirmed_recordings(&self) -> Result<Vec<Confirmed>, OutboxError> {
        Ok(uploads::read::confirmed(&self.connection)?)
    }
}
