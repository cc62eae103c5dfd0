//! The line that `systemctl status` shows.

use serde_json::Value;

use crate::clock::rfc3339;
use crate::config::{Finding, Severity};
use crate::outbox::Backlog;
use crate::outbox::fact::Fact;
use crate::outbox::log::Attempt;

/// The most findings that a line has room for.
const FINDINGS: usize = 2;

/// The most of a note that a line has room for, in characters.
const NOTE: usize = 100;

/// What waits. It changes only when something has, so times are told and not ages.
pub(super) fn backlog(backlog: &Backlog) -> String {
    let mut parts = vec![deliveries(backlog)];
    let uploads = backlog.uploads.active + backlog.uploads.waiting;
    if uploads > 0 {
        parts.push(format!("{} to upload", count(uploads, "recording", "recordings")));
    }
    let parked = backlog.parked + backlog.uploads.parked;
    if parked > 0 {
        parts.push(format!("{parked} parked: `reflector-agent deliveries list --state parked`"));
    }
    parts.join("; ")
}

/// How the heartbeats fare, as the outbox says it, where that needs a word.
pub(super) fn heartbeat(fact: &Fact) -> Option<String> {
    let said: Value = serde_json::from_str(&fact.body).ok()?;
    let since = to_the_second(fact.at);
    match (said["state"].as_str()?, said["status"].as_u64()) {
        ("refused", Some(status)) => Some(format!("the API refuses this agent ({status}) since {since}")),
        ("failed", Some(status)) => Some(format!("the API answers heartbeats with {status} since {since}")),
        ("failed", None) => Some(format!("the API has not answered since {since}")),
        _ => None,
    }
}

fn deliveries(backlog: &Backlog) -> String {
    let Backlog { ready, rooms, oldest_ready, awaiting_meeting, .. } = backlog;
    if *ready == 0 {
        return "Everything is delivered".into();
    }
    let waits = if *ready == 1 { "waits" } else { "wait" };
    let mut said = vec![format!(
        "{} of {} {waits}",
        count(*ready, "delivery", "deliveries"),
        count(*rooms, "room", "rooms")
    )];
    said.extend(oldest_ready.map(|since| format!("the oldest since {}", to_the_second(since))));
    if *awaiting_meeting > 0 {
        said.push(format!("{awaiting_meeting} for a meeting"));
    }
    let failure = backlog.last_failure.as_ref();
    let is_of_now = |failure: &&Attempt| oldest_ready.is_some_and(|since| failure.at >= since);
    // The API's words may quote what was sent: they stay in the outbox.
    said.extend(failure.filter(is_of_now).map(|failure| match failure.status {
        Some(status) => format!("the last request was answered with {status}"),
        None => "the last request got no answer".to_owned(),
    }));
    said.join(", ")
}

/// What is wrong with the configuration, as far as a line has room.
pub(super) fn misconfigured(findings: &[Finding]) -> String {
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let said: Vec<String> = errors
        .iter()
        .take(FINDINGS)
        .map(|finding| format!("{}: {}", finding.key, short(&finding.problem)))
        .collect();
    let more = errors.len().saturating_sub(FINDINGS);
    let more = if more > 0 { format!("; {more} more") } else { String::new() };
    format!("The configuration is wrong: {}{more} (`reflector-agent check` says everything)", said.join("; "))
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn to_the_second(milliseconds: i64) -> String {
    rfc3339(milliseconds.div_euclid(1000) * 1000).replace(".000Z", "Z")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(NOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::uploads::UploadTotals;

    const QUIET: Backlog = Backlog {
        ready: 0,
        rooms: 0,
        oldest_ready: None,
        awaiting_meeting: 0,
        rooms_awaiting_meeting: 0,
        parked: 0,
        uploads: UploadTotals { active: 0, waiting: 0, parked: 0, bytes_left: 0 },
        last_failure: None,
        bytes: 0,
    };

    #[test]
    fn what_waits_is_told_with_its_reason_and_what_needs_a_person_with_the_next_step() {
        let since = 1_769_853_600_123;
        let failed = |at, status| Some(Attempt { at, status, took_ms: 3, note: "who said what".into() });
        let waiting = Backlog { ready: 12, rooms: 3, oldest_ready: Some(since), ..QUIET };
        let uploads = UploadTotals { active: 1, waiting: 1, parked: 1, bytes_left: 7 };
        for (found, expected) in [
            (QUIET, "Everything is delivered"),
            (Backlog { last_failure: failed(since, None), ..QUIET }, "Everything is delivered"),
            (waiting.clone(), "12 deliveries of 3 rooms wait, the oldest since 2026-01-31T10:00:00Z"),
            (
                Backlog { last_failure: failed(since + 1, Some(503)), ..waiting.clone() },
                "12 deliveries of 3 rooms wait, the oldest since 2026-01-31T10:00:00Z, the last request was answered with 503",
            ),
            (
                Backlog { last_failure: failed(since, None), ..waiting.clone() },
                "12 deliveries of 3 rooms wait, the oldest since 2026-01-31T10:00:00Z, the last request got no answer",
            ),
            (
                Backlog { last_failure: failed(since - 1, None), ready: 1, rooms: 1, ..waiting },
                "1 delivery of 1 room waits, the oldest since 2026-01-31T10:00:00Z",
            ),
            (
                Backlog { ready: 2, rooms: 1, awaiting_meeting: 2, ..QUIET },
                "2 deliveries of 1 room wait, 2 for a meeting",
            ),
            (
                Backlog { parked: 4, uploads, ..QUIET },
                "Everything is delivered; 2 recordings to upload; 5 parked: `reflector-agent deliveries list --state parked`",
            ),
        ] {
            assert_eq!(backlog(&found), expected);
        }
    }

    #[test]
    fn an_api_that_does_not_hear_this_host_is_told_and_one_that_does_is_not() {
        for (body, expected) in [
            (r#"{"state":"taken"}"#, None),
            (r#"{"state":"not-known"}"#, None),
            ("nonsense", None),
            (
                r#"{"state":"refused","status":401}"#,
                Some("the API refuses this agent (401) since 2026-01-31T10:00:00Z"),
            ),
            (
                r#"{"state":"failed","status":503}"#,
                Some("the API answers heartbeats with 503 since 2026-01-31T10:00:00Z"),
            ),
            (
                r#"{"state":"failed","status":null}"#,
                Some("the API has not answered since 2026-01-31T10:00:00Z"),
            ),
        ] {
            let fact = Fact { at: 1_769_853_600_123, body: body.to_owned() };
            assert_eq!(heartbeat(&fact).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_wrong_configuration_is_told_as_far_as_a_line_has_room() {
        let finding =
            |severity, key: &str| Finding { severity, key: key.into(), problem: "é".repeat(NOTE + 1) };
        let findings = [
            finding(Severity::Warning, "spool.enabled"),
            finding(Severity::Error, "api.url"),
            finding(Severity::Error, "api.rooms"),
            finding(Severity::Error, "outbox.directory"),
        ];
        let said = misconfigured(&findings);
        let note = "é".repeat(NOTE);
        assert_eq!(
            said,
            format!(
                "The configuration is wrong: api.url: {note}…; api.rooms: {note}…; 1 more (`reflector-agent check` says everything)"
            )
        );
    }
}
