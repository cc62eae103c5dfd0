//! `/ops/overview`: what is wrong, and what is going on.

use askama::Template;
use axum::extract;
use axum::response::Response;
use time::Duration;

use super::findings::{Finding, Situation};
use super::meetings::Line;
use super::shell::{self, Shell, Trouble};
use super::text::{When, count, plural};
use crate::db::{ops, ops_recordings, ops_webhooks, receipts};
use crate::http::State;
use crate::jobs;

/// How many meetings are shown that are on.
const MEETINGS: i64 = 8;

#[derive(Template)]
#[template(path = "ops/overview.html")]
struct Page {
    shell: Shell,
    findings: Vec<Finding>,
    agents: Agents,
    /// Deliveries of the last hour, and new events.
    requests: String,
    events: String,
    latest: Option<When>,
    webhooks: ops_webhooks::Tally,
    meetings_on: String,
    meetings: Vec<Line>,
}

/// How many agents there are, and how many of them are heard of.
struct Agents {
    all: usize,
    reporting: usize,
}

impl Page {
    fn headline(&self) -> String {
        match self.findings.len() {
            0 => "Nothing needs you".to_owned(),
            number => format!("{} a look", some(number, "thing needs", "things need")),
        }
    }

    fn reporting(&self) -> String {
        some(self.agents.reporting, "agent reports", "agents report")
    }
}

fn some(number: usize, one: &str, many: &str) -> String {
    plural(number.try_into().unwrap_or(i64::MAX), one, many)
}

/// Shows what is wrong and what is going on.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
) -> Result<Response, Trouble> {
    let an_hour_ago = shell.now - Duration::hours(1);
    let jobs: Vec<_> = jobs::list(&state).into_iter().map(|job| job.name).collect();
    let situation = Situation {
        agents: ops::agents(&state.db).await?,
        trouble: receipts::trouble(&state.db, an_hour_ago).await?,
        recordings: ops_recordings::tally(&state.db, shell.now).await?,
        webhooks: ops_webhooks::tally(&state.db).await?,
        failed_jobs: ops::failed_jobs(&state.db, &jobs).await?,
    };
    let traffic = ops::traffic(&state.db, an_hour_ago).await?;
    let on = ops::meetings_on(&state.db, MEETINGS).await?;
    let is_reporting = |agent: &&ops::Agent| shell.now - agent.last_seen_at < Duration::minutes(2);
    shell::page(&Page {
        findings: situation.findings(shell.now),
        agents: Agents {
            all: situation.agents.len(),
            reporting: situation.agents.iter().filter(is_reporting).count(),
        },
        latest: traffic.latest_at.map(|at| shell.ago(at)),
        requests: count(traffic.requests),
        events: count(traffic.stored),
        meetings_on: count(traffic.meetings),
        webhooks: situation.webhooks,
        meetings: Line::of(&state.db, on, &shell).await?,
        shell,
    })
}
