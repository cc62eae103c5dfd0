//! The `metadata.json` beside a recording, in every state that it can be found in.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::metadata::{self, MAX_BYTES, Metadata};

/// The state of `metadata.json`.
#[derive(Debug, Clone, PartialEq)]
pub enum Sidecar {
    /// There is none.
    Absent,
    /// There is a file that is not JSON, perhaps because it is being written.
    Unreadable,
    /// It is longer than [`MAX_BYTES`], which Jibri's own never is.
    TooLong,
    /// It may say anything: we are not let at it. The text is the system's reason.
    Withheld(String),
    /// It was read.
    Complete(Box<Metadata>),
}

impl Sidecar {
    /// Reads the file.
    pub fn read(path: &Path) -> Self {
        match read_bounded(path) {
            Ok(bytes) if bytes.len() as u64 > MAX_BYTES => Self::TooLong,
            Ok(bytes) => metadata::parse(&bytes)
                .map_or(Self::Unreadable, |metadata| Self::Complete(Box::new(metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(error) => Self::Withheld(error.to_string()),
        }
    }

    /// What it said, if it was read.
    pub fn metadata(&self) -> Option<&Metadata> {
        if let Self::Complete(metadata) = self { Some(metadata) } else { None }
    }

    /// What an operator should know and do about it.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Withheld(reason) => Some(format!(
                "cannot be read: {reason}; the recordings beside it wait (is the agent's user in Jibri's group?)"
            )),
            Self::TooLong => Some(format!(
                "is longer than {MAX_BYTES} bytes and is passed over; the recordings beside it are reported without it"
            )),
            Self::Absent | Self::Unreadable | Self::Complete(_) => None,
        }
    }
}

/// The file's bytes, and one more than [`MAX_BYTES`] of a file that is longer.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_does_not_exist_is_absent() {
        let directory = tempfile::tempdir().unwrap();
        let limit = usize::try_from(MAX_BYTES).unwrap();
        let padded = |length: usize| [&b"{}"[..], &vec![b' '; length - 2]].concat();
        for (name, content, expected) in [
            ("empty", Vec::new(), Sidecar::Unreadable),
            ("half", b"{\"meeting_url\":".to_vec(), Sidecar::Unreadable),
            ("whole", b"{}".to_vec(), Sidecar::Complete(Box::default())),
            ("longest", padded(limit), Sidecar::Complete(Box::default())),
            ("longer", padded(limit + 1), Sidecar::TooLong),
        ] {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            assert_eq!(Sidecar::read(&path), expected, "{name}");
        }
        assert_eq!(Sidecar::read(&directory.path().join("none")), Sidecar::Absent);
        let withheld = Sidecar::read(directory.path());
        assert!(matches!(withheld, Sidecar::Withheld(_)), "a directory cannot be read: {withheld:?}");
    }

    #[test]
    fn the_reason_comes_with_the_next_step() {
        let advice = Sidecar::Withheld("Permission denied (os error 13)".into()).advice().unwrap();
        assert!(advice.contains("Permission denied"), "{advice}");
        assert!(advice.contains("in Jibri's group?"), "{advice}");
        assert_eq!(Sidecar::Unreadable.advice(), None);
    }
}
