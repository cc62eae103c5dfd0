//! Questions and answers of Whereby's API, as far as they are used.
//!
//! Answers get new members at any time, so only what is needed is read.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::config::WherebyRecordings;
use crate::domain::meeting::{Addresses, Meeting};
use crate::domain::room::{MeetingSettings, RecordingTrigger, RecordingType, Room, RoomMode};
use crate::domain::whereby;

/// The body of `POST /meetings`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewRoom<'a> {
    #[serde(with = "rfc3339")]
    end_date: OffsetDateTime,
    is_locked: bool,
    room_mode: RoomMode,
    room_name_prefix: &'a str,
    room_name_pattern: &'static str,
    fields: [&'static str; 1],
    recording: Recording<'a>,
}

/// Always sent: without it the organisation's own setting would decide, which records rooms that are not to be recorded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recording<'a> {
    #[serde(rename = "type")]
    kind: RecordingType,
    destination: Option<Destination<'a>>,
    start_trigger: RecordingTrigger,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Destination<'a> {
    provider: &'static str,
    authentication_type: &'static str,
    bucket: &'a str,
    access_key_id: &'a str,
    access_key_secret: &'a str,
    file_format: &'static str,
}

impl<'a> NewRoom<'a> {
    /// A room with these settings, until `end_date`. `bucket` is where a recording in the cloud goes, unless the organisation has a
    /// place for it.
    pub(super) fn new(
        prefix: &'a str,
        end_date: OffsetDateTime,
        settings: MeetingSettings,
        bucket: Option<&'a WherebyRecordings>,
    ) -> Self {
        Self {
            end_date,
            is_locked: settings.is_locked,
            room_mode: settings.room_mode,
            room_name_prefix: prefix,
            room_name_pattern: "uuid",
            fields: ["hostRoomUrl"],
            recording: Recording::new(settings, bucket),
        }
    }
}

impl<'a> Recording<'a> {
    fn new(settings: MeetingSettings, bucket: Option<&'a WherebyRecordings>) -> Self {
        let is_cloud = settings.recording_type == RecordingType::Cloud;
        let destination = bucket.filter(|_| is_cloud).map(|bucket| Destination {
            provider: "s3",
            authentication_type: "accessKey",
            bucket: &bucket.bucket,
            access_key_id: &bucket.access_key,
            access_key_secret: bucket.secret_key.expose(),
            file_format: "mp4",
        });
        let start_trigger = if is_cloud { settings.recording_trigger } else { RecordingTrigger::None };
        Self { kind: settings.recording_type, destination, start_trigger }
    }
}

/// A room that was made. The host's address makes whoever has it host, so that this is never printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    pub(super) meeting_id: String,
    room_url: String,
    room_name: Option<String>,
    host_room_url: Option<String>,
}

impl Made {
    /// The meeting in `room` that is held there; `None` where its name is not to be known.
    pub(super) fn into_meeting(
        self,
        room: &Room,
        now: OffsetDateTime,
        end_date: OffsetDateTime,
    ) -> Option<Meeting> {
        let path = reqwest::Url::parse(&self.room_url).ok().map(|url| url.path().to_owned());
        let name = whereby::room_name(&self.room_name.or(path)?);
        if name.is_empty() || self.meeting_id.is_empty() {
            return None;
        }
        let addresses =
            Addresses { room_url: self.room_url, host_room_url: self.host_room_url.unwrap_or_default() };
        let meeting = Meeting::begin(room, self.meeting_id, name, now);
        Some(Meeting { end_date, addresses: Some(addresses), ..meeting })
    }
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) results: Vec<T>,
    pub(super) cursor: Option<String>,
}

/// A room in a list of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedRoom {
    /// Its id.
    pub(super) meeting_id: String,
    /// Its name, as Whereby writes it.
    pub(super) room_name: Option<String>,
    /// Until when it may be used.
    #[serde(with = "rfc3339")]
    pub(super) end_date: OffsetDateTime,
}

