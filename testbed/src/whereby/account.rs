//! What an organisation has at Whereby: rooms, who is in them, and the sessions that were.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::event::Event;
use super::meetings::uuid;

/// The organisation's name in addresses.
const SUBDOMAIN: &str = "acme";

/// Roles that are no people.
const MACHINES: [&str; 4] = ["recorder", "streamer", "captioner", "assistant"];

/// A room that was made and is not deleted.
#[derive(Debug, Clone)]
pub struct Room {
    /// Whereby's id of it.
    pub meeting_id: String,
    /// Its name, with the slash.
    pub name: String,
    /// When it was made.
    pub start_date: OffsetDateTime,
    /// Until when it may be used.
    pub end_date: OffsetDateTime,
    /// The body of the request that made it.
    pub asked: Value,
    /// Whether a logo was uploaded.
    pub has_logo: bool,
    people: Vec<Person>,
    key: u64,
}

/// Somebody or something in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Whereby's id of this stay.
    pub participant_id: String,
    /// Their name.
    pub display_name: String,
    /// `host`, `visitor`, `recorder` and so on.
    pub role: String,
    /// What the link they came with said of them.
    pub external_id: Option<String>,
}

/// A time in which two people or more were in a room.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) room_session_id: String,
    pub(super) room_name: String,
    pub(super) started_at: OffsetDateTime,
    pub(super) ended_at: Option<OffsetDateTime>,
    pub(super) stays: Vec<Stay>,
}

/// Somebody's time in a session.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) person: Person,
    pub(super) joined_at: OffsetDateTime,
    pub(super) left_at: Option<OffsetDateTime>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Account {
    rooms: Vec<Room>,
    made: u64,
    pub(super) sessions: Vec<Session>,
}

impl Person {
    /// Somebody with a role.
    pub fn new(participant_id: &str, display_name: &str, role: &str) -> Self {
        Self {
            participant_id: participant_id.to_owned(),
            display_name: display_name.to_owned(),
            role: role.to_owned(),
            external_id: None,
        }
    }

    fn is_human(&self) -> bool {
        !MACHINES.contains(&self.role.as_str())
    }
}

impl Room {
    /// Where participants go.
    pub fn url(&self) -> String {
        format!("https://{SUBDOMAIN}.whereby.com{}", self.name)
    }

    /// Where hosts go.
    pub fn host_url(&self) -> String {
        format!("{}?roomKey={:016x}", self.url(), self.key)
    }

    /// Who is in it.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    fn humans(&self) -> usize {
        self.people.iter().filter(|person| person.is_human()).count()
    }

    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for person in &self.people {
            *counts.entry(person.role.as_str()).or_default() += 1;
        }
        counts
    }

    /// The event that tells of somebody who came or went.
    fn client_event(&self, kind: &str, person: &Person, session: Option<&str>, now: OffsetDateTime) -> Event {
        let data = json!({
            "meetingId": self.meeting_id,
            "roomName": self.name,
            "subdomain": SUBDOMAIN,
            "roomSessionId": session,
            "participantId": person.participant_id,
            "displayName": person.display_name,
            "roleName": person.role,
            "numClients": self.people.len(),
            "numClientsByRoleName": self.counts(),
            "isDialIn": false,
            "metadata": null,
            "externalId": person.external_id,
        });
        Event::new(kind, data, now)
    }

    fn session_event(&self, kind: &str, session: &str, now: OffsetDateTime) -> Event {
        let data = json!({
            "meetingId": self.meeting_id, "roomName": self.name, "roomSessionId": session, "subdomain": SUBDOMAIN,
        });
        Event::new(kind, data, now)
    }
}

