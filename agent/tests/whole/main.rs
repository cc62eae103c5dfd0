//! The agent's parts on real files, a real SQLite and real processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod cli;
mod disk;
mod event_sync;
mod model;
mod outage;
mod outbox;
mod power_cut;
mod proxy;
mod recordings;
mod recordings_layouts;
mod recordings_media;
mod retention;
mod servers;
mod supervised;
mod support;
mod tls;
mod upload;
