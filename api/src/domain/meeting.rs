//! Meetings: what one is made of, who may read it, and what its folded rows say together.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::moment::Boot;
use super::presence::{Occupant, OccupantKey};
use super::recording::{File, Session};
use super::room::{MeetingSettings, Room};
use super::whereby::MACHINES;

/// How long a meeting can be joined: the existing frontends and calendars count on eight hours.
pub const LENGTH: Duration = Duration::hours(8);

/// A meeting: one use of a room, with the settings that the room had when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The meeting's id, a UUID as text.
    pub id: String,
    /// The room that it belongs to, if it belongs to one.
    pub room_id: Option<String>,
    /// The meeting's name on its platform, which events carry.
    pub room_name: String,
    /// When it was made.
    pub start_date: OffsetDateTime,
    /// Until when it is handed out to visitors.
    pub end_date: OffsetDateTime,
    /// Whether nobody has ended it.
    pub is_active: bool,
    /// Its settings.
    pub settings: MeetingSettings,
    /// The platform's own addresses; `None` on Jitsi, whose addresses carry tokens and are made when asked for.
    pub addresses: Option<Addresses>,
}

/// Addresses that a platform makes once for a meeting.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Leads in as a participant.
    pub room_url: String,
    /// Leads in as a host: whoever has it is host. Empty when the platform gave none.
    pub host_room_url: String,
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("room_url", &self.room_url).finish_non_exhaustive()
    }
}

impl Meeting {
    /// A meeting in `room` that begins at `now`.
    pub fn begin(room: &Room, id: String, room_name: String, now: OffsetDateTime) -> Self {
        Self {
            id,
            room_id: Some(room.id.clone()),
            room_name,
            start_date: now,
            end_date: now + LENGTH,
            is_active: true,
            settings: room.settings,
            addresses: None,
        }
    }

    /// Whether visitors are still led into it at `now`.
    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        self.is_active && now < self.end_date
    }
}

/// Whom a meeting's room belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    /// The room's owner.
    pub owner: String,
    /// Whether every user may look at the room.
    pub is_shared: bool,
}

impl Tenure {
    /// Whether `user_id` may look at what happened in the room.
    pub fn admits(&self, user_id: &str) -> bool {
        self.is_shared || self.owner == user_id
    }
}

/// Whether the occupant is a person, on a phone or elsewhere.
pub fn is_person(occupant: &Occupant) -> bool {
    !occupant.kind().is_some_and(|kind| kind == "transcriber" || MACHINES.contains(&kind))
}

/// How many people are in the meeting now. Machines are no people; who came without a kind is one.
pub fn people_present(occupants: &BTreeMap<OccupantKey, Occupant>, boots: &[Boot]) -> usize {
    occupants.values().filter(|occupant| is_person(occupant) && occupant.stay(boots).present).count()
}

/// One recording session with its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// The session's id; `None` for files whose notice names none.
    pub session_id: Option<String>,
    /// What the events say about the session; empty when only files are known.
    pub session: Session,
    /// The finished files, oldest first. A recording that failed over to another recorder has several.
    pub files: Vec<File>,
}

/// Brings sessions and files together by session id, oldest first.
///
/// A recorder writes the session id into a directory's name, where characters outside `A-Z a-z 0-9 _ -` become `_`.
pub fn recordings(sessions: BTreeMap<String, Session>, files: Vec<File>) -> Vec<Recording> {
    let mut recordings: Vec<_> = sessions
        .into_iter()
        .map(|(id, session)| Recording { session_id: Some(id), session, files: Vec::new() })
        .collect();
    for file in files {
        let belongs = |recording: &&mut Recording| match (&recording.session_id, &file.session_id) {
            (Some(known), Some(found)) => known == found || directory_name(known) == *found,
            (known, found) => known == found,
        };
        match recordings.iter_mut().find(belongs) {
            Some(recording) => recording.files.push(file),
            None => recordings.push(Recording {
                session_id: file.session_id.clone(),
                session: Session::default(),
                files: vec![file],
            }),
        }
    }
    recordings.sort_by_key(Recording::began_at);
    recordings
}

impl Recording {
    /// The first that is known of it in time.
    fn began_at(&self) -> Option<OffsetDateTime> {
        let ended = || self.session.last_off.as_ref().map(|off| off.moment.at);
        let finished = || self.files.iter().map(|file| file.completed_at).min();
        self.session.first_on_at.or_else(ended).or_else(finished)
    }
}

