//! `GET /v1/meetings/{meeting_id}`: a meeting with its participants, recordings and events.

use axum::extract;
use contract::problem::ProblemCode;
use http::Uri;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::body::MeetingBody;
use super::links::Links;
use crate::auth::identity::Identity;
use crate::db::event_page::StoredEvent;
use crate::db::record::{self, Record};
use crate::domain::meeting::{Recording, Tenure, people_present, recordings};
use crate::domain::moment::Boot;
use crate::domain::presence::{Occupant, OccupantKey, Told};
use crate::domain::recording::File;
use crate::http::State;
use crate::http::caller::User;
use crate::http::date_time::DateTime;
use crate::http::path_text::PathText;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::query;
use crate::storage::{Place, Storage};
use crate::uploads::Uploads;

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

/// A finished recording file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RecordingFile)]
struct FileBody {
    id: String,
    file: String,
    status: String,
    completed_at: DateTime,
    host: Option<String>,
    size_bytes: Option<i64>,
    duration_ms: Option<i64>,
    sha256: Option<String>,
    bucket: Option<String>,
    object_key: Option<String>,
    state: FileState,
    /// Leads to the file for a while; null where there is nothing to download. Made for each answer and kept nowhere.
    download_url: Option<String>,
    /// Until when it does.
    download_expires_at: Option<DateTime>,
}

/// Where a finished recording file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RecordingFileState)]
#[serde(rename_all = "snake_case")]
enum FileState {
    /// On the host that recorded it.
    OnHost,
    /// In the object storage; what it holds was compared with what the host held.
    Stored,
    /// In an object storage, as its host says. Nobody has looked.
    Unconfirmed,
}

/// Makes addresses for downloads.
#[derive(Debug, Clone, Copy)]
struct Downloads<'a> {
    storage: Option<&'a Storage>,
    now: OffsetDateTime,
}

impl Downloads<'_> {
    /// The address of a file that the storage is known to hold, and until when it is good.
    fn of(self, file: &File) -> Option<(String, DateTime)> {
        let storage = self.storage.filter(|_| file.is_stored)?;
        let place = Place { bucket: file.bucket.as_deref()?, key: file.object_key.as_deref()? };
        // The signature counts whole seconds.
        let signed_at = self.now.replace_nanosecond(0).unwrap_or(self.now);
        // A bucket of an earlier configuration may have no address in this one.
        let url = storage.download_url(place).ok()?;
        Some((url.into(), DateTime(signed_at + storage.settings().download_lifetime)))
    }
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

impl FileBody {
    fn new(file: File, downloads: Downloads<'_>) -> Self {
        let state = match (&file.object_key, file.is_stored) {
            (_, true) => FileState::Stored,
            (Some(_), false) => FileState::Unconfirmed,
            (None, false) => FileState::OnHost,
        };
        let (download_url, download_expires_at) = downloads.of(&file).unzip();
        Self {
            id: file.id,
            file: file.file,
            status: file.status,
            completed_at: DateTime(file.completed_at),
            host: file.host,
            size_bytes: file.size_bytes,
            duration_ms: file.duration_ms,
            sha256: file.sha256,
            bucket: file.bucket,
            object_key: file.object_key,
            state,
            download_url,
            download_expires_at,
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
        let people = people_present(&record.occupants, &record.boots);
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

/// The addresses for the caller; empty where the platform has been taken off this server since.
fn links(state: &State, record: &Record, caller: &Identity, now: OffsetDateTime) -> Result<Links, ApiError> {
    let is_owner = record.tenure.as_ref().is_some_and(|tenure| tenure.owner == caller.user_id);
    match Links::of(state, &record.meeting, Some(caller), is_owner, now) {
        Err(error) if error.code() == ProblemCode::PlatformNotConfigured => Ok(Links::default()),
        links => links,
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
    let links = links(&state, &record, &caller, now)?;
    let downloads = Downloads { storage: state.uploads.as_ref().map(Uploads::storage), now };
    Ok(Private(MeetingRecordBody::new(record, links, downloads, now)))
}
