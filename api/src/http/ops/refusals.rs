//! What is wrong with deliveries, in words with the next step.
//!
//! Anybody may send a delivery, and call themselves what they like. Who is unknown is counted, and not named here.

use time::OffsetDateTime;

use super::findings::{Finding, Level, RECENT};
use super::text::{plural, span};
use crate::db::receipts::{Standing, Trouble};
use crate::domain::receipt::Verdict;

/// What is said of a trouble: what it is, the next step, and its command.
type Words = (String, &'static str, Option<&'static str>);

/// The finding that a trouble is at `now`.
pub(super) fn of_deliveries(trouble: &Trouble, now: OffsetDateTime) -> Option<Finding> {
    let verdict = Verdict::read(&trouble.verdict)?;
    let (what, next, command) = match verdict {
        Verdict::Unauthorised => unauthorised(trouble),
        Verdict::Failed => failed(trouble),
        Verdict::Rejected => rejected(trouble),
        Verdict::Limited => limited(trouble),
        Verdict::Stored | Verdict::Duplicate | Verdict::Accepted => return None,
    };
    let age = now - trouble.latest_at;
    let is_grave = match verdict {
        Verdict::Unauthorised => trouble.standing.is_ours(),
        verdict => verdict == Verdict::Failed,
    };
    let level = if is_grave && age < RECENT { Level::Problem } else { Level::Warning };
    let what = format!("{what}, the latest {} ago", span(age));
    Some(Finding { level, what, next, command, page: "deliveries" })
}

fn unauthorised(trouble: &Trouble) -> Words {
    let (from, requests) = (from(trouble), requests(trouble));
    match trouble.standing {
        Standing::Enrolled => (
            format!("{requests} of the enrolled agent {from} carried no valid signature"),
            "Look at agent-id, the secret and the clock of that host: the secret is the one that was printed when the agent was \
             enrolled, unless SECRET_KEY here has changed since. The host keeps what was refused. Who is enrolled since when is told by",
            Some("reflector-api agents list"),
        ),
        Standing::Revoked => (
            format!("{} the agent {from}, which is revoked", claims(trouble)),
            "If it is to deliver again, enroll it and put the new secret on its host; the host keeps what was refused. If not, stop \
             the agent there, or mend its agent-id. Who is enrolled and who is revoked is told by",
            Some("reflector-api agents list"),
        ),
        Standing::Unknown => (
            format!("{} from {from} {} agents that are not enrolled", requests, claim(trouble)),
            "If a host of yours is among them, its agent-id is misspelt or was never enrolled; if not, somebody is trying. Nothing of \
             it was taken. The list of deliveries has the names, and who is enrolled is told by",
            Some("reflector-api agents list"),
        ),
        Standing::Sharing => (
            format!("{requests} of the agent at {from} carried no valid signature"),
            "Compare JITSI_WEBHOOK_SECRET here with the secret of that host, and its clock; with JITSI_REQUIRE_AGENT=true it needs an \
             agent-id and a secret of its own. The host keeps what was refused",
            None,
        ),
        Standing::Whereby => (
            format!("{requests} from {from} to Whereby’s address carried no valid signature"),
            "Compare WHEREBY_WEBHOOK_SECRET here with the secret of the webhook in Whereby’s dashboard. Whereby gives up what is refused",
            None,
        ),
        Standing::Stranger => (
            format!("{requests} from {from} carried no valid signature"),
            "It was none of our agents. Unless it was you with curl or a script, somebody is trying; nothing of it was taken",
            None,
        ),
    }
}

fn failed(trouble: &Trouble) -> Words {
    (
        format!("{} from {} could not be stored", requests(trouble), from(trouble)),
        "The database was away, or this service failed; its log says which. The host sends them again",
        None,
    )
}

fn rejected(trouble: &Trouble) -> Words {
    let reason = trouble.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    let (next, command) = match trouble.code.as_deref() {
        Some("meeting_not_found") => (
            "The list of deliveries names the rooms. No meeting has them: they were opened elsewhere, or deleted here",
            None,
        ),
        Some("event_invalid" | "json_invalid" | "validation_failed") => (
            "The answer said which member is wrong, and an agent keeps it beside what it parked. On the host",
            Some("reflector-agent deliveries list --state parked; reflector-agent deliveries show ID"),
        ),
        _ => ("The list of deliveries shows which, and what to do", None),
    };
    (format!("{} from {} got a refusal{reason}", requests(trouble), from(trouble)), next, command)
}

