//! Whereby's webhooks, made and signed before the clock starts, each connection with a room of its own.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::server::{SECRET, Server};
use crate::load::Request;
use crate::postgres::Postgres;
use crate::whereby::{Event, signature};

/// Webhooks stored in a second; every one that was acknowledged must be in the database.
pub(super) fn rate(
    postgres: &Postgres,
    server: &Server,
    (connections, requests_each): (usize, usize),
    time: Duration,
) -> anyhow::Result<f64> {
    let rooms: Vec<String> =
        (0..connections).map(|_| format!("bench-whereby-{:x}", fastrand::u64(..))).collect();
    let values: Vec<String> = rooms.iter().map(|room| format!("('{room}')")).collect();
    postgres.query(&format!(
        "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, recording_type, \
                                        recording_trigger, room_url) \
         SELECT name, name, 'whereby', now(), now() + interval '8 hours', false, 'group', 'none', 'none', \
                'https://bench.whereby.com/' || name \
         FROM (VALUES {}) AS room (name)",
        values.join(", ")
    ))?;
    let lists = rooms.iter().map(|room| (0..requests_each).map(|number| webhook(room, number)).collect());
    let fired = server.fire(lists.collect(), time)?;
    let names: Vec<String> = rooms.iter().map(|room| format!("'{room}'")).collect();
    let count =
        format!("SELECT count(*) FROM reflector.meeting_event WHERE meeting_id IN ({})", names.join(", "));
    let stored: usize = postgres.query(&count)?.parse()?;
    anyhow::ensure!(
        stored == fired.acknowledged,
        "{} webhooks acknowledged, {stored} stored",
        fired.acknowledged
    );
    Ok(fired.rate())
}

/// One after the other comes and goes.
fn webhook(room: &str, number: usize) -> Request {
    let now = OffsetDateTime::now_utc();
    let kind = if number.is_multiple_of(2) { "room.client.joined" } else { "room.client.left" };
    let body = Event::new(kind, client(room, number / 2), now).body();
    let signed = signature(SECRET, now.unix_timestamp(), body.as_bytes());
    let mut bytes = Vec::with_capacity(body.len() + 256);
    write!(
        bytes,
        "POST /v1/whereby HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         whereby-signature: {signed}\r\n\r\n{body}",
        body.len()
    )
    .expect("a vector takes every write");
    Request { bytes, events: 1 }
}

fn client(room: &str, number: usize) -> Value {
    json!({
        "meetingId": "90210001", "roomName": format!("/{room}"), "subdomain": "bench", "roomSessionId": null,
        "participantId": format!("{number:016x}"), "displayName": "John Doe", "roleName": "visitor",
        "numClients": 1, "numClientsByRoleName": { "visitor": 1 }, "isDialIn": false, "metadata": null, "externalId": null,
    })
}
