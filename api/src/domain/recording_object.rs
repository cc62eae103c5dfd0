//! Objects that Whereby leaves in a bucket, told by their keys.

use contract::id::hex;
use sha2::{Digest as _, Sha256};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// The longest key that S3 has, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// A recording by Whereby, as the name of its file describes it: `<room>-<start>.<mp4|mkv>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WherebyFile {
    /// The recording's id: the same for everybody who speaks of the file, whether or not they know its folder.
    pub id: String,
    /// The file's name, without folders.
    pub name: String,
    /// The room's name in lower case, without the slash that Whereby writes in front of it elsewhere.
    pub room_name: String,
    /// When the recording began.
    pub started_at: OffsetDateTime,
}

impl WherebyFile {
    /// The recording that an object's key, or a file's name, stands for; `None` for other objects.
    ///
    /// It is read from the right: a room's name may hold anything, and a bucket may have folders. A room's name is unique, and so is
    /// the second in which a recording of it began.
    pub fn parse(key: &str) -> Option<Self> {
        if key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
            return None;
        }
        let name = key.rsplit_once('/').map_or(key, |(_folder, name)| name);
        let (stem, extension) = name.rsplit_once('.')?;
        if !matches!(extension, "mp4" | "mkv") {
            return None;
        }
        let (room, start) = split_start(stem)?;
        let started_at = OffsetDateTime::parse(start, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
        if room.is_empty() {
            return None;
        }
        let digest = hex(&Sha256::digest(name.as_bytes()));
        Some(Self {
            id: format!("rec_whereby_{}", &digest[..32]),
            name: name.to_owned(),
            room_name: room.to_lowercase(),
            started_at,
        })
    }
}

/// Cuts `room-2026-03-01T10:02:20Z` in two. Some starts have a fraction, so the cut is found from the day.
fn split_start(stem: &str) -> Option<(&str, &str)> {
    let clock = stem.strip_suffix('Z')?.rfind('T')?;
    let day = clock.checked_sub("-2026-03-01".len())?;
    let (room, start) = (stem.get(..day)?, stem.get(day + 1..)?);
    let is_dashed = stem.as_bytes().get(day) == Some(&b'-');
    // A start may be written in other ways, too, which Whereby never does.
    let is_plain = start.bytes().all(|byte| byte.is_ascii_digit() || b"-:.TZ".contains(&byte));
    (is_dashed && is_plain).then_some((room, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(key: &str) -> Option<(String, i64)> {
        WherebyFile::parse(key)
            .map(|file| (file.room_name, file.started_at.unix_timestamp_nanos().try_into().unwrap()))
    }

    const START: i64 = 1_698_757_775_000_000_000;

    #[test]
    fn a_key_is_read_from_the_right() {
        for (key, expected) in [
            ("speaker1-session2-0b1f-2023-10-31T13:09:35Z.mp4", Some(("speaker1-session2-0b1f", START))),
            ("a/b c/Room-2023-10-31T13:09:35Z.mkv", Some(("room", START))),
            ("room-2023-10-31T13:09:35.250Z.mp4", Some(("room", START + 250_000_000))),
            ("r-2020-01-01T00:00:00Z-2023-10-31T13:09:35Z.mp4", Some(("r-2020-01-01t00:00:00z", START))),
            ("übung-2023-10-31T13:09:35Z.mp4", Some(("übung", START))),
            ("-2023-10-31T13:09:35Z.mp4", None),
            ("2023-10-31T13:09:35Z.mp4", None),
            ("room-2023-10-31T13:09:35Z.webm", None),
            ("room-2023-10-31T13:09:35Z", None),
            ("room-2023-10-31T13:09:35+02:00.mp4", None),
            ("room-2023-13-31T13:09:35Z.mp4", None),
            ("jitsi/room/session/0123456789ab/room_2023-10-31T13_09_35Z.mp4", None),
            ("é-10-31T13:09:35Z.mp4", None),
            ("TZ.mp4", None),
            ("room\n-2023-10-31T13:09:35Z.mp4", None),
            ("", None),
        ] {
            assert_eq!(parsed(key), expected.map(|(room, at)| (room.to_owned(), at)), "{key}");
        }
    }

    #[test]
    fn a_recording_has_one_id_whoever_speaks_of_it() {
        let id = |key: &str| WherebyFile::parse(key).unwrap().id;
        let name = "room-2023-10-31T13:09:35Z.mp4";
        assert_eq!(id(name), id(&format!("some/folder/{name}")));
        assert_ne!(id(name), id("room-2023-10-31T13:09:36Z.mp4"));
        assert!(contract::id::EventId::parse(id(name)).is_ok());
    }
}
