//! Event identity.
//!
//! An id is made where the event happened and never changes. Every hop dedupes on it, which turns at-least-once
//! delivery into an exactly-once effect.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest id that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// The identity of one event: 1 to [`MAX_ID_BYTES`] characters of `A-Z a-z 0-9 _ - . :`.
///
/// Ids that this project makes begin with `evt_` (events) or `rec_` (recordings) and are followed by hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^[A-Za-z0-9_.:-]{1,128}$"))]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);

/// Why a text is not an event id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("an id must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("an id has at most {MAX_ID_BYTES} characters, this one has {0}")]
    TooLong(usize),
    /// The text holds a character outside the alphabet.
    #[error("an id holds only letters, digits and `_-.:`, not {0:?}")]
    Character(char),
}

impl EventId {
    /// Accepts `text` as an id if its alphabet and length allow it.
    pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > MAX_ID_BYTES {
            return Err(IdError::TooLong(text.len()));
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.:".contains(*c))) {
            Some(c) => Err(IdError::Character(c)),
            None => Ok(Self(text)),
        }
    }

    /// The id of a request body that came without one: the same bytes are always the same event.
    pub fn of_body(body: &[u8]) -> Self {
        Self(digest("evt_", &[body]))
    }

    /// The id of a spool line that came without one, from its bytes and its place.
    ///
    /// `file` is a digest of the file's first line, so that a copy of the file gives its lines the same ids.
    pub fn of_line(file: &[u8], offset: u64, line: &[u8]) -> Self {
        Self(digest("evt_", &[file, &offset.to_be_bytes(), line]))
    }

    /// The id of one recording file, from the parts that tell it from every other file of every host.
    pub fn of_recording(parts: &[&[u8]]) -> Self {
        Self(digest("rec_", parts))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `prefix` and the first 16 bytes of SHA-256 over the parts, each preceded by its length so that no two lists collide.
fn digest(prefix: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    prefix.chars().chain(hex(&hash.finalize()[..16]).chars()).collect()
}

/// Bytes as lower-case hexadecimal, the form of every digest and signature on the wire.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EventId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_refused_for_a_named_reason() {
        for (text, expected) in [
            ("", Err(IdError::Empty)),
            ("evt 1", Err(IdError::Character(' '))),
            ("evt_é", Err(IdError::Character('é'))),
            ("evt_0190b7c2-a.b:c", Ok(())),
        ] {
            assert_eq!(EventId::parse(text).map(|_| ()), expected, "{text:?}");
        }
        assert_eq!(EventId::parse("x".repeat(MAX_ID_BYTES)).map(|_| ()), Ok(()));
        assert_eq!(EventId::parse("x".repeat(MAX_ID_BYTES + 1)), Err(IdError::TooLong(MAX_ID_BYTES + 1)));
    }

    #[test]
    fn the_same_bytes_are_the_same_event_and_other_bytes_another() {
        assert_eq!(EventId::of_body(b"{}"), EventId::of_body(b"{}"));
        assert_ne!(EventId::of_body(b"{}"), EventId::of_body(b"{} "));
        assert_ne!(EventId::of_line(b"f", 0, b"{}"), EventId::of_line(b"f", 3, b"{}"));
    }

    #[test]
    fn moving_a_byte_between_parts_makes_another_recording() {
        assert_ne!(EventId::of_recording(&[b"ab", b"c"]), EventId::of_recording(&[b"a", b"bc"]));
    }
}
