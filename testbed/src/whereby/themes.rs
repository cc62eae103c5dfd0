//! `/v1/rooms/{roomName}/theme/…`.

use super::account::Account;
use super::answer::{Answer, Request};

/// Changes how a room looks. The name comes percent-encoded, with or without its slash.
pub(super) fn put(request: &Request, account: &mut Account, name: &str, what: &str) -> Answer {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let is_image = match what {
        "logo" | "room-background" | "room-knock-page-background" => true,
        "tokens" => false,
        _ => return Answer::error(404, "Not found"),
    };
    let media_type = request.content_type.split(';').next().unwrap_or_default().trim();
    if is_image && !["multipart/form-data", "application/json"].contains(&media_type) {
        return Answer::error(400, "Content-Type must be multipart/form-data or application/json");
    }
    let Some(room) = account.room_mut(&name) else { return Answer::error(404, "Room not found") };
    if what == "logo" {
        room.has_logo = media_type == "multipart/form-data" && has_image(&request.body);
    }
    Answer::empty(204)
}

/// Whether a form has a part with the name `image`.
fn has_image(form: &[u8]) -> bool {
    let name = b"name=\"image\"";
    form.windows(name.len()).any(|window| window == name)
}