/// A time in which two people or more were in a room. Somebody who is alone is in none.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomSession {
    /// Its id.
    pub room_session_id: String,
    /// When it began.
    #[serde(default, with = "rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended; `None` while it lasts.
    #[serde(default, with = "rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::config::Secret;
    use crate::domain::room::Platform;

    fn settings(recording_type: RecordingType) -> MeetingSettings {
        MeetingSettings {
            platform: Platform::Whereby,
            is_locked: true,
            room_mode: RoomMode::Group,
            recording_type,
            recording_trigger: RecordingTrigger::AutomaticSecondParticipant,
        }
    }

    fn body(recording_type: RecordingType, bucket: Option<&WherebyRecordings>) -> Value {
        let end_date = datetime!(2026-03-01 18:00 UTC);
        serde_json::to_value(NewRoom::new("standup-", end_date, settings(recording_type), bucket)).unwrap()
    }

    fn bucket() -> WherebyRecordings {
        WherebyRecordings {
            bucket: "recordings/whereby".to_owned(),
            region: "us-east-1".to_owned(),
            access_key: "AK1".to_owned(),
            secret_key: Secret::new("SK1"),
            key_variables: ["ID", "SECRET"],
        }
    }

    #[test]
    fn a_room_is_asked_for_as_whereby_publishes_it() {
        let expected = json!({
            "endDate": "2026-03-01T18:00:00Z", "isLocked": true, "roomMode": "group", "roomNamePrefix": "standup-",
            "roomNamePattern": "uuid", "fields": ["hostRoomUrl"],
            "recording": {
                "type": "cloud", "startTrigger": "automatic-2nd-participant",
                "destination": {
                    "provider": "s3", "authenticationType": "accessKey", "bucket": "recordings/whereby", "accessKeyId": "AK1",
                    "accessKeySecret": "SK1", "fileFormat": "mp4"
                }
            }
        });
        assert_eq!(body(RecordingType::Cloud, Some(&bucket())), expected);
    }

    #[test]
    fn what_is_not_to_be_recorded_is_said_to_whereby() {
        for (recording_type, bucket, text) in
            [(RecordingType::None, Some(&bucket()), "none"), (RecordingType::Local, Some(&bucket()), "local")]
        {
            let expected = json!({"type": text, "destination": null, "startTrigger": "none"});
            assert_eq!(body(recording_type, bucket)["recording"], expected);
        }
        let without = body(RecordingType::Cloud, None);
        assert_eq!(without["recording"]["destination"], Value::Null, "the organisation has a place for it");
    }

    #[test]
    fn the_name_of_a_room_is_found_where_it_stands() {
        for (made, expected) in [
            (
                json!({"meetingId": "1", "roomUrl": "https://a.whereby.com/R-1", "roomName": "/r-2"}),
                Some("r-2"),
            ),
            (json!({"meetingId": "1", "roomUrl": "https://a.whereby.com/R-1", "new": 1}), Some("r-1")),
            (json!({"meetingId": "", "roomUrl": "https://a.whereby.com/r-1"}), None),
            (json!({"meetingId": "1", "roomUrl": "https://a.whereby.com"}), None),
            (json!({"meetingId": "1", "roomUrl": "nowhere"}), None),
        ] {
            let text = made.to_string();
            let made: Made = serde_json::from_value(made).unwrap();
            let now = datetime!(2026-03-01 10:00 UTC);
            let room = crate::domain::room::Room {
                id: "room".to_owned(),
                name: "r".to_owned(),
                user_id: "u".to_owned(),
                created_at: now,
                settings: settings(RecordingType::None),
                is_shared: false,
                zulip_auto_post: false,
                zulip_stream: String::new(),
                zulip_topic: String::new(),
                webhook_url: None,
                webhook_secret: None,
                skip_consent: false,
                calendar: crate::domain::room::Calendar::default(),
            };
            let meeting = made.into_meeting(&room, now, now);
            assert_eq!(meeting.map(|meeting| meeting.room_name).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_session_that_lasts_has_no_end_or_null() {
        for (session, lasts) in [
            (json!({"roomSessionId": "s", "startedAt": "2026-03-01T10:00:00Z"}), true),
            (json!({"roomSessionId": "s", "startedAt": "2026-03-01T10:00:00.000Z", "endedAt": null}), true),
            (json!({"roomSessionId": "s", "endedAt": "2026-03-01T10:30:00Z", "rating": null}), false),
        ] {
            let read: RoomSession = serde_json::from_value(session.clone()).unwrap();
            assert_eq!(read.ended_at.is_none(), lasts, "{session}");
        }
    }
}
