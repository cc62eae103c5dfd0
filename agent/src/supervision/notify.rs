//! Messages to the service manager, in the words of `sd_notify(3)`. Without `NOTIFY_SOCKET` nobody is told.

use sd_notify::NotifyState;

use crate::config::Finding;

/// Whether somebody manages the agent.
pub fn is_managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
}

/// Everything runs.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] follows.
pub fn reloading() {
    let since = NotifyState::monotonic_usec_now().ok();
    tell(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
}

/// The agent was told to stop.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Stops: requests on their way are waited for")]);
}

/// The agent has stopped in order. The service manager goes on showing what was said last.
pub fn stopped() {
    tell(&[NotifyState::Status("Stopped; what waits is sent after the next start")]);
}

/// The agent cannot start with this configuration. The service manager goes on showing it when the agent has ended.
pub fn misconfigured(findings: &[Finding]) {
    tell(&[NotifyState::Status(&line(&super::words::misconfigured(findings)))]);
}

/// How it is going.
pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(&line(text))]);
}

/// Every loop gets round.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager is not told");
    }
}

/// A line break would begin another message.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(line("busy\nREADY=1\r\n"), "busy READY=1  ");
    }
}
