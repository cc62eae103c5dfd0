//! A finished recording in answers.

use serde::Serialize;
use time::OffsetDateTime;

use crate::domain::recording::File;
use crate::domain::recording_state::State as Whereabouts;
use crate::http::State;
use crate::http::date_time::DateTime;
use crate::storage::Storage;

/// A finished recording file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RecordingFile)]
pub struct FileBody {
    id: String,
    file: String,
    status: String,
    completed_at: DateTime,
    /// When the recording began; null where nobody says.
    started_at: Option<DateTime>,
    host: Option<String>,
    size_bytes: Option<i64>,
    duration_ms: Option<i64>,
    sha256: Option<String>,
    bucket: Option<String>,
    object_key: Option<String>,
    state: FileState,
    /// Whether it is given to nobody, because somebody in the meeting did not agree to be recorded.
    withheld: bool,
    /// Leads to the file for a while; null where there is nothing to download. Made for each answer and kept nowhere.
    download_url: Option<String>,
    /// Until when it does.
    download_expires_at: Option<DateTime>,
}

/// Where a finished recording file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RecordingFileState)]
#[serde(rename_all = "snake_case")]
enum FileState {
    /// On the host that recorded it.
    OnHost,
    /// In an object storage, as its host or its platform says. Nobody has looked.
    Announced,
    /// In the object storage.
    Stored,
    /// Not in the object storage, where it was to be.
    Missing,
    /// Removed.
    Deleted,
}

impl From<Whereabouts> for FileState {
    fn from(state: Whereabouts) -> Self {
        match state {
            Whereabouts::OnHost => Self::OnHost,
            Whereabouts::Announced => Self::Announced,
            Whereabouts::Stored => Self::Stored,
            Whereabouts::Missing => Self::Missing,
            Whereabouts::Deleted => Self::Deleted,
        }
    }
}

/// Makes addresses for downloads.
#[derive(Debug, Clone, Copy)]
pub struct Downloads<'a> {
    storage: Option<&'a Storage>,
    now: OffsetDateTime,
}

impl<'a> Downloads<'a> {
    /// Addresses that are good from `now` on.
    pub fn of(state: &'a State, now: OffsetDateTime) -> Self {
        Self { storage: state.storage.as_deref(), now }
    }

    /// The address of a file that the storage is known to hold, and until when it is good.
    pub fn link(self, file: &File) -> Option<(String, DateTime)> {
        let link = self.storage?.link(file, self.now)?;
        Some((link.url, DateTime(link.expires_at)))
    }
}

impl FileBody {
    /// `file`, with an address where there is something to download.
    pub fn new(file: File, downloads: Downloads<'_>) -> Self {
        let (download_url, download_expires_at) = downloads.link(&file).unzip();
        Self {
            id: file.id,
            file: file.file,
            status: file.status,
            completed_at: DateTime(file.completed_at),
            started_at: file.started_at.map(DateTime),
            host: file.host,
            size_bytes: file.size_bytes,
            duration_ms: file.duration_ms,
            sha256: file.sha256,
            bucket: file.bucket,
            object_key: file.object_key,
            state: file.state.into(),
            withheld: file.is_withheld,
            download_url,
            download_expires_at,
        }
    }
}
