//! `/v1/meetings`.

use contract::event::format_timestamp;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::account::{Account, Room};
use super::answer::{Answer, Request};
use super::page;

/// The most characters of a prefix.
const MAX_PREFIX: usize = 39;

/// What `POST /v1/meetings` asks for, checked.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    end_date: OffsetDateTime,
    prefix: String,
    is_short: bool,
}

/// Makes a room.
pub(super) fn create(request: &Request, account: &mut Account, now: OffsetDateTime) -> Answer {
    let body = request.json();
    let wish = match wish(&body, now) {
        Ok(wish) => wish,
        Err(text) => return Answer::error(400, &text),
    };
    let name = format!("/{}{}", wish.prefix, if wish.is_short { short() } else { uuid() });
    let fields = strings(&body["fields"]);
    let room = account.make(name, wish.end_date, body, now);
    Answer::json(201, described(room, &fields))
}

/// Tells of one room.
pub(super) fn get(request: &Request, account: &Account, id: &str) -> Answer {
    let found = account.rooms().find(|room| room.meeting_id == id);
    found.map_or_else(
        || Answer::error(404, "Meeting not found"),
        |room| Answer::json(200, described(room, &fields(request))),
    )
}

/// Tells of all rooms, page by page.
pub(super) fn list(request: &Request, account: &Account) -> Answer {
    let fields = fields(request);
    page::answer(request, 50, account.rooms().map(|room| described(room, &fields)).collect())
}

/// Removes a room. One that is gone is removed as well.
pub(super) fn delete(account: &mut Account, id: &str) -> Answer {
    account.remove(id);
    Answer::empty(204)
}

fn fields(request: &Request) -> Vec<String> {
    let text = request.query("fields").unwrap_or_default();
    text.split(',').map(str::to_owned).collect()
}

fn described(room: &Room, fields: &[String]) -> Value {
    let mut meeting = json!({
        "meetingId": room.meeting_id,
        "startDate": format_timestamp(room.start_date),
        "endDate": format_timestamp(room.end_date),
        "roomName": room.name,
        "roomUrl": room.url(),
    });
    if fields.iter().any(|field| field == "hostRoomUrl") {
        meeting["hostRoomUrl"] = room.host_url().into();
    }
    meeting
}

fn wish(body: &Value, now: OffsetDateTime) -> Result<Wish, String> {
    let end_date = body["endDate"].as_str().ok_or("endDate is required")?;
    let end_date = OffsetDateTime::parse(end_date, &Rfc3339).map_err(|_| "endDate must be a date-time")?;
    if end_date < now {
        return Err("endDate must be in the future".to_owned());
    }
    one_of(body, "roomMode", &["normal", "group"])?;
    one_of(body, "roomNamePattern", &["uuid", "human-short"])?;
    if !matches!(body["isLocked"], Value::Null | Value::Bool(_)) {
        return Err("isLocked must be a boolean".to_owned());
    }
    if let Some(field) = strings(&body["fields"])
        .iter()
        .find(|field| !["hostRoomUrl", "viewerRoomUrl"].contains(&field.as_str()))
    {
        return Err(format!("fields: {field} is not known"));
    }
    if !body["recording"].is_null() {
        recording(&body["recording"])?;
    }
    Ok(Wish { end_date, prefix: prefix(body)?, is_short: body["roomNamePattern"] == "human-short" })
}

/// Capitals are lower-cased and white space is dropped; whatever is wrong then is refused.
fn prefix(body: &Value) -> Result<String, String> {
    let prefix = match &body["roomNamePrefix"] {
        Value::Null => return Ok(String::new()),
        Value::String(prefix) => prefix,
        _ => return Err("roomNamePrefix must be a string".to_owned()),
    };
    let prefix: String = prefix.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if prefix.chars().count() > MAX_PREFIX || !prefix.chars().all(allowed) {
        return Err("roomNamePrefix must match [a-z0-9-]{0,39}".to_owned());
    }
    Ok(prefix)
}

