//! Whether an event costs more in a meeting that already has many.

use std::io::Write;

use anyhow::ensure;

use super::postgres::Postgres;
use super::server::{Burst, Server, meetings_for};
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;
use crate::bench::stats::median;
use crate::load::Lines;

/// Few enough connections that the cost of an event, not the depth of a queue, is what shows.
const CONNECTIONS: usize = 4;

pub(super) fn against_empty(
    scale: &Scale,
    postgres: &Postgres,
    server: &Server,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    announce(out, &format!("API: filling a meeting with {} events", scale.large_meeting))?;
    let mut large = Lines::in_rooms(fastrand::u64(..) >> 32, 1);
    meetings_for(postgres, &large)?;
    fill(postgres, &large.rooms()[0], scale.large_meeting)?;
    let (mut into_empty, mut into_large) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("API: an empty and a large meeting, round {round}"))?;
        let mut empty = Lines::in_rooms(fastrand::u64(..) >> 32, 1);
        meetings_for(postgres, &empty)?;
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

fn microseconds_each(scale: &Scale, server: &Server, lines: &mut Lines) -> anyhow::Result<f64> {
    let requests = scale.api_requests;
    let burst = Burst { events_each: 1, requests, connections: CONNECTIONS, time: scale.api / 2 };
    let fired = server.burst(lines, burst)?;
    ensure!(fired.statuses.keys().eq([&200]), "the API answered {:?}", fired.statuses);
    Ok(1_000_000.0 / fired.rate())
}

fn listed(costs: &[f64]) -> String {
    let each: Vec<String> = costs.iter().map(|cost| format!("{cost:.0}")).collect();
    format!("{} µs", each.join(", "))
}
