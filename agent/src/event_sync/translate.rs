//! From the stock module's flat payloads to events, purely.
//!
//! What it sends (facts from its source and README): `event_name`, `room_name`, `room_jid`, `is_breakout`,
//! `breakout_room_id`, then `created_at` and `destroyed_at` for rooms, or `occupant` with `occupant_jid` (the real JID,
//! not the MUC's), `joined_at`, `left_at`, `name`, `id`, `email`; times are whole seconds since 1970. In a breakout room,
//! `room_name` is the main room, as with our own module.

use contract::event::{MAX_EVENT_BYTES, format_timestamp, name};
use contract::id::EventId;
use contract::room::{RoomError, RoomName};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::rooms::Rooms;

/// What `data.source` says of every such event.
pub const SOURCE: &str = "event_sync";

/// The routes below the module's `api_prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `…/events/room/created`
    RoomCreated,
    /// `…/events/room/destroyed`
    RoomDestroyed,
    /// `…/events/occupant/joined`
    OccupantJoined,
    /// `…/events/occupant/left`
    OccupantLeft,
}

/// An event as it is queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// Made of the route and the request's bytes.
    pub id: EventId,
    /// Where.
    pub room: RoomName,
    /// The event in the contract's form.
    pub body: Vec<u8>,
}

/// Why a request is no event.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not JSON, or not with the module's members.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
    /// `room_name` names no room.
    #[error("`room_name`: {0}")]
    Room(#[from] RoomError),
    /// Longer than any event may be, even without the list of its occupants.
    #[error("its event would have {0} bytes, and an event has at most {MAX_EVENT_BYTES}")]
    TooLong(usize),
}

#[derive(Deserialize)]
#[serde(expecting = "the module's payload, as a JSON object")]
struct Payload {
    #[serde(default)]
    room_name: Option<String>,
    #[serde(default)]
    room_jid: Option<String>,
    #[serde(default)]
    is_breakout: bool,
    #[serde(default)]
    breakout_room_id: Option<String>,
    #[serde(default)]
    created_at: Option<f64>,
    #[serde(default)]
    destroyed_at: Option<f64>,
    #[serde(default)]
    active_occupants_count: Option<u64>,
    #[serde(default)]
    occupant: Option<Occupant>,
    #[serde(default, deserialize_with = "list")]
    all_occupants: Vec<Occupant>,
}

/// One occupant. With `include_user_info` there is the whole user of the token; only what attendance needs is read.
#[derive(Deserialize)]
struct Occupant {
    #[serde(default, rename = "occupant_jid")]
    jid: Option<String>,
    #[serde(default)]
    joined_at: Option<f64>,
    #[serde(default)]
    left_at: Option<f64>,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    name: Option<Value>,
    #[serde(default)]
    email: Option<Value>,
    #[serde(default)]
    total_dominant_speaker_time: Option<f64>,
}

impl Route {
    /// The route that a path ends with, whatever the `api_prefix` before it.
    pub fn of_path(path: &str) -> Option<Self> {
        const ROUTES: [(&str, Route); 4] = [
            ("/events/room/created", Route::RoomCreated),
            ("/events/room/destroyed", Route::RoomDestroyed),
            ("/events/occupant/joined", Route::OccupantJoined),
            ("/events/occupant/left", Route::OccupantLeft),
        ];
        ROUTES.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, route)| route)
    }

    const fn event(self) -> &'static str {
        match self {
            Self::RoomCreated => name::ROOM_CREATED,
            Self::RoomDestroyed => name::ROOM_DESTROYED,
            Self::OccupantJoined => name::OCCUPANT_JOINED,
            Self::OccupantLeft => name::OCCUPANT_LEFT,
        }
    }

    /// The id of an event that came as these bytes. A retry of the module sends the same bytes.
    ///
    /// Two events are taken for one only if they agree in route, room, occupant, count and second: somebody who came, went
    /// and came again within one second.
    pub fn id_of(self, body: &[u8]) -> EventId {
        EventId::of_body(&[self.event().as_bytes(), b"\n", body].concat())
    }
}

