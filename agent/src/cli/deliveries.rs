//! `reflector-agent deliveries`: the delivery log.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::view::{attempt_json, delivery_json, event_name, or_dash, table};
use super::{print, say};
use crate::clock::rfc3339;
use crate::config::Config;
use crate::outbox::log::{Attempt, Delivery, DeliveryLog, Filter};
use crate::outbox::model::State;

/// What to do with the delivery log.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List deliveries, the newest first.
    List {
        /// Only deliveries in this state.
        #[arg(long, value_enum)]
        state: Option<StateName>,
        /// Only deliveries of this room.
        #[arg(long)]
        room: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print one JSON object a line, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show one delivery: every attempt, where it came from, and what is sent.
    Show {
        /// The event's id, as `list` prints it.
        id: String,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Send parked deliveries again.
    Retry {
        /// The events' ids.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Every parked delivery.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// The states, as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StateName {
    /// To be delivered.
    Ready,
    /// Held by the API.
    Settled,
    /// Waiting for a person.
    Parked,
}

pub(super) fn run(config: &Config, command: &Command) -> anyhow::Result<ExitCode> {
    let log = DeliveryLog::open(&config.outbox.directory)?;
    match command {
        Command::List { state, room, limit, json } => {
            let state = state.map(|state| match state {
                StateName::Ready => State::Ready,
                StateName::Settled => State::Settled,
                StateName::Parked => State::Parked,
            });
            let room = room.as_deref().map(contract::room::RoomName::parse).transpose()?.map(String::from);
            list(&log.list(&Filter { state, room, limit: *limit })?, *json)
        }
        Command::Show { id, json } => {
            if let Some((delivery, attempts)) = log.show(id)? {
                show(&delivery, &attempts, *json)
            } else {
                say(&format!(
                    "there is no delivery {id} here: settled deliveries are kept for {} days",
                    config.outbox.keep_settled_days
                ));
                Ok(ExitCode::FAILURE)
            }
        }
        Command::Retry { ids, all } => retry(&log, if *all { None } else { Some(ids) }),
    }
}

fn list(deliveries: &[Delivery], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        for delivery in deliveries {
            print(&delivery_json(delivery).to_string())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(&["QUEUED", "STATE", "EVENT", "ROOM", "ANSWER", "MS", "TRIES", "ID", "NOTE"]);
    for delivery in deliveries {
        rows.add_row([
            rfc3339(delivery.queued_at),
            delivery.state.name().to_owned(),
            event_name(delivery),
            delivery.room.clone(),
            or_dash(delivery.status),
            or_dash(delivery.took_ms),
            delivery.attempts.to_string(),
            delivery.id.clone(),
            delivery.note.clone().unwrap_or_default(),
        ]);
    }
    print(&rows.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

fn show(delivery: &Delivery, attempts: &[Attempt], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let mut value = delivery_json(delivery);
        value["failed_attempts"] = attempts.iter().map(attempt_json).collect();
        value["body"] = String::from_utf8_lossy(&delivery.body).into();
        print(&value.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let source = delivery.file.as_ref().map(|file| format!("{file}, byte {}", delivery.offset));
    let mut facts = table(&[]);
    for (name, value) in [
        ("id", delivery.id.clone()),
        ("event", event_name(delivery)),
        ("room", delivery.room.clone()),
        ("state", delivery.state.name().to_owned()),
        ("queued", rfc3339(delivery.queued_at)),
        ("done", or_dash(delivery.done_at.map(rfc3339))),
        ("next try", or_dash(delivery.due_at.filter(|_| delivery.state == State::Ready).map(rfc3339))),
        ("read from", or_dash(source)),
        ("note", or_dash(delivery.note.as_ref())),
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
            attempt.note.clone(),
        ]);
    }
    if let (Some(at), Some(status)) = (delivery.done_at, delivery.status) {
        let outcome = delivery.note.clone().unwrap_or_else(|| delivery.state.name().to_owned());
        rows.add_row([rfc3339(at), status.to_string(), or_dash(delivery.took_ms), outcome]);
    }
    print(&format!("\n{}\n\n{}", rows.trim_fmt(), String::from_utf8_lossy(&delivery.body)))?;
    Ok(ExitCode::SUCCESS)
}

fn retry(log: &DeliveryLog, ids: Option<&[String]>) -> anyhow::Result<ExitCode> {
    let count = log.retry(ids)?;
    let wanted = ids.map_or(count, <[String]>::len);
    print(&format!("{count} parked deliveries are ready again; a running agent sends them within seconds"))?;
    if count < wanted {
        say(&format!("{} of the ids are not parked, or are lines that cannot be sent", wanted - count));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
