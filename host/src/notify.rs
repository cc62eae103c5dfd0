//! Messages to the service manager, in the words of `sd_notify(3)`. Without `NOTIFY_SOCKET` nobody is told.

use std::time::Duration;

use sd_notify::NotifyState;

/// How much more time [`extend`] asks for. Who works for longer asks again long before it is over, every [`EXTEND_EVERY`].
pub const EXTENSION: Duration = Duration::from_mins(1);

/// How often to ask for more time.
pub const EXTEND_EVERY: Duration = Duration::from_secs(20);

/// Whether somebody manages this service.
pub fn is_managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
}

/// How long the service manager waits for a sign of life; `None` if it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|watchdog| !watchdog.is_zero())
}

/// Everything runs, in the words of `status` if there are any.
pub fn ready(status: Option<&str>) {
    let status = status.map(line);
    let status = status.as_deref().map(NotifyState::Status);
    tell(&[NotifyState::Ready].into_iter().chain(status).collect::<Vec<_>>());
}

/// The configuration is being read again; [`ready`] follows.
pub fn reloading() {
    let since = NotifyState::monotonic_usec_now().ok();
    tell(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
}

/// The service stops because it was told to.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(&line(status))]);
}

/// What `systemctl status` shows, also when the process has ended.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(&line(text))]);
}

/// The start, or the end, takes longer than the unit allows, and goes on: another [`EXTENSION`].
pub fn extend() {
    tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX))]);
}

/// Every loop turns.
pub(crate) fn alive() {
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
