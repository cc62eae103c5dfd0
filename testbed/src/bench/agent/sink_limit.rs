//! What the sink could take, to show that it is not what limits the agent.

use std::io::Write;
use std::time::Duration;

use contract::signature::Secrets;
use time::OffsetDateTime;

use crate::bench::announce;
use crate::load::{Lines, Requests, fire};
use crate::sink::Sink;

const CONNECTIONS: u64 = 16;
const LONGEST: Duration = Duration::from_secs(5);

/// Sends prepared requests, one event each and then batches, and says how fast they were taken.
pub(super) fn measure(out: &mut impl Write) -> anyhow::Result<()> {
    let secrets = Secrets::parse("benchmark")?;
    for (what, events_each, count) in [("one event per request", 1, 3_000), ("batches of 500", 500, 25)] {
        let sink = Sink::start()?;
        let now = OffsetDateTime::now_utc();
        let list = |seed| {
            let mut lines = Lines::in_rooms(seed, 1);
            let mut requests = Requests { lines: &mut lines, secrets: &secrets, events_each };
            (0..count).map(|_| requests.next_at(now)).collect()
        };
        let fired = fire(sink.address(), (0..CONNECTIONS).map(list).collect(), LONGEST)?;
        announce(out, &format!("sink alone, {what}: {:.0} events/s", fired.rate()))?;
    }
    Ok(())
}