/// Translates one request.
///
/// Where it happened is `room_name`, else `room_jid`; when is the time in the payload, else `now` (milliseconds since
/// 1970). An occupant of `hidden_domains` is a recorder, or a transcriber if its JID says so.
pub fn translate(
    route: Route,
    body: &[u8],
    hidden_domains: &Rooms,
    now: i64,
) -> Result<Translated, Unusable> {
    let payload: Payload = serde_json::from_slice(body)?;
    let room =
        RoomName::parse(payload.room_name.as_deref().or(payload.room_jid.as_deref()).unwrap_or_default())?;
    let id = route.id_of(body);
    let timestamp = timestamp(payload.time(route), now);
    let event = |data: Map<String, Value>| {
        json!({"id": id.as_str(), "event": route.event(), "room": room.as_str(), "timestamp": timestamp, "data": data})
            .to_string()
            .into_bytes()
    };
    let mut data = payload.data(hidden_domains);
    let mut translated = event(data.clone());
    if translated.len() > MAX_EVENT_BYTES && data.remove("all_occupants").is_some() {
        // Every one of them was reported when he left; the list only repeats it.
        data.insert("all_occupants_omitted".into(), payload.all_occupants.len().into());
        translated = event(data);
    }
    match translated.len() {
        0..=MAX_EVENT_BYTES => Ok(Translated { id, room, body: translated }),
        length => Err(Unusable::TooLong(length)),
    }
}

impl Payload {
    fn time(&self, route: Route) -> Option<f64> {
        match route {
            Route::RoomCreated => self.created_at,
            Route::RoomDestroyed => self.destroyed_at,
            Route::OccupantJoined => self.occupant.as_ref()?.joined_at,
            Route::OccupantLeft => self.occupant.as_ref()?.left_at,
        }
    }

    fn data(&self, hidden_domains: &Rooms) -> Map<String, Value> {
        let mut data =
            self.occupant.as_ref().map(|occupant| occupant.data(hidden_domains)).unwrap_or_default();
        data.insert("source".into(), SOURCE.into());
        if self.is_breakout {
            data.insert("is_breakout".into(), true.into());
            insert(&mut data, "breakout_room_id", self.breakout_room_id.as_deref());
        }
        insert(&mut data, "tenant", self.room_name.as_deref().or(self.room_jid.as_deref()).and_then(tenant));
        // As it came: recorders and transcribers are counted too.
        insert(&mut data, "active_occupants_count", self.active_occupants_count);
        if !self.all_occupants.is_empty() {
            let all = self.all_occupants.iter().map(|occupant| {
                let mut data = occupant.data(hidden_domains);
                insert(&mut data, "joined_at", occupant.joined_at.and_then(rfc_3339));
                insert(&mut data, "left_at", occupant.left_at.and_then(rfc_3339));
                Value::Object(data)
            });
            data.insert("all_occupants".into(), all.collect());
        }
        data
    }
}

impl Occupant {
    fn data(&self, hidden_domains: &Rooms) -> Map<String, Value> {
        let mut data = Map::new();
        let jid = self.jid.as_deref();
        insert(&mut data, "occupant_id", jid);
        insert(&mut data, "user_id", self.id.as_ref().and_then(text));
        insert(&mut data, "display_name", self.name.as_ref().and_then(text));
        insert(&mut data, "email", self.email.as_ref().and_then(text));
        insert(&mut data, "kind", jid.map(|jid| kind(jid, hidden_domains)));
        insert(&mut data, "total_dominant_speaker_time_ms", self.total_dominant_speaker_time);
        data
    }
}

/// What an occupant is, as far as its real JID tells: facts on Jitsi's hidden domain.
fn kind(jid: &str, hidden_domains: &Rooms) -> &'static str {
    let bare = jid.split('/').next().unwrap_or_default();
    let (node, domain) = bare.split_once('@').unwrap_or(("", bare));
    match (hidden_domains.contains(&domain.to_lowercase()), node) {
        (true, "transcriber") => "transcriber",
        (true, _) => "recorder",
        (false, _) => "human",
    }
}

