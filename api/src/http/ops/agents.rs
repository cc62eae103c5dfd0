//! `/ops/agents`: the hosts, and how each of them is.

use askama::Template;
use axum::extract;
use axum::response::Response;
use contract::heartbeat::Role;
use time::Duration;

use super::badge::Badge;
use super::findings::{self, Finding, Level};
use super::shell::{self, Shell, Trouble};
use super::text::{When, count, size, span};
use crate::db::ops::{self, Agent};
use crate::http::State;

#[derive(Template)]
#[template(path = "ops/agents.html")]
struct Page {
    shell: Shell,
    agents: Vec<Line>,
}

struct Line {
    id: String,
    host: String,
    version: String,
    roles: String,
    badge: Badge,
    findings: Vec<Finding>,
    last_seen: When,
    running: String,
    waiting: u64,
    oldest: Option<When>,
    parked: u64,
    delivered: String,
    uploads: String,
    clock: String,
    disks: Vec<DiskLine>,
    jibri: Option<&'static str>,
}

struct DiskLine {
    path: String,
    free: String,
    /// How much is taken, in hundredths.
    taken: u64,
    is_low: bool,
}

impl Line {
    fn new(agent: Agent, shell: &Shell) -> Self {
        let findings = findings::of_agent(&agent, shell.now);
        let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
        let clock = clock(findings::clock_offset(&agent));
        let heartbeat = agent.heartbeat;
        Self {
            badge: Badge::of_agent(problems, findings.len() - problems),
            findings,
            last_seen: shell.ago(agent.last_seen_at),
            running: span(shell.now - heartbeat.started_at),
            waiting: heartbeat.backlog.events,
            oldest: heartbeat.backlog.oldest_at.map(|at| shell.ago(at)),
            parked: heartbeat.parked,
            delivered: count(heartbeat.delivered_total.try_into().unwrap_or(i64::MAX)),
            uploads: uploads(&heartbeat.uploads),
            clock,
            disks: heartbeat.disk.iter().map(DiskLine::new).collect(),
            jibri: heartbeat.jibri.map(|jibri| match (jibri.healthy, jibri.busy) {
                (false, _) => "not healthy",
                (true, true) => "records",
                (true, false) => "idle",
            }),
            roles: heartbeat.roles.iter().map(|role| role_name(*role)).collect::<Vec<_>>().join(", "),
            id: heartbeat.host_id,
            host: heartbeat.host,
            version: heartbeat.version,
        }
    }
}

impl DiskLine {
    fn new(disk: &contract::heartbeat::Disk) -> Self {
        let taken = disk.total_bytes.saturating_sub(disk.free_bytes);
        let share = u128::from(taken) * 100 / u128::from(disk.total_bytes.max(1));
        Self {
            path: disk.path.clone(),
            free: format!("{} of {} free", size(disk.free_bytes), size(disk.total_bytes)),
            taken: u64::try_from(share).unwrap_or(100).min(100),
            is_low: share > 90,
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Prosody => "Prosody",
        Role::Jibri => "Jibri",
        Role::Other => "something newer",
    }
}

fn uploads(uploads: &contract::heartbeat::Uploads) -> String {
    match uploads.active + uploads.waiting {
        0 => "none".to_owned(),
        _ => format!(
            "{} sent now, {} wait, {} left",
            uploads.active,
            uploads.waiting,
            size(uploads.bytes_left)
        ),
    }
}

/// How far a clock is off. A heartbeat's way takes some time, too, so that less than two seconds say nothing.
fn clock(offset: Duration) -> String {
    match offset.whole_seconds() {
        -1..=1 => "right".to_owned(),
        2.. => format!("{} ahead", span(offset)),
        _ => format!("{} behind", span(-offset)),
    }
}

/// Shows the hosts.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
) -> Result<Response, Trouble> {
    let agents = ops::agents(&state.db).await?;
    shell::page(&Page { agents: agents.into_iter().map(|agent| Line::new(agent, &shell)).collect(), shell })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_right_within_the_way_of_a_heartbeat_is_right() {
        for (milliseconds, expected) in
            [(0, "right"), (-1900, "right"), (1900, "right"), (2000, "2 s ahead"), (-90_000, "1 min behind")]
        {
            assert_eq!(clock(Duration::milliseconds(milliseconds)), expected, "{milliseconds}");
        }
    }
}
