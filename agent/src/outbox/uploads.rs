//! Uploads: recording files on their way into the object storage.
//!
//! A recording that is to be uploaded stands here instead of among the items: its notice becomes an item in the very
//! transaction that ends the upload, when it is known where the file is. Which parts of a file are stored is known by the
//! storage alone; what stands here is enough to ask.
//!
//! | state | meaning | leaves by |
//! |---|---|---|
//! | [`UploadState::Waiting`] | the API is to be asked, now or at a time | its answer |
//! | [`UploadState::Sending`] | the file is being sent | the last part, or a failure |
//! | [`UploadState::Verifying`] | the API reads the object back | its answer |
//! | [`UploadState::Verified`] | the storage holds what the host held | pruned some time after its file was removed, or long after the file is gone: this is the proof that it may be removed |
//! | [`UploadState::Kept`] | the API did not want the file | pruned after the retention time; an operator's retry, unless the meeting's settings say so |
//! | [`UploadState::GivenUp`] | the file could not be uploaded, and its notice says so | an operator's retry, or pruned after the retention time |
//! | [`UploadState::Parked`] | a person has to look; the notice waits | an operator's retry; never pruned |
//!
//! The first three are one state to a restarted agent: it asks the API.

pub(super) mod read;
pub(super) mod write;

use std::path::PathBuf;

use self::write::Write;
use super::log::DeliveryLog;
use super::model::{NewItem, Progress};
use super::{Outbox, OutboxError};

/// The table, as one schema version adds it.
pub(super) const SCHEMA: &str = "
    -- Recording files that are or were to be uploaded.
    CREATE TABLE upload (
        seq              INTEGER PRIMARY KEY AUTOINCREMENT,
        id               TEXT    NOT NULL UNIQUE,   -- the recording's
        first_id         TEXT,                      -- the one it was told under before it was given up and begun again
        room             TEXT    NOT NULL,
        path             BLOB    NOT NULL,
        ino              INTEGER NOT NULL,          -- the file as it was when its checksum was computed
        size             INTEGER NOT NULL,
        modified         INTEGER NOT NULL,          -- nanoseconds since 1970
        sha256           TEXT    NOT NULL,
        notice           BLOB    NOT NULL,          -- empty once it is an item
        state            INTEGER NOT NULL,          -- see uploads::UploadState
        queued_at        INTEGER NOT NULL,
        due_at           INTEGER NOT NULL,          -- not to be tried sooner
        attempts         INTEGER NOT NULL,          -- failures in a row
        restarts         INTEGER NOT NULL,          -- how often the storage held something else than the host
        sent_bytes       INTEGER NOT NULL,          -- written down rarely
        done_at          INTEGER,
        bucket           TEXT,
        object_key       TEXT,
        note             TEXT                       -- what went wrong last, or why it ended as it did
    );
    CREATE INDEX upload_open ON upload (seq) WHERE state <= 2;
    CREATE INDEX upload_parked ON upload (seq) WHERE state = 6;
";

/// An upload's address in the outbox, and the order of queuing.
pub type UploadSeq = i64;

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum UploadState {
    /// The API is to be asked.
    Waiting = 0,
    /// Parts are being sent.
    Sending = 1,
    /// The API reads the object back.
    Verifying = 2,
    /// The storage holds what the host held.
    Verified = 3,
    /// The API did not want the file.
    Kept = 4,
    /// The file could not be uploaded.
    GivenUp = 5,
    /// Waiting for a person.
    Parked = 6,
}

impl UploadState {
    /// The state as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Verifying => "verifying",
            Self::Verified => "verified",
            Self::Kept => "kept",
            Self::GivenUp => "given-up",
            Self::Parked => "parked",
        }
    }

    fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Sending,
            2 => Self::Verifying,
            3 => Self::Verified,
            4 => Self::Kept,
            5 => Self::GivenUp,
            _ => Self::Parked,
        }
    }
}

/// Which file was read, and how it looked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// The inode. Not the device, whose number changes when the host starts again.
    pub inode: u64,
    /// The length in bytes.
    pub size: u64,
    /// The last modification, in nanoseconds since 1970.
    pub modified: i64,
}

impl FileIdentity {
    /// What a file is known by.
    pub fn of(file: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            inode: file.ino(),
            size: file.len(),
            modified: file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec()),
        }
    }
}

/// A finished recording.
#[derive(Debug, Clone)]
pub struct NewRecording {
    /// The recording's notice, without bucket and key.
    pub notice: NewItem,
    /// The file.
    pub path: PathBuf,
    /// The file as it was when its checksum was computed.
    pub file: FileIdentity,
    /// Its checksum, in lower-case hexadecimal.
    pub sha256: String,
}

/// An open upload, as the upload loop finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenUpload {
    /// Its address.
    pub seq: UploadSeq,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: i64,
    /// Not to be tried before this.
    pub due_at: i64,
}

/// An upload with what is needed to go on with it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its address.
    pub seq: UploadSeq,
    /// The recording's id.
    pub id: String,
    /// The room.
    pub room: String,
    /// The file.
    pub path: PathBuf,
    /// The file as it was when its checksum was computed.
    pub file: FileIdentity,
    /// Its checksum.
    pub sha256: String,
    /// The notice, without bucket and key.
    pub notice: Vec<u8>,
    /// How it goes.
    pub course: Course,
}

