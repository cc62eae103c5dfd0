//! What ends without an event of its own: with its room, or because its source started again.

use api::db::record;
use serde_json::{Value, json};

use crate::app::{App, event};

/// Who was there until when and why that ended, by occupant and breakout room; and until when each recording ran.
async fn record(app: &App) -> (Vec<String>, Vec<String>) {
    let record = record::read(&app.db, "m", 0).await.unwrap().unwrap();
    let stays = record.occupants.iter().map(|(key, occupant)| {
        let stay = occupant.stay(&record.boots);
        let end = stay.left_at.map_or_else(|| "there".to_owned(), |at| at.unix_timestamp().to_string());
        let reason = stay.left_reason.unwrap_or_default();
        format!("{}{} {end} {reason}", key.occupant_id, key.breakout_room_id)
    });
    let runs = record.sessions.iter().map(|(id, session)| {
        let end = session.run(&record.boots).ended_at;
        format!("{id} {}", end.map_or_else(|| "runs".to_owned(), |at| at.unix_timestamp().to_string()))
    });
    (stays.collect(), runs.collect())
}

async fn deliver(app: &App, events: &[(&str, i64, Value)]) {
    for (number, (name, second, data)) in events.iter().enumerate() {
        let id = format!("{name}-{second}-{number}");
        app.event(&event(&id, name, "r", *second, data)).await.ok();
    }
}

#[tokio::test]
async fn a_room_takes_with_it_who_is_in_it_and_what_is_recorded() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let occupant = |id: &str| json!({"occupant_id": id});
    let joined = "muc-occupant-joined";
    deliver(
        &app,
        &[
            ("muc-room-destroyed", 30, json!({})),
            ("muc-room-destroyed", 20, json!({})),
            (joined, 1, occupant("a")),
            (joined, 31, occupant("b")),
            (joined, 2, json!({"occupant_id": "c", "breakout_room_id": "x"})),
            (joined, 3, json!({"occupant_id": "d", "breakout_room_id": "y"})),
            ("muc-room-destroyed", 9, json!({"breakout_room_id": "x"})),
            ("jibri-recording-on", 5, json!({"session_id": "s"})),
            ("jibri-recording-on", 33, json!({"session_id": "t"})),
        ],
    )
    .await;
    let (stays, runs) = record(&app).await;
    assert_eq!(stays, ["a 30 room_destroyed", "b there ", "cx 9 room_destroyed", "dy there "]);
    assert_eq!(runs, ["s 30", "t runs"]);
}

#[tokio::test]
async fn a_clock_that_steps_back_across_a_restart_keeps_nobody_in_the_room() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let boot = |id: &str| json!({"boot_id": id, "source": "prosody"});
    let occupant = |id: &str, boot: &str| json!({"occupant_id": id, "boot_id": boot});
    deliver(
        &app,
        &[
            ("source-started", 100, boot("b1")),
            ("muc-occupant-joined", 101, occupant("a", "b1")),
            ("jibri-recording-on", 102, json!({"session_id": "s", "boot_id": "b1"})),
            ("source-started", 50, boot("b2")),
            ("muc-occupant-joined", 51, occupant("b", "b2")),
        ],
    )
    .await;
    let (stays, runs) = record(&app).await;
    assert_eq!(stays, ["a 101 source_restarted", "b there "]);
    assert_eq!(runs, ["s 102"]);
}

#[tokio::test]
async fn a_partial_update_erases_nothing() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let joined = json!({"occupant_id": "o", "email": "a@example.com", "kind": "recorder", "nick": "Ann"});
    deliver(
        &app,
        &[
            ("muc-occupant-joined", 1, joined),
            ("muc-occupant-updated", 2, json!({"occupant_id": "o", "nick": "Zoe"})),
        ],
    )
    .await;
    let record = record::read(&app.db, "m", 0).await.unwrap().unwrap();
    let occupant = record.occupants.into_values().next().unwrap();
    assert_eq!(occupant.kind(), Some("recorder"));
    let told = [occupant.description.display_name, occupant.description.email].map(|told| told.unwrap().text);
    assert_eq!(told, ["Zoe", "a@example.com"]);
}
