//! The figures of `docs/performance.md`: the agent and the API against bare loops, in the same run on the same machine.
//!
//! A machine's speed is not a property of the product, so every rate is given as a ratio to a reference that ran between
//! the product's own rounds. Rounds are interleaved and the median counts.

mod agent;
mod api;
mod document;
mod figure;
mod recordings;
mod scale;
mod stats;
mod uploads;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use scale::Scale;

/// Measure agent and API against bare loops in the same run, and compare with the aims.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only see that everything runs: one short round each; the figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// Measure this part only.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Put the table into this file, between its markers.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The agent against the bare loop.
    Agent,
    /// The API against `pgbench`.
    Api,
    /// The agent while the API is away for days.
    Outage,
    /// The agent with recordings.
    Recordings,
    /// Recordings on their way into the storage, against `curl -T`.
    Uploads,
}

/// Measures, prints the table and, if asked to, writes it into a document.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let start = Instant::now();
    let scale = if args.quick { Scale::QUICK } else { Scale::FULL };
    let mut figures = Vec::new();
    let wanted = |part| args.only.is_none_or(|only| only == part);
    if wanted(Part::Agent) {
        agent::measure(&scale, &mut figures, out)?;
    }
    if wanted(Part::Outage) {
        agent::outage::measure(&scale, &mut figures, out)?;
    }
    if wanted(Part::Recordings) {
        recordings::measure(&scale, &mut figures, out)?;
    }
    if wanted(Part::Uploads) {
        uploads::measure(&scale, &mut figures, out)?;
    }
    if wanted(Part::Api) {
        api::measure(&scale, &mut figures, out)?;
    }
    let table = figure::table(&figures);
    writeln!(out, "\n{table}\n{} s", start.elapsed().as_secs())?;
    match &args.write {
        Some(path) => document::write_table(path, &table),
        None => Ok(()),
    }
}

/// Says what is being measured, so that nobody looks at a silent terminal for minutes.
fn announce(out: &mut impl Write, what: &str) -> anyhow::Result<()> {
    writeln!(out, "… {what}")?;
    Ok(out.flush()?)
}
