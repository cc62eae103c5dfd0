//! The agent's figures.

mod backlog;
mod latency;
mod memory;
pub(super) mod outage;
mod sink_limit;
mod stage;

use std::io::Write;

use super::figure::Figure;
use super::scale::Scale;

pub(super) fn measure(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    sink_limit::measure(out)?;
    backlog::singly(scale, figures, out)?;
    backlog::in_batches(scale, figures, out)?;
    latency::steady(scale, figures, out)?;
    latency::sparse_and_idle(scale, figures, out)
}
