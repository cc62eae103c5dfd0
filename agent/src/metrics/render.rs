//! Prometheus' text format, version 0.0.4.

use std::fmt::Write;

use super::catalogue::{COUNTED, GAUGES, Kind};
use super::counting::{BUCKETS, Counting, Series};
use crate::outbox::Backlog;

/// What is so now.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// What the outbox holds; `None` when it cannot be read, and then nothing is said about it.
    pub outbox: Option<&'a Backlog>,
    /// By how many milliseconds this host's clock is ahead of the API's; `None` while nobody knows.
    pub clock_offset_ms: Option<i64>,
    /// Bytes that the outbox may use.
    pub max_bytes: u64,
    /// When the agent started, in milliseconds since 1970.
    pub started_at: i64,
    /// The time, in milliseconds since 1970.
    pub at: i64,
}

/// Everything, as a scraper reads it.
pub fn render(counting: &Counting, now: &Now<'_>) -> String {
    let mut text = String::new();
    for gauge in GAUGES {
        let lines = gauge_lines(gauge.name, now);
        if !lines.is_empty() {
            head(&mut text, gauge.name, gauge.help, "gauge");
            text.push_str(&lines);
        }
    }
    for (metric, series) in COUNTED.iter().zip(counting.read()) {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "histogram" };
        head(&mut text, metric.name, metric.help, kind);
        for (value, series) in series {
            match metric.kind {
                Kind::Counter => {
                    let label = metric.label.map_or_else(String::new, |label| braces(label, &value));
                    line(&mut text, metric.name, &label, series.count);
                }
                Kind::Histogram => histogram(&mut text, metric.name, &series),
            }
        }
    }
    text
}

fn gauge_lines(name: &str, now: &Now<'_>) -> String {
    let mut text = String::new();
    let mut plain = |label: &str, value: f64| line(&mut text, name, label, value);
    match (name, now.outbox) {
        ("reflector_agent_build_info", _) => plain(&braces("version", env!("CARGO_PKG_VERSION")), 1.0),
        ("reflector_agent_start_time_seconds", _) => plain("", seconds(now.started_at)),
        ("reflector_agent_clock_offset_seconds", _) => {
            if let Some(offset) = now.clock_offset_ms {
                plain("", seconds(offset));
            }
        }
        ("reflector_agent_outbox_max_bytes", _) => plain("", number(now.max_bytes)),
        ("reflector_agent_outbox_items", Some(outbox)) => {
            for (state, count) in [("ready", outbox.ready), ("parked", outbox.parked)] {
                plain(&braces("state", state), number(count));
            }
        }
        ("reflector_agent_outbox_rooms", Some(outbox)) => plain("", number(outbox.rooms)),
        ("reflector_agent_outbox_oldest_ready_seconds", Some(outbox)) => {
            plain("", outbox.oldest_ready.map_or(0.0, |at| seconds((now.at - at).max(0))));
        }
        ("reflector_agent_outbox_rooms_awaiting_meeting", Some(outbox)) => {
            plain("", number(outbox.rooms_awaiting_meeting));
        }
        ("reflector_agent_uploads", Some(outbox)) => {
            let uploads = outbox.uploads;
            for (state, count) in
                [("active", uploads.active), ("waiting", uploads.waiting), ("parked", uploads.parked)]
            {
                plain(&braces("state", state), number(count));
            }
        }
        ("reflector_agent_upload_left_bytes", Some(outbox)) => plain("", number(outbox.uploads.bytes_left)),
        ("reflector_agent_outbox_bytes", Some(outbox)) => plain("", number(outbox.bytes)),
        _ => {}
    }
    text
}

fn histogram(text: &mut String, name: &str, series: &Series) {
    let mut below = 0;
    let bucket = format!("{name}_bucket");
    for (edge, count) in BUCKETS.iter().zip(series.buckets) {
        below += count;
        line(text, &bucket, &braces("le", &edge.to_string()), below);
    }
    line(text, &bucket, &braces("le", "+Inf"), series.count);
    line(text, &format!("{name}_sum"), "", series.sum);
    line(text, &format!("{name}_count"), "", series.count);
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, label: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{name}{label} {value}");
}

fn braces(label: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{{label}=\"{value}\"}}")
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 milliseconds")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
