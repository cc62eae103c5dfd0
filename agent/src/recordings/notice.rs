//! From a finished recording file to the notice that is delivered.

use std::borrow::Cow;
use std::path::Path;

use contract::id::EventId;
use contract::recording::{self, RecordingComplete, RecordingStatus};
use contract::room::RoomName;
use time::OffsetDateTime;

use super::identity::Identity;
use super::metadata::Metadata;
use super::probe::{Container, Media};
use super::sidecar::Sidecar;
use super::stage::Stage;
use crate::outbox::model::{Kind, NewItem};

/// The length of Jibri's time stamp in a file name: `_2026-08-05-13-56-46`.
const STAMP: usize = 20;

/// Where recordings are found.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The host's name, for people. It may change, and two hosts may share it.
    pub host: String,
    /// What the outbox calls the host: the same for as long as the outbox is.
    pub host_id: String,
}

/// A media file that will not change any more.
#[derive(Debug, Clone)]
pub struct Finished<'a> {
    /// The file.
    pub path: &'a Path,
    /// The name of its session directory.
    pub session: Cow<'a, str>,
    /// Closed or abandoned.
    pub stage: Stage,
    /// What `metadata.json` said, if it was read.
    pub metadata: Option<&'a Metadata>,
    /// When it was finished, in nanoseconds since 1970.
    pub finished_at: i128,
}

impl<'a> Finished<'a> {
    /// A file as it lies in its session directory beside this `sidecar`, for those who only ask what would be told of it.
    pub fn found(path: &'a Path, sidecar: &'a Sidecar) -> Self {
        let session = path.parent().and_then(Path::file_name).unwrap_or_default();
        let metadata = sidecar.metadata();
        let stage = if metadata.is_some() { Stage::Closed } else { Stage::Abandoned };
        Self { path, session: session.to_string_lossy(), stage, metadata, finished_at: 0 }
    }
}

/// The id of a file's notice: the same for the same file, another one once the file is another or known better.
pub fn id(origin: &Origin, finished: &Finished<'_>, identity: &Identity) -> EventId {
    let name = finished.path.file_name().unwrap_or_default();
    EventId::of_recording(&[
        origin.host_id.as_bytes(),
        finished.session.as_bytes(),
        name.as_encoded_bytes(),
        &identity.inode.to_be_bytes(),
        &identity.length.to_be_bytes(),
        &[u8::from(finished.stage != Stage::Abandoned)],
    ])
}

/// The ids under which a file may have been told: what it is known as now, and with its metadata. Metadata that a finalize
/// script took away do not make the recording a worse one.
pub fn ids(origin: &Origin, finished: &Finished<'_>, identity: &Identity) -> [EventId; 2] {
    let closed = Finished { stage: Stage::Closed, ..finished.clone() };
    [id(origin, finished, identity), id(origin, &closed, identity)]
}

/// The room that was recorded: the last part of the meeting's address, else what the file is named after.
pub fn room(finished: &Finished<'_>) -> Option<RoomName> {
    let url = finished.metadata.and_then(|metadata| metadata.meeting_url.as_deref());
    let stem = finished.path.file_stem().and_then(|stem| stem.to_str());
    let parse = |name: &str| RoomName::parse(name).ok();
    url.and_then(last_segment).and_then(parse).or_else(|| stem.and_then(call_name).and_then(parse))
}

/// The last part of an address's path, if it has one: a host alone names no room.
fn last_segment(url: &str) -> Option<&str> {
    let (_, after_scheme) = url.split_once("://")?;
    let (_, path) = after_scheme.split_once('/')?;
    path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty())
}

/// The name of the call in front of Jibri's time stamp.
fn call_name(stem: &str) -> Option<&str> {
    let cut = stem.len().checked_sub(STAMP).filter(|cut| *cut > 0 && stem.is_char_boundary(*cut))?;
    let (name, stamp) = stem.split_at(cut);
    let pattern = stamp.bytes().zip(*b"_dddd-dd-dd-dd-dd-dd");
    let is_stamp = pattern
        .into_iter()
        .all(|(byte, form)| if form == b'd' { byte.is_ascii_digit() } else { byte == form });
    is_stamp.then_some(name)
}

