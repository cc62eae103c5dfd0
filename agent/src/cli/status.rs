//! `reflector-agent status`: one look at the outbox.

use std::process::ExitCode;

use serde_json::json;

use super::print;
use super::view::{ago, attempt_json, count, or_dash, printable, table};
use crate::clock::{now_ms, rfc3339};
use crate::config::OutboxConfig;
use crate::outbox::log::{DeliveryLog, Summary};

pub(super) fn status(config: &OutboxConfig, json: bool) -> anyhow::Result<ExitCode> {
    let directory = &config.outbox.directory;
    let summary = DeliveryLog::open(directory)?.summary(directory)?;
    if json {
        print(&as_json(config, &summary).to_string())?;
    } else {
        print(&as_text(config, &summary, now_ms()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(config: &OutboxConfig, summary: &Summary) -> serde_json::Value {
    json!({
        "running": summary.running,
        "api": config.api_url,
        "ready": summary.ready,
        "rooms": summary.rooms,
        "oldest_ready_at": summary.oldest_ready.map(rfc3339),
        "parked": summary.parked,
        "delivered_total": summary.delivered,
        "last_settled_at": summary.last_settled.map(rfc3339),
        "last_failure": summary.last_failure.as_ref().map(attempt_json),
        "outbox_bytes": summary.bytes,
        "outbox_max_bytes": config.outbox.max_bytes,
    })
}

fn as_text(config: &OutboxConfig, summary: &Summary, now: i64) -> String {
    let since = |at: Option<i64>| at.map(|at| format!("{} ({} ago)", rfc3339(at), ago(now - at)));
    let failure = summary
        .last_failure
        .as_ref()
        .map(|attempt| format!("{}: {}", rfc3339(attempt.at), printable(&attempt.note)));
    let mut facts = table(&[]);
    let running = if summary.running {
        "running"
    } else {
        "not running: start it with `systemctl start reflector-agent`"
    };
    for (name, value) in [
        ("agent", running.to_owned()),
        ("delivers to", or_dash(config.api_url.as_ref())),
        ("waiting", format!("{} in {}", summary.ready, count(summary.rooms, "room", "rooms"))),
        ("oldest waiting", or_dash(since(summary.oldest_ready))),
        ("last delivered", or_dash(since(summary.last_settled))),
        ("last failure", or_dash(failure)),
        ("parked", parked(summary.parked)),
        ("delivered in all", summary.delivered.to_string()),
        ("outbox", format!("{} of {} MiB", summary.bytes >> 20, config.outbox.max_bytes >> 20)),
    ] {
        facts.add_row([name.to_owned(), value]);
    }
    facts.trim_fmt()
}

fn parked(count: u64) -> String {
    match count {
        0 => "0".to_owned(),
        count => format!("{count}: see `reflector-agent deliveries list --state parked`"),
    }
}