fn directory_name(session_id: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    session_id.chars().map(|c| if keep(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::moment::{Moment, Statement};
    use crate::domain::presence::{Description, Told};
    use time::macros::datetime;

    const NOON: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn at(minute: i64) -> Moment {
        Moment { at: NOON + Duration::minutes(minute), seq: None }
    }

    fn occupant(kind: Option<&str>, left: Option<i64>) -> Occupant {
        Occupant {
            first_join_at: Some(NOON),
            last_join: Some(Statement::new(at(0), Some("boot-1"))),
            last_left: left.map(|minute| Statement::new(at(minute), None)),
            description: Description {
                kind: kind.map(|kind| Told { moment: None, text: kind.to_owned() }),
                ..Description::default()
            },
        }
    }

    fn occupants(list: &[Occupant]) -> BTreeMap<OccupantKey, Occupant> {
        let key =
            |index: usize| OccupantKey { occupant_id: index.to_string(), breakout_room_id: String::new() };
        list.iter().enumerate().map(|(index, occupant)| (key(index), occupant.clone())).collect()
    }

    #[test]
    fn people_are_counted_and_machines_are_not() {
        let all = occupants(&[
            occupant(None, None),
            occupant(Some("human"), None),
            occupant(Some("phone"), None),
            occupant(Some("recorder"), None),
            occupant(Some("transcriber"), None),
            occupant(Some("human"), Some(5)),
        ]);
        assert_eq!(people_present(&all, &[]), 3);
    }

    #[test]
    fn nobody_is_left_when_the_source_of_the_joins_has_started_anew() {
        let boot = |id: &str, minute| Boot {
            boot_id: id.to_owned(),
            source: "prosody".to_owned(),
            started_at: at(minute).at,
        };
        let all = occupants(&[occupant(None, None)]);
        assert_eq!(people_present(&all, &[boot("boot-1", -1)]), 1);
        assert_eq!(people_present(&all, &[boot("boot-1", -1), boot("boot-2", 1)]), 0);
    }

    #[test]
    fn a_room_s_owner_reads_its_meetings_and_everybody_those_of_a_shared_room() {
        let tenure = |is_shared| Tenure { owner: "u-1".to_owned(), is_shared };
        for (tenure, user, expected) in
            [(tenure(false), "u-1", true), (tenure(false), "u-2", false), (tenure(true), "u-2", true)]
        {
            assert_eq!(tenure.admits(user), expected, "{tenure:?} {user}");
        }
    }

    fn file(id: &str, session_id: Option<&str>, minute: i64) -> File {
        File {
            id: id.to_owned(),
            file: format!("/recordings/{id}.mp4"),
            status: "completed".to_owned(),
            completed_at: at(minute).at,
            session_id: session_id.map(ToOwned::to_owned),
            host: None,
            size_bytes: None,
            duration_ms: None,
            sha256: None,
            bucket: None,
            object_key: None,
            started_at: None,
            state: crate::domain::recording_state::State::OnHost,
            is_withheld: false,
        }
    }

    #[test]
    fn files_find_their_session_and_the_others_stand_alone() {
        let session = |minute| Session { first_on_at: Some(at(minute).at), ..Session::default() };
        let sessions = BTreeMap::from([("b".to_owned(), session(1)), ("a:b".to_owned(), session(9))]);
        let files = vec![
            file("first", Some("b"), 3),
            file("second", Some("b"), 4),
            file("sanitised", Some("a_b"), 12),
            file("stray", Some("c"), 5),
            file("nameless", None, 0),
        ];
        let found: Vec<_> = recordings(sessions, files)
            .into_iter()
            .map(|recording| {
                (recording.session_id, recording.files.into_iter().map(|file| file.id).collect())
            })
            .collect();
        let expected: Vec<(Option<&str>, Vec<&str>)> = vec![
            (None, vec!["nameless"]),
            (Some("b"), vec!["first", "second"]),
            (Some("c"), vec!["stray"]),
            (Some("a:b"), vec!["sanitised"]),
        ];
        let expected: Vec<(Option<String>, Vec<String>)> = expected
            .into_iter()
            .map(|(id, files)| (id.map(Into::into), files.into_iter().map(Into::into).collect()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_meeting_is_open_until_its_end_and_not_at_it() {
        let meeting = Meeting {
            id: "m".into(),
            room_id: None,
            room_name: "r".into(),
            start_date: NOON,
            end_date: NOON + LENGTH,
            is_active: true,
            settings: crate::domain::room::MeetingSettings {
                platform: crate::domain::room::Platform::Jitsi,
                is_locked: false,
                room_mode: crate::domain::room::RoomMode::Normal,
                recording_type: crate::domain::room::RecordingType::None,
                recording_trigger: crate::domain::room::RecordingTrigger::None,
            },
            addresses: None,
        };
        assert!(meeting.is_open(NOON + LENGTH - Duration::microseconds(1)));
        assert!(!meeting.is_open(NOON + LENGTH));
        assert!(!Meeting { is_active: false, ..meeting }.is_open(NOON));
    }
}
