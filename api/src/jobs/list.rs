//! Which periodic work there is.

use std::time::Duration;

use super::{Job, Summary};
use crate::lifecycle::Lifecycle;
use crate::receipts;
use crate::recordings::{clean_up, scan};
use crate::state::State;
use crate::whereby;

/// The name of the job that removes what uploads have left in the storage.
pub const CLEAN_UPLOADS: &str = "uploads.clean_up";

/// The name of the job that removes rooms at Whereby that were made for nobody.
pub const CLEAN_WHEREBY: &str = "whereby.clean_up";

/// The name of the job that stores webhooks of Whereby's whose meetings are there by now.
pub const STRAYS: &str = "whereby.strays";

/// The name of the job that forgets webhooks that were settled long ago.
pub const FORGET_WEBHOOKS: &str = "webhooks.retention";

/// The name of the job that begins and ends meetings.
pub const SWEEP_MEETINGS: &str = "lifecycle.sweep";

/// The name of the job that removes receipts of deliveries that are too old or too many.
pub const PRUNE_RECEIPTS: &str = "receipts.prune";

/// The name of the job that looks through the buckets for recordings that nobody has told of.
pub const SCAN_BUCKETS: &str = "recordings.scan";

/// The name of the job that removes recordings that are not to be kept.
pub const CLEAN_RECORDINGS: &str = "recordings.clean_up";

/// All periodic work that `state` has the parts for.
pub fn list(state: &State) -> Vec<Job> {
    let mut jobs = vec![
        Job::new(SWEEP_MEETINGS, Duration::from_secs(15), |state| Box::pin(sweep_meetings(state))),
        Job::new(FORGET_WEBHOOKS, Duration::from_hours(6), |state| Box::pin(forget_webhooks(state))),
        Job::new(PRUNE_RECEIPTS, Duration::from_mins(10), |state| Box::pin(prune_receipts(state))),
        Job::new(CLEAN_RECORDINGS, Duration::from_mins(5), |state| Box::pin(clean_recordings(state))),
    ];
    if state.storage.is_some() {
        jobs.push(Job::new(SCAN_BUCKETS, Duration::from_hours(1), |state| Box::pin(scan_buckets(state))));
    }
    if state.uploads.is_some() {
        jobs.push(Job::new(CLEAN_UPLOADS, Duration::from_hours(1), |state| Box::pin(clean_uploads(state))));
    }
    if state.whereby.is_some() {
        jobs.push(Job::new(CLEAN_WHEREBY, Duration::from_mins(1), |state| Box::pin(clean_whereby(state))));
    }
    if !state.config.whereby.webhook_secrets.is_empty() {
        jobs.push(Job::new(STRAYS, Duration::from_mins(1), |state| Box::pin(bring_strays_home(state))));
    }
    jobs
}

async fn clean_whereby(state: State) -> anyhow::Result<Summary> {
    let Some(whereby) = &state.whereby else { return Ok(Summary::nothing()) };
    Ok(match whereby.clean_up().await? {
        0 => Summary::nothing(),
        removed => Summary::of(format!("removed {removed} rooms at Whereby that were made for nobody")),
    })
}

async fn bring_strays_home(state: State) -> anyhow::Result<Summary> {
    Ok(match whereby::strays::bring_home(&state.db, &state.ingest).await? {
        0 => Summary::nothing(),
        stored => {
            Summary::of(format!("stored {stored} webhooks of Whereby's that came before their meetings"))
        }
    })
}

async fn sweep_meetings(state: State) -> anyhow::Result<Summary> {
    let grace = time::Duration::try_from(state.config.lifecycle.grace)?;
    let lifecycle = Lifecycle { db: state.db.clone(), whereby: state.whereby.clone(), grace };
    Ok(Summary::of(lifecycle.sweep().await?.to_string()))
}

async fn forget_webhooks(state: State) -> anyhow::Result<Summary> {
    Ok(match state.webhooks.forget_old().await? {
        0 => Summary::nothing(),
        forgotten => Summary::of(format!("forgot {forgotten} webhooks that were settled long ago")),
    })
}

async fn prune_receipts(state: State) -> anyhow::Result<Summary> {
    let now = time::OffsetDateTime::now_utc();
    Ok(match receipts::prune(&state.db, &state.config.ops, now).await? {
        0 => Summary::nothing(),
        removed => Summary::of(format!("removed {removed} receipts of deliveries")),
    })
}

async fn clean_recordings(state: State) -> anyhow::Result<Summary> {
    let now = time::OffsetDateTime::now_utc();
    Ok(Summary::of(clean_up::clean_up(&state.db, state.storage.as_deref(), now).await?.to_string()))
}

async fn scan_buckets(state: State) -> anyhow::Result<Summary> {
    let Some(storage) = &state.storage else { return Ok(Summary::nothing()) };
    Ok(Summary::of(scan::run(&state.db, storage, &state.config).await?.to_string()))
}

async fn clean_uploads(state: State) -> anyhow::Result<Summary> {
    let Some(uploads) = &state.uploads else { return Ok(Summary::nothing()) };
    Ok(Summary::of(uploads.clean_up().await?.to_string()))
}
