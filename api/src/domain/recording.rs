//! Recordings: sessions folded from jibri's on and off, and finished files from notices.

use contract::event::{Event, name};
use contract::room::RoomName;
use serde_json::Value;
use time::OffsetDateTime;

use super::moment::{Boot, Moment, Statement, bounded, whole_microseconds};
use super::recording_object::WherebyFile;
use super::recording_state::State;

/// The session id of recording events that name none.
const UNNAMED: &str = "unnamed";

/// Everything that is known of one recording session, merged like [`super::presence::Occupant`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// When the recording began first.
    pub first_on_at: Option<OffsetDateTime>,
    /// The latest on, with the boot of the source that saw it.
    pub last_on: Option<Statement>,
    /// The latest off, with its failure reason.
    pub last_off: Option<Statement>,
    /// `file`, `stream` and so on.
    pub mode: Option<String>,
    /// Who asked for the recording.
    pub initiator: Option<String>,
}

/// When a recording ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it began; `None` when only its end was seen.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<OffsetDateTime>,
    /// Why it failed, if it did.
    pub failure_reason: Option<String>,
    /// Whether it runs now.
    pub running: bool,
}

/// A finished file, as its notice describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The notice's event id.
    pub id: String,
    /// The file's path on its host.
    pub file: String,
    /// What the file is worth: `completed` and so on.
    pub status: String,
    /// When the recording was found complete.
    pub completed_at: OffsetDateTime,
    /// The recording session.
    pub session_id: Option<String>,
    /// The host that holds the file.
    pub host: Option<String>,
    /// Size in bytes.
    pub size_bytes: Option<i64>,
    /// Duration in milliseconds.
    pub duration_ms: Option<i64>,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: Option<String>,
    /// The bucket that the file was uploaded to.
    pub bucket: Option<String>,
    /// The object's key in the bucket.
    pub object_key: Option<String>,
    /// When the recording began, where its file's name tells.
    pub started_at: Option<OffsetDateTime>,
    /// Where it is. A notice alone never makes it [`State::Stored`].
    pub state: State,
    /// Whether it is kept from everybody, because somebody in the meeting did not agree to be recorded.
    pub is_withheld: bool,
}

impl Session {
    /// The session that `event` speaks of, and what it says; `None` for events of other kinds.
    pub fn of(event: &Event) -> Option<(String, Self)> {
        let moment = Moment::of(event);
        let told = Self {
            mode: event.text("mode").map(ToOwned::to_owned),
            initiator: event.text("initiator").map(ToOwned::to_owned),
            ..Self::default()
        };
        let session = match event.name.as_str() {
            name::RECORDING_ON => Self {
                first_on_at: Some(moment.at),
                last_on: Some(Statement::new(moment, event.text("boot_id"))),
                ..told
            },
            name::RECORDING_OFF => {
                Self { last_off: Some(Statement::new(moment, event.text("failure_reason"))), ..told }
            }
            _ => return None,
        };
        let id = event.text("session_id").or_else(|| event.text("recording_id")).unwrap_or(UNNAMED);
        Some((bounded(id), session))
    }

    /// Both together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            first_on_at: self.first_on_at.into_iter().chain(other.first_on_at).min(),
            last_on: self.last_on.max(other.last_on),
            last_off: self.last_off.max(other.last_off),
            mode: self.mode.max(other.mode),
            initiator: self.initiator.max(other.initiator),
        }
    }

    /// The same once the meeting's room ended at `end`: what ran until then ended with it.
    #[must_use]
    pub fn after_room_end(mut self, end: Moment, boots: &[Boot]) -> Self {
        let ran = self.off().is_none()
            && self.last_on.as_ref().is_some_and(|on| {
                on.moment <= end && Boot::superseded_at(boots, on).is_none_or(|at| at > end.at)
            });
        if ran {
            self.last_off = Some(Statement::new(end, None));
        }
        self
    }

    /// The off that ended the last run.
    fn off(&self) -> Option<&Statement> {
        let on = self.last_on.as_ref();
        self.last_off.as_ref().filter(|off| on.is_none_or(|on| off.moment >= on.moment))
    }

    /// When the recording ran, given the boots of all sources.
    pub fn run(&self, boots: &[Boot]) -> Run {
        let (on, off) = (self.last_on.as_ref(), self.off());
        let ended_at =
            off.map(|off| off.moment.at).or_else(|| on.and_then(|on| Boot::superseded_at(boots, on)));
        Run {
            started_at: self.first_on_at,
            ended_at,
            failure_reason: off.and_then(|off| off.text.clone()),
            running: on.is_some() && ended_at.is_none(),
        }
    }
}

/// Whereby's word that a file is in the bucket. It names the file, and no folder.
pub const WHEREBY_FINISHED: &str = "recording.finished";

impl File {
    /// Whether it may be given to those who may look at its meeting.
    pub fn is_available(&self) -> bool {
        self.state == State::Stored && !self.is_withheld
    }

    /// The file that `event` announces; `None` for other events and for one that names no file.
    pub fn of(event: &Event) -> Option<Self> {
        match event.name.as_str() {
            name::RECORDING_COMPLETED => Self::of_host(event),
            WHEREBY_FINISHED => Self::of_whereby(event),
            _ => None,
        }
    }

    fn of_host(event: &Event) -> Option<Self> {
        let text = |member| event.text(member).map(ToOwned::to_owned);
        let number = |member| event.data.get(member).and_then(Value::as_i64);
        Some(Self {
            id: event.id.as_str().to_owned(),
            file: text("recording_file")?,
            status: text("recording_status")?,
            completed_at: whole_microseconds(event.timestamp),
            session_id: text("session_id"),
            host: text("host"),
            size_bytes: number("size_bytes"),
            duration_ms: number("duration_ms"),
            sha256: text("sha256"),
            bucket: text("bucket"),
            object_key: text("object_key"),
            started_at: None,
            state: State::OnHost,
            is_withheld: false,
        })
    }

    fn of_whereby(event: &Event) -> Option<Self> {
        let file = WherebyFile::parse(event.text("filename")?)?;
        // The meeting is that of the event's room.
        if RoomName::parse(&file.room_name).ok().as_ref() != Some(&event.room) {
            return None;
        }
        Some(Self {
            id: file.id,
            file: file.name.clone(),
            status: event.text("status").unwrap_or("completed").to_owned(),
            completed_at: whole_microseconds(event.timestamp),
            session_id: None,
            host: None,
            size_bytes: None,
            duration_ms: None,
            sha256: None,
            bucket: None,
            object_key: Some(file.name),
            started_at: Some(whole_microseconds(file.started_at)),
            state: State::Announced,
            is_withheld: false,
        })
    }
}

#[cfg(test)]
mod tests;
