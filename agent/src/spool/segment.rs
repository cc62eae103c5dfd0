//! The names of our module's segments: `20250115T10Z.0190b7c2d4e5f6a7b8c9.jsonl`, the hour in UTC and the boot.
//!
//! After a write that may have left half a line, a boot goes on in `….0190b7c2d4e5f6a7b8c9_002.jsonl`. The module never
//! appends to a segment whose hour is over.

use std::path::Path;

use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time};

/// The length of a boot id: hexadecimal digits.
const BOOT: usize = 20;

/// Whether `path` is a segment of our module whose hour ended more than `age` seconds before `now` (seconds since 1970).
pub fn is_over(path: &Path, age: i64, now: i64) -> bool {
    let Some(begin) = path.file_name().and_then(|name| name.to_str()).and_then(begin) else { return false };
    begin + 3600 + age < now
}

/// When a segment's hour began, if the name is one of our module's.
fn begin(name: &str) -> Option<i64> {
    let (hour, boot) = name.strip_suffix(".jsonl")?.split_once('.')?;
    let (boot, part) = boot.split_once('_').map_or((boot, None), |(boot, part)| (boot, Some(part)));
    let is_boot = boot.len() == BOOT && boot.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_part = part.is_none_or(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_boot || !is_part {
        return None;
    }
    let (date, hour) = hour.strip_suffix('Z')?.split_once('T')?;
    let date = Date::parse(date, format_description!("[year][month][day]")).ok()?;
    let time = Time::from_hms(hour.parse().ok().filter(|_| hour.len() == 2)?, 0, 0).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn only_our_modules_segments_are_ever_over() {
        let now = datetime!(2025-01-16 11:00 UTC).unix_timestamp();
        let day = 24 * 3600;
        for (name, now, expected) in [
            ("20250115T10Z.0190b7c2d4e5f6a7b8c9.jsonl", now + 1, true),
            ("20250115T10Z.0190b7c2d4e5f6a7b8c9.jsonl", now, false),
            ("20250115T10Z.0190b7c2d4e5f6a7b8c9_002.jsonl", now + 1, true),
            ("20250115T11Z.0190b7c2d4e5f6a7b8c9.jsonl", now + 1, false),
            ("20250115T10Z.0190b7c2.jsonl", now + 1, false),
            ("20250115T10Z.0190b7c2d4e5f6a7b8c9_.jsonl", now + 1, false),
            ("20251315T10Z.0190b7c2d4e5f6a7b8c9.jsonl", now + 1, false),
            ("20250115T24Z.0190b7c2d4e5f6a7b8c9.jsonl", now + 1, false),
            ("events.jsonl", now + 1, false),
            ("events.jsonl.1", now + 1, false),
        ] {
            assert_eq!(
                is_over(Path::new("/spool").join(name).as_path(), day, now),
                expected,
                "{name} at {now}"
            );
        }
    }
}
