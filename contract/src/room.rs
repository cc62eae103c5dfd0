//! Room names.
//!
//! Jitsi spells one room in many ways: `Standup`, `standup@conference.meet.example.com`, `[acme]standup`,
//! `%c3%bcber` for `Über`. Inside Jitsi the room part of an address is always lower case and percent-encoded, so that
//! form is ours too; domain, tenant and occupant are left out.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The longest name that is accepted, in bytes after normalisation: the limit of an XMPP address part (RFC 7622).
pub const MAX_ROOM_BYTES: usize = 1023;

/// What `encodeURIComponent` leaves alone, plus `%` because names arrive encoded already.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'%');

/// A room name in the one form in which names are compared and stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 1023))]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

/// Why a text names no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// Nothing is left once domain and tenant are taken off.
    #[error("a room name must not be empty")]
    Empty,
    /// Longer than [`MAX_ROOM_BYTES`].
    #[error("a room name has at most {MAX_ROOM_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A line break, a NUL or another control character.
    #[error("a room name must not contain control characters")]
    ControlCharacter,
}

impl RoomName {
    /// Brings any of Jitsi's spellings into the one form.
    pub fn parse(text: &str) -> Result<Self, RoomError> {
        if text.chars().any(char::is_control) {
            return Err(RoomError::ControlCharacter);
        }
        let node = without_tenant(text.split(['@', '/']).next().unwrap_or_default());
        let name =
            if node.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
                // What every room that Reflector makes is called: nothing to do.
                node.to_owned()
            } else {
                let folded = node.nfkc().collect::<String>().to_lowercase();
                utf8_percent_encode(&folded, ENCODED).to_string().to_lowercase()
            };
        match name.len() {
            0 => Err(RoomError::Empty),
            n if n > MAX_ROOM_BYTES => Err(RoomError::TooLong(n)),
            _ => Ok(Self(name)),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[tenant]room` is how Prosody stores a tenant's room internally.
fn without_tenant(node: &str) -> &str {
    node.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(node, |(_tenant, room)| room)
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RoomName {
    type Error = RoomError;
    fn try_from(text: String) -> Result<Self, RoomError> {
        Self::parse(&text)
    }
}

impl From<RoomName> for String {
    fn from(room: RoomName) -> Self {
        room.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_room_becomes_one_name() {
        for (text, expected) in [
            ("standup", "standup"),
            ("Reflector-Daily-3F0C", "reflector-daily-3f0c"),
            ("standup@conference.meet.example.com", "standup"),
            ("standup@conference.meet.example.com/a1b2c3d4", "standup"),
            ("[acme]standup@conference.meet.example.com", "standup"),
            ("conference.meet.example.com", "conference.meet.example.com"),
            ("%c3%bcn%c3%afcode%20raum", "%c3%bcn%c3%afcode%20raum"),
            ("Ünïcode Raum", "%c3%bcn%c3%afcode%20raum"),
            ("ﬁne", "fine"),
        ] {
            assert_eq!(RoomName::parse(text).unwrap().as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_names_no_room_is_refused_for_a_named_reason() {
        assert_eq!(RoomName::parse(""), Err(RoomError::Empty));
        assert_eq!(RoomName::parse("@conference.meet.example.com"), Err(RoomError::Empty));
        assert_eq!(RoomName::parse("a\nb"), Err(RoomError::ControlCharacter));
        assert_eq!(RoomName::parse(&"x".repeat(1024)), Err(RoomError::TooLong(1024)));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{1,40}") {
            if let Ok(once) = RoomName::parse(&text) {
                prop_assert_eq!(RoomName::parse(once.as_str()).unwrap(), once);
            }
        }
    }
}
