//! Uploads: which files are uploaded, under which key, in which parts, and whether the storage has them all.

use std::collections::BTreeMap;

use contract::upload::{KeepReason, StoredPart, UploadId};

use super::room::RecordingType;

/// The largest file that is taken, in bytes: the largest object of S3.
pub const MAX_BYTES: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// The most parts of an object.
const MAX_PARTS: u64 = 10_000;

const MIB: u64 = 1024 * 1024;

/// The longest part of a key between two slashes, in bytes. With a prefix of 200 a key stays below S3's 1024.
const MAX_NAME_BYTES: usize = 160;

/// How many parts a refusal names before it says only how many more there are.
const NAMED: usize = 8;

/// What becomes of a file that a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is uploaded.
    Upload,
    /// It stays where it is.
    Keep(KeepReason),
    /// Nobody knows the meeting that it belongs to.
    MeetingUnknown,
}

/// Decides about a file of a meeting with these recording settings; `None` where no meeting is known.
///
/// Without a storage the file stays, whatever its meeting: no waiting would change that.
pub fn decide(recording_type: Option<RecordingType>, has_storage: bool) -> Decision {
    match (recording_type, has_storage) {
        (Some(RecordingType::Local), _) => Decision::Keep(KeepReason::RecordingTypeLocal),
        (Some(RecordingType::None), _) => Decision::Keep(KeepReason::RecordingTypeNone),
        (_, false) => Decision::Keep(KeepReason::StorageNotConfigured),
        (Some(RecordingType::Cloud), true) => Decision::Upload,
        (None, true) => Decision::MeetingUnknown,
    }
}

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The size of every part but the last.
    pub part_size: u64,
    /// The number of parts, at least 1.
    pub parts: u32,
}

impl Plan {
    /// The plan for a file of `size` bytes, at most [`MAX_BYTES`]: parts of `usual` bytes, larger ones where there would be too many.
    pub fn of(size: u64, usual: u64) -> Self {
        let needed = size.div_ceil(MAX_PARTS).next_multiple_of(MIB);
        let part_size = usual.max(needed);
        let parts = size.div_ceil(part_size).max(1);
        Self { part_size, parts: u32::try_from(parts).unwrap_or(u32::MAX) }
    }
}

/// The key of an object: readable for people, and told from every other by a piece of the upload's id.
pub fn object_key(prefix: &str, room: &str, session: &str, id: &UploadId, file: &str) -> String {
    let unique = id.as_str().trim_start_matches("upl_");
    let unique = &unique[..unique.len().min(12)];
    let names = [plain(room), plain(session), unique.to_owned(), plain(file)];
    let prefix = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    prefix.into_iter().chain(names).collect::<Vec<_>>().join("/")
}

/// A name of characters that need no care anywhere: not in addresses, not in shells, not in file systems. Its end is kept, which
/// is where a file's type stands.
fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let text: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    let text = &text[text.len().saturating_sub(MAX_NAME_BYTES)..];
    if text.trim_start_matches('.').is_empty() || text.starts_with('.') {
        format!("_{text}")
    } else {
        text.to_owned()
    }
}

/// The media type of a file of this name, so that browsers play it.
pub fn media_type(file: &str) -> &'static str {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("mp4" | "m4v") => "video/mp4",
        Some("mkv") => "video/x-matroska",
        Some("webm") => "video/webm",
        _ => "application/octet-stream",
    }
}

