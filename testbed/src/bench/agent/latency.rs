//! From the append to the arrival of the request, and what waiting costs.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::memory;
use super::stage::{Shipper, Stage};
use crate::bench::announce;
use crate::bench::figure::{Aim, Figure};
use crate::bench::scale::Scale;
use crate::bench::stats::{median, millis, percentile};
use crate::load::cpu_time;

const STEADY_GAP: Duration = Duration::from_millis(50);
const SPARSE_GAP: Duration = Duration::from_millis(3_100);

/// 20 events a second, the bare loop's rounds in between.
pub(super) fn steady(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    let (mut floor, mut agent) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        announce(out, &format!("agent: latency of {} events at 20/s, round {round}", scale.steady))?;
        floor.push(Stage::start(Shipper::Floor)?.latencies(scale.steady, STEADY_GAP)?);
        agent.push(Stage::start(Shipper::Agent(None))?.latencies(scale.steady, STEADY_GAP)?);
    }
    figures.push(latency("agent, append to arrival at 20 events/s, p50", &agent, &floor, 50, 1.0));
    figures.push(latency("agent, append to arrival at 20 events/s, p99", &agent, &floor, 99, 5.0));
    Ok(())
}

/// One event every 3.1 s, then nothing at all.
pub(super) fn sparse_and_idle(
    scale: &Scale,
    figures: &mut Vec<Figure>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    announce(out, &format!("agent: latency of {} events 3.1 s apart", scale.sparse))?;
    let mut stage = Stage::start(Shipper::Agent(None))?;
    let resident = memory::of(&stage)?.now;
    let sparse = [stage.latencies(scale.sparse, SPARSE_GAP)?];
    figures.push(latency("agent, append to arrival of events 3.1 s apart, p50", &sparse, &[], 50, 1.0));
    figures.push(latency("agent, append to arrival of events 3.1 s apart, p99", &sparse, &[], 99, 5.0));
    announce(out, "agent: idle")?;
    let before = cpu_time(stage.pid()?)?;
    thread::sleep(scale.idle);
    let busy = cpu_time(stage.pid()?)?.saturating_sub(before);
    figures.push(Figure {
        what: "agent, CPU while idle",
        product: format!("{:.0} ms in {} s", millis(busy), scale.idle.as_secs()),
        reference: String::new(),
        value: millis(busy) / millis(scale.idle) * 100.0,
        unit: "%",
        aim: Aim::AtMost(0.1),
    });
    figures.push(Figure {
        what: "agent, resident memory, idle",
        product: String::new(),
        reference: String::new(),
        value: resident,
        unit: "MiB",
        aim: Aim::AtMost(12.0),
    });
    Ok(())
}

/// The median over the rounds of one percentile, in milliseconds.
fn latency(
    what: &'static str,
    product: &[Vec<f64>],
    reference: &[Vec<f64>],
    percent: usize,
    at_most: f64,
) -> Figure {
    let of =
        |rounds: &[Vec<f64>]| -> Vec<f64> { rounds.iter().map(|round| percentile(round, percent)).collect() };
    let raw = |rounds: &[Vec<f64>]| {
        let each: Vec<String> = of(rounds).iter().map(|value| format!("{value:.2}")).collect();
        if each.is_empty() { String::new() } else { format!("{} ms", each.join(", ")) }
    };
    Figure {
        what,
        product: raw(product),
        reference: raw(reference),
        value: median(&of(product)),
        unit: "ms",
        aim: Aim::AtMost(at_most),
    }
}
