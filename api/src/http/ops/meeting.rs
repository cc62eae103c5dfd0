//! `/ops/meetings/{id}`: a meeting, who was there and what was recorded.

use askama::Template;
use axum::extract;
use axum::response::Response;
use contract::problem::ProblemCode;
use time::{Duration, OffsetDateTime};

use super::badge::Badge;
use super::paging;
use super::shell::{self, Shell, Trouble};
use super::text::{When, size, span};
use super::timeline::{Kind, Stretch, Timeline};
use super::webhooks::Line;
use crate::db::record::{self, Record};
use crate::db::{ops, ops_webhooks};
use crate::domain::meeting::is_person;
use crate::domain::presence::{Occupant, Told};
use crate::domain::recording::File;
use crate::domain::room::Setting as _;
use crate::http::State;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// How many events are shown.
const EVENTS: i64 = 100;

#[derive(Template)]
#[template(path = "ops/meeting.html")]
struct Page {
    shell: Shell,
    id: String,
    room_name: String,
    deliveries: String,
    platform: &'static str,
    recording_type: &'static str,
    badge: Badge,
    began: When,
    until: When,
    people: usize,
    timeline: Option<Timeline>,
    participants: Vec<Participant>,
    files: Vec<FileLine>,
    webhooks: Vec<Line>,
    events: Vec<EventLine>,
}

struct Participant {
    name: String,
    about: String,
    joined_at: Option<OffsetDateTime>,
    joined: Option<When>,
    left: Option<When>,
    reason: Option<String>,
    is_present: bool,
}

/// A recording of the meeting.
pub(super) struct FileLine {
    pub(super) path: String,
    pub(super) file: String,
    pub(super) badge: Badge,
    pub(super) size: String,
    pub(super) length: String,
    pub(super) completed: When,
}

struct EventLine {
    name: String,
    happened: When,
    /// How long after it happened it was stored.
    delay: String,
}

impl EventLine {
    fn new(event: ops::EventLine) -> Self {
        Self {
            name: event.name,
            happened: When::exact(event.occurred_at),
            delay: span(event.received_at - event.occurred_at),
        }
    }
}

impl FileLine {
    pub(super) fn new(file: &File, shell: &Shell) -> Self {
        Self {
            path: paging::escaped(&file.id),
            file: file.file.rsplit('/').next().unwrap_or_default().to_owned(),
            badge: Badge::of_recording(file.state, file.is_withheld),
            size: bytes(file.size_bytes),
            length: length(file.duration_ms),
            completed: shell.ago(file.completed_at),
        }
    }
}

/// A size, if it is known.
pub(super) fn bytes(bytes: Option<i64>) -> String {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).map_or_else(|| "–".to_owned(), size)
}

/// A duration, if it is known.
pub(super) fn length(milliseconds: Option<i64>) -> String {
    milliseconds.map_or_else(|| "–".to_owned(), |length| span(Duration::milliseconds(length)))
}

fn kind(occupant: &Occupant) -> Kind {
    if is_person(occupant) { Kind::Human } else { Kind::Machine }
}

/// The stays and the recordings, for the picture; the participants, for the table below it.
fn attendance(record: &Record) -> (Vec<Stretch>, Vec<Participant>) {
    let mut stretches = Vec::new();
    let mut participants = Vec::new();
    for (key, occupant) in &record.occupants {
        let stay = occupant.stay(&record.boots);
        let text = |told: &Option<Told>| told.as_ref().map(|told| told.text.clone());
        let description = &occupant.description;
        let name = text(&description.display_name).or_else(|| text(&description.user_id));
        let name = name.or_else(|| machine(occupant)).unwrap_or_else(|| key.occupant_id.clone());
        let about = [text(&description.kind), text(&description.role), breakout(&key.breakout_room_id)];
        stretches.push(Stretch {
            name: name.clone(),
            kind: kind(occupant),
            from: stay.joined_at,
            to: if stay.present { None } else { stay.left_at.or(stay.joined_at) },
        });
        participants.push(Participant {
            name,
            about: about.into_iter().flatten().collect::<Vec<_>>().join(", "),
            joined_at: stay.joined_at,
            joined: stay.joined_at.map(When::exact),
            left: stay.left_at.map(When::exact),
            reason: stay.left_reason,
            is_present: stay.present,
        });
    }
    participants.sort_by_key(|participant| participant.joined_at);
    for session in record.sessions.values() {
        let run = session.run(&record.boots);
        stretches.push(Stretch {
            name: "Recording".to_owned(),
            kind: Kind::Recording,
            from: run.started_at,
            to: if run.running { None } else { run.ended_at.or(run.started_at) },
        });
    }
    (stretches, participants)
}

/// What a machine is called that has no name.
fn machine(occupant: &Occupant) -> Option<String> {
    let mut letters = occupant.kind().filter(|_| !is_person(occupant))?.chars();
    letters.next().map(|first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

fn breakout(room: &str) -> Option<String> {
    (!room.is_empty()).then(|| "breakout room".to_owned())
}

/// Shows a meeting.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    PathText(id): PathText,
) -> Result<Response, Trouble> {
    // Without its events, of which there may be a million.
    let record = record::read(&state.db, &id, i64::MAX).await?;
    let record = record.ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))?;
    let events = ops::latest_events(&state.db, &id, EVENTS).await?;
    let webhooks = ops_webhooks::of_meeting(&state.db, &id, paging::limit()).await?;
    let (stretches, participants) = attendance(&record);
    let (meeting, people) = (record.meeting, record.people);
    shell::page(&Page {
        deliveries: paging::address("../deliveries", &[("room", Some(&meeting.room_name))]),
        timeline: Timeline::of(stretches, shell.now),
        participants,
        files: record.files.iter().map(|file| FileLine::new(file, &shell)).collect(),
        webhooks: webhooks.into_iter().map(|line| Line::new(line, &shell)).collect(),
        events: events.into_iter().map(EventLine::new).collect(),
        badge: Badge::of_meeting(meeting.is_active),
        began: When::exact(meeting.start_date),
        until: When::exact(meeting.end_date),
        platform: meeting.settings.platform.as_str(),
        recording_type: meeting.settings.recording_type.as_str(),
        id: meeting.id,
        room_name: meeting.room_name,
        people,
        shell,
    })
}