/// What is told about a file of this size and digest.
pub fn notice(
    origin: &Origin,
    id: EventId,
    room: RoomName,
    finished: &Finished<'_>,
    media: Media,
    size_bytes: u64,
    sha256: String,
) -> RecordingComplete {
    let notice = RecordingComplete {
        id,
        room_name: room,
        recording_file: finished.path.display().to_string(),
        recording_status: status(finished.stage, media),
        timestamp: OffsetDateTime::from_unix_timestamp_nanos(finished.finished_at)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        session_id: finished.session.clone().into_owned(),
        host: origin.host.clone(),
        size_bytes,
        sha256: Some(sha256),
        duration_ms: media.duration_ms,
        meeting_url: finished.metadata.and_then(|metadata| metadata.meeting_url.clone()),
        meeting_session_id: finished.metadata.and_then(|metadata| metadata.meeting_session_id.clone()),
        participants: finished.metadata.map(|metadata| metadata.participants.clone()).unwrap_or_default(),
        bucket: None,
        object_key: None,
        upload_note: None,
    };
    acceptable(notice)
}

/// The notice as it is sent.
pub(crate) fn body(notice: &RecordingComplete) -> Vec<u8> {
    serde_json::to_vec(notice).expect("a notice holds nothing that JSON cannot")
}

/// The notice without what `metadata.json` said when the API would refuse it with that, because it is too long or holds
/// a character that no text may hold: clients write there, and the recording counts for more.
pub fn acceptable(mut notice: RecordingComplete) -> RecordingComplete {
    if let Err(error) = recording::parse(&body(&notice)) {
        tracing::warn!(
            file = notice.recording_file,
            "the recording is reported without what metadata.json says: {error}"
        );
        notice.participants.clear();
        notice.meeting_session_id = None;
        notice.meeting_url = None;
    }
    notice
}

/// An item for a recording whose room nobody can tell: kept for a person.
pub fn nameless(id: EventId, finished: &Finished<'_>) -> NewItem {
    NewItem {
        id,
        room: String::new(),
        kind: Kind::Unreadable,
        body: finished.path.as_os_str().as_encoded_bytes().to_vec(),
        offset: 0,
        parked: Some(format!(
            "the recording {} names no room, neither in metadata.json nor in its file name",
            finished.path.display()
        )),
    }
}

fn status(stage: Stage, media: Media) -> RecordingStatus {
    match (media.truncated, stage) {
        (true, _) => RecordingStatus::Truncated,
        (false, Stage::Closed) => RecordingStatus::Completed,
        // Nothing but the file itself can tell that its recorder ended well.
        (false, Stage::LeftAlone) if media.container != Container::Unknown && !media.unfinished => {
            RecordingStatus::Completed
        }
        (false, Stage::LeftAlone | Stage::Abandoned | Stage::Growing) => RecordingStatus::Orphaned,
    }
}

#[cfg(test)]
mod tests {
    use contract::event::MAX_EVENT_BYTES;
    use serde_json::Value;

    use super::*;

    fn finished<'a>(path: &'a str, metadata: Option<&'a Metadata>) -> Finished<'a> {
        Finished {
            path: Path::new(path),
            session: "s".into(),
            stage: Stage::Closed,
            metadata,
            finished_at: 0,
        }
    }

    fn origin(host: &str, host_id: &str) -> Origin {
        Origin { host: host.into(), host_id: host_id.into() }
    }

    const IDENTITY: Identity = Identity { inode: 1, length: 3, modified: 5 };

    /// The body of the notice about a whole file of three bytes.
    fn told(metadata: Option<&Metadata>) -> Vec<u8> {
        let media =
            Media { container: Container::Mp4, truncated: false, unfinished: false, duration_ms: None };
        let (origin, finished) = (origin("host", "1"), finished("/r/s/a.mp4", metadata));
        let id = id(&origin, &finished, &IDENTITY);
        body(&notice(&origin, id, RoomName::parse("r").unwrap(), &finished, media, 3, "ab".repeat(32)))
    }

