//! `reflector-agent deliveries`: the delivery log.

mod export;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use contract::recording::RecordingStatus;

use super::moment::{Moment, moment};
use super::view::{
    attempt_json, count, delivery_json, event_name, or_dash, printable, printable_bytes, table,
};
use super::{print, say};
use crate::clock::{now_ms, rfc3339};
use crate::config::Outbox;
use crate::outbox::OutboxError;
use crate::outbox::log::{Attempt, Choice, Delivery, DeliveryLog, Filter};
use crate::outbox::model::{Kind, Seq, State};

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
        #[command(flatten)]
        selection: Selection,
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
    /// Send parked deliveries again, once what parked them is put right: by id, by filter, or all of them.
    ///
    /// An upload that was given up, or kept because the API had no storage, is begun again when its id is named.
    Retry {
        /// The deliveries' ids, as `list` prints them.
        #[arg(value_name = "ID", required_unless_present_any = BY_FILTER, conflicts_with_all = BY_FILTER)]
        ids: Vec<String>,
        /// Every parked delivery.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        selection: Selection,
    },
    /// Give parked deliveries up for good, by id or by filter: they will never be sent. The log keeps them, with your
    /// name and reason, as long as it keeps delivered ones.
    ///
    /// This is for lines that are no events (`--kind unreadable`), whose spool file is kept for as long as they are
    /// parked, and for events that nobody needs any more.
    Discard {
        /// The deliveries' ids, as `list` prints them.
        #[arg(value_name = "ID", required_unless_present_any = FILTERS, conflicts_with_all = FILTERS)]
        ids: Vec<String>,
        /// Why; it is kept in the log.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        selection: Selection,
    },
    /// Write the delivery log to standard output, the oldest first: for spreadsheets and other programs.
    Export {
        /// How to write it.
        #[arg(long, value_enum, default_value_t = export::Format::Jsonl)]
        format: export::Format,
        /// Only deliveries in this state.
        #[arg(long, value_enum)]
        state: Option<StateName>,
        #[command(flatten)]
        selection: Selection,
        /// Also write what was or will be sent. It holds people's names and addresses.
        #[arg(long)]
        bodies: bool,
    },
}

/// The arguments of a [`Selection`].
const FILTERS: [&str; 5] = ["room", "kind", "since", "until", "status"];

/// The same, and all.
const BY_FILTER: [&str; 6] = ["all", "room", "kind", "since", "until", "status"];

/// Which deliveries are meant; all that is given must hold.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Only deliveries of this room, in any of Jitsi's spellings.
    #[arg(long)]
    room: Option<String>,
    /// Only deliveries of this kind.
    #[arg(long, value_enum)]
    kind: Option<KindName>,
    /// Only what was queued then or later: a time in UTC (2026-01-31T10:00:00Z, 2026-01-31), or how long ago (30min, 2h, 3d).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only what was queued before then.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Only what got an answer with this HTTP status, now or earlier.
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(100..=599))]
    status: Option<u16>,
}

impl Selection {
    fn filter(&self, state: Option<StateName>) -> anyhow::Result<Filter> {
        let room = self.room.as_deref().map(contract::room::RoomName::parse).transpose().context("--room")?;
        let now = now_ms();
        Ok(Filter {
            state: state.map(StateName::state),
            room: room.map(String::from),
            kind: self.kind.map(KindName::kind),
            since: self.since.map(|moment| moment.at(now)),
            until: self.until.map(|moment| moment.at(now)),
            status: self.status,
        })
    }
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
    /// Given up by a person.
    Discarded,
}

impl StateName {
    fn state(self) -> State {
        match self {
            Self::Ready => State::Ready,
            Self::Settled => State::Settled,
            Self::Parked => State::Parked,
            Self::Discarded => State::Discarded,
        }
    }
}

/// The kinds, as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum KindName {
    /// Something happened in a room.
    Event,
    /// A recording file is finished.
    Recording,
    /// A line that is not an event.
    Unreadable,
}

impl KindName {
    fn kind(self) -> Kind {
        match self {
            Self::Event => Kind::Event,
            Self::Recording => Kind::Recording,
            Self::Unreadable => Kind::Unreadable,
        }
    }
}

