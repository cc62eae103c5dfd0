//! The API's figures, against `pgbench` on the same Postgres.

mod ingest;
mod large_meeting;
mod pgbench;
mod reads;
mod server;
mod startup;
mod whereby;

use std::io::Write;

use super::figure::{Aim, Figure};
use super::scale::Scale;
use crate::load;
use crate::postgres::Postgres;

pub(super) fn measure(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    let postgres = Postgres::start()?;
    let server = server::Server::start(&postgres)?;
    ingest::against_pgbench(scale, &postgres, &server, figures, out)?;
    large_meeting::against_empty(scale, &postgres, &server, figures, out)?;
    reads::at_a_steady_rate(scale, &postgres, &server, figures, out)?;
    startup::on_a_current_schema(&postgres, figures, out)?;
    let memory = load::memory(server.pid()?)?;
    figures.push(Figure {
        what: "API, resident memory, peak over all of the above",
        product: format!("{:.1} MiB at the end", f64::from(u32::try_from(memory.resident_kib)?) / 1_024.0),
        reference: String::new(),
        value: f64::from(u32::try_from(memory.peak_kib)?) / 1_024.0,
        unit: "MiB",
        aim: Aim::AtMost(64.0),
    });
    Ok(())
}
