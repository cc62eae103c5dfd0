//! Feeds the service manager's watchdog while the service makes progress. When it is not fed for as long as the unit's `WatchdogSec=`
//! says, the service manager ends the process and starts another.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::notify;
use super::pulse::{Pulses, Stuck};

/// How often loops are looked at where nobody is told of it.
const LOOK: Duration = Duration::from_secs(30);

/// Feeds the watchdog, if there is one, for as long as every loop turns. Itself a task of the runtime, it is silent when that hangs.
pub(crate) async fn feed(pulses: Pulses) {
    let mut looks = interval(often_enough(sd_notify::watchdog_enabled()));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_stuck = false;
    loop {
        looks.tick().await;
        let stuck = pulses.stuck();
        if stuck.is_empty() {
            if was_stuck {
                tracing::warn!("everything turns again");
                notify::say("serving");
            }
            notify::alive();
        } else if !was_stuck {
            let said = in_words(&stuck);
            tracing::error!("{said}; the watchdog is not fed until it turns again");
            notify::say(&said);
        }
        was_stuck = !stuck.is_empty();
    }
}

/// A third of the watchdog's time: one look may be late.
fn often_enough(watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(LOOK, |time| time / 3).max(Duration::from_millis(10))
}

fn in_words(stuck: &[Stuck]) -> String {
    let each =
        stuck.iter().map(|Stuck { name, since }| format!("{name} has not turned for {} s", since.as_secs()));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_in_time_whatever_the_watchdog_asks_for() {
        for (watchdog, expected) in [(None, 30_000), (Some(60_000), 20_000), (Some(300), 100), (Some(0), 10)]
        {
            let watchdog = watchdog.map(Duration::from_millis);
            assert_eq!(often_enough(watchdog), Duration::from_millis(expected), "{watchdog:?}");
        }
    }

    #[test]
    fn what_is_stuck_is_said_with_its_time() {
        let stuck = [("ingest", 61), ("uploads.clean_up", 200)]
            .map(|(name, seconds)| Stuck { name, since: Duration::from_secs(seconds) });
        let expected = "ingest has not turned for 61 s, uploads.clean_up has not turned for 200 s";
        assert_eq!(in_words(&stuck), expected);
    }
}
