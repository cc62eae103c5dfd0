//! `reflector-agent drain`: waits until this host holds nothing that the API does not have.
//!
//! It asks the running agent, through the outbox's file, to try everything at once, and watches files and outbox. It stops
//! nobody: an agent that goes on is what keeps anything new from being lost.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::left::{self, Left};
use super::{NOT_RUNNING, print, say};
use crate::clock::now_ms;
use crate::config::{RUN_AS, Survey};
use crate::hint;
use crate::outbox::fact::{self, Fact};
use crate::outbox::log::DeliveryLog;

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// How often the agent is asked to try again what failed: a drain does not wait for a backoff of minutes.
const ASK: Duration = Duration::from_secs(15);

/// How long what waits for its meeting is given for one more try.
const TRY: Duration = Duration::from_secs(5);

pub(super) fn drain(survey: &Survey, timeout: Duration, json: bool) -> anyhow::Result<ExitCode> {
    let directory = &survey.outbox.directory;
    let log = DeliveryLog::open(directory)?;
    let deadline = Instant::now() + timeout;
    let (mut asked, mut said): (Option<Instant>, Option<Left>) = (None, None);
    let mut was_nothing = false;
    loop {
        let left = left::look(&log, survey)?;
        if left.is_nothing() {
            if is_worth_a_try(&left, asked, deadline) && log.summary(directory)?.running == Some(true) {
                if asked.is_none() {
                    ask(&log, directory)?;
                    asked = Some(Instant::now());
                }
            } else if was_nothing {
                return done(&left, json);
            }
            // Whatever the time: a second look decides.
            was_nothing = true;
            std::thread::sleep(LOOK);
            continue;
        }
        was_nothing = false;
        let running = log.summary(directory)?.running;
        if !json && said.as_ref() != Some(&left) {
            say(&left.in_words());
            said = Some(left.clone());
        }
        match running {
            Some(true) => {}
            Some(false) => {
                say(
                    "the agent does not run, so nothing of this is on its way: `systemctl start reflector-agent`",
                );
                return over(&left, json, NOT_RUNNING);
            }
            None => {
                say(&format!("this user may not tell whether the agent runs: {RUN_AS}"));
                return over(&left, json, 1);
            }
        }
        if Instant::now() >= deadline {
            return over(&left, json, 1);
        }
        if asked.is_none_or(|at| at.elapsed() >= ASK) {
            ask(&log, directory)?;
            asked = Some(Instant::now());
        }
        std::thread::sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
    }
}

/// Whether rooms that wait for their meetings get another try first: a meeting may have appeared since the last one.
fn is_worth_a_try(left: &Left, asked: Option<Instant>, deadline: Instant) -> bool {
    left.awaiting_meeting > 0 && Instant::now() < deadline && asked.is_none_or(|at| at.elapsed() < TRY)
}

/// Wakes everybody: delivery and uploads through the outbox's file, the sources through the hint.
fn ask(log: &DeliveryLog, directory: &Path) -> anyhow::Result<()> {
    let now = now_ms();
    log.ask(fact::DRAIN, &Fact { at: now, body: json!({ "asked_at": now }).to_string() })?;
    hint::give(directory);
    Ok(())
}

fn done(left: &Left, json: bool) -> anyhow::Result<ExitCode> {
    if left.parked > 0 {
        let parked = super::view::count(left.parked, "item is", "items are");
        say(&format!(
            "{parked} parked and will not go without you: `reflector-agent deliveries list --state parked`"
        ));
    }
    if left.awaiting_meeting > 0 {
        let waiting = super::view::count(left.awaiting_meeting, "delivery waits", "deliveries wait");
        say(&format!(
            "{waiting} for a meeting that the API does not know, and stays on this host: see `reflector-agent deliveries list --state ready`"
        ));
    }
    print(&if json { report(left) } else { "Nothing is left: this host may go.".to_owned() })?;
    Ok(ExitCode::SUCCESS)
}

fn over(left: &Left, json: bool, code: u8) -> anyhow::Result<ExitCode> {
    for unreadable in &left.unreadable {
        say(&format!("not seen: {unreadable}"));
    }
    print(&if json { report(left) } else { format!("Left: {}", left.in_words()) })?;
    Ok(ExitCode::from(code))
}

fn report(left: &Left) -> String {
    let mut value = json!(left);
    value["drained"] = left.is_nothing().into();
    value.to_string()
}
