//! Names and addresses of Jitsi meetings.

use uuid::Uuid;

/// What the name of every meeting of ours begins with; the agent reports rooms of this form.
pub const PREFIX: &str = "reflector-";

/// The name of a new meeting in the room `room`, made unique by `id`: `reflector-<room>-<id>`.
///
/// Room names hold only `a-z 0-9 -`, so every spelling that Jitsi knows of this name is the same.
pub fn room_name(room: &str, id: Uuid) -> String {
    format!("{PREFIX}{room}-{id}")
}

/// The setting by which Jitsi's page asks its user to start a recording, as the page reads it from an address.
///
/// The page shows a notice with a button, once, when its user has become a moderator, may record, and nothing is being
/// recorded. Browsers do not send this part of an address to any server; pages that do not know the setting ignore it.
const SUGGEST_RECORDING: &str = "#config.recordings.suggestRecording=true";

/// The address that opens the meeting `room_name` on `domain` with `token`; with `suggests_recording`, Jitsi's page asks who
/// comes in to start a recording.
pub fn join_url(domain: &str, room_name: &str, token: &str, suggests_recording: bool) -> String {
    let settings = if suggests_recording { SUGGEST_RECORDING } else { "" };
    format!("https://{domain}/{room_name}?jwt={token}{settings}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_s_name_is_the_same_in_every_spelling_of_jitsi() {
        let name = room_name("daily", Uuid::from_u128(0x3f0c));
        assert_eq!(name, "reflector-daily-00000000-0000-0000-0000-000000003f0c");
        assert_eq!(contract::room::RoomName::parse(&name).unwrap().as_str(), name);
    }

    #[test]
    fn an_address_carries_its_token_and_what_jitsi_s_page_is_to_ask() {
        let address = "https://meet.example.com/r?jwt=a.b.c";
        assert_eq!(join_url("meet.example.com", "r", "a.b.c", false), address);
        let asking = format!("{address}#config.recordings.suggestRecording=true");
        assert_eq!(join_url("meet.example.com", "r", "a.b.c", true), asking);
    }
}
