//! A Prosody with the event module, people with tokens, and focus in the rooms they meet in.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use testbed::focus::{Focus, StartRequest};
use testbed::prosody::{CONFERENCE, Clock, DOMAIN, GUEST_DOMAIN, PASSWORD, Prosody};
use testbed::spool::{self, SpoolEvent};
use testbed::wait::eventually;
use testbed::xmpp::{Client, Login, RecordingStatus};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const AUTOMATIC: &str = "automatic";
pub(crate) const SECOND: &str = "automatic-2nd-participant";
pub(crate) const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";
const TOKEN_SECRET: &str = "what signs tokens in these tests";

/// A Prosody and everybody who has come in.
pub(crate) struct Stage {
    pub(crate) prosody: Prosody,
    directory: TempDir,
    /// People stay until the end of the test.
    people: RefCell<Vec<Client>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::at_pace(10)
    }

    /// Time passes so many times as fast for Prosody: the module waits for seconds and minutes.
    pub(crate) fn at_pace(pace: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let home = directory.path().join("prosody");
        let clock = Clock::Faster(pace);
        let prosody = Prosody::start_with_clock(&home, &spool, TOKEN_SECRET, clock).unwrap();
        Self { prosody, directory, people: RefCell::default() }
    }

    /// Focus in a new room.
    pub(crate) fn open(&self, name: &str) -> Focus {
        Focus::open(&self.prosody, &room(name)).unwrap()
    }

    /// Somebody comes into a room with a token made of these claims, and stays.
    pub(crate) fn enter(&self, name: &str, nick: &str, context: &Value) {
        let client = self.connect(name, nick, context);
        client.join(&room(name), nick, "").unwrap();
        self.stays(client);
    }

    /// A connection with a token made of these claims.
    pub(crate) fn connect(&self, name: &str, user: &str, context: &Value) -> Client {
        let claims = json!({
            "iss": "reflector", "aud": "jitsi", "sub": DOMAIN, "room": name, "exp": 4_102_444_800_u64, "context": context,
        });
        let password = &token(&claims);
        let login = Login::Account { domain: DOMAIN, user, password };
        Client::connect(self.prosody.port(), login).unwrap()
    }

    /// Somebody without a token comes into a room, with `extensions` in the presence, and stays.
    pub(crate) fn enter_as_guest(&self, name: &str, nick: &str, extensions: &str) {
        let client = Client::connect(self.prosody.port(), Login::Anonymous { domain: GUEST_DOMAIN }).unwrap();
        client.join(&room(name), nick, extensions).unwrap();
        self.stays(client);
    }

    /// A service account comes into a room and stays.
    pub(crate) fn enter_as_service(&self, name: &str, domain: &str, user: &str) {
        let login = Login::Account { domain, user, password: PASSWORD };
        let client = Client::connect(self.prosody.port(), login).unwrap();
        client.join(&room(name), user, "").unwrap();
        self.stays(client);
    }

    pub(crate) fn stays(&self, client: Client) {
        self.people.borrow_mut().push(client);
    }

    /// Proves that what happened so far led to no request but those that the test has seen: a room in which a recording is due
    /// is opened now, and when it was asked for, everything that was due before was asked for, too.
    pub(crate) fn assert_quiet(&self, quiet: &[&Focus]) {
        let name = format!("sentinel-{}", self.people.borrow().len());
        let sentinel = self.open(&name);
        self.enter(&name, "sentinel", &moderator(&name, AUTOMATIC));
        sentinel.start_request(SOON).unwrap();
        for focus in quiet {
            let request = focus.client().next_request(Duration::ZERO);
            assert!(request.is_err(), "{request:?}");
        }
    }

    /// All events, in the order of writing, of this name.
    pub(crate) fn events(&self, name: &str) -> Vec<SpoolEvent> {
        let events = spool::events(&self.directory.path().join("spool")).unwrap();
        events.into_iter().filter(|event| event.event == name).collect()
    }

    /// Waits until an event of this name has been written `count` times.
    pub(crate) fn wait_for(&self, name: &str, count: usize) -> Vec<SpoolEvent> {
        assert!(eventually(SOON, || self.events(name).len() >= count), "no {name} (times {count})");
        self.events(name)
    }
}

/// A token as Jitsi's authentication expects it.
fn token(claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({ "alg": "HS256", "typ": "JWT" })), encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN_SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

pub(crate) fn room(name: &str) -> String {
    format!("{name}@{CONFERENCE}")
}

/// What the API's token says of a moderator whose id is `user`, in a meeting with this trigger.
pub(crate) fn moderator(user: &str, trigger: &str) -> Value {
    json!({
        "user": { "id": user, "name": user, "moderator": "true", "affiliation": "owner" },
        "features": { "recording": true },
        "room": { "id": "r-1", "meeting_id": "m-1", "recording_type": "cloud", "recording_trigger": trigger },
    })
}

/// The same of somebody who is no moderator.
pub(crate) fn participant(user: &str, trigger: &str) -> Value {
    let mut context = moderator(user, trigger);
    context["user"]["moderator"] = json!("false");
    context["user"]["affiliation"] = json!("member");
    context["features"]["recording"] = json!(false);
    context
}

/// Who asked, without the room.
pub(crate) fn asked_by(request: &StartRequest) -> &str {
    request.initiator.split_once('/').unwrap().1
}

/// How the recording of the tests stands.
pub(crate) fn recording<'a>(status: &'a str, initiator: &'a str) -> RecordingStatus<'a> {
    RecordingStatus { status, session_id: SESSION, initiator, failure_reason: "" }
}

/// How much time has passed for Prosody between two events.
pub(crate) fn seconds_between(first: &SpoolEvent, second: &SpoolEvent) -> f64 {
    let [first, second] =
        [first, second].map(|event| OffsetDateTime::parse(&event.timestamp, &Rfc3339).unwrap());
    (second - first).as_seconds_f64()
}
