//! How much is measured.

use std::time::Duration;

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Interleaved rounds of each throughput measurement.
    pub(super) rounds: usize,
    /// Events appended at once when they go out one by one.
    pub(super) singles: usize,
    /// Events appended at once when they go out in batches.
    pub(super) batched: usize,
    /// Events of the latency measurement at 20 a second, per round.
    pub(super) steady: usize,
    /// Events of the latency measurement with 3.1 s between two.
    pub(super) sparse: usize,
    /// How long an idle agent is watched.
    pub(super) idle: Duration,
    /// Events that wait for an API that is away.
    pub(super) outage: usize,
    /// Recordings of which the arrival is measured.
    pub(super) recordings: usize,
    /// Session directories in a root.
    pub(super) sessions: usize,
    /// The bytes of a recording that is uploaded.
    pub(super) upload_bytes: usize,
    /// How long each measurement of the API and of `pgbench` takes.
    pub(super) api: Duration,
    /// The most requests that are prepared for one measurement of the API.
    pub(super) api_requests: usize,
    /// The events that a large meeting already has.
    pub(super) large_meeting: usize,
    /// Meetings that are in the database while others are read.
    pub(super) meetings: usize,
    /// Events of theirs.
    pub(super) events: usize,
}

impl Scale {
    pub(super) const FULL: Self = Self {
        rounds: 3,
        singles: 20_000,
        batched: 200_000,
        steady: 200,
        sparse: 15,
        idle: Duration::from_secs(10),
        outage: 1_000_000,
        recordings: 50,
        sessions: 10_000,
        upload_bytes: 2 << 30,
        api: Duration::from_secs(5),
        api_requests: 120_000,
        large_meeting: 1_000_000,
        meetings: 100_000,
        events: 5_000_000,
    };
    pub(super) const QUICK: Self = Self {
        rounds: 1,
        singles: 2_000,
        batched: 10_000,
        steady: 20,
        sparse: 2,
        idle: Duration::from_secs(1),
        outage: 20_000,
        recordings: 3,
        sessions: 300,
        upload_bytes: 64 << 20,
        api: Duration::from_secs(1),
        api_requests: 20_000,
        large_meeting: 20_000,
        meetings: 2_000,
        events: 20_000,
    };
}
