//! What the sink could take, to show that it is not what limits the agent.

use std::io::Write;
use std::time::Duration;

use contract::signature::Secrets;
use time::OffsetDateTime;

use crate::bench::announce;
use crate::load::{Lines, Requests, fire};
use crate::sink::Sink;

const CONNECTIONS: usize = 16;
const LONGEST: Duration = Duration::from_secs(5);

/// Sends prepared requests, one event each and then batches, and says how fast they were taken.
pub(super) fn measure(out: &mut impl Write) -> anyhow::Result<()> {
    let secrets = Secrets::parse("benchmark")?;
    for (what, events_each, count) in [("one event per request", 1, 50_000), ("batches of 500", 500, 400)] {
        let sink = Sink::start()?;
        let mut lines = Lines::in_rooms(0, CONNECTIONS);
        let mut requests = Requests { lines: &mut lines, secrets: &secrets, events_each };
        let now = OffsetDateTime::now_utc();
        let prepared = (0..count).map(|_| requests.next_at(now)).collect();
        let fired = fire(sink.address(), CONNECTIONS, prepared, LONGEST)?;
        announce(out, &format!("sink alone, {what}: {:.0} events/s", fired.rate()))?;
    }
    Ok(())
}