/// `[tenant]room` is how Prosody names a tenant's room internally.
fn tenant(room: &str) -> Option<&str> {
    room.strip_prefix('[')?.split_once(']').map(|(tenant, _)| tenant)
}

/// A name or an id that a token's maker wrote as a text or as a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn insert(data: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        data.insert(key.to_owned(), value.into());
    }
}

/// Seconds since 1970, if they are a time that an event may have; else the time of receipt.
fn timestamp(seconds: Option<f64>, now: i64) -> String {
    let received = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now) * 1_000_000);
    seconds
        .and_then(rfc_3339)
        .unwrap_or_else(|| format_timestamp(received.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
}

fn rfc_3339(seconds: f64) -> Option<String> {
    // A float holds every second of the next millions of years, and the cast saturates.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and the year is checked")]
    let milliseconds = (seconds * 1000.0) as i128;
    let time = OffsetDateTime::from_unix_timestamp_nanos(milliseconds.checked_mul(1_000_000)?).ok()?;
    (seconds.is_finite() && (1970..=9999).contains(&time.year())).then(|| format_timestamp(time))
}

/// `util.json` writes an empty Lua table as an object.
fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Occupant>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Table {
        List(Vec<Occupant>),
        Empty {},
    }
    Ok(match Table::deserialize(deserializer)? {
        Table::List(list) => list,
        Table::Empty {} => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use contract::event::Event;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn hidden() -> Rooms {
        Rooms::new(&["recorder.*".to_owned()])
    }

    fn translated(route: Route, payload: &Value) -> Result<Event, Unusable> {
        let event = translate(route, payload.to_string().as_bytes(), &hidden(), NOW)?;
        let parsed = Event::parse(&event.body).unwrap();
        assert_eq!((&parsed.id, &parsed.room), (&event.id, &event.room));
        Ok(parsed)
    }

    #[test]
    fn each_route_becomes_its_event() {
        let alice = json!({"occupant_jid": "14f0@meet.example.com/Ow", "joined_at": 1_625_823_996, "left_at": 1_625_824_035,
            "name": "Alice", "id": 17, "email": "a@example.com", "secret": "not for us"});
        let of_alice = json!({"occupant_id": "14f0@meet.example.com/Ow", "user_id": "17", "display_name": "Alice",
            "email": "a@example.com", "kind": "human", "source": "event_sync", "active_occupants_count": 2});
        let room =
            json!({"room_name": "Reflector-A", "room_jid": "reflector-a@conference.x", "is_breakout": false});
        let with = |more: Value| {
            let mut payload = room.as_object().unwrap().clone();
            payload.extend(more.as_object().unwrap().clone());
            Value::Object(payload)
        };
        let left_out = |mut all: Value| {
            all["all_occupants"][0].as_object_mut().unwrap().retain(|key, _| key != "secret");
            all
        };
        for (route, payload, name, time, data) in [
            (
                Route::RoomCreated,
                with(json!({"created_at": 1_625_823_996})),
                "muc-room-created",
                1_625_823_996,
                json!({"source": "event_sync"}),
            ),
            (
                Route::OccupantJoined,
                with(json!({"occupant": alice, "active_occupants_count": 2})),
                "muc-occupant-joined",
                1_625_823_996,
                of_alice.clone(),
            ),
            (
                Route::OccupantLeft,
                with(json!({"occupant": alice, "active_occupants_count": 2})),
                "muc-occupant-left",
                1_625_824_035,
                of_alice,
            ),
            (
                Route::RoomDestroyed,
                with(json!({"created_at": 1, "destroyed_at": 1_625_824_035, "all_occupants": [alice]})),
                "muc-room-destroyed",
                1_625_824_035,
                left_out(json!({"source": "event_sync", "all_occupants": [{
                    "occupant_id": "14f0@meet.example.com/Ow", "user_id": "17", "display_name": "Alice",
                    "email": "a@example.com", "kind": "human",
                    "joined_at": "2021-07-09T09:46:36.000Z", "left_at": "2021-07-09T09:47:15.000Z"}]})),
            ),
        ] {
            let event = translated(route, &payload).unwrap();
            assert_eq!((event.name.as_str(), event.room.as_str()), (name, "reflector-a"));
            assert_eq!(event.timestamp.unix_timestamp(), time, "{name}");
            assert_eq!(Value::Object(event.data), data, "{name}");
        }
    }

    #[test]
    fn a_breakout_room_is_told_under_its_main_room() {
        let payload = json!({"room_name": "[acme]standup", "is_breakout": true, "breakout_room_id": "3f0c",
            "occupant": {"occupant_jid": "recorder-1a2b@recorder.meet.example.com/x", "joined_at": 5}});
        let event = translated(Route::OccupantJoined, &payload).unwrap();
        assert_eq!(event.room.as_str(), "standup");
        let expected = json!({"source": "event_sync", "is_breakout": true, "breakout_room_id": "3f0c", "tenant": "acme",
            "occupant_id": "recorder-1a2b@recorder.meet.example.com/x", "kind": "recorder"});
        assert_eq!(Value::Object(event.data), expected);
    }

    #[test]
    fn odd_payloads_are_dated_by_receipt_or_refused_with_the_reason() {
        for (payload, expected) in [
            (json!({"room_name": "a"}), Ok("2023-11-14T22:13:20.000Z")),
            (json!({"room_jid": "a@b", "destroyed_at": 1e300}), Ok("2023-11-14T22:13:20.000Z")),
            (json!({"room_name": "a", "destroyed_at": 1.5}), Ok("1970-01-01T00:00:01.500Z")),
            (
                json!({"room_name": "a", "destroyed_at": 0, "all_occupants": {}}),
                Ok("1970-01-01T00:00:00.000Z"),
            ),
            (json!({"room_name": "a", "destroyed_at": "now"}), Err("invalid type: string \"now\"")),
            (json!({"event_name": "muc-room-destroyed"}), Err("`room_name`: a room name must not be empty")),
            (json!([1]), Err("invalid type: integer")),
            (json!("text"), Err("invalid type: string \"text\", expected the module's payload")),
        ] {
            match (translated(Route::RoomDestroyed, &payload), expected) {
                (Ok(event), Ok(time)) => assert_eq!(format_timestamp(event.timestamp), time, "{payload}"),
                (Err(error), Err(why)) => assert!(error.to_string().starts_with(why), "{payload}: {error}"),
                (got, _) => panic!("{payload}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_list_that_is_too_long_for_an_event_is_left_out_and_counted() {
        let occupant = json!({"occupant_jid": "a@b/c", "joined_at": 1, "name": "x".repeat(300)});
        let payload = json!({"room_name": "a", "destroyed_at": 2, "all_occupants": vec![occupant; 1000]});
        let event = translated(Route::RoomDestroyed, &payload).unwrap();
        let expected = json!({"source": "event_sync", "all_occupants_omitted": 1000});
        assert_eq!(Value::Object(event.data), expected);
    }

    #[test]
    fn the_same_bytes_to_the_same_route_are_the_same_event() {
        let (joined, left) = (Route::OccupantJoined, Route::OccupantLeft);
        assert_eq!(joined.id_of(b"{}"), joined.id_of(b"{}"));
        assert_ne!(joined.id_of(b"{}"), left.id_of(b"{}"));
        assert_ne!(joined.id_of(b"{}"), joined.id_of(b"{ }"));
    }

    #[test]
    fn a_route_is_known_by_its_end() {
        for (path, expected) in [
            ("/events/room/created", Some(Route::RoomCreated)),
            ("/api/events/room/destroyed", Some(Route::RoomDestroyed)),
            ("/a/b/events/occupant/joined", Some(Route::OccupantJoined)),
            ("/events/occupant/left", Some(Route::OccupantLeft)),
            ("/events/occupant/left/", None),
            ("/events/room", None),
            ("/", None),
        ] {
            assert_eq!(Route::of_path(path), expected, "{path}");
        }
    }
}
