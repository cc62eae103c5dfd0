//! Every metric: its name, its labels, and what it says.

/// A metric.
#[derive(Debug)]
pub struct Meter {
    /// Its name on the wire.
    pub name: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It is added up.
    Counter,
    /// It is what it is when somebody asks.
    Gauge,
    /// Values are sorted into these buckets.
    Histogram(&'static [f64]),
}

const SECONDS: Kind =
    Kind::Histogram(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0]);
const EVENTS: Kind = Kind::Histogram(&[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]);

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Meter {
    Meter { name, labels, help, kind: Kind::Counter }
}

const fn gauge(name: &'static str, help: &'static str) -> Meter {
    Meter { name, labels: &[], help, kind: Kind::Gauge }
}

/// How long requests took.
pub const REQUEST_SECONDS: Meter = Meter {
    name: "reflector_api_request_seconds",
    labels: &["method", "route", "status"],
    help: "How long requests took until their answer's head, by the route's template",
    kind: SECONDS,
};
/// What became of messages in the storage's queue.
pub const NOTIFICATIONS_TOTAL: Meter = counter(
    "reflector_api_notifications_total",
    &["outcome"],
    "Messages of the storage's queue: stored, other (of no recording by Whereby), test, unreadable; queue_unavailable for polls that failed",
);
/// What became of events.
pub const EVENTS_TOTAL: Meter = counter(
    "reflector_api_events_total",
    &["outcome"],
    "Events that arrived: stored, duplicate, acknowledged (tests), meeting_unknown, refused",
);
/// How many events were stored together.
pub const GROUP_EVENTS: Meter = Meter {
    name: "reflector_api_group_events",
    labels: &[],
    help: "How many events were committed together",
    kind: EVENTS,
};
/// How long a commit took.
pub const GROUP_SECONDS: Meter = Meter {
    name: "reflector_api_group_seconds",
    labels: &[],
    help: "How long it took to commit them",
    kind: SECONDS,
};
/// Deliveries whose signature was refused.
pub const SIGNATURES_REFUSED: Meter = counter(
    "reflector_api_signatures_refused_total",
    &["platform"],
    "Deliveries whose signature is missing, wrong or too old: jitsi, whereby",
);
/// Deliveries that were told to come back later.
pub const RATE_LIMITED: Meter = counter(
    "reflector_api_rate_limited_total",
    &["budget"],
    "Requests that were told to wait, because their address had used up its deliveries, failures or answers",
);
/// Connections that were closed at once.
pub const CONNECTIONS_REFUSED: Meter = counter(
    "reflector_api_connections_refused_total",
    &[],
    "Connections that were closed at once, because their address had too many",
);
/// What became of periodic work.
pub const JOB_SECONDS: Meter = Meter {
    name: "reflector_api_job_seconds",
    labels: &["job", "outcome"],
    help: "How long periodic work took on this replica, by job; ok or failed",
    kind: SECONDS,
};
/// What became of outgoing webhooks.
pub const WEBHOOK_SECONDS: Meter = Meter {
    name: "reflector_api_webhook_seconds",
    labels: &["outcome"],
    help: "How long attempts at outgoing webhooks took; ok or failed",
    kind: SECONDS,
};
/// What became of questions to Whereby.
pub const WHEREBY_SECONDS: Meter = Meter {
    name: "reflector_api_whereby_seconds",
    labels: &["outcome"],
    help: "How long Whereby's API took; ok, throttled, refused, failed or silent",
    kind: SECONDS,
};
/// Connections to the database.
pub const POOL_CONNECTIONS: Meter =
    gauge("reflector_api_database_connections", "Connections to the database that are open");
/// Those of them that nobody uses.
pub const POOL_IDLE: Meter =
    gauge("reflector_api_database_connections_idle", "Those of them that nobody uses at the moment");
/// How much memory the process has.
pub const RESIDENT_BYTES: Meter = gauge("process_resident_memory_bytes", "Memory of this process");
/// Since when it runs.
pub const START_SECONDS: Meter =
    gauge("process_start_time_seconds", "When this process started, in seconds since 1970");

/// All of them.
pub const ALL: &[Meter] = &[
    REQUEST_SECONDS,
    EVENTS_TOTAL,
    GROUP_EVENTS,
    GROUP_SECONDS,
    SIGNATURES_REFUSED,
    RATE_LIMITED,
    CONNECTIONS_REFUSED,
    JOB_SECONDS,
    WEBHOOK_SECONDS,
    WHEREBY_SECONDS,
    NOTIFICATIONS_TOTAL,
    POOL_CONNECTIONS,
    POOL_IDLE,
    RESIDENT_BYTES,
    START_SECONDS,
];