pub(super) fn run(outbox: &Outbox, command: &Command) -> anyhow::Result<ExitCode> {
    let mut log = DeliveryLog::open(&outbox.directory)?;
    match command {
        Command::List { state, selection, limit, json } => {
            list(&log, &selection.filter(*state)?, *limit, *json)
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
        Command::Retry { ids, selection, .. } => {
            let filter = selection.filter(None)?;
            let ready = log.retry(&choice(ids, &filter))?;
            Ok(retried(&log, ids, &filter, ready)?)
        }
        Command::Discard { ids, reason, selection } => {
            let why = given_up(reason.as_deref());
            let gone = log.discard(&choice(ids, &selection.filter(None)?), &why, now_ms())?;
            discarded(ids, gone)
        }
        Command::Export { format, state, selection, bodies } => {
            let filter = selection.filter(*state)?;
            let mut writer = export::Writer::new(*format, *bodies)?;
            pages(
                u32::MAX,
                |behind, limit| log.list_oldest(&filter, behind, limit),
                |item| writer.write(item),
            )?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether it tells of a recording that cannot be played.
fn is_truncated(kind: Kind, body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Told {
        recording_status: RecordingStatus,
    }
    kind == Kind::Recording
        && serde_json::from_slice::<Told>(body)
            .is_ok_and(|told| told.recording_status == RecordingStatus::Truncated)
}

fn remark(note: Option<&str>, is_truncated: bool) -> String {
    let word = is_truncated.then(|| "truncated".to_owned());
    word.into_iter().chain(note.map(printable)).collect::<Vec<_>>().join("; ")
}

fn list(log: &DeliveryLog, filter: &Filter, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let mut rows = table(&["QUEUED", "STATE", "EVENT", "ROOM", "ANSWER", "MS", "TRIES", "ID", "NOTE"]);
    let add = |delivery: &Delivery| {
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
            remark(delivery.note.as_deref(), is_truncated(delivery.kind, &delivery.body)),
        ]);
        Ok(())
    };
    pages(limit, |behind, limit| log.list(filter, behind, limit), add)?;
    match (json, rows.is_empty()) {
        (true, _) => {}
        (false, true) => say("no delivery matches"),
        (false, false) => print(&rows.trim_fmt())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// At most `limit` deliveries, page by page: `page` finds those behind one.
fn pages(
    limit: u32,
    page: impl Fn(Option<Seq>, u32) -> Result<Vec<Delivery>, OutboxError>,
    mut each: impl FnMut(&Delivery) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut left, mut behind) = (limit, None);
    while left > 0 {
        let size = left.min(PAGE);
        let found = page(behind, size)?;
        for delivery in &found {
            each(delivery)?;
        }
        behind = found.last().map(|delivery| delivery.seq);
        left = if behind.is_some() { left - size } else { 0 };
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

/// The named items, or those that match.
fn choice<'a>(ids: &'a [String], filter: &'a Filter) -> Choice<'a> {
    if ids.is_empty() { Choice::Matching(filter) } else { Choice::Ids(ids) }
}

/// Says what a retry did.
fn retried(
    log: &DeliveryLog,
    ids: &[String],
    filter: &Filter,
    ready: usize,
) -> Result<ExitCode, anyhow::Error> {
    let parked = Filter { state: Some(State::Parked), ..filter.clone() };
    match ready {
        0 if !ids.is_empty() => {}
        0 if !log.list(&parked, None, 1)?.is_empty() => {
            say(
                "what is parked are lines that are no events: there is nothing to send (`deliveries list --state parked`, `deliveries discard`)",
            );
            return Ok(ExitCode::FAILURE);
        }
        0 => say("no such delivery is parked"),
        1 => print("1 parked delivery is ready again; a running agent sends it within seconds")?,
        _ => print(&format!(
            "{ready} parked deliveries are ready again; a running agent sends them within seconds"
        ))?,
    }
    Ok(missed(ids, ready, "not parked here, or an unreadable line, which cannot be sent"))
}

/// What the log keeps about why a delivery was given up. Who did it is what the system says, not proof.
fn given_up(reason: Option<&str>) -> String {
    let variable = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    let who = variable("SUDO_USER")
        .or_else(|| variable("USER"))
        .unwrap_or_else(|| user_name(rustix::process::getuid().as_raw()));
    match reason {
        Some(reason) => format!("given up by {who}: {reason}"),
        None => format!("given up by {who}"),
    }
}

/// The name of a user, as the system's file knows it; else the number.
fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&users, uid).map_or_else(|| format!("the user with the number {uid}"), str::to_owned)
}

fn name_in(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    })
}

/// Says what a discard did.
fn discarded(ids: &[String], gone: usize) -> anyhow::Result<ExitCode> {
    match gone {
        0 if !ids.is_empty() => {}
        0 => say("no such delivery is parked"),
        _ => {
            print(&format!(
                "{} given up",
                count(gone as u64, "parked delivery is", "parked deliveries are")
            ))?;
        }
    }
    Ok(missed(ids, gone, "not parked here"))
}

/// Says that some of the named items were not what they had to be.
fn missed(ids: &[String], done: usize, what: &str) -> ExitCode {
    let asked = ids.iter().collect::<BTreeSet<_>>().len();
    if done < asked {
        say(&format!("{} of {asked} {what}: `deliveries show ID` says which", asked - done));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_cannot_be_played_says_so() {
        let body = br#"{"recording_status":"truncated"}"#;
        assert!(is_truncated(Kind::Recording, body));
        assert!(!is_truncated(Kind::Event, body));
        assert!(!is_truncated(Kind::Recording, br#"{"recording_status":"completed"}"#));
        assert_eq!(remark(None, false), "");
        assert_eq!(remark(Some("503 busy"), true), "truncated; 503 busy");
    }

    #[test]
    fn a_user_has_a_name_where_the_system_knows_one() {
        let users = "root:x:0:0:root:/root:/bin/sh\nodd line\nann:x:1000:1000::/home/ann:/bin/sh\n";
        for (uid, expected) in [(0, Some("root")), (1000, Some("ann")), (7, None)] {
            assert_eq!(name_in(users, uid), expected, "{uid}");
        }
    }
}