/// What a file of `size` bytes lacks in the storage, for people; `None` when all is there.
pub fn missing(plan: Plan, size: u64, stored: &[StoredPart]) -> Option<String> {
    let sizes: BTreeMap<_, _> = stored.iter().map(|part| (part.number, part.size_bytes)).collect();
    let mut faults = Vec::new();
    for number in 1..=plan.parts {
        let begin = u64::from(number - 1) * plan.part_size;
        let expected = size.saturating_sub(begin).min(plan.part_size);
        match sizes.get(&number) {
            None => faults.push(format!("part {number} is missing")),
            Some(&size) if size != expected => {
                faults.push(format!("part {number} has {size} bytes and must have {expected}"));
            }
            Some(_) => {}
        }
    }
    let more = faults.len().saturating_sub(NAMED);
    faults.truncate(NAMED);
    if more > 0 {
        faults.push(format!("so it is with {more} more"));
    }
    Some(faults.join("; ")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cloud_recordings_are_uploaded() {
        use RecordingType as Type;
        for (recording_type, has_storage, expected) in [
            (Some(Type::Cloud), true, Decision::Upload),
            (Some(Type::Cloud), false, Decision::Keep(KeepReason::StorageNotConfigured)),
            (Some(Type::Local), true, Decision::Keep(KeepReason::RecordingTypeLocal)),
            (Some(Type::Local), false, Decision::Keep(KeepReason::RecordingTypeLocal)),
            (Some(Type::None), true, Decision::Keep(KeepReason::RecordingTypeNone)),
            (None, true, Decision::MeetingUnknown),
            (None, false, Decision::Keep(KeepReason::StorageNotConfigured)),
        ] {
            assert_eq!(decide(recording_type, has_storage), expected, "{recording_type:?} {has_storage}");
        }
    }

    #[test]
    fn a_file_is_cut_into_parts_that_the_storage_takes() {
        for (size, usual, part_size, parts) in [
            (0, 16 * MIB, 16 * MIB, 1),
            (1, 16 * MIB, 16 * MIB, 1),
            (16 * MIB, 16 * MIB, 16 * MIB, 1),
            (16 * MIB + 1, 16 * MIB, 16 * MIB, 2),
            (2048 * MIB, 16 * MIB, 16 * MIB, 128),
            (160_000 * MIB, 16 * MIB, 16 * MIB, 10_000),
            (160_000 * MIB + 1, 16 * MIB, 17 * MIB, 9412),
            (MAX_BYTES, 5 * MIB, 525 * MIB, 9987),
        ] {
            assert_eq!(Plan::of(size, usual), Plan { part_size, parts }, "{size}");
        }
    }

    #[test]
    fn a_key_is_readable_and_harmless() {
        let id = UploadId::parse("upl_0190b7c2a1b2c3d4e5f60718").unwrap();
        let key = |room, session, file| object_key("jitsi", room, session, &id, file);
        assert_eq!(key("daily-1", "8d7f", "daily_1.mp4"), "jitsi/daily-1/8d7f/0190b7c2a1b2/daily_1.mp4");
        assert_eq!(key("%c3%bcber", "a/b", "é ?#.mp4"), "jitsi/_c3_bcber/a_b/0190b7c2a1b2/____.mp4");
        assert_eq!(key("..", ".", ""), "jitsi/_../_./0190b7c2a1b2/_");
        assert_eq!(key("r", "s", ".mp4"), "jitsi/r/s/0190b7c2a1b2/_.mp4");
        assert_eq!(object_key("", "r", "s", &id, "f"), "r/s/0190b7c2a1b2/f");
        let long = key(&"r".repeat(2000), &"s".repeat(2000), &format!("{}.mp4", "é".repeat(2000)));
        assert!(long.len() < 1024 - 200 && long.ends_with("_.mp4"), "{long}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let plan = Plan { part_size: 10, parts: 3 };
        let part = |number, size_bytes| StoredPart { number, size_bytes };
        for (stored, expected) in [
            (vec![part(1, 10), part(2, 10), part(3, 5)], None),
            (vec![part(3, 5), part(1, 10), part(2, 10), part(4, 1)], None),
            (vec![part(1, 10), part(3, 5)], Some("part 2 is missing")),
            (vec![part(1, 10), part(2, 9), part(3, 5)], Some("part 2 has 9 bytes and must have 10")),
            (vec![part(1, 10), part(2, 10), part(3, 10)], Some("part 3 has 10 bytes and must have 5")),
            (vec![], Some("part 1 is missing; part 2 is missing; part 3 is missing")),
        ] {
            assert_eq!(missing(plan, 25, &stored).as_deref(), expected, "{stored:?}");
        }
        assert_eq!(missing(Plan { part_size: 10, parts: 1 }, 0, &[part(1, 0)]), None);
        let text = missing(Plan { part_size: 1, parts: 100 }, 100, &[]).unwrap();
        assert!(text.ends_with("part 8 is missing; so it is with 92 more"), "{text}");
    }

    #[test]
    fn browsers_are_told_what_they_can_play() {
        for (file, expected) in
            [("a.mp4", "video/mp4"), ("a.b.MKV", "video/x-matroska"), ("mp4", "application/octet-stream")]
        {
            assert_eq!(media_type(file), expected);
        }
    }
}
