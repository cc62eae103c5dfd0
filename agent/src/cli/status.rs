//! `reflector-agent status`: how the agent is, once or as it changes.

mod heartbeat;
mod watch;

use std::process::ExitCode;

use contract::heartbeat::Role;
use serde_json::{Value, json};

use self::heartbeat::Pulse;
pub(super) use self::watch::watch;

use super::view::{ago, attempt_json, bar, count, or_dash, printable, table};
use super::{NOT_RUNNING, print, say};
use crate::clock::{in_words, now_ms, rfc3339};
use crate::config::{OutboxConfig, RUN_AS, Survey};
use crate::heartbeat::roles::{Signs, roles};
use crate::jibri::roots::{Finder, Root};
use crate::outbox::OutboxError;
use crate::outbox::fact;
use crate::outbox::log::{DeliveryLog, Summary};
use crate::outbox::uploads::{UploadEntry, UploadTotals};

/// How many ended uploads are shown.
const ENDED: u32 = 3;

/// How many uploads are shown at all.
const SHOWN: usize = 12;

/// A difference of the clocks that is worth a word, in milliseconds.
const WORTH_A_WORD: u64 = 30_000;

/// Everything that is shown.
pub(super) struct Picture {
    summary: Summary,
    uploads: Vec<UploadEntry>,
    totals: UploadTotals,
    /// The agent that runs, or ran last.
    agent: Option<Introduction>,
    /// How the heartbeats of the agent that runs fare.
    pulse: Option<Pulse>,
    /// By how many milliseconds this host's clock is ahead of the API's.
    offset: Option<i64>,
    roles: Vec<Role>,
    places: Vec<Place>,
    /// The API of the configuration, as it stands there now.
    api: Option<String>,
    max_bytes: u64,
}

/// What an agent says of itself when it starts.
struct Introduction {
    version: String,
    /// Where it delivers to.
    api: Option<String>,
    /// When it started.
    at: i64,
}

/// A directory that the agent reads.
struct Place {
    what: &'static str,
    path: String,
    origin: String,
    trouble: Option<String>,
}

pub(super) fn status(config: &OutboxConfig, survey: &Survey, json: bool) -> anyhow::Result<ExitCode> {
    let log = DeliveryLog::open(&config.outbox.directory)?;
    let picture = Picture::take(&log, config, survey)?;
    print(&if json { picture.as_json().to_string() } else { picture.as_text(now_ms()) })?;
    Ok(match picture.summary.running {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::from(NOT_RUNNING),
        None => {
            say(&format!("Next: {RUN_AS}"));
            ExitCode::FAILURE
        }
    })
}

impl Picture {
    fn take(log: &DeliveryLog, config: &OutboxConfig, survey: &Survey) -> Result<Self, OutboxError> {
        let agent = log.fact(fact::AGENT)?.map(|fact| {
            let said: Value = serde_json::from_str(&fact.body).unwrap_or_default();
            let text = |name: &str| said[name].as_str().map(str::to_owned);
            Introduction { version: text("version").unwrap_or("?".to_owned()), api: text("api"), at: fact.at }
        });
        let recordings = survey.recordings.enabled;
        let found = recordings.then(|| Finder::new(&survey.recordings, &survey.jibri).find());
        let roots = found.iter().flat_map(|found| &found.roots);
        let spool = &survey.spool;
        let signs = Signs {
            spool: spool.enabled && spool.directory.is_dir(),
            recordings: roots.clone().any(|root| root.path.is_dir()),
            jibri: found.as_ref().is_some_and(|found| !found.jibri.files.is_empty()),
        };
        let of_spool = spool.enabled.then(|| Place {
            what: "spool",
            path: spool.directory.display().to_string(),
            origin: "`directory` in [spool]".to_owned(),
            trouble: trouble(&spool.directory),
        });
        let summary = log.summary(&config.outbox.directory)?;
        let started = agent.as_ref().map(|agent| agent.at);
        let told = log.fact(fact::HEARTBEAT)?.filter(|_| summary.running != Some(false));
        let pulse = told.and_then(|told| Pulse::read(&told, started));
        // The difference was learnt from the last heartbeat that was taken, however long ago.
        let is_of_now = pulse.as_ref().is_some_and(Pulse::is_taken);
        Ok(Self {
            summary,
            pulse,
            uploads: log.uploads(ENDED)?,
            totals: log.upload_totals()?,
            agent,
            offset: log.clock_offset_ms()?.filter(|_| is_of_now),
            roles: roles(signs),
            places: of_spool.into_iter().chain(roots.map(of_root)).collect(),
            api: config.api_url.clone(),
            max_bytes: config.outbox.max_bytes,
        })
    }

