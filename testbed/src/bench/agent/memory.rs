//! What the agent holds in memory.

use super::stage::Stage;
use crate::bench::figure::{Aim, Figure};
use crate::bench::stats::percentile;
use crate::load;

/// Resident memory in MiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) now: f64,
    pub(super) peak: f64,
}

pub(super) fn of(stage: &Stage) -> anyhow::Result<Held> {
    let memory = load::memory(stage.pid()?)?;
    Ok(Held { now: mebibytes(memory.resident_kib)?, peak: mebibytes(memory.peak_kib)? })
}

/// The highest peak of several runs.
pub(super) fn peak(peaks: &[f64]) -> Figure {
    Figure {
        what: "agent, resident memory, peak over the backlog in batches",
        product: format!("{} runs", peaks.len()),
        reference: String::new(),
        value: percentile(peaks, 100),
        unit: "MiB",
        aim: Aim::AtMost(25.0),
    }
}

fn mebibytes(kib: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(kib)?) / 1_024.0)
}
