//! An API that is away for three days, and a million events that wait for it.
//!
//! The days are what is written in them and what waits: the agent's own waits are a function of its failures, which tests take
//! to their end in `agent/src/delivery`.

use std::io::Write;

use super::stage::{Shipper, Stage};
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;

/// The default size cap of the outbox, in MiB.
const CAP: f64 = 1_024.0;

pub(in crate::bench) fn measure(
    scale: &Scale,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    announce(out, &format!("agent: {} events wait for an API that is away", scale.outage))?;
    let outage = Stage::start(Shipper::Agent(None))?.outage(scale.outage, scale.idle)?;
    let events = scale.outage;
    let mut figure = |what, product: String, value, unit, aim| {
        figures.push(Figure { what, product, reference: String::new(), value, unit, aim });
    };
    figure(
        "outage, CPU while everything waits",
        format!("{events} events, {} s watched", scale.idle.as_secs()),
        outage.busy * 100.0,
        "%",
        Aim::AtMost(0.5),
    );
    figure(
        "outage, resident memory while everything waits",
        format!("{events} events"),
        mebibytes(outage.resident_kib)?,
        "MiB",
        Aim::AtMost(25.0),
    );
    figure(
        "outage, resident memory, peak",
        "filling and draining".to_owned(),
        mebibytes(outage.peak_kib)?,
        "MiB",
        Aim::AtMost(25.0),
    );
    figure(
        "outage, size of the outbox",
        format!("{events} events"),
        mebibytes(outage.outbox_bytes / 1_024)?,
        "MiB",
        Aim::AtMost(CAP),
    );
    figure(
        "outage, drained in order afterwards",
        format!("{} arrived twice", outage.duplicates),
        outage.rate,
        "events/s",
        Aim::AtLeast(60_000.0),
    );
    Ok(())
}

fn mebibytes(kib: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(kib)?) / 1_024.0)
}
