//! A meeting in answers.

use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::links::Links;
use crate::db::record;
use crate::domain::identity::Identity;
use crate::domain::meeting::Meeting;
use crate::domain::room::{Platform, RecordingTrigger, RecordingType, Room, RoomMode};
use crate::http::State;
use crate::http::date_time::DateTime;
use crate::http::problem::ApiError;

/// A meeting. Members of calendars and of other platforms are always empty: this service has neither.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Meeting)]
pub struct MeetingBody {
    id: String,
    room_name: String,
    room_url: String,
    host_room_url: String,
    start_date: DateTime,
    end_date: DateTime,
    user_id: Option<String>,
    room_id: Option<String>,
    #[schema(default = false)]
    is_locked: bool,
    #[schema(default = "normal")]
    room_mode: RoomMode,
    #[schema(default = "cloud")]
    recording_type: RecordingType,
    #[schema(default = "automatic-2nd-participant")]
    recording_trigger: RecordingTrigger,
    #[schema(default = 0)]
    num_clients: usize,
    #[schema(default = true)]
    is_active: bool,
    platform: Platform,
    calendar_event_id: Option<String>,
    calendar_metadata: Option<Map<String, Value>>,
    daily_composed_video_s3_key: Option<String>,
    daily_composed_video_duration: Option<u32>,
}

impl MeetingBody {
    /// A meeting of `room` as `caller` sees it at `now`.
    pub async fn of(
        state: &State,
        room: &Room,
        meeting: Meeting,
        caller: Option<&Identity>,
        now: OffsetDateTime,
    ) -> Result<Self, ApiError> {
        let people = record::people(&state.db, &meeting).await?;
        Self::with_people(state, room, meeting, people, caller, now)
    }

    /// The same of several.
    pub async fn all(
        state: &State,
        room: &Room,
        meetings: Vec<Meeting>,
        caller: Option<&Identity>,
        now: OffsetDateTime,
    ) -> Result<Vec<Self>, ApiError> {
        let places = meetings.iter().map(|meeting| (&*meeting.id, meeting.settings.platform));
        let people = record::people_in(&state.db, &places.collect::<Vec<_>>()).await?;
        let body = |meeting: Meeting| {
            let people = people.get(&meeting.id).copied().unwrap_or(0);
            Self::with_people(state, room, meeting, people, caller, now)
        };
        meetings.into_iter().map(body).collect()
    }

    fn with_people(
        state: &State,
        room: &Room,
        meeting: Meeting,
        people: usize,
        caller: Option<&Identity>,
        now: OffsetDateTime,
    ) -> Result<Self, ApiError> {
        let is_owner = caller.is_some_and(|caller| room.is_owned_by(&caller.user_id));
        let links = Links::of(state, &meeting, caller, is_owner, now)?;
        Ok(Self::new(meeting, links, people, now))
    }

    /// `meeting` as it is at `now`, with `people` in it.
    pub fn new(meeting: Meeting, links: Links, people: usize, now: OffsetDateTime) -> Self {
        let is_active = meeting.is_open(now);
        let settings = meeting.settings;
        Self {
            id: meeting.id,
            room_name: meeting.room_name,
            room_url: links.room_url,
            host_room_url: links.host_room_url,
            start_date: DateTime(meeting.start_date),
            end_date: DateTime(meeting.end_date),
            user_id: None,
            room_id: meeting.room_id,
            is_locked: settings.is_locked,
            room_mode: settings.room_mode,
            recording_type: settings.recording_type,
            recording_trigger: settings.recording_trigger,
            num_clients: people,
            is_active,
            platform: settings.platform,
            calendar_event_id: None,
            calendar_metadata: None,
            daily_composed_video_s3_key: None,
            daily_composed_video_duration: None,
        }
    }
}
