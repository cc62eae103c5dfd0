//! `reflector-agent deliveries`: the delivery log.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};

use super::view::{
    attempt_json, count, delivery_json, event_name, or_dash, printable, printable_bytes, table,
};
use super::{print, say};
use crate::clock::rfc3339;
use crate::config::Outbox;
use crate::outbox::log::{Attempt, Delivery, DeliveryLog, Filter};
use crate::outbox::model::State;

/// How many deliveries are read at once: a body may be a quarter of a mebibyte, and a reader that prints must not hold
/// a snapshot, because the outbox's log grows as long as somebody does.
const PAGE: u32 = 100;

/// What to do with the delivery log.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List deliveries, the newest first.
    List {
        /// Only deliveries in this state.
        #[arg(long, value_enum)]
        state: Option<StateName>,
        /// Only deliveries of this room, in any of Jitsi's spellings.
        #[arg(long)]
        room: Option<String>,
        /// At most this many, the newest.
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: u32,
        /// Print one JSON object a line, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show one delivery: where it came from, every attempt and its answer, and what is sent.
    Show {
        /// The delivery's id, as `list` prints it.
        id: String,
        /// Print one JSON object, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Send parked deliveries again, once what parked them is put right.
    Retry {
        /// The deliveries' ids, as `list` prints them.
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<String>,
        /// Every parked delivery.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// The states, as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StateName {
    /// Waits to be delivered.
    Ready,
    /// The API has it.
    Settled,
    /// Refused, or not an event: waits for a person.
    Parked,
}

pub(super) fn run(outbox: &Outbox, command: &Command) -> anyhow::Result<ExitCode> {
    let mut log = DeliveryLog::open(&outbox.directory)?;
    match command {
        Command::List { state, room, limit, json } => {
            let room = room.as_deref().map(contract::room::RoomName::parse).transpose().context("--room")?;
            let filter =
                Filter { state: state.map(state_of), room: room.map(String::from), ..Filter::default() };
            list(&log, filter, *limit, *json)
        }
        Command::Show { id, json } => {
            if let Some((delivery, attempts)) = log.show(id)? {
                show(&delivery, &attempts, *json)
            } else {
                say(&format!(
                    "there is no delivery {id} here: settled deliveries are kept for {}",
                    count(outbox.keep_settled_days, "day", "days")
                ));
                Ok(ExitCode::FAILURE)
            }
        }
        Command::Retry { ids, all } => retry(&mut log, if *all { None } else { Some(ids) }),
    }
}

fn state_of(name: StateName) -> State {
    match name {
        StateName::Ready => State::Ready,
        StateName::Settled => State::Settled,
        StateName::Parked => State::Parked,
    }
}

fn list(log: &DeliveryLog, filter: Filter, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let mut rows = table(&["QUEUED", "STATE", "EVENT", "ROOM", "ANSWER", "MS", "TRIES", "ID", "NOTE"]);
    for_each(log, filter, limit, |delivery| {
        if json {
            return print(&delivery_json(delivery).to_string());
        }
        rows.add_row([
            rfc3339(delivery.queued_at),
            delivery.state.name().to_owned(),
            printable(&event_name(delivery)),
            printable(&delivery.room),
            or_dash(delivery.status),
            or_dash(delivery.took_ms),
            delivery.attempts.to_string(),
            delivery.id.clone(),
            delivery.note.as_deref().map(printable).unwrap_or_default(),
        ]);
        Ok(())
    })?;
    match (json, rows.is_empty()) {
        (true, _) => {}
        (false, true) => say("no delivery matches"),
        (false, false) => print(&rows.trim_fmt())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest `limit` deliveries that match, page by page.
fn for_each(
    log: &DeliveryLog,
    mut filter: Filter,
    limit: u32,
    mut each: impl FnMut(&Delivery) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut left = limit;
    while left > 0 {
        filter.limit = left.min(PAGE);
        let page = log.list(&filter)?;
        for delivery in &page {
            each(delivery)?;
        }
        filter.before = page.last().map(|delivery| delivery.seq);
        left = if filter.before.is_some() { left - filter.limit } else { 0 };
    }
    Ok(())
}

fn show(delivery: &Delivery, attempts: &[Attempt], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let mut value = delivery_json(delivery);
        value["failed_attempts"] = attempts.iter().map(attempt_json).collect();
        value["body"] = String::from_utf8_lossy(&delivery.body).into();
        print(&value.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let source = delivery.file.as_ref().map(|file| format!("{}, byte {}", printable(file), delivery.offset));
    let mut facts = table(&[]);
    for (name, value) in [
        ("id", delivery.id.clone()),
        ("event", printable(&event_name(delivery))),
        ("room", printable(&delivery.room)),
        ("state", delivery.state.name().to_owned()),
        ("queued", rfc3339(delivery.queued_at)),
        ("done", or_dash(delivery.done_at.map(rfc3339))),
        ("next try", or_dash(delivery.due_at.filter(|_| delivery.state == State::Ready).map(rfc3339))),
        ("read from", or_dash(source)),
        ("note", or_dash(delivery.note.as_deref().map(printable))),
    ] {
        facts.add_row([name.to_owned(), value]);
    }
    print(&facts.trim_fmt())?;
    let mut rows = table(&["ATTEMPT", "ANSWER", "MS", "WHAT CAME BACK"]);
    for attempt in attempts {
        rows.add_row([
            rfc3339(attempt.at),
            or_dash(attempt.status),
            attempt.took_ms.to_string(),
            printable(&attempt.note),
        ]);
    }
    if let (Some(at), Some(status)) = (delivery.done_at, delivery.status) {
        let outcome = delivery.note.as_deref().map_or_else(|| delivery.state.name().to_owned(), printable);
        rows.add_row([rfc3339(at), status.to_string(), or_dash(delivery.took_ms), outcome]);
    }
    print(&format!("\n{}\n\n{}", rows.trim_fmt(), printable_bytes(&delivery.body)))?;
    Ok(ExitCode::SUCCESS)
}

fn has_parked(log: &DeliveryLog) -> anyhow::Result<bool> {
    let filter = Filter { state: Some(State::Parked), limit: 1, ..Filter::default() };
    Ok(!log.list(&filter)?.is_empty())
}

fn retry(log: &mut DeliveryLog, ids: Option<&[String]>) -> anyhow::Result<ExitCode> {
    let ready = log.retry(ids)?;
    match ready {
        0 if ids.is_some() => {}
        0 if has_parked(log)? => {
            say(
                "what is parked are lines that are no events: there is nothing to send (`deliveries list --state parked`)",
            );
            return Ok(ExitCode::FAILURE);
        }
        0 => say("no delivery is parked"),
        1 => print("1 parked delivery is ready again; a running agent sends it within seconds")?,
        _ => print(&format!(
            "{ready} parked deliveries are ready again; a running agent sends them within seconds"
        ))?,
    }
    let asked = ids.map_or(ready, |ids| ids.iter().collect::<BTreeSet<_>>().len());
    if ready < asked {
        say(&format!(
            "{} of {asked} not parked here, or an unreadable line, which cannot be sent: `deliveries show ID` says which",
            asked - ready
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
