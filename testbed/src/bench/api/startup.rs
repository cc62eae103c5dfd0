//! How long a start takes on a database whose schema is up to date.

use std::io::Write;
use std::time::Instant;

use super::server::Server;
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::stats::{median, millis};
use crate::postgres::Postgres;

/// How often it is measured.
const STARTS: usize = 5;

pub(super) fn on_a_current_schema(
    postgres: &Postgres,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    announce(out, &format!("API: {STARTS} starts"))?;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let start = Instant::now();
        let server = Server::start(postgres)?;
        times.push(millis(start.elapsed()) / 1_000.0);
        drop(server);
    }
    let each: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
    figures.push(Figure {
        what: "API, start until it answers, with migrations done",
        product: format!("{} s", each.join(", ")),
        reference: String::new(),
        value: median(&times),
        unit: "s",
        aim: Aim::AtMost(1.0),
    });
    Ok(())
}
