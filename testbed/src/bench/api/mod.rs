//! The API's figures, against `pgbench` on the same Postgres.

mod ingest;
mod large_meeting;
mod pgbench;
mod server;

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
    let memory = load::memory(server.pid()?)?;
    figures.push(Figure {
        what: "API, resident memory after all of the above",
        product: format!("peak {:.1} MiB", f64::from(u32::try_from(memory.peak_kib)?) / 1_024.0),
        reference: String::new(),
        value: f64::from(u32::try_from(memory.resident_kib)?) / 1_024.0,
        unit: "MiB",
        aim: Aim::AtMost(64.0),
    });
    Ok(())
}
