//! From a recording that was read through to the outbox, durably.

use std::path::PathBuf;

use contract::recording::RecordingComplete;

use super::identity::Identity;
use super::notice;
use crate::outbox::model::{Kind, NewItem, Progress};
use crate::outbox::{Outbox, OutboxError};

/// A finished recording that was read through.
#[derive(Debug)]
pub(super) struct Recording {
    /// What is to be told about it.
    pub(super) notice: RecordingComplete,
    /// The file.
    pub(super) path: PathBuf,
    /// The file as it was when it was read.
    pub(super) identity: Identity,
}

/// Queues the recording, and remembers that it need not be read again, in one transaction.
pub(super) fn hand_over(outbox: &Outbox, recording: &Recording) -> Result<(), OutboxError> {
    let notice = &recording.notice;
    let item = NewItem {
        id: notice.id.clone(),
        room: notice.room_name.to_string(),
        kind: Kind::Recording,
        body: notice::body(notice),
        offset: 0,
        parked: None,
    };
    let path = recording.path.display().to_string();
    outbox.append(std::slice::from_ref(&item), &Progress::Recording { path })?;
    tracing::info!(
        event.id = %item.id, file = %recording.path.display(), bytes = recording.identity.length, room = item.room,
        "a recording is finished"
    );
    Ok(())
}
