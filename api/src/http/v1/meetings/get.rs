//! `GET /v1/meetings/{meeting_id}`: a meeting with its participants, recordings and events.

use axum::extract;
use contract::problem::ProblemCode;
use http::Uri;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::body::MeetingBody;
use super::links::Links;
use crate::db::event_page::StoredEvent;
use crate::db::record::{self, Record};
use crate::domain::meeting::{Recording, Tenure, recordings};
use crate::domain::moment::Boot;
use crate::domain::presence::{Occupant, OccupantKey, Told};
use crate::http::State;
use crate::http::caller::User;
use crate::http::date_time::DateTime;
use crate::http::path_text::PathText;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::query;
use crate::http::v1::recordings::body::{Downloads, FileBody};

/// A meeting with all that is known of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MeetingRecord)]
pub struct MeetingRecordBody {
    #[serde(flatten)]
    meeting: MeetingBody,
    participants: Vec<ParticipantBody>,
    recordings: Vec<RecordingBody>,
    events: Vec<EventBody>,
    /// What to send as `events_after` for the next page of events; null on the last one.
    events_next: Option<i64>,
}

/// Somebody who was in the meeting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Participant)]
struct ParticipantBody {
    occupant_id: String,
    /// The breakout room; null in the main room.
    breakout_room_id: Option<String>,
    user_id: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    role: Option<String>,
    affiliation: Option<String>,
    kind: Option<String>,
    /// The first join.
    joined_at: Option<DateTime>,
    /// The end of the last stay; null while it lasts.
    left_at: Option<DateTime>,
    left_reason: Option<String>,
    present: bool,
}

/// A recording session, or files that belong to none.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Recording)]
struct RecordingBody {
    session_id: Option<String>,
    mode: Option<String>,
    initiator: Option<String>,
    started_at: Option<DateTime>,
    ended_at: Option<DateTime>,
    failure_reason: Option<String>,
    running: bool,
    files: Vec<FileBody>,
}

/// An event, in the guide's structure.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MeetingEvent)]
struct EventBody {
    id: String,
    #[serde(rename = "type")]
    name: String,
    /// When it was stored.
    timestamp: DateTime,
    /// Its data, with the source's time as `timestamp`.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl ParticipantBody {
    fn new(key: OccupantKey, occupant: Occupant, boots: &[Boot]) -> Self {
        let stay = occupant.stay(boots);
        let description = occupant.description;
        Self {
            occupant_id: key.occupant_id,
            breakout_room_id: Some(key.breakout_room_id).filter(|id| !id.is_empty()),
            user_id: description.user_id.map(Told::into_text),
            display_name: description.display_name.map(Told::into_text),
            email: description.email.map(Told::into_text),
            role: description.role.map(Told::into_text),
            affiliation: description.affiliation.map(Told::into_text),
            kind: description.kind.map(Told::into_text),
            joined_at: stay.joined_at.map(DateTime),
            left_at: stay.left_at.map(DateTime),
            left_reason: stay.left_reason,
            present: stay.present,
        }
    }
}

impl RecordingBody {
    fn new(recording: Recording, boots: &[Boot], downloads: Downloads<'_>) -> Self {
        let run = recording.session.run(boots);
        Self {
            session_id: recording.session_id,
            mode: recording.session.mode,
            initiator: recording.session.initiator,
            started_at: run.started_at.map(DateTime),
            ended_at: run.ended_at.map(DateTime),
            failure_reason: run.failure_reason,
            running: run.running,
            files: recording.files.into_iter().map(|file| FileBody::new(file, downloads)).collect(),
        }
    }
}

impl From<StoredEvent> for EventBody {
    fn from(event: StoredEvent) -> Self {
        Self { id: event.id, name: event.name, timestamp: DateTime(event.received_at), data: event.data }
    }
}

impl MeetingRecordBody {
    fn new(record: Record, links: Links, downloads: Downloads<'_>, now: OffsetDateTime) -> Self {
        let people = record.people;
        let boots = record.boots;
        let mut participants: Vec<_> = record
            .occupants
            .into_iter()
            .map(|(key, occupant)| ParticipantBody::new(key, occupant, &boots))
            .collect();
        participants.sort_by_key(|participant| participant.joined_at.map(|joined| joined.0));
        let recordings = recordings(record.sessions, record.files);
        Self {
            meeting: MeetingBody::new(record.meeting, links, people, now),
            participants,
            recordings: recordings
                .into_iter()
                .map(|recording| RecordingBody::new(recording, &boots, downloads))
                .collect(),
            events: record.events.events.into_iter().map(EventBody::from).collect(),
            events_next: record.events.next,
        }
    }
}

/// Answers with the record of a meeting in a room that is the caller's own or shared.
#[utoipa::path(
    get, path = "/v1/meetings/{meeting_id}", operation_id = "v1_meetings_get",
    params(("meeting_id" = String, Path, description = "The meeting's id"),
        ("events_after" = Option<i64>, Query, minimum = 0, description = "The `events_next` of the page before")),
    responses((status = 200, body = MeetingRecordBody, description = "Successful Response"), (status = 403, description = "The meeting's room is not shared, and not the caller's")),
    security(("bearer" = [])),
)]
pub async fn get(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
    uri: Uri,
) -> Result<Private<MeetingRecordBody>, ApiError> {
    let after = query::number(&uri, "events_after", 0, 0..=i64::MAX).map_err(|invalid| *invalid)?;
    let now = OffsetDateTime::now_utc();
    let record = record::read(&state.db, &id, after).await?;
    let record = record.ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))?;
    if !record.tenure.as_ref().is_some_and(|tenure: &Tenure| tenure.admits(&caller.user_id)) {
        return Err(ApiError::new(ProblemCode::Forbidden, "Meeting access denied"));
    }
    let is_owner = record.tenure.as_ref().is_some_and(|tenure| tenure.owner == caller.user_id);
    let links = Links::of(&state, &record.meeting, Some(&caller), is_owner, now)?;
    let downloads = Downloads::of(&state, now);
    Ok(Private(MeetingRecordBody::new(record, links, downloads, now)))
}
