//! Builds the parts from the configuration.

use std::path::{Path, PathBuf};

use crate::clock::{ApiClock, now_ms};
use crate::config::Config;
use crate::event_sync::EventSync;
use crate::heartbeat::{Gatherer, Heart};
use crate::hint;
use crate::http;
use crate::jibri::health::Monitor;
use crate::jibri::roots::{Finder, Origin};
use crate::listener::{Listener, Site, Token};
use crate::metrics::Counting;
use crate::outbox::{Outbox, Reader};
use crate::rooms::Rooms;
use crate::secret::SharedSecret;
use crate::upload::{self, Uploads};
use crate::watch::Stop;

/// Where a finalize script may tell us to look; `None` where that directory cannot be made, which costs seconds.
pub(super) fn hint(outbox: &Path) -> Option<PathBuf> {
    let run = std::env::var_os(hint::VARIABLE);
    let prepared = hint::prepare(run.as_deref(), outbox);
    prepared.inspect_err(|error| tracing::warn!(%error, "finalize scripts cannot wake the agent")).ok()
}

/// The roots in which recordings may be kept from a finalize script.
pub(super) fn kept_in(finder: &Finder) -> Vec<PathBuf> {
    let roots = finder.find().roots.into_iter();
    roots.filter(|root| root.origin != Origin::Kept).map(|root| root.path).collect()
}

/// What tells the API how this host is.
pub(super) fn heart(
    config: &Config,
    outbox: &Outbox,
    http: http::Client,
    monitor: Monitor,
    secret: &SharedSecret,
    clock: &ApiClock,
) -> anyhow::Result<Heart> {
    let finder = config.recordings.enabled.then(|| Finder::new(&config.recordings, &config.jibri));
    let host_id = outbox.host_id();
    let gatherer = Gatherer::new(&config.outbox, &config.spool, finder, monitor, host_id, now_ms())?;
    Heart::new(gatherer, http, &config.api.url, secret.clone(), outbox.clone(), clock.clone())
}

/// The upload loop, where there is or was anything to upload.
pub(super) fn uploads(
    config: &Config,
    outbox: &Outbox,
    secret: &SharedSecret,
    stop: &Stop,
) -> anyhow::Result<Option<Uploads>> {
    let reader = Reader::open(&config.outbox.directory)?;
    if !config.recordings.enabled && !reader.has_uploads()? {
        return Ok(None);
    }
    let route = upload::Route {
        http: http::Client::new(&config.api, &config.proxies, config.upload.parallel_parts),
        api_url: config.api.url.clone(),
        timeout: config.api.request_timeout(),
        secret: secret.clone(),
        backoff: config.delivery.backoff(),
        patience: contract::verdict::MEETING_PATIENCE,
    };
    Ok(Some(Uploads::new(&config.upload, outbox.clone(), reader, route, stop.for_loop("uploads"))))
}

/// The local listener, with everything that it serves.
pub(super) fn listener(
    config: &Config,
    counting: &Counting,
    outbox: &Outbox,
    rooms: Rooms,
    stop: &Stop,
) -> anyhow::Result<Listener> {
    let settings = &config.event_sync;
    let token =
        settings.token().map_err(|finding| anyhow::anyhow!("{}: {}", finding.key, finding.problem))?;
    let site = Site {
        event_sync: EventSync::new(rooms, &settings.hidden_domains, outbox.clone()),
        token: token.as_deref().map(Token::new),
        outbox: config.outbox.directory.clone(),
        max_bytes: config.outbox.max_bytes,
        counting: counting.clone(),
        started_at: now_ms(),
    };
    Ok(Listener::new(settings.listen, site, stop.for_loop("listener")))
}
