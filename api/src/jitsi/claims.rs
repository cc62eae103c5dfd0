//! What a token says to a Jitsi host.
//!
//! What the host's Prosody checks, and what it makes of the rest:
//!
//! | claim | why it is as it is |
//! |---|---|
//! | `iss`, `aud` | compared as plain strings with the host's accepted ones, so `aud` is no list |
//! | `sub`, `room` | the host's domain and exactly one room; hosts that refuse wildcards take it |
//! | `iat`, `exp` | whole seconds; there is no `nbf`, because Prosody allows no difference between the clocks |
//! | `context.user` | all text: other types raise errors in Prosody's modules. Everybody in the meeting can read it |
//! | `context.features` | complete: a feature that is not named is denied |
//! | `context.room` | this project's own claims; Prosody keeps the table with the session and shows it to nobody. The event module there reads the recording trigger and starts recordings by it |

use serde::Serialize;

use crate::domain::room::{MeetingSettings, RecordingTrigger, RecordingType, Setting};

/// Whom a token lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The person's id here; empty for somebody unknown.
    pub id: String,
    /// The name to show; when empty, Jitsi asks for one.
    pub name: String,
    /// The person's address; empty when unknown.
    pub email: String,
    /// Whether the person runs the meeting.
    pub moderator: bool,
}

/// The meeting that a token opens.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The meeting's id.
    pub meeting_id: &'a str,
    /// The meeting's name on the Jitsi host.
    pub room_name: &'a str,
    /// The id of the room that the meeting belongs to; empty when it belongs to none.
    pub room_id: &'a str,
    /// The meeting's settings.
    pub settings: MeetingSettings,
}

impl Target<'_> {
    /// Whether `person` may start and stop this meeting's recording.
    fn lets_record(&self, person: &Person) -> bool {
        person.moderator && self.settings.recording_type != RecordingType::None
    }

    /// Whether `person` is to be asked to start this meeting's recording.
    pub fn asks_to_record(&self, person: &Person) -> bool {
        self.lets_record(person) && self.settings.recording_trigger == RecordingTrigger::Prompt
    }
}

/// The whole of a token's claims.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    pub(super) iss: &'a str,
    pub(super) aud: &'a str,
    pub(super) sub: &'a str,
    pub(super) room: &'a str,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) context: Context<'a>,
}

/// Who comes, with which rights, into which meeting.
#[derive(Serialize)]
pub(super) struct Context<'a> {
    user: User<'a>,
    features: Features,
    room: RoomClaims<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    name: &'a str,
    email: &'a str,
    moderator: &'static str,
    affiliation: &'static str,
}

/// Every feature that current Jitsi servers ask a token for.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "Jitsi's own form: one switch per feature")]
struct Features {
    recording: bool,
    livestreaming: bool,
    transcription: bool,
    outbound_call: bool,
    create_polls: bool,
    send_groupchat: bool,
    send_private_message: bool,
    flip: bool,
    live_translation: bool,
    live_translation_subscribe: bool,
}

/// This project's own claims, all text.
#[derive(Serialize)]
struct RoomClaims<'a> {
    id: &'a str,
    meeting_id: &'a str,
    recording_type: &'static str,
    recording_trigger: &'static str,
}

impl<'a> Context<'a> {
    /// What is said of `person` in `target`.
    pub(super) fn new(target: Target<'a>, person: &'a Person) -> Self {
        let settings = target.settings;
        Self {
            user: User {
                id: &person.id,
                name: &person.name,
                email: &person.email,
                moderator: if person.moderator { "true" } else { "false" },
                affiliation: if person.moderator { "owner" } else { "member" },
            },
            features: Features {
                recording: target.lets_record(person),
                livestreaming: false,
                transcription: false,
                outbound_call: false,
                create_polls: true,
                send_groupchat: true,
                send_private_message: true,
                flip: true,
                live_translation: false,
                live_translation_subscribe: false,
            },
            room: RoomClaims {
                id: target.room_id,
                meeting_id: target.meeting_id,
                recording_type: settings.recording_type.as_str(),
                recording_trigger: settings.recording_trigger.as_str(),
            },
        }
    }
}
