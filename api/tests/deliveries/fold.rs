//! The database merges like `domain` does, in whatever order and however often events arrive.

use std::sync::Arc;

use api::db::events::stamp;
use api::domain::moment::{Moment, Statement};
use api::domain::presence::{Description, Occupant, Sighting};
use api::domain::recording::Session;
use contract::event::Event;
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::app::App;

/// Few different values, so that ties and conflicts are common.
fn presence_event(random: &mut fastrand::Rng, number: usize) -> Value {
    let names = ["muc-occupant-joined", "muc-occupant-updated", "muc-occupant-left"];
    event_of(random, number, &names, &json!({"occupant_id": "o"}))
}

fn recording_event(random: &mut fastrand::Rng, number: usize) -> Value {
    event_of(random, number, &["jibri-recording-on", "jibri-recording-off"], &json!({"session_id": "s"}))
}

fn event_of(random: &mut fastrand::Rng, number: usize, names: &[&str], fixed: &Value) -> Value {
    let mut data = fixed.clone();
    for member in [
        "boot_id",
        "reason",
        "display_name",
        "user_id",
        "role",
        "email",
        "kind",
        "failure_reason",
        "mode",
        "initiator",
    ] {
        if let Some(text) = random.choice([None, Some("a"), Some("B"), Some("é"), Some("zz")]).flatten() {
            data[member] = text.into();
        }
    }
    if random.bool() {
        data["seq"] = random.u8(..3).into();
    }
    let name = random.choice(names).unwrap();
    json!({"id": format!("e{number}"), "event": name, "room": "r", "timestamp": random.u8(1..4), "data": data})
}

fn statement(row: &PgRow, prefix: &str, text: &str) -> Option<Statement> {
    let at: Option<OffsetDateTime> = row.get(format!("{prefix}_at").as_str());
    let seq = row.get(format!("{prefix}_seq").as_str());
    at.map(|at| Statement { moment: Moment { at, seq }, text: row.get(text) })
}

fn occupant(row: &PgRow) -> Occupant {
    let told = |member| row.get::<Option<String>, _>(member).map(|stamped| stamp::read(&stamped).unwrap());
    Occupant {
        first_join_at: row.get("first_join_at"),
        last_join: statement(row, "last_join", "last_join_boot"),
        last_left: statement(row, "last_left", "left_reason"),
        description: Description {
            user_id: told("user_id"),
            display_name: told("display_name"),
            email: told("email"),
            role: told("role"),
            affiliation: told("affiliation"),
            kind: told("kind"),
        },
    }
}

fn session(row: &PgRow) -> Session {
    Session {
        first_on_at: row.get("first_on_at"),
        last_on: statement(row, "last_on", "last_on_boot"),
        last_off: statement(row, "last_off", "failure_reason"),
        mode: row.get("mode"),
        initiator: row.get("initiator"),
    }
}

fn parsed(events: &[Value]) -> Vec<Event> {
    events.iter().map(|event| Event::parse(event.to_string().as_bytes()).unwrap()).collect()
}

/// Delivers the events in random order, each at least once, in batches and alone, several at a time.
async fn deliver(app: &Arc<App>, random: &mut fastrand::Rng, events: &[Value]) {
    let mut order: Vec<_> =
        events.iter().chain(random.choose_multiple(events, events.len() / 2)).cloned().collect();
    random.shuffle(&mut order);
    let mut deliveries = JoinSet::new();
    for chunk in order.chunks(3) {
        let (app, chunk, alone) = (Arc::clone(app), chunk.to_vec(), random.bool());
        deliveries.spawn(async move {
            if alone {
                for event in chunk {
                    app.event(&event).await.ok();
                }
            } else {
                let lines: Vec<_> = chunk.iter().map(Value::to_string).collect();
                app.batch(&lines).await;
            }
        });
    }
    deliveries.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_merges_presence_like_the_domain_does() {
    for seed in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed);
        let app = Arc::new(App::start().await);
        app.meeting("m", "r").await;
        let events: Vec<_> = (0..12).map(|number| presence_event(&mut random, number)).collect();
        deliver(&app, &mut random, &events).await;
        let row = sqlx::query("SELECT * FROM reflector.participant").fetch_one(&app.db).await.unwrap();
        let sightings = parsed(&events).into_iter().map(|event| Sighting::of(&event).unwrap().occupant);
        let expected = sightings.fold(Occupant::default(), Occupant::merge);
        assert_eq!(occupant(&row), expected, "seed {seed}: {events:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_merges_recordings_like_the_domain_does() {
    for seed in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed);
        let app = Arc::new(App::start().await);
        app.meeting("m", "r").await;
        let events: Vec<_> = (0..12).map(|number| recording_event(&mut random, number)).collect();
        deliver(&app, &mut random, &events).await;
        let row = sqlx::query("SELECT * FROM reflector.recording_session").fetch_one(&app.db).await.unwrap();
        let sessions = parsed(&events).into_iter().map(|event| Session::of(&event).unwrap().1);
        let expected = sessions.fold(Session::default(), Session::merge);
        assert_eq!(session(&row), expected, "seed {seed}: {events:#?}");
    }
}
