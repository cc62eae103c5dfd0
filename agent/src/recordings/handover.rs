//! From a recording that was read through to the outbox, durably.

use std::path::PathBuf;

use contract::recording::{RecordingComplete, RecordingStatus};

use super::identity::Identity;
use super::notice;
use super::stage::Stage;
use crate::outbox::model::{Kind, NewItem};
use crate::outbox::uploads::{FileIdentity, NewRecording};
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
    /// Where it stands.
    pub(super) stage: Stage,
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
    let identity = recording.identity;
    let queued = NewRecording {
        notice: item,
        path: recording.path.clone(),
        file: FileIdentity {
            inode: identity.inode,
            size: identity.length,
            modified: i64::try_from(identity.modified).unwrap_or(i64::MAX),
        },
        sha256: notice.sha256.clone().unwrap_or_default(),
    };
    outbox.queue_recording(&queued)?;
    tracing::info!(
        count.recordings = 1, stage = recording.stage.name(), event.id = %notice.id, file = %recording.path.display(), bytes = recording.identity.length, room = notice.room_name.as_str(),
        "a recording is finished"
    );
    if notice.recording_status == RecordingStatus::Truncated {
        tracing::warn!(
            event.id = %notice.id, file = %recording.path.display(), bytes = recording.identity.length, room = notice.room_name.as_str(),
            "a recording cannot be played: it is empty or has no index, probably because Jibri was killed while it wrote; it is reported as truncated, and delivered as it is (see `reflector-agent doctor`)"
        );
    }
    Ok(())
}