fn limited(trouble: &Trouble) -> Words {
    let (from, requests) = (from(trouble), requests(trouble));
    if trouble.standing == Standing::Whereby {
        return (
            format!("{requests} from {from} to Whereby’s address came faster than the limit"),
            "Whereby sends each of them three times at most. Raise REFLECTOR_API_DELIVERIES_PER_SECOND",
            None,
        );
    }
    (
        format!("{requests} from {from} came faster than the limit"),
        "The host waits and sends them again. If this goes on, raise the limit",
        None,
    )
}

fn requests(trouble: &Trouble) -> String {
    plural(trouble.requests, "delivery", "deliveries")
}

fn claim(trouble: &Trouble) -> &'static str {
    if trouble.requests == 1 { "claims" } else { "claim" }
}

fn claims(trouble: &Trouble) -> String {
    format!("{} {}", requests(trouble), claim(trouble))
}

/// The sender, or how many addresses there were.
fn from(trouble: &Trouble) -> String {
    match &trouble.sender {
        Some(sender) => sender.clone(),
        None if trouble.addresses > 1 => plural(trouble.addresses, "address", "addresses"),
        None => "an unknown address".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-31 10:30 UTC);

    fn trouble(verdict: Verdict, standing: Standing) -> Trouble {
        Trouble {
            verdict: verdict.as_str().to_owned(),
            standing,
            sender: None,
            addresses: 1,
            code: None,
            requests: 1,
            latest_at: NOW,
        }
    }

    #[test]
    fn whereby_is_not_said_to_come_again_for_ever() {
        for (standing, expected) in [
            (Standing::Whereby, "Whereby sends each of them three times"),
            (Standing::Stranger, "The host waits"),
        ] {
            let next = of_deliveries(&trouble(Verdict::Limited, standing), NOW).unwrap().next;
            assert!(next.starts_with(expected), "{next}");
        }
    }

    #[test]
    fn a_bad_signature_is_a_problem_when_somebody_s_deliveries_are_lost_by_it_now() {
        for (standing, minutes, verdict, expected) in [
            (Standing::Sharing, 1, Verdict::Unauthorised, Level::Problem),
            (Standing::Sharing, 5, Verdict::Unauthorised, Level::Warning),
            (Standing::Enrolled, 1, Verdict::Unauthorised, Level::Problem),
            (Standing::Revoked, 1, Verdict::Unauthorised, Level::Problem),
            (Standing::Whereby, 1, Verdict::Unauthorised, Level::Problem),
            (Standing::Unknown, 1, Verdict::Unauthorised, Level::Warning),
            (Standing::Stranger, 1, Verdict::Unauthorised, Level::Warning),
            (Standing::Stranger, 1, Verdict::Failed, Level::Problem),
            (Standing::Sharing, 6, Verdict::Failed, Level::Warning),
            (Standing::Sharing, 1, Verdict::Rejected, Level::Warning),
        ] {
            let trouble =
                Trouble { latest_at: NOW - Duration::minutes(minutes), ..trouble(verdict, standing) };
            let level = of_deliveries(&trouble, NOW).unwrap().level;
            assert_eq!(level, expected, "{standing:?} {minutes} {verdict:?}");
        }
    }

    #[test]
    fn the_secret_that_hosts_share_is_spoken_of_to_those_that_share_it() {
        for (standing, expected) in [
            (Standing::Sharing, true),
            (Standing::Enrolled, false),
            (Standing::Revoked, false),
            (Standing::Unknown, false),
            (Standing::Stranger, false),
        ] {
            let finding = of_deliveries(&trouble(Verdict::Unauthorised, standing), NOW).unwrap();
            assert_eq!(finding.next.contains("JITSI_WEBHOOK_SECRET"), expected, "{standing:?}");
        }
    }
}
