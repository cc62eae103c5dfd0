//! Three replicas on one Postgres behind a balancer: what clients and operators count on holds as with one.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::load::{Lines, Stubborn};
use testbed::postgres::Postgres;
use testbed::replicas::Replicas;
use testbed::wait::eventually;

const DEADLINE: Duration = Duration::from_mins(1);

/// Keeps every beginning of a run of periodic work.
const WATCH_JOBS: &str = "
CREATE TABLE public.begun (name text);
CREATE FUNCTION public.note_begun() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'INSERT' OR NEW.last_started_at IS DISTINCT FROM OLD.last_started_at THEN
    INSERT INTO public.begun VALUES (NEW.name);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER note_begun AFTER INSERT OR UPDATE ON reflector.job FOR EACH ROW EXECUTE FUNCTION public.note_begun();";

/// All periodic work is due, and nobody is at it.
const ALL_DUE: &str = "UPDATE reflector.job SET next_at = now(), holder = NULL, leased_until = NULL";

/// The jobs that are not due again by themselves while this test runs.
const SELDOM: &str = "SELECT name FROM reflector.job WHERE next_at > last_started_at + interval '2 minutes'";

struct Caller {
    client: ureq::Agent,
    token: String,
}

impl Caller {
    fn of(replicas: &Replicas, user: &str) -> Self {
        // Each request is a new connection, so that the balancer leads it to the next replica.
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).max_idle_connections(0).build();
        Self { client: config.into(), token: replicas.token(user).unwrap() }
    }

    fn call(&self, method: &str, url: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_to_call(method, url, body).unwrap()
    }

    /// An error when the connection breaks before the answer is there.
    fn try_to_call(
        &self,
        method: &str,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())
            .unwrap();
        let mut answer = self.client.run(request)?;
        let text = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
    }
}

#[test]
fn frontends_get_the_same_answers_whichever_replica_they_reach() {
    let replicas = Replicas::start(3, |_| Ok(())).unwrap();
    let (owner, base) = (Caller::of(&replicas, "ann"), replicas.url());
    let (status, room) = owner.call("POST", &format!("{base}/v1/rooms"), Some(&wanted_room()));
    assert_eq!(status, 200, "{room}");
    let id = room["id"].as_str().unwrap();
    for replica in 0..3 {
        let own = replicas.url_of(replica);
        let (_, list) = owner.call("GET", &format!("{own}/v1/rooms"), None);
        assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &room["id"]), "replica {replica}");
        let (status, _) = owner.call("POST", &format!("{own}/v1/rooms"), Some(&wanted_room()));
        assert_eq!(status, 400, "a name is taken on every replica");
        let (status, _) = owner.call(
            "PATCH",
            &format!("{own}/v1/rooms/{id}"),
            Some(&json!({ "zulip_topic": replica.to_string() })),
        );
        assert_eq!(status, 200);
        let (_, read) = owner.call("GET", &format!("{base}/v1/rooms/{id}"), None);
        assert_eq!(read["zulip_topic"], replica.to_string(), "what one has changed, the next one knows");
    }
    let enter = || owner.call("POST", &format!("{base}/v1/rooms/standup/meeting"), None).1["id"].clone();
    let meetings: BTreeSet<String> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..12).map(|_| scope.spawn(enter)).collect();
        visitors.into_iter().map(|visitor| visitor.join().unwrap().as_str().unwrap().to_owned()).collect()
    });
    assert_eq!(meetings.len(), 1, "visitors who come at once meet each other");
    let meeting = meetings.first().unwrap();
    let (status, _) = owner.call("PATCH", &format!("{base}/v1/meetings/{meeting}/deactivate"), None);
    assert_eq!(status, 200);
    for replica in 0..3 {
        let url = format!("{}/v1/rooms/standup/meetings/active", replicas.url_of(replica));
        assert_eq!(owner.call("GET", &url, None), (200, json!([])), "replica {replica}");
    }
}

fn wanted_room() -> Value {
    json!({
        "name": "standup", "platform": "jitsi", "zulip_auto_post": false, "zulip_stream": "", "zulip_topic": "",
        "is_locked": false, "room_mode": "group", "recording_type": "none", "recording_trigger": "none",
        "is_shared": false, "webhook_url": "", "webhook_secret": "",
    })
}

