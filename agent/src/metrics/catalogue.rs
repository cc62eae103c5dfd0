//! Every metric: its name, what it means, and which field of a log event feeds it.

/// A metric that log events feed.
#[derive(Debug)]
pub struct Counted {
    /// The field that feeds it, after `count.` or `observe.`.
    pub field: &'static str,
    /// Its name on the wire.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Whether it is added up or observed.
    pub kind: Kind,
    /// The field of the same event whose value becomes the label of that name.
    pub label: Option<&'static str>,
}

/// How a metric grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `count.NAME` is added.
    Counter,
    /// `observe.NAME`, in seconds, is sorted into buckets.
    Histogram,
}

/// A metric that is read when somebody asks.
#[derive(Debug)]
pub struct Gauge {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
}

const fn counter(field: &'static str, name: &'static str, help: &'static str) -> Counted {
    Counted { field, name, help, kind: Kind::Counter, label: None }
}

impl Counted {
    const fn by(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }
}

/// Everything that log events feed.
pub const COUNTED: &[Counted] = &[
    counter(
        "attempts",
        "reflector_agent_attempts_total",
        "Requests to the API that carried deliveries, by HTTP status; 0 is no answer",
    )
    .by("status"),
    Counted {
        field: "attempt_seconds",
        name: "reflector_agent_attempt_seconds",
        help: "How long requests that carried deliveries took",
        kind: Kind::Histogram,
        label: None,
    },
    counter(
        "heartbeats",
        "reflector_agent_heartbeats_total",
        "Heartbeats by what became of them: taken, refused, failed or not-known",
    )
    .by("outcome"),
    counter("settled", "reflector_agent_items_settled_total", "Deliveries that the API has confirmed"),
    counter("parked", "reflector_agent_items_parked_total", "Deliveries that began to wait for a person"),
    counter("spool_events", "reflector_agent_spool_events_total", "Events read from the spool and queued"),
    counter("spool_unreadable", "reflector_agent_spool_unreadable_lines_total", "Lines that are not events"),
    counter(
        "segments_removed",
        "reflector_agent_spool_segments_removed_total",
        "Spool files removed after they were delivered or old",
    ),
    counter(
        "recordings",
        "reflector_agent_recordings_finished_total",
        "Recording files that were queued, by how they ended",
    )
    .by("stage"),
    counter(
        "uploads",
        "reflector_agent_uploads_ended_total",
        "Uploads of recording files that ended, by how: verified, kept, given-up or parked",
    )
    .by("outcome"),
    counter(
        "upload_bytes",
        "reflector_agent_uploaded_bytes_total",
        "Bytes of recording files whose upload was verified",
    ),
    counter("upload_failures", "reflector_agent_upload_failures_total", "Uploads that were put off"),
    counter(
        "recordings_removed",
        "reflector_agent_recordings_removed_total",
        "Recording files that retention removed from this host, by reason: age or room",
    )
    .by("reason"),
    counter(
        "recordings_removed_bytes",
        "reflector_agent_recordings_removed_bytes_total",
        "Bytes of recording files that retention removed from this host",
    ),
    counter(
        "event_sync_requests",
        "reflector_agent_event_sync_requests_total",
        "Requests of mod_event_sync_component, by the status they were answered with",
    )
    .by("status"),
    counter(
        "source_waits",
        "reflector_agent_source_waits_total",
        "How often a source began to wait because the outbox took nothing",
    ),
];

/// Everything that is read when somebody asks.
pub const GAUGES: &[Gauge] = &[
    Gauge { name: "reflector_agent_build_info", help: "Always 1; the label names the release" },
    Gauge {
        name: "reflector_agent_start_time_seconds",
        help: "When the agent started, in seconds since 1970",
    },
    Gauge {
        name: "reflector_agent_outbox_items",
        help: "Deliveries in the outbox by state: ready (waiting), parked (waiting for a person)",
    },
    Gauge { name: "reflector_agent_outbox_rooms", help: "Rooms with something waiting" },
    Gauge {
        name: "reflector_agent_outbox_oldest_ready_seconds",
        help: "How long the oldest delivery has waited that does not wait for its meeting; 0 when nothing waits",
    },
    Gauge {
        name: "reflector_agent_outbox_rooms_awaiting_meeting",
        help: "Rooms whose deliveries wait because the API knows no meeting for them",
    },
    Gauge {
        name: "reflector_agent_uploads",
        help: "Recording files by state: active (sent or verified), waiting (for their turn), parked (for a person)",
    },
    Gauge { name: "reflector_agent_upload_left_bytes", help: "Bytes of recording files still to be sent" },
    Gauge {
        name: "reflector_agent_clock_offset_seconds",
        help: "By how much this host's clock is ahead of the API's, as the heartbeat found last",
    },
    Gauge { name: "reflector_agent_outbox_bytes", help: "Bytes that the outbox uses" },
    Gauge {
        name: "reflector_agent_outbox_max_bytes",
        help: "Bytes that it may use; sources wait at this cap",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_prometheus_conventions_and_are_unique() {
        let mut names = BTreeSet::new();
        for metric in COUNTED {
            assert!(
                metric.name.starts_with("reflector_agent_") && names.insert(metric.name),
                "{}",
                metric.name
            );
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
        for gauge in GAUGES {
            assert!(gauge.name.starts_with("reflector_agent_") && names.insert(gauge.name), "{}", gauge.name);
            assert!(!gauge.name.ends_with("_total"), "{}", gauge.name);
        }
    }

    #[test]
    fn every_metric_stands_in_the_operators_manual_and_no_other() {
        let manual = include_str!("../../../docs/operations.md");
        let told: BTreeSet<&str> = manual
            .split('`')
            .filter(|word| word.starts_with("reflector_agent_"))
            .map(|word| word.split('{').next().unwrap_or(word))
            .collect();
        let names: BTreeSet<&str> =
            COUNTED.iter().map(|metric| metric.name).chain(GAUGES.iter().map(|gauge| gauge.name)).collect();
        assert_eq!(told, names);
    }
}
