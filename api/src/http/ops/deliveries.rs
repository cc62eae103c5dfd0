//! `/ops/deliveries`: what arrived, from whom, and what became of it.

use askama::Template;
use axum::extract;
use axum::response::Response;
use http::Uri;

use super::badge::Badge;
use super::paging::{self, Parameters};
use super::shell::{self, Shell, Trouble};
use super::text::{When, count, plural};
use crate::db::receipts::{self, Filter, StoredReceipt};
use crate::domain::receipt::Verdict;
use crate::http::State;

#[derive(Template)]
#[template(path = "ops/deliveries.html")]
struct Page {
    shell: Shell,
    filter: Filter,
    lines: Vec<Line>,
    older: Option<String>,
    is_first: bool,
}

struct Line {
    position: i64,
    when: When,
    badge: Badge,
    status: i16,
    code: Option<String>,
    advice: Option<&'static str>,
    room: Option<String>,
    room_address: String,
    events: String,
    sender: String,
    sender_address: String,
    is_named: bool,
    /// Whether the name is only what the sender says.
    is_unproven: bool,
    address: Option<String>,
    user_agent: Option<String>,
    route: String,
    request_id: String,
    requests: i32,
    duration_ms: i32,
    missed: Option<String>,
}

impl Page {
    fn is_chosen(&self, verdict: Verdict) -> bool {
        self.filter.verdict == Some(verdict)
    }

    fn is_filtered(&self) -> bool {
        self.filter != Filter::default()
    }
}

impl Line {
    fn new(receipt: StoredReceipt, shell: &Shell) -> Self {
        let sender = receipt.agent.clone().or_else(|| receipt.address.clone());
        let verdict = Verdict::read(&receipt.verdict);
        Self {
            position: receipt.position,
            when: shell.ago(receipt.received_at),
            badge: Badge::of_verdict(&receipt.verdict),
            status: receipt.status,
            advice: advice(verdict, receipt.code.as_deref()),
            code: receipt.code,
            events: events(receipt.stored, receipt.duplicates, receipt.rejected),
            room_address: paging::address("deliveries", &[("room", receipt.room.as_deref())]),
            room: receipt.room,
            sender_address: paging::address("deliveries", &[("sender", sender.as_deref())]),
            sender: sender.unwrap_or_else(|| "unknown".to_owned()),
            is_unproven: receipt.agent.is_some() && verdict == Some(Verdict::Unauthorised),
            is_named: receipt.agent.is_some(),
            address: receipt.address,
            user_agent: receipt.user_agent,
            route: receipt.route,
            request_id: receipt.request_id,
            requests: receipt.requests,
            duration_ms: receipt.duration_ms,
            missed: (receipt.missed > 0).then(|| {
                plural(
                    receipt.missed,
                    "request before it got no receipt",
                    "requests before it got no receipt",
                )
            }),
        }
    }
}

fn events(stored: i32, duplicates: i32, rejected: i32) -> String {
    let parts = [(stored, "new"), (duplicates, "known"), (rejected, "refused")];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let text =
        parts.map(|(number, word)| format!("{} {word}", count(number.into()))).collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

/// What to do about a refusal.
fn advice(verdict: Option<Verdict>, code: Option<&str>) -> Option<&'static str> {
    Some(match (verdict.filter(|verdict| verdict.is_trouble())?, code) {
        (_, Some("meeting_not_found")) => {
            "No meeting has this room. It was opened elsewhere, or its room was deleted here."
        }
        (_, Some("signature_invalid")) => {
            "The sender has another secret, or something changed the body on the way."
        }
        (_, Some("timestamp_invalid")) => {
            "The sender’s clock is off, or it sends no signed time where one is needed."
        }
        (_, Some("body_too_large")) => "An event may have 256 KiB, a batch 1 MiB.",
        (_, Some("json_invalid" | "event_invalid" | "validation_failed")) => {
            "The sender says something that is no event: look at its release."
        }
        (Verdict::Limited, _) => "The sender waits as long as it was told, and sends again.",
        (Verdict::Failed, _) => "The sender sends again. The log has the reason under the request id.",
        _ => return None,
    })
}

/// Shows receipts, the newest first.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    uri: Uri,
) -> Result<Response, Trouble> {
    let parameters = Parameters::of(&uri);
    let filter = Filter {
        // Rooms are compared in lower case.
        room: parameters.text("room").map(|room| room.to_lowercase()),
        sender: parameters.text("sender"),
        verdict: parameters.text("verdict").and_then(|word| Verdict::read(&word)),
    };
    let before = parameters.number("before");
    let mut found = receipts::page(&state.db, &filter, before.unwrap_or(i64::MAX), paging::limit()).await?;
    let last = paging::cut(&mut found).map(|last| last.position.to_string());
    let older = last.map(|last| {
        paging::address(
            "deliveries",
            &[
                ("room", filter.room.as_deref()),
                ("sender", filter.sender.as_deref()),
                ("verdict", filter.verdict.map(Verdict::as_str)),
                ("before", Some(&last)),
            ],
        )
    });
    shell::page(&Page {
        lines: found.into_iter().map(|receipt| Line::new(receipt, &shell)).collect(),
        filter,
        older,
        is_first: before.is_none(),
        shell,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_by_what_became_of_them() {
        assert_eq!(events(2, 0, 1), "2 new, 1 refused");
        assert_eq!(events(0, 3, 0), "3 known");
        assert_eq!(events(0, 0, 0), "none");
    }

    #[test]
    fn there_is_advice_for_refusals_and_none_for_good_news() {
        assert!(advice(Some(Verdict::Rejected), Some("meeting_not_found")).is_some());
        assert!(advice(Some(Verdict::Limited), Some("rate_limited")).is_some());
        assert_eq!(advice(Some(Verdict::Stored), None), None);
        assert_eq!(advice(Some(Verdict::Rejected), Some("something_new")), None);
    }
}
