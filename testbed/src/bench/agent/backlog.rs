//! A backlog, one event per request and in batches.

use std::io::Write;

use super::memory;
use super::stage::{Backlog, Shipper, Stage};
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;
use crate::bench::stats::median;

/// One event per request against the bare loop.
pub(super) fn singly(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    let (mut floor, mut agent) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("agent: {} events, one per request, round {round}", scale.singles))?;
        floor.push(Stage::start(Shipper::Floor)?.backlog(scale.singles)?);
        agent.push(Stage::start(Shipper::Agent(Some(1)))?.backlog(scale.singles)?);
    }
    let ratios: Vec<f64> = agent.iter().zip(&floor).map(|(agent, floor)| agent.rate / floor.rate).collect();
    figures.push(Figure {
        what: "agent, one signed event per request, events/s against the bare loop",
        product: rates(&agent),
        reference: rates(&floor),
        value: median(&ratios),
        unit: "",
        aim: Aim::AtLeast(0.5),
    });
    figures.push(Figure {
        what: "agent, one signed event per request, CPU per 1,000 events",
        product: costs(&agent),
        reference: costs(&floor),
        value: median(&agent.iter().map(|backlog| backlog.cpu_per_thousand).collect::<Vec<_>>()),
        unit: "ms",
        aim: Aim::AtMost(25.0),
    });
    Ok(())
}

/// The agent's own way: batches. The same runs give its peak of memory.
pub(super) fn in_batches(
    scale: &Scale,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (mut backlogs, mut peaks) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("agent: {} events in batches, round {round}", scale.batched))?;
        let mut stage = Stage::start(Shipper::Agent(None))?;
        backlogs.push(stage.backlog(scale.batched)?);
        peaks.push(memory::of(&stage)?.peak);
    }
    figures.push(Figure {
        what: "agent, backlog in batches",
        product: format!("{}; {}", rates(&backlogs), costs(&backlogs)),
        reference: String::new(),
        value: median(&backlogs.iter().map(|backlog| backlog.rate).collect::<Vec<_>>()),
        unit: "events/s",
        aim: Aim::AtLeast(60_000.0),
    });
    figures.push(memory::peak(&peaks));
    Ok(())
}

fn rates(backlogs: &[Backlog]) -> String {
    let rates: Vec<f64> = backlogs.iter().map(|backlog| backlog.rate).collect();
    let (low, high) = bounds(&rates);
    format!("{:.0} events/s ({low:.0}–{high:.0})", median(&rates))
}

fn costs(backlogs: &[Backlog]) -> String {
    let costs: Vec<f64> = backlogs.iter().map(|backlog| backlog.cpu_per_thousand).collect();
    let (low, high) = bounds(&costs);
    format!("{:.1} ms ({low:.1}–{high:.1})", median(&costs))
}

fn bounds(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(low, high), &value| (low.min(value), high.max(value)))
}
