//! Whether an event costs more in a meeting that already has many.

use std::io::Write;

use super::server::{Burst, Server, make_meetings};
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;
use crate::bench::stats::median;
use crate::load::Lines;
use crate::postgres::Postgres;

/// Few enough connections that the cost of an event, not the depth of a queue, is what shows.
const CONNECTIONS: usize = 4;

/// A supply for each connection, all of them for one room.
type OneRoom = [Lines; CONNECTIONS];

pub(super) fn against_empty(
    scale: &Scale,
    postgres: &Postgres,
    server: &Server,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    announce(out, &format!("API: filling a meeting with {} events", scale.large_meeting))?;
    let mut large = one_room(postgres, "reflector-bench-large")?;
    fill(postgres, "reflector-bench-large", scale.large_meeting)?;
    let (mut into_empty, mut into_large) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("API: an empty and a large meeting, round {round}"))?;
        let mut empty = one_room(postgres, &format!("reflector-bench-empty-{round}"))?;
        into_empty.push(microseconds_each(scale, server, &mut empty)?);
        into_large.push(microseconds_each(scale, server, &mut large)?);
    }
    let ratios: Vec<f64> = into_large.iter().zip(&into_empty).map(|(large, empty)| large / empty).collect();
    figures.push(Figure {
        what: "API, cost of an event in a meeting that has 1,000,000 against an empty one",
        product: listed(&into_large),
        reference: listed(&into_empty),
        value: median(&ratios),
        unit: "",
        aim: Aim::AtMost(1.2),
    });
    Ok(())
}

fn one_room(postgres: &Postgres, room: &str) -> anyhow::Result<OneRoom> {
    make_meetings(postgres, &[room.to_owned()])?;
    Ok(std::array::from_fn(|_| Lines::new(fastrand::u64(..) >> 32, vec![room.to_owned()])))
}

/// Fills the meeting in bulk, as the API would have one by one, and lets Postgres put its house in order.
fn fill(postgres: &Postgres, meeting: &str, events: usize) -> anyhow::Result<()> {
    postgres.query(&format!(
        "INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, data) \
         SELECT 'evt_{meeting}_' || n, '{meeting}', 'muc-occupant-joined', now(), \
                jsonb_build_object('occupant_id', n, 'display_name', 'John Doe', 'role', 'participant', \
                                   'affiliation', 'member', 'kind', 'human', 'seq', n) \
         FROM generate_series(1, {events}) AS n"
    ))?;
    postgres.query("VACUUM ANALYZE reflector.meeting_event")?;
    postgres.query("CHECKPOINT")?;
    Ok(())
}

fn microseconds_each(scale: &Scale, server: &Server, supplies: &mut OneRoom) -> anyhow::Result<f64> {
    let requests_each = scale.api_requests / CONNECTIONS;
    let fired = server.burst(supplies, Burst { events_each: 1, requests_each, time: scale.api / 2 })?;
    Ok(1_000_000.0 / fired.rate())
}

fn listed(costs: &[f64]) -> String {
    let each: Vec<String> = costs.iter().map(|cost| format!("{cost:.0}")).collect();
    format!("{} µs", each.join(", "))
}