    fn as_json(&self) -> Value {
        let Self { summary, totals, .. } = self;
        json!({
            "running": summary.running,
            "version": self.agent.as_ref().map(|agent| &agent.version),
            "started_at": self.agent.as_ref().map(|agent| rfc3339(agent.at)),
            "roles": self.roles,
            "api": self.api_in_use().or(self.api.as_deref()),
            "api_configured": self.api,
            "heartbeat": self.pulse.as_ref().map(Pulse::as_json),
            "clock_offset_ms": self.offset,
            "ready": summary.ready,
            "rooms": summary.rooms,
            "oldest_ready_at": summary.oldest_ready.map(rfc3339),
            "parked": summary.parked,
            "delivered_total": summary.delivered,
            "last_settled_at": summary.last_settled.map(rfc3339),
            "last_failure": summary.last_failure.as_ref().map(attempt_json),
            "uploads": {
                "active": totals.active, "waiting": totals.waiting, "parked": totals.parked,
                "bytes_left": totals.bytes_left,
            },
            "upload_list": self.uploads.iter().map(upload_json).collect::<Vec<_>>(),
            "directories": self.places.iter().map(|place| json!({
                "what": place.what, "path": place.path, "from": place.origin, "trouble": place.trouble,
            })).collect::<Vec<_>>(),
            "outbox_bytes": summary.bytes,
            "outbox_max_bytes": self.max_bytes,
        })
    }

    fn as_text(&self, now: i64) -> String {
        let summary = &self.summary;
        let since = |at: Option<i64>| at.map(|at| format!("{} ({} ago)", rfc3339(at), ago(now - at)));
        let failure = summary
            .last_failure
            .as_ref()
            .map(|attempt| format!("{}: {}", rfc3339(attempt.at), printable(&attempt.note)));
        let mut facts = table(&[]);
        for (name, value) in [
            ("agent", self.agent_in_words(now)),
            ("roles", or_dash(self.roles_in_words())),
            ("delivers to", or_dash(delivers_to(self.api_in_use(), self.api.as_deref()))),
            ("heartbeat", or_dash(self.pulse.as_ref().map(|pulse| pulse.in_words(now)))),
            ("clock", or_dash(self.offset.map(clock_in_words))),
            ("waiting", format!("{} in {}", summary.ready, count(summary.rooms, "room", "rooms"))),
            ("oldest waiting", or_dash(since(summary.oldest_ready))),
            ("last delivered", or_dash(since(summary.last_settled))),
            ("last failure", or_dash(failure)),
            ("parked", parked(summary.parked, self.totals.parked)),
            ("delivered in all", summary.delivered.to_string()),
            ("uploads", uploads_in_words(&self.totals)),
            ("outbox", format!("{} of {} MiB", summary.bytes >> 20, self.max_bytes >> 20)),
        ] {
            facts.add_row([name.to_owned(), value]);
        }
        for place in &self.places {
            let trouble = place.trouble.as_ref().map_or_else(String::new, |trouble| format!(": {trouble}"));
            facts.add_row([place.what.to_owned(), format!("{} ({}){trouble}", place.path, place.origin)]);
        }
        let mut text = facts.trim_fmt();
        if !self.uploads.is_empty() {
            let mut rows = table(&[]);
            for upload in self.uploads.iter().take(SHOWN) {
                rows.add_row(upload_row(upload));
            }
            text = format!("{text}\n\n{}", rows.trim_fmt());
        }
        text
    }

