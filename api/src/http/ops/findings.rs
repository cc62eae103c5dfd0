//! What is wrong, in words with the next step: decided from what is known, worst first.

use time::{Duration, OffsetDateTime};

use super::refusals::of_deliveries;
use super::text::{plural, size, span};
use crate::db::ops::{Agent, FailedJob};
use crate::db::ops_recordings;
use crate::db::ops_webhooks;
use crate::db::receipts::Trouble;

/// Agents report themselves every 30 seconds; after so long something is wrong.
const SILENT_AFTER: Duration = Duration::minutes(2);
/// How long an event may wait on its host.
const LATE_AFTER: Duration = Duration::minutes(5);
/// How far a clock may be off. From five minutes on, deliveries are refused.
const CLOCK_TOLERANCE: Duration = Duration::minutes(1);
/// What has not happened again for so long is over.
pub(super) const RECENT: Duration = Duration::minutes(5);
/// How long a webhook may wait for its receiver.
const WEBHOOK_PATIENCE: Duration = Duration::minutes(15);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Something does not arrive, or is about to be lost.
    Problem,
    /// Something will go wrong, or has gone wrong once.
    Warning,
}

/// Something that somebody should know, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) what: String,
    pub(super) next: &'static str,
    /// A command that is the next step, or a part of it.
    pub(super) command: Option<&'static str>,
    /// The page that shows more.
    pub(super) page: &'static str,
}

impl Finding {
    /// The level as a word.
    pub(super) fn label(&self) -> &'static str {
        match self.level {
            Level::Problem => "Problem",
            Level::Warning => "Warning",
        }
    }

    /// The level as a class of the style sheet.
    pub(super) fn class(&self) -> &'static str {
        match self.level {
            Level::Problem => "problem",
            Level::Warning => "warning",
        }
    }
}

/// What is known of the whole service.
#[derive(Debug, Default)]
pub(super) struct Situation {
    pub(super) agents: Vec<Agent>,
    pub(super) trouble: Vec<Trouble>,
    pub(super) recordings: ops_recordings::Tally,
    pub(super) webhooks: ops_webhooks::Tally,
    pub(super) failed_jobs: Vec<FailedJob>,
}

impl Situation {
    /// What is wrong at `now`, worst first.
    pub(super) fn findings(&self, now: OffsetDateTime) -> Vec<Finding> {
        let mut findings: Vec<_> = self.agents.iter().flat_map(|agent| of_agent(agent, now)).collect();
        findings.extend(self.trouble.iter().filter_map(|trouble| of_deliveries(trouble, now)));
        findings.extend(of_recordings(self.recordings));
        findings.extend(of_webhooks(self.webhooks, now));
        findings.extend(self.failed_jobs.iter().map(|job| of_job(job, now)));
        findings.sort_by_key(|finding| finding.level);
        findings
    }
}

/// What is wrong with an agent at `now`.
pub(super) fn of_agent(agent: &Agent, now: OffsetDateTime) -> Vec<Finding> {
    let host = &agent.heartbeat.host;
    let silence = now - agent.last_seen_at;
    if silence > SILENT_AFTER {
        return vec![Finding {
            level: Level::Problem,
            what: format!("{host} has not been heard of for {}", span(silence)),
            next: "The host keeps everything and sends it when it is back. Look on the host whether the agent runs and reaches this server",
            command: Some("systemctl status reflector-agent; reflector-agent doctor"),
            page: "agents",
        }];
    }
    [backlog(agent, now), parked(agent), disk(agent), clock(agent), jibri(agent)]
        .into_iter()
        .flatten()
        .collect()
}

fn backlog(agent: &Agent, now: OffsetDateTime) -> Option<Finding> {
    let (host, backlog) = (&agent.heartbeat.host, &agent.heartbeat.backlog);
    let age = now - backlog.oldest_at?;
    let items = plural(backlog.events.try_into().unwrap_or(i64::MAX), "item waits", "items wait");
    (age > LATE_AFTER).then(|| Finding {
        level: Level::Problem,
        what: format!("{items} on {host} to be delivered, the oldest for {}", span(age)),
        next: "The agent’s log of deliveries says what each attempt was answered",
        command: Some("reflector-agent status; reflector-agent deliveries list"),
        page: "agents",
    })
}

fn parked(agent: &Agent) -> Option<Finding> {
    let heartbeat = &agent.heartbeat;
    let items = plural(heartbeat.parked.try_into().unwrap_or(i64::MAX), "item is", "items are");
    (heartbeat.parked > 0).then(|| Finding {
        level: Level::Warning,
        what: format!("{items} parked on {}: this server refused them for good", heartbeat.host),
        next: "See why on the host; when the reason is gone, send them again with reflector-agent deliveries retry",
        command: Some("reflector-agent deliveries list --state parked"),
        page: "agents",
    })
}

