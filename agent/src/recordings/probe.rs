//! What a media file is worth: its container, its duration, and whether it can be played at all.
//!
//! The container is told by content: what Jibri's ffmpeg writes is a matter of its configuration. What is not recognised,
//! a transport stream for example, is not judged and reported like any other.

mod matroska;
mod mp4;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The result of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// The container, by content and not by the file's name.
    pub container: Container,
    /// Whether the file cannot be played as it is: its index is missing, or there is no media in it.
    pub truncated: bool,
    /// Whether its writer ended without closing it, although it can be played.
    pub unfinished: bool,
    /// The duration in milliseconds, where the container tells.
    pub duration_ms: Option<u64>,
}

/// A media container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// ISO base media (mp4, mov).
    Mp4,
    /// Matroska or `WebM`: playable even when it was cut off.
    Matroska,
    /// Something else, or too short to tell.
    Unknown,
}

/// Looks into the file.
pub fn probe(path: &Path) -> io::Result<Media> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut magic = [0; 8];
    let mut reader = BufReader::new(&file);
    if reader.read_exact(&mut magic).is_err() {
        let container = Container::Unknown;
        return Ok(Media { container, truncated: true, unfinished: false, duration_ms: None });
    }
    if magic[..4] == matroska::MAGIC {
        return matroska::probe(&file, length);
    }
    if &magic[4..] == b"ftyp" {
        return mp4::probe(&mut reader, length);
    }
    Ok(Media { container: Container::Unknown, truncated: false, unfinished: false, duration_ms: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of a file with this content.
    pub(super) fn probed(bytes: &[u8]) -> Media {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        probe(file.path()).unwrap()
    }

    #[test]
    fn other_files_are_not_judged() {
        assert_eq!(probed(b"").container, Container::Unknown);
        assert!(probed(b"").truncated, "an empty file cannot be played");
        assert!(!probed(b"plain text, not media").truncated);
        assert!(!probed(&[0x47; 188]).truncated, "a transport stream");
    }
}