    fn agent_in_words(&self, now: i64) -> String {
        match (&self.agent, self.summary.running) {
            (Some(Introduction { version, at, .. }), Some(true)) => {
                format!("running, {version}, for {}", ago(now - at))
            }
            (None, Some(true)) => "running".to_owned(),
            (_, Some(false)) => "not running: start it with `systemctl start reflector-agent`".to_owned(),
            (_, None) => format!("this user may not tell whether it runs: {RUN_AS}"),
        }
    }

    /// Where the running agent delivers to: it reads the address at start.
    fn api_in_use(&self) -> Option<&str> {
        self.agent.as_ref().filter(|_| self.summary.running != Some(false))?.api.as_deref()
    }

    fn roles_in_words(&self) -> Option<String> {
        let names = self.roles.iter().map(|role| if *role == Role::Prosody { "Prosody" } else { "Jibri" });
        let names: Vec<&str> = names.collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// The running agent's API, and the configured one if that is another.
fn delivers_to(in_use: Option<&str>, configured: Option<&str>) -> Option<String> {
    match (in_use, configured) {
        (Some(in_use), Some(configured)) if in_use != configured => Some(format!(
            "{in_use}; the configuration says {configured} now: `systemctl restart reflector-agent`"
        )),
        (in_use, configured) => in_use.or(configured).map(str::to_owned),
    }
}

fn of_root(root: &Root) -> Place {
    Place {
        what: "recordings",
        path: root.path.display().to_string(),
        origin: root.origin.to_string(),
        trouble: trouble(&root.path),
    }
}

/// Why this user sees nothing in a directory. The agent may be another user: `doctor` judges for it.
fn trouble(directory: &std::path::Path) -> Option<String> {
    let error = std::fs::read_dir(directory).err()?;
    Some(match error.kind() {
        std::io::ErrorKind::NotFound => "not there yet".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => format!("cannot be read: {error}"),
    })
}

fn clock_in_words(offset: i64) -> String {
    if offset.unsigned_abs() < WORTH_A_WORD {
        return "agrees with the API's".to_owned();
    }
    format!("{}: turn on time synchronisation", in_words(offset))
}

fn parked(deliveries: u64, uploads: u64) -> String {
    match deliveries + uploads {
        0 => "0".to_owned(),
        count => format!("{count}: see `reflector-agent deliveries list --state parked`"),
    }
}

fn uploads_in_words(totals: &UploadTotals) -> String {
    match totals.active + totals.waiting {
        0 => "none".to_owned(),
        _ => format!(
            "{} active, {} waiting, {} MiB left",
            totals.active,
            totals.waiting,
            totals.bytes_left.div_ceil(1 << 20)
        ),
    }
}

fn upload_json(upload: &UploadEntry) -> Value {
    json!({
        "id": upload.id, "room": upload.room, "file": upload.path, "state": upload.state.name(),
        "size_bytes": upload.size_bytes, "sent_bytes": upload.sent_bytes, "attempts": upload.attempts,
        "queued_at": rfc3339(upload.queued_at), "done_at": upload.done_at.map(rfc3339), "note": upload.note,
    })
}

fn upload_row(upload: &UploadEntry) -> [String; 5] {
    let note = upload.note.as_deref().map(printable).unwrap_or_default();
    [
        bar(upload.sent_bytes, upload.size_bytes),
        format!("{} of {} MiB", upload.sent_bytes >> 20, upload.size_bytes.div_ceil(1 << 20)),
        upload.state.name().to_owned(),
        printable(&upload.path.display().to_string()),
        note,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_delivers_to_what_it_read_at_start() {
        let (old, new) = ("https://old.example.com", "https://new.example.com");
        for (in_use, configured, expected) in [
            (None, None, None),
            (None, Some(new), Some(new.to_owned())),
            (Some(old), None, Some(old.to_owned())),
            (Some(old), Some(old), Some(old.to_owned())),
            (
                Some(old),
                Some(new),
                Some(format!("{old}; the configuration says {new} now: `systemctl restart reflector-agent`")),
            ),
        ] {
            assert_eq!(delivers_to(in_use, configured), expected, "{in_use:?} {configured:?}");
        }
    }
}
