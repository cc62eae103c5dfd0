//! From a finished recording file to the notice that is delivered.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use contract::event::MAX_EVENT_BYTES;
use contract::id::EventId;
use contract::recording::{RecordingComplete, RecordingStatus};
use contract::room::RoomName;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::metadata::Metadata;
use super::probe::{Media, probe};
use super::stage::Stage;
use crate::outbox::model::{Kind, NewItem};

/// The length of Jibri's time stamp in a file name: `_2026-08-05-13-56-46`.
const STAMP: usize = 20;

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
pub fn id(host: &str, finished: &Finished<'_>) -> io::Result<EventId> {
    let metadata = std::fs::metadata(finished.path)?;
    let name = finished.path.file_name().unwrap_or_default();
    Ok(EventId::of_recording(&[
        host.as_bytes(),
        finished.session.as_bytes(),
        name.as_encoded_bytes(),
        &metadata.ino().to_be_bytes(),
        &metadata.len().to_be_bytes(),
        &[u8::from(finished.stage == Stage::Closed)],
    ]))
}

/// The room that was recorded: the last part of the meeting's address, else what the file is named after.
pub fn room(finished: &Finished<'_>) -> Option<RoomName> {
    let from_url = finished
        .metadata
        .and_then(|metadata| metadata.meeting_url.as_deref())
        .and_then(|url| url.trim_end_matches('/').rsplit('/').next());
    let from_name = || finished.path.file_stem().and_then(|stem| stem.to_str()).and_then(call_name);
    from_url.or_else(from_name).and_then(|name| RoomName::parse(name).ok())
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

/// Reads the file through, once, and makes the item that tells the API about it.
pub fn item(host: &str, id: EventId, room: &RoomName, finished: &Finished<'_>) -> io::Result<NewItem> {
    let media = probe(finished.path)?;
    let (size_bytes, sha256) = digest(finished.path)?;
    let mut notice = RecordingComplete {
        id: id.clone(),
        room_name: room.clone(),
        recording_file: finished.path.display().to_string(),
        recording_status: status(finished.stage, media),
        timestamp: OffsetDateTime::from_unix_timestamp_nanos(finished.finished_at)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        session_id: finished.session.to_owned(),
        host: host.to_owned(),
        size_bytes,
        sha256: Some(sha256),
        duration_ms: media.duration_ms,
        meeting_url: finished.metadata.and_then(|metadata| metadata.meeting_url.clone()),
        meeting_session_id: finished.metadata.and_then(|metadata| metadata.meeting_session_id.clone()),
        participants: finished.metadata.map(|metadata| metadata.participants.clone()).unwrap_or_default(),
    };
    let mut body = serde_json::to_vec(&notice)?;
    if body.len() > MAX_EVENT_BYTES {
        tracing::warn!(file = %finished.path.display(), "metadata.json lists too much about the participants; they are left out");
        notice.participants.clear();
        body = serde_json::to_vec(&notice)?;
    }
    Ok(NewItem { id, room: room.to_string(), kind: Kind::Recording, body, offset: 0, parked: None })
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

/// Size and SHA-256, in one pass and constant memory.
fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 128 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    let text = hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    });
    Ok((size, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished<'a>(path: &'a str, metadata: Option<&'a Metadata>) -> Finished<'a> {
        Finished { path: Path::new(path), session: "s", stage: Stage::Closed, metadata, finished_at: 0 }
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
        let first = id("host", &abandoned).unwrap();
        assert_eq!(id("host", &abandoned).unwrap(), first);
        assert_ne!(id("host", &closed).unwrap(), first);
        assert_ne!(id("other", &abandoned).unwrap(), first);
        std::fs::write(&path, b"12").unwrap();
        assert_ne!(id("host", &abandoned).unwrap(), first);
    }

    #[test]
    fn a_notice_carries_size_and_digest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mp4");
        std::fs::write(&path, b"abc").unwrap();
        let closed =
            Finished { path: &path, session: "s", stage: Stage::Closed, metadata: None, finished_at: 0 };
        let made =
            item("host", id("host", &closed).unwrap(), &RoomName::parse("r").unwrap(), &closed).unwrap();
        let event = contract::recording::parse(&made.body).unwrap();
        assert_eq!(
            event.text("sha256"),
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(event.data["size_bytes"], 3);
        assert_eq!(event.id, made.id);
    }
}
