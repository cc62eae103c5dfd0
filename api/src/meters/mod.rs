//! What the service counts and measures, for Prometheus.
//!
//! Whoever does something says so with a function of this module; [`catalogue`] has every metric. Labels are bounded: routes are
//! templates, never paths.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;

pub mod catalogue;

use catalogue::{
    CONNECTIONS_REFUSED, EVENTS_TOTAL, GROUP_EVENTS, GROUP_SECONDS, JOB_SECONDS, Kind, NOTIFICATIONS_TOTAL,
    POOL_CONNECTIONS, POOL_IDLE, RATE_LIMITED, REQUEST_SECONDS, RESIDENT_BYTES, SIGNATURES_REFUSED,
    START_SECONDS, WEBHOOK_SECONDS, WHEREBY_SECONDS,
};

/// How often observations are sorted into their buckets. Until then each of them is kept.
const UPKEEP: Duration = Duration::from_secs(2);

/// Everything that was counted in this process.
#[derive(Debug, Clone)]
pub struct Meters(PrometheusHandle);

impl Meters {
    /// Begins to count, unless this process does so already.
    pub fn start() -> Self {
        static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
        Self(HANDLE.get_or_init(install).clone())
    }

    /// Sorts observations for as long as it is polled.
    pub async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self, db: &PgPool) -> String {
        gauge!(POOL_CONNECTIONS.name).set(f64::from(db.size()));
        #[expect(clippy::cast_precision_loss, reason = "there are few connections")]
        gauge!(POOL_IDLE.name).set(db.num_idle() as f64);
        if let Some(bytes) = resident_bytes() {
            gauge!(RESIDENT_BYTES.name).set(bytes);
        }
        self.0.render()
    }
}

fn install() -> PrometheusHandle {
    let mut builder = PrometheusBuilder::new();
    for meter in catalogue::ALL {
        if let Kind::Histogram(buckets) = meter.kind {
            let matcher = Matcher::Full(meter.name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, buckets).expect("there are buckets");
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Nobody else installs one; if somebody did, this service's numbers would be missing, and nothing else.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("metrics go elsewhere");
    }
    describe();
    begin_at_zero();
    handle
}

fn describe() {
    for meter in catalogue::ALL {
        match meter.kind {
            Kind::Counter => describe_counter!(meter.name, meter.help),
            Kind::Gauge => describe_gauge!(meter.name, meter.help),
            Kind::Histogram(_) => describe_histogram!(meter.name, meter.help),
        }
    }
}

/// A counter that appears with its first event hides that event from whoever looks for increases.
fn begin_at_zero() {
    for outcome in ["stored", "duplicate", "acknowledged", "meeting_unknown", "refused"] {
        events(outcome, 0);
    }
    for outcome in ["stored", "other", "test", "unreadable", "queue_unavailable"] {
        counter!(NOTIFICATIONS_TOTAL.name, "outcome" => outcome).absolute(0);
    }
    for platform in ["jitsi", "whereby"] {
        counter!(SIGNATURES_REFUSED.name, "platform" => platform).absolute(0);
    }
    for budget in ["deliveries", "failures"] {
        counter!(RATE_LIMITED.name, "budget" => budget).absolute(0);
    }
    counter!(CONNECTIONS_REFUSED.name).absolute(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(START_SECONDS.name).set(now.as_secs_f64());
}

/// A request was answered.
pub fn request(method: &http::Method, route: &str, status: http::StatusCode, took: Duration) {
    let (method, route) = (method_name(method), route.to_owned());
    let status = status.as_str().to_owned();
    histogram!(REQUEST_SECONDS.name, "method" => method, "route" => route, "status" => status).record(took);
}

/// Methods are made up as easily as paths.
fn method_name(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// So many events came to the same end.
pub fn events(outcome: &'static str, count: u64) {
    counter!(EVENTS_TOTAL.name, "outcome" => outcome).increment(count);
}

/// A group of events was committed.
pub fn group(size: u32, took: Duration) {
    histogram!(GROUP_EVENTS.name).record(f64::from(size));
    histogram!(GROUP_SECONDS.name).record(took);
}

/// A message of the storage's queue was dealt with, or a poll failed.
pub fn notification(outcome: &'static str) {
    counter!(NOTIFICATIONS_TOTAL.name, "outcome" => outcome).increment(1);
}

/// The signature of a delivery was refused.
pub fn signature_refused(platform: &'static str) {
    counter!(SIGNATURES_REFUSED.name, "platform" => platform).increment(1);
}

/// A delivery was told to wait.
pub fn rate_limited(budget: &'static str) {
    counter!(RATE_LIMITED.name, "budget" => budget).increment(1);
}

/// A connection was closed at once.
pub fn connection_refused() {
    counter!(CONNECTIONS_REFUSED.name).increment(1);
}

/// Periodic work was done, or failed.
pub fn job(name: &'static str, succeeded: bool, took: Duration) {
    histogram!(JOB_SECONDS.name, "job" => name, "outcome" => outcome(succeeded)).record(took);
}

/// An outgoing webhook was tried.
pub fn webhook(succeeded: bool, took: Duration) {
    histogram!(WEBHOOK_SECONDS.name, "outcome" => outcome(succeeded)).record(took);
}

/// Whereby was asked.
pub fn whereby(outcome: &'static str, took: Duration) {
    histogram!(WHEREBY_SECONDS.name, "outcome" => outcome).record(took);
}

fn outcome(succeeded: bool) -> &'static str {
    if succeeded { "ok" } else { "failed" }
}

/// From `/proc`, which has it in KiB.
fn resident_bytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: &str = include_str!("../../../docs/operations.md");

    #[test]
    fn operators_can_look_up_every_metric() {
        for meter in catalogue::ALL {
            let labels: Vec<_> = meter.labels.iter().map(|label| format!("`{label}`")).collect();
            let row = format!("| `{}` | {} | {} |", meter.name, labels.join(", "), meter.help);
            assert!(OPERATIONS.contains(&row), "docs/operations.md lacks the row\n{row}");
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for meter in catalogue::ALL {
            let is_total = meter.name.ends_with("_total");
            assert_eq!(is_total, meter.kind == Kind::Counter, "{}", meter.name);
            assert!(meter.name.starts_with("reflector_api_") || meter.name.starts_with("process_"));
        }
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes().unwrap() > 1e6);
    }

    #[test]
    fn a_made_up_method_makes_no_label() {
        assert_eq!(method_name(&http::Method::from_bytes(b"BREW").unwrap()), "other");
    }
}