impl Account {
    pub(super) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter()
    }

    pub(super) fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| is_named(room, name))
    }

    pub(super) fn room_mut(&mut self, name: &str) -> Option<&mut Room> {
        self.rooms.iter_mut().find(|room| is_named(room, name))
    }

    /// Makes a room. Ids are decimal numbers, as in real events.
    pub(super) fn make(
        &mut self,
        name: String,
        end_date: OffsetDateTime,
        asked: Value,
        now: OffsetDateTime,
    ) -> &Room {
        self.made += 1;
        let meeting_id = (90_210_000 + self.made).to_string();
        let key = fastrand::u64(..);
        let people = Vec::new();
        self.rooms.push(Room {
            meeting_id,
            name,
            start_date: now,
            end_date,
            asked,
            has_logo: false,
            people,
            key,
        });
        &self.rooms[self.rooms.len() - 1]
    }

    /// Removes a room and throws everybody out.
    pub(super) fn remove(&mut self, meeting_id: &str) {
        let now = OffsetDateTime::now_utc();
        for room in self.rooms.extract_if(.., |room| room.meeting_id == meeting_id) {
            if let Some(session) = open_session(&mut self.sessions, &room.name) {
                session.end(now);
            }
        }
    }

    pub(super) fn join(&mut self, room: &str, person: &Person, now: OffsetDateTime) -> Option<Vec<Event>> {
        let room = self.rooms.iter_mut().find(|candidate| is_named(candidate, room))?;
        room.people.push(person.clone());
        let open = open_session(&mut self.sessions, &room.name);
        let known = open.as_ref().map(|session| session.room_session_id.clone());
        let mut events = vec![room.client_event("room.client.joined", person, known.as_deref(), now)];
        if let Some(session) = open {
            session.stays.push(Stay { person: person.clone(), joined_at: now, left_at: None });
        } else if room.humans() >= 2 {
            let session = Session::begin(room, now);
            events.push(room.session_event("room.session.started", &session.room_session_id, now));
            self.sessions.push(session);
        }
        Some(events)
    }

    pub(super) fn leave(
        &mut self,
        room: &str,
        participant_id: &str,
        now: OffsetDateTime,
    ) -> Option<Vec<Event>> {
        let room = self.rooms.iter_mut().find(|candidate| is_named(candidate, room))?;
        let place = room.people.iter().position(|person| person.participant_id == participant_id)?;
        let person = room.people.remove(place);
        let Some(session) = open_session(&mut self.sessions, &room.name) else {
            return Some(vec![room.client_event("room.client.left", &person, None, now)]);
        };
        for stay in session.stays.iter_mut().filter(|stay| stay.person.participant_id == participant_id) {
            stay.left_at.get_or_insert(now);
        }
        let id = session.room_session_id.clone();
        let mut events = vec![room.client_event("room.client.left", &person, Some(&id), now)];
        if room.humans() < 2 {
            session.end(now);
            events.push(room.session_event("room.session.ended", &id, now));
        }
        Some(events)
    }
}

impl Session {
    fn begin(room: &Room, now: OffsetDateTime) -> Self {
        let stay = |person: &Person| Stay { person: person.clone(), joined_at: now, left_at: None };
        Self {
            room_session_id: uuid(),
            room_name: room.name.clone(),
            started_at: now,
            ended_at: None,
            stays: room.people.iter().map(stay).collect(),
        }
    }

    fn end(&mut self, now: OffsetDateTime) {
        self.ended_at = Some(now);
        for stay in &mut self.stays {
            stay.left_at.get_or_insert(now);
        }
    }
}

fn open_session<'a>(sessions: &'a mut [Session], room: &str) -> Option<&'a mut Session> {
    sessions.iter_mut().find(|session| session.room_name == room && session.ended_at.is_none())
}

fn is_named(room: &Room, name: &str) -> bool {
    room.name.trim_start_matches('/') == name.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(events: Option<Vec<Event>>) -> Vec<String> {
        events.unwrap().into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn a_session_begins_with_two_people_and_ends_while_one_is_still_inside() {
        let (mut account, now) = (Account::default(), OffsetDateTime::UNIX_EPOCH);
        account.make("/r".to_owned(), now, Value::Null, now);
        let [host, recorder, guest] = [("1", "host"), ("2", "recorder"), ("3", "visitor")]
            .map(|(id, role)| Person::new(id, "José", role));
        assert_eq!(kinds(account.join("r", &host, now)), ["room.client.joined"]);
        let events = account.join("r", &recorder, now).unwrap();
        let data = &events[0].data;
        assert_eq!((events.len(), &data["numClients"]), (1, &json!(2)));
        assert_eq!(data["numClientsByRoleName"], json!({ "host": 1, "recorder": 1 }));
        assert_eq!(data["roomSessionId"], Value::Null);
        assert_eq!(kinds(account.join("/r", &guest, now)), ["room.client.joined", "room.session.started"]);
        let events = account.leave("r", "3", now).unwrap();
        assert_eq!(events[0].data["numClients"], 2);
        assert_eq!(events[0].data["roomSessionId"], account.sessions[0].room_session_id.as_str());
        assert_eq!(events[1].kind, "room.session.ended");
        assert_eq!(kinds(account.leave("r", "2", now)), ["room.client.left"]);
        assert!(account.leave("r", "2", now).is_none(), "who is not there cannot leave");
        assert!(account.join("other", &host, now).is_none());
    }
}
