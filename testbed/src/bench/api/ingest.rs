//! Events stored and acknowledged, one per request and in batches, with `pgbench` in between.

use std::io::Write;

use anyhow::ensure;
use time::OffsetDateTime;

use super::pgbench;
use super::server::{Burst, Server, stored, supplies};
use super::whereby;
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;
use crate::bench::stats::median;
use crate::load::Lines;
use crate::postgres::Postgres;

/// Connections of the load and of `pgbench`.
const CONNECTIONS: usize = 32;
/// The events of a batch.
const BATCH: usize = 100;

pub(super) fn against_pgbench(
    scale: &Scale,
    postgres: &Postgres,
    server: &Server,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    pgbench::prepare(postgres)?;
    let body = Lines::in_rooms(0, 1).next_at(OffsetDateTime::now_utc()).text;
    let (mut reference, mut singly, mut whereby, mut batched) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("API: {CONNECTIONS} connections against pgbench, round {round}"))?;
        reference.push(pgbench::transactions_per_second(postgres, CONNECTIONS, &body, scale.api)?);
        let requests_each = scale.api_requests / CONNECTIONS;
        singly.push(rate(postgres, server, Burst { events_each: 1, requests_each, time: scale.api })?);
        whereby.push(whereby::rate(postgres, server, (CONNECTIONS, requests_each), scale.api)?);
        let requests_each = requests_each / 20;
        batched.push(rate(postgres, server, Burst { events_each: BATCH, requests_each, time: scale.api })?);
    }
    for (what, rates, reference, aim) in [
        ("API, one event per request, events/s against pgbench transactions/s", &singly, &reference, 1.0),
        ("API, batches of 100, events/s against pgbench transactions/s", &batched, &reference, 3.0),
        (
            "API, Whereby's webhooks per second against Jitsi's events, one per request",
            &whereby,
            &singly,
            0.8,
        ),
    ] {
        let ratios: Vec<f64> =
            rates.iter().zip(reference).map(|(rate, reference)| rate / reference).collect();
        figures.push(Figure {
            what,
            product: listed(rates),
            reference: listed(reference),
            value: median(&ratios),
            unit: "",
            aim: Aim::AtLeast(aim),
        });
    }
    Ok(())
}

/// Events per second into meetings of their own; every acknowledged event must be in the database.
fn rate(postgres: &Postgres, server: &Server, burst: Burst) -> anyhow::Result<f64> {
    let mut supplies = supplies(postgres, CONNECTIONS)?;
    let fired = server.burst(&mut supplies, burst)?;
    let stored = stored(postgres, &supplies)?;
    ensure!(stored == fired.acknowledged, "{} events acknowledged, {stored} stored", fired.acknowledged);
    Ok(fired.rate())
}

fn listed(rates: &[f64]) -> String {
    let each: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    format!("{} /s", each.join(", "))
}