fn disk(agent: &Agent) -> Option<Finding> {
    let fullest = agent
        .heartbeat
        .disk
        .iter()
        .filter(|disk| disk.total_bytes > 0)
        .min_by_key(|disk| u128::from(disk.free_bytes) * 10_000 / u128::from(disk.total_bytes))?;
    let percent = u128::from(fullest.free_bytes) * 100 / u128::from(fullest.total_bytes);
    (percent < 10).then(|| Finding {
        level: if percent < 3 { Level::Problem } else { Level::Warning },
        what: format!(
            "{} has {} left on the disk of {} ({percent} %)",
            agent.heartbeat.host,
            size(fullest.free_bytes),
            fullest.path
        ),
        next: "A full disk stops recordings. Make room, or have the agent remove uploaded recordings ([retention] in agent.toml)",
        command: None,
        page: "agents",
    })
}

/// How far the agent's clock is ahead of ours, as far as the last heartbeat tells.
pub(super) fn clock_offset(agent: &Agent) -> Duration {
    agent.heartbeat.sent_at - agent.last_seen_at
}

fn clock(agent: &Agent) -> Option<Finding> {
    let offset = clock_offset(agent);
    let direction = if offset.is_positive() { "ahead" } else { "behind" };
    (offset.abs() > CLOCK_TOLERANCE).then(|| Finding {
        level: Level::Warning,
        what: format!("The clock of {} is {} {direction}", agent.heartbeat.host, span(offset.abs())),
        next: "From five minutes on its deliveries are refused. Turn on time synchronisation on the host",
        command: Some("timedatectl"),
        page: "agents",
    })
}

fn jibri(agent: &Agent) -> Option<Finding> {
    let is_ill = agent.heartbeat.jibri.is_some_and(|jibri| !jibri.healthy);
    is_ill.then(|| Finding {
        level: Level::Problem,
        what: format!("Jibri on {} says that it is not healthy", agent.heartbeat.host),
        next: "It records nothing until it is restarted",
        command: Some("systemctl restart jibri"),
        page: "agents",
    })
}

fn of_recordings(tally: ops_recordings::Tally) -> Vec<Finding> {
    let finding = |level, what, next| Finding { level, what, next, command: None, page: "recordings" };
    let mut findings = Vec::new();
    if tally.missing > 0 {
        let what = plural(tally.missing, "recording is", "recordings are");
        findings.push(finding(
            Level::Problem,
            format!("{what} not in the storage, where it should be"),
            "Somebody removed the object, or it was never written. Look for the file on the host that made it",
        ));
    }
    if tally.overdue > 0 {
        let what = plural(tally.overdue, "recording was", "recordings were");
        findings.push(finding(
            Level::Warning,
            format!("{what} announced more than an hour ago and never seen in the storage"),
            "Look whether the storage’s notifications arrive (SQS), and whether the upload on the host goes on",
        ));
    }
    findings
}

fn of_webhooks(tally: ops_webhooks::Tally, now: OffsetDateTime) -> Vec<Finding> {
    let finding = |level, what, next| Finding { level, what, next, command: None, page: "webhooks" };
    let mut findings = Vec::new();
    if tally.parked > 0 {
        let what = plural(tally.parked, "webhook is", "webhooks are");
        findings.push(finding(
            Level::Problem,
            format!("{what} parked: nobody tries to deliver them any more"),
            "See what the receiver answered, mend it, and press Retry",
        ));
    }
    if let Some(waited) = tally.waiting_since.map(|since| now - since).filter(|age| *age > WEBHOOK_PATIENCE) {
        let what = plural(tally.waiting, "webhook waits", "webhooks wait");
        findings.push(finding(
            Level::Warning,
            format!("{what} for the receiver, the oldest for {}", span(waited)),
            "They are tried again by themselves, for days. Look whether the receiver is up",
        ));
    }
    findings
}

fn of_job(job: &FailedJob, now: OffsetDateTime) -> Finding {
    let outcome =
        job.last_outcome.as_deref().filter(|outcome| !outcome.is_empty()).unwrap_or("its process ended");
    let when = job.last_ended_at.map(|at| format!(" {} ago", span(now - at))).unwrap_or_default();
    Finding {
        level: Level::Warning,
        what: format!("The periodic work {} failed{when}: {outcome}", job.name),
        next: "It is tried again by itself. If this stays, the log of reflector-api says more",
        command: None,
        page: "overview",
    }
}

#[cfg(test)]
mod tests {
    use contract::heartbeat::{Backlog, Disk, Heartbeat, Jibri, Uploads};
    use time::macros::datetime;

    use super::*;
    use crate::db::receipts::Standing;
    use crate::domain::receipt::Verdict;

    const NOW: OffsetDateTime = datetime!(2026-01-31 10:30 UTC);