#[test]
fn what_was_acknowledged_is_stored_once_though_replicas_are_killed_under_load() {
    let mut replicas = Replicas::start(3, |_| Ok(())).unwrap();
    let senders = load(&replicas, 8);
    let acknowledged = |more: usize| {
        let target = senders.seen().acknowledged.len() + more;
        assert!(
            eventually(DEADLINE, || senders.seen().acknowledged.len() >= target),
            "the load stands still"
        );
    };
    let owner = Caller::of(&replicas, "ann");
    let (url, is_over) = (format!("{}/v1/rooms", replicas.url()), AtomicBool::new(false));
    let rooms = thread::scope(|scope| {
        let rooms = scope.spawn(|| make_rooms(&owner, &url, &is_over));
        for replica in [0, 1, 2, 0] {
            acknowledged(200);
            replicas.kill(replica).unwrap();
            acknowledged(200);
            replicas.revive(replica).unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        rooms.join().unwrap()
    });
    let stored_rooms = replicas.postgres.query("SELECT id FROM reflector.room").unwrap();
    let stored_rooms: BTreeSet<&str> = stored_rooms.lines().collect();
    assert!(rooms.len() > 10 && rooms.iter().all(|id| stored_rooms.contains(id.as_str())), "{rooms:?}");
    let seen = senders.finish().unwrap();
    assert!(seen.unanswered > 0, "no kill was noticed: {:?}", seen.statuses);
    assert_eq!(stored(&replicas.postgres), seen.acknowledged.iter().cloned().collect());
    // A replica that starts says so, and when to come again.
    assert!(seen.statuses.keys().all(|status| [200, 503].contains(status)), "{:?}", seen.statuses);
    assert_eq!(seen.without_retry_after, 0);
}

#[test]
fn periodic_work_that_is_due_is_done_once_by_all_replicas_together() {
    let mut replicas = Replicas::start(3, |postgres| postgres.query(WATCH_JOBS).map(drop)).unwrap();
    for round in 1..=3 {
        let done = "SELECT count(*) > 0 AND bool_and(last_ended_at >= last_started_at) FROM reflector.job";
        let all_done = || replicas.postgres.query(done).unwrap() == "t";
        assert!(
            eventually(DEADLINE, all_done),
            "{}",
            replicas.postgres.query("TABLE reflector.job").unwrap()
        );
        let counts = format!("SELECT DISTINCT count(*) FROM begun WHERE name IN ({SELDOM}) GROUP BY name");
        assert_eq!(replicas.postgres.query(&counts).unwrap(), round.to_string(), "begun by round {round}");
        // A replica looks at every job when it starts.
        for replica in 0..3 {
            replicas.kill(replica).unwrap();
        }
        replicas.postgres.query(ALL_DUE).unwrap();
        for replica in 0..3 {
            replicas.revive(replica).unwrap();
        }
    }
}

/// Makes one room after the other; returns the ids of those that the API said it has made.
fn make_rooms(owner: &Caller, url: &str, is_over: &AtomicBool) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let mut room = wanted_room();
        room["name"] = format!("room-{number}").into();
        // Nobody was told anything of a room whose answer got lost.
        if let Ok((200, room)) = owner.try_to_call("POST", url, Some(&room)) {
            ids.push(room["id"].as_str().unwrap().to_owned());
        }
    }
    ids
}

/// Senders to the replicas, each with a meeting of its own.
fn load(replicas: &Replicas, senders: u64) -> Stubborn {
    let supplies: Vec<Lines> = (0..senders).map(|seed| Lines::in_rooms(seed + 1, 1)).collect();
    for lines in &supplies {
        let room = &lines.rooms()[0];
        let meeting = format!(
            "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, \
                                            recording_type, recording_trigger) \
             VALUES ('{room}', '{room}', 'jitsi', now(), now() + interval '8 hours', false, 'normal', 'none', 'none')"
        );
        replicas.postgres.query(&meeting).unwrap();
    }
    Stubborn::start(&replicas.url(), &replicas.secrets.webhook, supplies).unwrap()
}

/// The ids of all events. They are the primary key: none is there twice.
fn stored(postgres: &Postgres) -> BTreeSet<String> {
    postgres.query("SELECT id FROM reflector.meeting_event").unwrap().lines().map(str::to_owned).collect()
}
