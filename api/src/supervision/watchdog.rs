//! Has the service manager's watchdog fed while the service makes progress.

use std::time::Duration;

use host::notify;
use host::pulse::{Pulses, Stuck};
use host::watchdog::{self, Watchdog};
use tokio::time::{MissedTickBehavior, interval};

/// How often loops are looked at where nobody is told of it.
const LOOK: Duration = Duration::from_secs(30);

/// Feeds the watchdog, if there is one, for as long as every loop turns. Itself a task of the runtime, it is silent when that hangs.
pub(crate) async fn feed(pulses: Pulses) {
    let mut looks = interval(watchdog::interval(notify::watchdog(), LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Each loop has a limit of its own.
    let mut watchdog = Watchdog::new(pulses, Duration::ZERO);
    loop {
        looks.tick().await;
        if let Some(stuck) = watchdog.look() {
            notify::status(&in_words(stuck));
        }
    }
}

fn in_words(stuck: &[Stuck]) -> String {
    let each =
        stuck.iter().map(|Stuck { name, since }| format!("{name} has not turned for {} s", since.as_secs()));
    let each: Vec<_> = each.collect();
    if each.is_empty() { "serving".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stuck_is_said_with_its_time() {
        let stuck = [("ingest", 61), ("uploads.clean_up", 200)]
            .map(|(name, seconds)| Stuck { name, since: Duration::from_secs(seconds) });
        let expected = "ingest has not turned for 61 s, uploads.clean_up has not turned for 200 s";
        assert_eq!(in_words(&stuck), expected);
        assert_eq!(in_words(&[]), "serving");
    }
}