    #[test]
    fn the_room_comes_from_the_address_or_the_files_name() {
        let url = |text: &str| Metadata { meeting_url: Some(text.into()), ..Metadata::default() };
        for (metadata, path, expected) in [
            (Some(url("https://m.example/Standup")), "/r/s/x.mp4", Some("standup")),
            (Some(url("https://m.example/acme/standup/")), "/r/s/x.mp4", Some("standup")),
            (None, "/r/s/standup_2026-08-05-13-56-46.mp4", Some("standup")),
            (None, "/r/s/a_b_2026-08-05-13-56-46.mkv", Some("a_b")),
            (None, "/r/s/%c3%bcber_2026-08-05-13-56-46.mp4", Some("%c3%bcber")),
            (None, "/r/s/standup.mp4", None),
            (None, "/r/s/_2026-08-05-13-56-46.mp4", None),
            (Some(url("https://m.example")), "/r/s/standup_2026-08-05-13-56-46.mp4", Some("standup")),
            (Some(url("https://m.example/")), "/r/s/standup_2026-08-05-13-56-46.mp4", Some("standup")),
            (Some(url("https://m.example//")), "/r/s/x.mp4", None),
            (Some(url("about:blank")), "/r/s/x.mp4", None),
            (Some(url("https://m.example/a\u{1}b")), "/r/s/standup_2026-08-05-13-56-46.mp4", Some("standup")),
            (Some(Metadata::default()), "/r/s/standup_2026-08-05-13-56-46.mp4", Some("standup")),
        ] {
            let found = room(&finished(path, metadata.as_ref()));
            assert_eq!(found.as_ref().map(RoomName::as_str), expected, "{path}");
        }
    }

    #[test]
    fn a_file_that_grew_or_got_its_metadata_is_told_again() {
        let closed = finished("/r/s/a.mp4", None);
        let abandoned = Finished { stage: Stage::Abandoned, ..closed.clone() };
        let here = origin("host", "1");
        let first = id(&here, &abandoned, &IDENTITY);
        for (host, file, identity, same) in [
            (here.clone(), &abandoned, IDENTITY, true),
            (origin("renamed", "1"), &abandoned, IDENTITY, true),
            (here.clone(), &abandoned, Identity { modified: 6, ..IDENTITY }, true),
            (here.clone(), &closed, IDENTITY, false),
            (origin("host", "2"), &abandoned, IDENTITY, false),
            (here.clone(), &abandoned, Identity { length: 4, ..IDENTITY }, false),
            (here.clone(), &abandoned, Identity { inode: 2, ..IDENTITY }, false),
        ] {
            assert_eq!(id(&host, file, &identity) == first, same, "{host:?} {file:?} {identity:?}");
        }
    }

    #[test]
    fn the_status_tells_whether_the_file_can_be_played_and_whether_its_recorder_ended_well() {
        use RecordingStatus::{Completed, Orphaned, Truncated};
        for (stage, truncated, unfinished, expected) in [
            (Stage::Closed, false, false, Completed),
            (Stage::Closed, false, true, Completed),
            (Stage::Closed, true, true, Truncated),
            (Stage::LeftAlone, false, false, Completed),
            (Stage::LeftAlone, false, true, Orphaned),
            (Stage::LeftAlone, true, true, Truncated),
            (Stage::Abandoned, false, false, Orphaned),
            (Stage::Abandoned, false, true, Orphaned),
            (Stage::Abandoned, true, true, Truncated),
        ] {
            let media = Media { container: Container::Matroska, truncated, unfinished, duration_ms: None };
            assert_eq!(status(stage, media), expected, "{stage:?} {media:?}");
        }
        let media = |stage| {
            let container = Container::Unknown;
            status(stage, Media { container, truncated: false, unfinished: false, duration_ms: None })
        };
        assert_eq!(
            [Stage::Closed, Stage::LeftAlone].map(media),
            [Completed, Orphaned],
            "it cannot be judged"
        );
    }

    #[test]
    fn a_notice_carries_size_and_digest() {
        let event = recording::parse(&told(None)).unwrap();
        assert_eq!(event.text("sha256"), Some("ab".repeat(32).as_str()));
        assert_eq!(event.data["size_bytes"], 3);
    }

    #[test]
    fn metadata_that_the_api_would_refuse_does_not_hold_up_the_recording() {
        let with = |participants: Vec<Value>, session: &str| Metadata {
            meeting_url: Some("https://m.example/r".into()),
            meeting_session_id: Some(session.into()),
            participants,
        };
        let empty = told(Some(&with(vec![String::new().into()], "s"))).len();
        let filled = |length: usize| with(vec!["x".repeat(length - empty).into()], "s");
        for (metadata, passed_on) in [
            (with(vec!["Alice".into()], "s"), true),
            (filled(MAX_EVENT_BYTES - 1024), true),
            (filled(MAX_EVENT_BYTES), false),
            (with(vec!["a\0b".into()], "s"), false),
            (with(vec![], &"s".repeat(MAX_EVENT_BYTES)), false),
        ] {
            let event = recording::parse(&told(Some(&metadata))).unwrap();
            assert_eq!(event.text("meeting_url").is_some(), passed_on);
            assert_eq!(event.data["size_bytes"], 3);
        }
    }
}
