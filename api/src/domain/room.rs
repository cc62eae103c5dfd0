//! Rooms: the named places in which meetings are held, and the rules for their settings.
//!
//! Knows no SQL and no HTTP. Settings are closed lists; the spelling of each value is the one of the public API, of the
//! database, and of the guides.

use time::OffsetDateTime;
use utoipa::openapi::{Object, ObjectBuilder, RefOr, Schema, Type};

/// Declares a setting with a closed list of values and one spelling for all its readers.
macro_rules! setting {
    ($(#[doc = $doc_text:literal])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[doc = $doc_text])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
        pub enum $name {
            $($(#[$value_doc])* #[serde(rename = $text)] $value,)*
        }

        impl Setting for $name {
            const SPELLINGS: &'static [&'static str] = &[$($text),*];

            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$value),)* _ => None }
            }

            fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text),* }
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                texts(Self::SPELLINGS, concat!($($doc_text),*)).into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

/// The description of a closed list of texts.
fn texts(spellings: &[&str], description: &str) -> Object {
    let texts = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(spellings.iter().copied()));
    texts.description(Some(description.trim())).build()
}

/// A setting with a closed list of values.
pub trait Setting: Copy {
    /// Every value's spelling, in the order in which they are offered.
    const SPELLINGS: &'static [&'static str];

    /// The value that is spelled `text`.
    fn parse(text: &str) -> Option<Self>;

    /// The value's spelling.
    fn as_str(self) -> &'static str;
}

setting! {
    /// The product that carries a room's meetings.
    Platform {
        /// A self-hosted Jitsi Meet.
        Jitsi = "jitsi",
        /// Whereby.
        Whereby = "whereby",
    }
}

setting! {
    /// How many people a room is laid out for.
    RoomMode {
        /// A small meeting.
        Normal = "normal",
        /// A large one.
        Group = "group",
    }
}

setting! {
    /// Where a recording is kept.
    RecordingType {
        /// Nothing is recorded.
        None = "none",
        /// On the host that records.
        Local = "local",
        /// In object storage.
        Cloud = "cloud",
    }
}

setting! {
    /// What starts a recording.
    RecordingTrigger {
        /// A moderator, by hand.
        None = "none",
        /// A moderator, who is asked to.
        Prompt = "prompt",
        /// The start of the meeting.
        Automatic = "automatic",
        /// The second participant's arrival.
        AutomaticSecondParticipant = "automatic-2nd-participant",
    }
}

/// The settings that a meeting copies from its room when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeetingSettings {
    /// The product that carries the meeting.
    pub platform: Platform,
    /// Whether people must be let in.
    pub is_locked: bool,
    /// The meeting's layout.
    pub room_mode: RoomMode,
    /// Where its recording is kept.
    pub recording_type: RecordingType,
    /// What starts its recording.
    pub recording_trigger: RecordingTrigger,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The room's id, a UUID as text.
    pub id: String,
    /// The room's name: unique, and as [`check_name`] wants it.
    pub name: String,
    /// The owner's id: the `sub` of the token that made the room.
    pub user_id: String,
    /// When the room was made.
    pub created_at: OffsetDateTime,
    /// What the room's next meeting will be like.
    pub settings: MeetingSettings,
    /// Whether every user sees the room in their list.
    pub is_shared: bool,
    /// Whether the transcript is posted to Zulip.
    pub zulip_auto_post: bool,
    /// The Zulip stream to post to.
    pub zulip_stream: String,
    /// The Zulip topic to post to.
    pub zulip_topic: String,
    /// The address that is told about finished transcripts.
    pub webhook_url: Option<String>,
    /// The secret that signs what is sent there.
    pub webhook_secret: Option<String>,
    /// Whether participants are not asked for their consent to be recorded.
    pub skip_consent: bool,
    /// The room's calendar. Kept as it was set; nothing reads calendars yet.
    pub calendar: Calendar,
}

/// A calendar whose events are meetings of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The address of the calendar in iCalendar format.
    pub url: Option<String>,
    /// How often it is to be fetched, in seconds.
    pub fetch_interval: u32,
    /// Whether it is to be fetched.
    pub enabled: bool,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { url: None, fetch_interval: 300, enabled: false }
    }
}

impl Room {
    /// Whether `user_id` made this room.
    pub fn is_owned_by(&self, user_id: &str) -> bool {
        self.user_id == user_id
    }
}

/// The longest room name. With `reflector-` before and `-<uuid>` after it, it is far below the limit of an XMPP address.
pub const MAX_NAME_CHARS: usize = 128;

