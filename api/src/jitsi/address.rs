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

/// The address that opens the meeting `room_name` on `domain` with `token`.
pub fn join_url(domain: &str, room_name: &str, token: &str) -> String {
    format!("https://{domain}/{room_name}?jwt={token}")
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
    fn an_address_carries_its_token() {
        assert_eq!(join_url("meet.example.com", "r", "a.b.c"), "https://meet.example.com/r?jwt=a.b.c");
    }
}
