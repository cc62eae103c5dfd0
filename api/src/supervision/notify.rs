//! Messages to the service manager, as `sd_notify(3)` describes them. Without `NOTIFY_SOCKET` there is nobody to tell.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;

/// How much time is asked for at once while something takes long, and how often.
const EXTENSION: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));

/// The service serves.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// What `systemctl status` shows, also when the process is gone.
pub(crate) fn say(status: &str) {
    tell(&[NotifyState::Status(&line(status))]);
}

/// The service stops because it was asked to.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is under way")]);
}

/// Does `work`, which may take any time, without running into the limit of the start.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    let asking = async {
        loop {
            let more = u32::try_from(EXTENSION.0.as_micros()).unwrap_or(u32::MAX);
            tell(&[NotifyState::ExtendTimeoutUsec(more)]);
            sleep(EXTENSION.1).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = asking => unreachable!("it asks for ever"),
    }
}

pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager is not told: {error}");
    }
}

/// A line break would begin another message.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(line("no\nREADY=1\r"), "no READY=1 ");
    }
}
