//! From a finished recording file to the notice that is delivered.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use contract::id::{EventId, hex};
use contract::recording::{self, RecordingComplete, RecordingStatus};
use contract::room::RoomName;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::metadata::Metadata;
use super::probe::{Media, probe};
use super::stage::Stage;
use crate::outbox::model::{Kind, NewItem};
use crate::watch::Stop;

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
    pub session: &'a str,
    /// Closed or abandoned.
    pub stage: Stage,
    /// What `metadata.json` said, if it was read.
    pub metadata: Option<&'a Metadata>,
    /// When it was finished, in nanoseconds since 1970.
    pub finished_at: i128,
}

/// The id of a file's notice: the same for the same file, another one once the file is another or known better.
pub fn id(origin: &Origin, finished: &Finished<'_>) -> io::Result<EventId> {
    let metadata = std::fs::metadata(finished.path)?;
    let name = finished.path.file_name().unwrap_or_default();
    Ok(EventId::of_recording(&[
        origin.host_id.as_bytes(),
        finished.session.as_bytes(),
        name.as_encoded_bytes(),
        &metadata.ino().to_be_bytes(),
        &metadata.len().to_be_bytes(),
        &[u8::from(finished.stage == Stage::Closed)],
    ]))
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

/// Reads the file through, once, and makes the item that tells the API about it; `None` when the agent stops meanwhile.
pub fn item(
    origin: &Origin,
    id: EventId,
    room: &RoomName,
    finished: &Finished<'_>,
    stop: &Stop,
) -> io::Result<Option<NewItem>> {
    let media = probe(finished.path)?;
    let Some((size_bytes, sha256)) = digest(finished.path, stop)? else { return Ok(None) };
    let notice = RecordingComplete {
        id: id.clone(),
        room_name: room.clone(),
        recording_file: finished.path.display().to_string(),
        recording_status: status(finished.stage, media),
        timestamp: OffsetDateTime::from_unix_timestamp_nanos(finished.finished_at)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        session_id: finished.session.to_owned(),
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
    let body = acceptable_body(notice)?;
    Ok(Some(NewItem { id, room: room.to_string(), kind: Kind::Recording, body, offset: 0, parked: None }))
}

/// The notice as JSON. What `metadata.json` said is left out when the API would refuse the notice with it, because it is
/// too long or holds a character that no text may hold: clients write there, and the recording counts for more.
pub(crate) fn acceptable_body(mut notice: RecordingComplete) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec(&notice)?;
    let Err(error) = recording::parse(&body) else { return Ok(body) };
    tracing::warn!(
        file = notice.recording_file,
        "the recording is reported without what metadata.json says: {error}"
    );
    notice.participants.clear();
    notice.meeting_session_id = None;
    notice.meeting_url = None;
    serde_json::to_vec(&notice)
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
        (false, Stage::Abandoned | Stage::Growing) => RecordingStatus::Orphaned,
    }
}

/// Size and SHA-256, in one pass and constant memory; `None` when the agent stops meanwhile.
fn digest(path: &Path, stop: &Stop) -> io::Result<Option<(u64, String)>> {
    let mut file = File::open(path)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 128 * 1024]);
    while !stop.is_given() {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Some((size, hex(&hash.finalize()))));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use contract::event::MAX_EVENT_BYTES;
    use serde_json::Value;

    use super::*;

    fn finished<'a>(path: &'a str, metadata: Option<&'a Metadata>) -> Finished<'a> {
        Finished { path: Path::new(path), session: "s", stage: Stage::Closed, metadata, finished_at: 0 }
    }

    fn origin(host: &str, host_id: &str) -> Origin {
        Origin { host: host.into(), host_id: host_id.into() }
    }

    /// The notice about a file that holds `abc`.
    fn told(metadata: Option<&Metadata>, stop: &Stop) -> Option<NewItem> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mp4");
        std::fs::write(&path, b"abc").unwrap();
        let (origin, finished) = (origin("host", "1"), finished(path.to_str().unwrap(), metadata));
        let id = id(&origin, &finished).unwrap();
        item(&origin, id, &RoomName::parse("r").unwrap(), &finished, stop).unwrap()
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
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mp4");
        std::fs::write(&path, b"1").unwrap();
        let closed =
            Finished { path: &path, session: "s", stage: Stage::Closed, metadata: None, finished_at: 0 };
        let abandoned = Finished { stage: Stage::Abandoned, ..closed.clone() };
        let here = origin("host", "1");
        let first = id(&here, &abandoned).unwrap();
        assert_eq!(id(&here, &abandoned).unwrap(), first);
        assert_eq!(id(&origin("renamed", "1"), &abandoned).unwrap(), first);
        assert_ne!(id(&here, &closed).unwrap(), first);
        assert_ne!(id(&origin("host", "2"), &abandoned).unwrap(), first);
        std::fs::write(&path, b"12").unwrap();
        assert_ne!(id(&here, &abandoned).unwrap(), first);
    }

    #[test]
    fn a_notice_carries_size_and_digest() {
        let made = told(None, &Stop::new().unwrap()).unwrap();
        let event = recording::parse(&made.body).unwrap();
        assert_eq!(
            event.text("sha256"),
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(event.data["size_bytes"], 3);
        assert_eq!(event.id, made.id);
    }

    #[test]
    fn a_file_is_not_read_on_when_the_agent_stops() {
        let stop = Stop::new().unwrap();
        stop.give();
        assert!(told(None, &stop).is_none());
    }

    #[test]
    fn metadata_that_the_api_would_refuse_does_not_hold_up_the_recording() {
        let stop = Stop::new().unwrap();
        let with = |participants: Vec<Value>, session: &str| Metadata {
            meeting_url: Some("https://m.example/r".into()),
            meeting_session_id: Some(session.into()),
            participants,
        };
        let empty = told(Some(&with(vec![String::new().into()], "s")), &stop).unwrap().body.len();
        let filled = |length: usize| with(vec!["x".repeat(length - empty).into()], "s");
        for (metadata, passed_on) in [
            (with(vec!["Alice".into()], "s"), true),
            (filled(MAX_EVENT_BYTES - 1024), true),
            (filled(MAX_EVENT_BYTES), false),
            (with(vec!["a\0b".into()], "s"), false),
            (with(vec![], &"s".repeat(MAX_EVENT_BYTES)), false),
        ] {
            let event = recording::parse(&told(Some(&metadata), &stop).unwrap().body).unwrap();
            assert_eq!(event.text("meeting_url").is_some(), passed_on);
            assert_eq!(event.data["size_bytes"], 3);
        }
    }
}