/// The longest name of a Whereby room: the name is the prefix of Whereby's own room names, which have at most 39
/// characters together with the hyphen that ends it.
pub const MAX_WHEREBY_NAME_CHARS: usize = 38;

/// Names that are pages of the frontend.
pub const RESERVED_NAMES: &[&str] = &["browse", "rooms", "transcripts"];

/// Why a text cannot be a room's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There are no characters.
    #[error("a room name must not be empty")]
    Empty,
    /// There are more characters than the platform takes.
    #[error("the name of a {platform} room has at most {limit} characters, this one has {chars}", platform = .platform.as_str())]
    TooLong {
        /// The room's platform.
        platform: Platform,
        /// Its limit.
        limit: usize,
        /// The name's length.
        chars: usize,
    },
    /// A character outside `a-z 0-9 -`.
    #[error("a room name holds only a-z, 0-9 and hyphens, not {character:?}{}", hint(.suggestion))]
    Character {
        /// The first such character.
        character: char,
        /// The nearest name that is allowed; empty when nothing is left of the name.
        suggestion: String,
    },
    /// A page of the frontend has this name.
    #[error("the names browse, rooms and transcripts are pages of the frontend; choose another")]
    Reserved,
}

fn hint(suggestion: &str) -> String {
    if suggestion.is_empty() { String::new() } else { format!("; {suggestion:?} would do") }
}

/// Accepts `name` as the name of a room on `platform`.
///
/// The alphabet is the one in which every spelling of a Jitsi room name is the same, so a name is refused rather than
/// quietly changed.
pub fn check_name(name: &str, platform: Platform) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(character) = name.chars().find(|c| !is_allowed(*c)) {
        return Err(NameError::Character { character, suggestion: suggest(name) });
    }
    let limit = match platform {
        Platform::Jitsi => MAX_NAME_CHARS,
        Platform::Whereby => MAX_WHEREBY_NAME_CHARS,
    };
    let chars = name.chars().count();
    if chars > limit {
        return Err(NameError::TooLong { platform, limit, chars });
    }
    if RESERVED_NAMES.contains(&name) { Err(NameError::Reserved) } else { Ok(()) }
}

fn is_allowed(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-')
}

/// What the frontend makes of a name: lower case, blanks as hyphens, the rest left out.
fn suggest(name: &str) -> String {
    let folded = name.to_lowercase();
    let hyphenated = folded.trim().chars().map(|c| if c.is_whitespace() { '-' } else { c });
    hyphenated.filter(|c| is_allowed(*c)).take(MAX_WHEREBY_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_reads_what_it_writes_and_nothing_else() {
        fn check<S: Setting>() {
            for text in S::SPELLINGS {
                assert_eq!(S::parse(text).map(S::as_str), Some(*text));
            }
            for text in ["", "None", "other"] {
                assert!(S::parse(text).is_none(), "{text:?}");
            }
        }
        check::<Platform>();
        check::<RoomMode>();
        check::<RecordingType>();
        check::<RecordingTrigger>();
    }

    #[test]
    fn a_name_is_refused_for_the_rule_it_breaks() {
        let long = "x".repeat(MAX_NAME_CHARS + 1);
        for (name, expected) in [
            ("my-jitsi-room", None),
            ("2", None),
            ("", Some("a room name must not be empty")),
            ("My Room", Some("a room name holds only a-z, 0-9 and hyphens, not 'M'; \"my-room\" would do")),
            ("a/b", Some("a room name holds only a-z, 0-9 and hyphens, not '/'; \"ab\" would do")),
            ("été", Some("a room name holds only a-z, 0-9 and hyphens, not 'é'; \"t\" would do")),
            ("…", Some("a room name holds only a-z, 0-9 and hyphens, not '…'")),
            (
                "rooms",
                Some("the names browse, rooms and transcripts are pages of the frontend; choose another"),
            ),
            (&long, Some("the name of a jitsi room has at most 128 characters, this one has 129")),
        ] {
            let found = check_name(name, Platform::Jitsi).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected, "{name:.20}");
        }
    }

    #[test]
    fn a_whereby_name_leaves_room_for_the_rest_of_whereby_s_own() {
        assert_eq!(check_name(&"x".repeat(38), Platform::Whereby), Ok(()));
        assert!(matches!(check_name(&"x".repeat(39), Platform::Whereby), Err(NameError::TooLong { .. })));
        assert_eq!(check_name(&"x".repeat(39), Platform::Jitsi), Ok(()));
    }
}
