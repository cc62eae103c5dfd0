//! Starts what runs in a thread of its own: the sources, the uploads, and what looks after recordings.

use std::path::Path;

use super::parts;
use super::threads::Threads;
use crate::config::Config;
use crate::jibri::health::Monitor;
use crate::jibri::roots::Finder;
use crate::kept::Sweep;
use crate::metrics::Counting;
use crate::outbox::log::DeliveryLog;
use crate::outbox::{Outbox, Reader};
use crate::recordings::Recordings;
use crate::retention::Retention;
use crate::rooms::Rooms;
use crate::secret::SharedSecret;
use crate::spool::Spool;
use crate::supervision::{Report, notify};
use crate::watch::Stop;

/// Starts everything that is configured.
pub(super) fn start(
    threads: &mut Threads,
    config: &Config,
    counting: &Counting,
    outbox: &Outbox,
    secret: &SharedSecret,
    monitor: &Monitor,
    stop: &Stop,
) -> anyhow::Result<()> {
    let rooms = Rooms::new(&config.api.rooms);
    if config.spool.enabled {
        let spool = Spool::new(&config.spool, rooms.clone(), outbox.clone(), stop.for_loop("spool"))?;
        threads.start("spool", || spool.run())?;
    }
    if config.recordings.enabled {
        start_recordings(threads, config, &rooms, outbox, monitor, stop)?;
    }
    if let Some(uploads) = parts::uploads(config, outbox, secret, stop)? {
        threads.start("uploads", || uploads.run())?;
    }
    if config.event_sync.enabled {
        let listener = parts::listener(config, counting, outbox, rooms, stop)?;
        threads.start("listener", || listener.run())?;
    }
    Ok(())
}

/// Starts what tells the service manager how the agent does, where there is one.
pub(super) fn start_report(threads: &mut Threads, outbox: &Path, stop: &Stop) -> anyhow::Result<()> {
    if notify::is_managed() {
        let report = Report::new(DeliveryLog::open(outbox)?, stop.clone());
        threads.start("report", || report.run())?;
    }
    Ok(())
}

/// What a host with Jibri needs.
fn start_recordings(
    threads: &mut Threads,
    config: &Config,
    rooms: &Rooms,
    outbox: &Outbox,
    monitor: &Monitor,
    stop: &Stop,
) -> anyhow::Result<()> {
    let finder = Finder::new(&config.recordings, &config.jibri);
    let (asking, settings, until) = (monitor.clone(), config.jibri.clone(), stop.for_loop("jibri"));
    threads.start("jibri", move || asking.run(&settings, &until))?;

    let reader = Reader::open(&config.outbox.directory)?;
    let retention = Retention::new(
        &config.retention,
        finder.clone(),
        monitor.clone(),
        outbox.clone(),
        reader,
        stop.for_loop("retention"),
    );
    threads.start("retention", || retention.run())?;

    let sweep = Sweep::new(DeliveryLog::open(&config.outbox.directory)?, rooms.clone())?;
    let (places, told) = (finder.clone(), stop.for_loop("kept"));
    threads.start("kept", move || sweep.run(|| parts::kept_in(&places), &told))?;

    let queue = if config.upload.enabled { outbox.clone().uploading() } else { outbox.clone() };
    let until = stop.for_loop("recordings");
    let recordings =
        Recordings::new(&config.recordings, finder, monitor.clone(), rooms.clone(), queue, until)?
            .listening(parts::hint(&config.outbox.directory));
    threads.start("recordings", || recordings.run())?;
    Ok(())
}