/// How an upload goes: what changes while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Where it stands.
    pub state: UploadState,
    /// Not to be tried before this, in milliseconds since 1970.
    pub due_at: i64,
    /// Failures in a row.
    pub attempts: u32,
    /// How often the storage held something else than the host.
    pub restarts: u32,
    /// Bytes that the storage has, as far as was written down.
    pub sent_bytes: u64,
    /// What went wrong last.
    pub note: Option<String>,
}

/// How an upload ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Verified, kept or given up.
    pub state: UploadState,
    /// Where the object is, if the storage has it: bucket and key.
    pub object: Option<(String, String)>,
    /// Why it ended so, for people.
    pub note: Option<String>,
    /// The notice that goes out now.
    pub notice: NewItem,
    /// Whether the host need not hold the file for us any more: the storage has it, or nobody wants it there.
    pub releases: bool,
}

/// An upload as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadEntry {
    /// The recording's id, which its notice has too.
    pub id: String,
    /// The room.
    pub room: String,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes that the storage has; behind by up to a second.
    pub sent_bytes: u64,
    /// Where it stands.
    pub state: UploadState,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: i64,
    /// Not to be tried before this, if it waits.
    pub due_at: i64,
    /// Failures in a row.
    pub attempts: u32,
    /// When it ended.
    pub done_at: Option<i64>,
    /// Where the object is, if the storage has it: bucket and key.
    pub object: Option<(String, String)>,
    /// What went wrong last, or why it ended as it did.
    pub note: Option<String>,
}

/// The open uploads in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UploadTotals {
    /// Being sent or verified.
    pub active: u64,
    /// Waiting for their turn.
    pub waiting: u64,
    /// Waiting for a person.
    pub parked: u64,
    /// Bytes that are still to be sent.
    pub bytes_left: u64,
}

/// A recording of which the storage holds a verified copy, and the API's own word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The recording's id.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// The file as it was uploaded. One that looks different now is not what the storage holds.
    pub file: FileIdentity,
    /// The checksum that was verified.
    pub sha256: String,
    /// When the API said so, in milliseconds since 1970.
    pub verified_at: i64,
    /// Whether the API holds the recording's notice.
    pub notice_is_settled: bool,
    /// Whether the same file is being uploaded again, because more became known of it.
    pub is_open_elsewhere: bool,
    /// When we began to remove the file.
    pub removed_at: Option<i64>,
}

impl Outbox {
    /// The same outbox, but what is queued with [`Self::queue_recording`] is uploaded before it is reported.
    #[must_use]
    pub fn uploading(self) -> Self {
        Self { uploads: true, ..self }
    }

    /// Remembers a finished recording and queues its upload, or its notice where nothing is uploaded, durably. One that is
    /// there already is left as it is.
    pub fn queue_recording(&self, recording: &NewRecording) -> Result<(), OutboxError> {
        if self.uploads {
            self.database()?.write_upload(&Write::Queue(recording))?;
            self.bell.ring();
        } else {
            let path = recording.path.display().to_string();
            self.append(std::slice::from_ref(&recording.notice), &Progress::Recording { path })?;
        }
        Ok(())
    }

    /// Writes down how an open upload goes.
    pub fn note_upload(&self, seq: UploadSeq, course: &Course) -> Result<(), OutboxError> {
        self.database()?.write_upload(&Write::Note(seq, course))
    }

    /// Writes down what an upload's file is now, and the notice that says so.
    pub fn renew_upload(&self, upload: &Upload) -> Result<(), OutboxError> {
        self.database()?.write_upload(&Write::Renew(upload))
    }

    /// Ends an upload and queues its notice, in one transaction.
    pub fn end_upload(&self, seq: UploadSeq, ending: &Ending) -> Result<(), OutboxError> {
        self.database()?.write_upload(&Write::End(seq, ending))
    }

    /// Returns when there may be something to upload. True: another process changed the outbox, so anything may be.
    pub async fn upload_bell(&self) -> bool {
        self.bell.rung().await
    }
}

impl DeliveryLog {
    /// The uploads that are open or parked, in the order of queuing, then the latest that ended, at most `ended` of them.
    pub fn uploads(&self, ended: u32) -> Result<Vec<UploadEntry>, OutboxError> {
        Ok(read::list(&self.connection, ended)?)
    }

    /// The uploads in numbers, whatever their number.
    pub fn upload_totals(&self) -> Result<UploadTotals, OutboxError> {
        Ok(read::totals(&self.connection)?)
    }
}

/// Wakes the upload loop.
#[derive(Default)]
pub(super) struct Bell {
    notify: tokio::sync::Notify,
    anything: std::sync::atomic::AtomicBool,
}

impl Bell {
    /// An upload was queued.
    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }

    /// Another process changed the outbox.
    pub(super) fn ring_for_anything(&self) {
        self.anything.store(true, std::sync::atomic::Ordering::Release);
        self.notify.notify_one();
    }

    async fn rung(&self) -> bool {
        self.notify.notified().await;
        self.anything.swap(false, std::sync::atomic::Ordering::AcqRel)
    }
}
