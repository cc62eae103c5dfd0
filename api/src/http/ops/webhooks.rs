//! `/ops/webhooks`: what this service tells others, and whether they have it.

use askama::Template;
use axum::extract;
use axum::response::Response;
use http::Uri;
use time::OffsetDateTime;

use super::badge::Badge;
use super::paging::{self, Parameters};
use super::shell::{self, Shell, Trouble};
use super::text::{When, plural};
use crate::db::ops_webhooks::{self, DeliveryLine};
use crate::http::State;

#[derive(Template)]
#[template(path = "ops/webhooks.html")]
struct Page {
    shell: Shell,
    state: Option<ops_webhooks::State>,
    webhooks: Vec<Line>,
    older: Option<String>,
    is_first: bool,
}

/// A delivery, in words.
pub(super) struct Line {
    pub(super) id: String,
    /// The id as a part of an address.
    pub(super) path: String,
    pub(super) event: String,
    pub(super) meeting: String,
    pub(super) receiver: String,
    pub(super) badge: Badge,
    pub(super) is_parked: bool,
    pub(super) note: Option<String>,
    pub(super) attempts: String,
    pub(super) created: When,
}

impl Page {
    fn is_chosen(&self, state: ops_webhooks::State) -> bool {
        self.state == Some(state)
    }
}

impl Line {
    pub(super) fn new(line: DeliveryLine, shell: &Shell) -> Self {
        let state = state(&line.state).unwrap_or(ops_webhooks::State::Waiting);
        Self {
            path: paging::escaped(&line.id),
            meeting: paging::escaped(&line.meeting_id),
            receiver: receiver(&line.target, line.room.as_deref()),
            badge: Badge::of_webhook(state),
            is_parked: state == ops_webhooks::State::Parked,
            note: note(&line, state, shell.now),
            attempts: plural(line.attempts.into(), "attempt", "attempts"),
            created: shell.ago(line.created_at),
            id: line.id,
            event: line.event,
        }
    }
}

/// The state of this name.
pub(super) fn state(name: &str) -> Option<ops_webhooks::State> {
    ops_webhooks::State::ALL.into_iter().find(|state| state.as_str() == name)
}

fn receiver(target: &str, room: Option<&str>) -> String {
    match (target.strip_prefix("room:"), room) {
        (_, Some(room)) => format!("webhook of the room {room}"),
        (Some(id), None) => format!("webhook of the room {id}, which is gone"),
        (None, None) => target.to_owned(),
    }
}

/// Why it has not arrived, and when it is tried again.
fn note(line: &DeliveryLine, state: ops_webhooks::State, now: OffsetDateTime) -> Option<String> {
    let last = line.error.clone().or_else(|| line.status.map(|status| format!("answered {status}")));
    match state {
        ops_webhooks::State::Delivered => None,
        ops_webhooks::State::Parked => line.reason.clone().or(last),
        ops_webhooks::State::Waiting => {
            let wait = line.next_at - now;
            let due = if wait.is_positive() {
                format!("next in {}", super::text::span(wait))
            } else {
                "due now".to_owned()
            };
            Some(last.map_or_else(|| due.clone(), |last| format!("{last}; {due}")))
        }
    }
}

/// Shows deliveries, the newest first.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    uri: Uri,
) -> Result<Response, Trouble> {
    let parameters = Parameters::of(&uri);
    let chosen = parameters.text("state").and_then(|name| self::state(&name));
    let before = parameters.number("before");
    let mut found =
        ops_webhooks::page(&state.db, chosen, before.unwrap_or(i64::MAX), paging::limit()).await?;
    let last = paging::cut(&mut found).map(|last| last.position.to_string());
    let older = last.map(|last| {
        let state = chosen.map(ops_webhooks::State::as_str);
        paging::address("webhooks", &[("state", state), ("before", Some(&last))])
    });
    shell::page(&Page {
        webhooks: found.into_iter().map(|line| Line::new(line, &shell)).collect(),
        state: chosen,
        older,
        is_first: before.is_none(),
        shell,
    })
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use ops_webhooks::State;

    const NOW: OffsetDateTime = datetime!(2026-01-31 10:30 UTC);

    fn line(status: Option<i32>, error: Option<&str>, reason: Option<&str>) -> DeliveryLine {
        DeliveryLine {
            id: "w".to_owned(),
            position: 1,
            event: "recording.ready".to_owned(),
            meeting_id: "m".to_owned(),
            target: "pipeline".to_owned(),
            room: None,
            state: "waiting".to_owned(),
            attempts: 1,
            next_at: NOW + Duration::minutes(5),
            created_at: NOW,
            settled_at: None,
            reason: reason.map(ToOwned::to_owned),
            status,
            error: error.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn what_has_not_arrived_says_why_and_when_it_is_tried_again() {
        for (line, state, expected) in [
            (line(Some(200), None, None), State::Delivered, None),
            (line(None, None, None), State::Waiting, Some("next in 5 min")),
            (
                line(Some(500), Some("answered 500"), None),
                State::Waiting,
                Some("answered 500; next in 5 min"),
            ),
            (line(Some(404), None, Some("refused for good")), State::Parked, Some("refused for good")),
            (line(Some(404), None, None), State::Parked, Some("answered 404")),
        ] {
            assert_eq!(note(&line, state, NOW).as_deref(), expected);
        }
        let due = note(&line(None, None, None), State::Waiting, NOW + Duration::hours(1));
        assert_eq!(due.as_deref(), Some("due now"));
    }

    #[test]
    fn a_receiver_is_called_by_its_room() {
        assert_eq!(receiver("pipeline", None), "pipeline");
        assert_eq!(receiver("room:r-1", Some("standup")), "webhook of the room standup");
        assert_eq!(receiver("room:r-1", None), "webhook of the room r-1, which is gone");
    }
}