    fn agent(change: impl FnOnce(&mut Agent)) -> Agent {
        let heartbeat = Heartbeat {
            version: "0.1.0".to_owned(),
            host: "jitsi-1".to_owned(),
            host_id: "a1".to_owned(),
            started_at: NOW,
            roles: Vec::new(),
            backlog: Backlog::default(),
            parked: 0,
            delivered_total: 0,
            uploads: Uploads::default(),
            disk: vec![Disk { path: "/var".to_owned(), free_bytes: 50, total_bytes: 100 }],
            jibri: Some(Jibri { busy: false, healthy: true }),
            sent_at: NOW,
        };
        let mut agent = Agent { first_seen_at: NOW, last_seen_at: NOW, heartbeat };
        change(&mut agent);
        agent
    }

    fn found(agent: &Agent) -> Vec<(Level, String)> {
        of_agent(agent, NOW).into_iter().map(|finding| (finding.level, finding.what)).collect()
    }

    #[test]
    fn a_host_in_order_is_not_spoken_of() {
        assert_eq!(found(&agent(|_| {})), []);
        let quiet = agent(|agent| {
            agent.last_seen_at = NOW - SILENT_AFTER;
            agent.heartbeat.sent_at = agent.last_seen_at;
        });
        assert_eq!(found(&quiet), []);
    }

    #[test]
    fn each_thing_that_can_be_wrong_with_a_host_is_told_with_its_number() {
        let disk = |free_bytes| vec![Disk { path: "/var".to_owned(), free_bytes, total_bytes: 100 }];
        for (agent, level, expected) in [
            (
                agent(|a| a.heartbeat.parked = 2),
                Level::Warning,
                "2 items are parked on jitsi-1: this server refused them for good",
            ),
            (
                agent(|a| {
                    a.heartbeat.backlog =
                        Backlog { events: 1, oldest_at: Some(NOW - Duration::hours(2)), ..Backlog::default() }
                }),
                Level::Problem,
                "1 item waits on jitsi-1 to be delivered, the oldest for 2 h 00 min",
            ),
            (
                agent(|a| a.heartbeat.disk = disk(9)),
                Level::Warning,
                "jitsi-1 has 9 B left on the disk of /var (9 %)",
            ),
            (
                agent(|a| a.heartbeat.disk = disk(2)),
                Level::Problem,
                "jitsi-1 has 2 B left on the disk of /var (2 %)",
            ),
            (
                agent(|a| a.heartbeat.sent_at = NOW + Duration::minutes(3)),
                Level::Warning,
                "The clock of jitsi-1 is 3 min ahead",
            ),
            (
                agent(|a| a.heartbeat.sent_at = NOW - Duration::minutes(3)),
                Level::Warning,
                "The clock of jitsi-1 is 3 min behind",
            ),
            (
                agent(|a| a.heartbeat.jibri = Some(Jibri { busy: false, healthy: false })),
                Level::Problem,
                "Jibri on jitsi-1 says that it is not healthy",
            ),
        ] {
            assert_eq!(found(&agent), [(level, expected.to_owned())]);
        }
    }

    #[test]
    fn of_a_silent_host_only_its_silence_is_told() {
        let silent = agent(|agent| {
            agent.last_seen_at = NOW - Duration::minutes(12);
            agent.heartbeat.parked = 3;
        });
        assert_eq!(found(&silent), [(Level::Problem, "jitsi-1 has not been heard of for 12 min".to_owned())]);
    }

    #[test]
    fn problems_stand_before_warnings_and_good_deliveries_are_no_finding() {
        let trouble = |verdict: Verdict| Trouble {
            verdict: verdict.as_str().to_owned(),
            sender: Some("192.0.2.7".to_owned()),
            code: Some("meeting_not_found".to_owned()),
            requests: 2,
            latest_at: NOW - Duration::minutes(1),
            standing: Standing::Sharing,
            addresses: 1,
        };
        let situation = Situation {
            agents: vec![agent(|agent| agent.heartbeat.parked = 1)],
            trouble: Verdict::ALL.into_iter().map(trouble).collect(),
            recordings: ops_recordings::Tally { missing: 1, overdue: 2 },
            failed_jobs: vec![FailedJob {
                name: "uploads.clean_up".to_owned(),
                last_outcome: Some("no answer".to_owned()),
                last_ended_at: Some(NOW - Duration::minutes(3)),
            }],
            webhooks: ops_webhooks::Tally {
                parked: 1,
                waiting: 1,
                waiting_since: Some(NOW - Duration::hours(1)),
            },
        };
        let findings = situation.findings(NOW);
        assert!(findings.is_sorted_by_key(|finding| finding.level));
        let pages = |page| findings.iter().filter(|finding| finding.page == page).count();
        assert_eq!(
            (pages("agents"), pages("deliveries"), pages("recordings"), pages("webhooks")),
            (1, 4, 2, 2)
        );
        let job = "The periodic work uploads.clean_up failed 3 min ago: no answer";
        assert!(findings.iter().any(|finding| finding.what == job), "{findings:#?}");
        let refused = "2 deliveries from 192.0.2.7 got a refusal (meeting_not_found), the latest 1 min ago";
        assert!(findings.iter().any(|finding| finding.what == refused), "{findings:#?}");
    }
}