/// All three members are required as soon as there is a recording object.
fn recording(recording: &Value) -> Result<(), String> {
    for member in ["type", "destination", "startTrigger"] {
        if recording.get(member).is_none() {
            return Err(format!("recording.{member} is required"));
        }
    }
    one_of(recording, "type", &["none", "local", "cloud"])?;
    one_of(recording, "startTrigger", &["none", "prompt", "automatic", "automatic-2nd-participant"])?;
    let destination = &recording["destination"];
    if destination.is_null() {
        return Ok(());
    }
    one_of(destination, "provider", &["s3", "whereby"])?;
    one_of(destination, "fileFormat", &["mkv", "mp4"])?;
    let is_by_key = destination["provider"] == "s3" && destination["authenticationType"] != "roleBased";
    let missing =
        ["bucket", "accessKeyId", "accessKeySecret"].into_iter().find(|key| !destination[*key].is_string());
    match missing {
        Some(member) if is_by_key => Err(format!("recording.destination.{member} is required")),
        _ => Ok(()),
    }
}

/// A member that may be absent, or be one of these.
fn one_of(object: &Value, member: &str, allowed: &[&str]) -> Result<(), String> {
    match &object[member] {
        Value::Null => Ok(()),
        Value::String(text) if allowed.contains(&text.as_str()) => Ok(()),
        _ => Err(format!("{member} must be one of {}", allowed.join(", "))),
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn short() -> String {
    std::iter::repeat_with(|| fastrand::char('a'..='z')).take(6).collect()
}

/// A random UUID's text.
pub(super) fn uuid() -> String {
    let digits = format!("{:032x}", fastrand::u128(..));
    let part = |from: usize, to: usize| &digits[from..to];
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_checked_as_whereby_publishes_it() {
        let with = |member: &str, value: Value| {
            let mut body = json!({ "endDate": "2100-01-01T00:00:00Z" });
            body[member] = value;
            wish(&body, OffsetDateTime::UNIX_EPOCH).map(|wish| wish.prefix)
        };
        let destination =
            json!({ "provider": "s3", "bucket": "b", "accessKeyId": "a", "accessKeySecret": "s" });
        for (member, value, expected) in [
            ("roomNamePrefix", json!("Stand up-"), Ok("standup-")),
            ("roomNamePrefix", json!("x".repeat(39)), Ok(&*"x".repeat(39))),
            ("roomNamePrefix", json!("x".repeat(40)), Err("roomNamePrefix must match [a-z0-9-]{0,39}")),
            ("roomNamePrefix", json!("ä"), Err("roomNamePrefix must match [a-z0-9-]{0,39}")),
            ("endDate", json!("1969-12-31T23:59:59Z"), Err("endDate must be in the future")),
            ("endDate", json!("tomorrow"), Err("endDate must be a date-time")),
            ("endDate", json!(null), Err("endDate is required")),
            ("roomMode", json!("big"), Err("roomMode must be one of normal, group")),
            ("isLocked", json!("yes"), Err("isLocked must be a boolean")),
            ("fields", json!(["hostRoomUrl"]), Ok("")),
            ("fields", json!(["secret"]), Err("fields: secret is not known")),
            ("recording", json!({ "type": "none" }), Err("recording.destination is required")),
            ("recording", json!({ "type": "none", "destination": null, "startTrigger": null }), Ok("")),
            (
                "recording",
                json!({ "type": "cloud", "destination": destination, "startTrigger": "prompt" }),
                Ok(""),
            ),
            (
                "recording",
                json!({ "type": "cloud", "destination": { "provider": "s3" }, "startTrigger": "none" }),
                Err("recording.destination.bucket is required"),
            ),
        ] {
            let result = with(member, value.clone());
            assert_eq!(result.as_deref().map_err(String::as_str), expected, "{member}: {value}");
        }
    }
}
