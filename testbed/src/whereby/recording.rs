//! Recordings in one's own bucket: how Whereby names the file, and what it tells when the file is there.

use std::io;
use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::json;
use time::OffsetDateTime;

use super::event::Event;
use super::meetings::uuid;
use crate::s3::{BUCKET, S3};

/// How long an address for an upload is good for.
const LIFETIME: Duration = Duration::from_mins(1);

/// The object key of a recording: the room's name without its slash, and when the recording started.
pub fn key_of(room: &str, started_at: OffsetDateTime, extension: &str) -> String {
    let (date, time) = (started_at.date(), started_at.time());
    format!(
        "{}-{date}T{:02}:{:02}:{:02}Z.{extension}",
        room.trim_start_matches('/'),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The event that tells of a recording whose file has been uploaded. It names no meeting.
pub fn notice_of(room: &str, key: &str, now: OffsetDateTime) -> Event {
    let data = json!({ "recordingId": uuid(), "filename": key, "roomName": room, "status": "completed" });
    Event::new("recording.finished", data, now)
}

/// Puts a file into the bucket of `storage`, as Whereby's recorder does with the keys that it was handed.
pub fn put(storage: &S3, key: &str, content: &[u8]) -> io::Result<()> {
    let endpoint = storage.url().parse().map_err(io::Error::other)?;
    let bucket = Bucket::new(endpoint, UrlStyle::Path, BUCKET, "us-east-1").map_err(io::Error::other)?;
    let keys = Credentials::new(&storage.whereby_keys().access_key, &storage.whereby_keys().secret_key);
    let url = bucket.put_object(Some(&keys), key).sign(LIFETIME);
    ureq::put(url.as_str()).send(content).map_err(io::Error::other)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_recording_lies_in_the_bucket_under_its_room_and_start() {
        let directory = tempfile::tempdir().unwrap();
        let storage = S3::start(directory.path()).unwrap();
        let start = OffsetDateTime::from_unix_timestamp(1_698_757_775).unwrap();
        let key = key_of("/speaker-1b", start, "mp4");
        assert_eq!(key, "speaker-1b-2023-10-31T13:09:35Z.mp4");
        put(&storage, &key, b"film").unwrap();
        assert_eq!(fs::read(storage.object(&key)).unwrap(), b"film");
        let notice = notice_of("/speaker-1b", &key, start);
        assert_eq!(notice.data["filename"], key.as_str());
        assert!(notice.data.get("meetingId").is_none());
    }
}
