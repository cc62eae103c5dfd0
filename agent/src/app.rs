//! The composition root: the one place that knows every part, and the order in which they start and stop.
//!
//! Start: outbox, delivery, sources. Stop: sources, delivery, outbox. A part that ends by itself ends the agent, because
//! half an agent is worse than one that its supervisor starts again.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::chain::Chain;
use crate::clock::ApiClock;
use crate::clock::now_ms;
use crate::config::Config;
use crate::delivery::client::Client;
use crate::delivery::request::Routes;
use crate::delivery::{Delivery, Parts};
use crate::event_sync::EventSync;
use crate::heartbeat::{Gatherer, Heart};
use crate::hint;
use crate::http;
use crate::jibri::health::Monitor;
use crate::jibri::roots::{Finder, Origin};
use crate::kept;
use crate::listener::{Listener, Site, Token};
use crate::metrics::Counting;
use crate::outbox::fact::{self, Fact};
use crate::outbox::log::DeliveryLog;
use crate::outbox::{Outbox, Reader};
use crate::recordings::Recordings;
use crate::retention::Retention;
use crate::rooms::Rooms;
use crate::secret::SharedSecret;
use crate::spool::Spool;
use crate::upload::{self, Uploads};
use crate::watch::Stop;

/// Runs the agent until it is told to stop.
///
/// `read_again` is asked for the configuration when the agent is told to read it once more (SIGHUP); it says itself what is
/// wrong with it.
pub fn run(
    config: &Config,
    counting: &Counting,
    read_again: &dyn Fn() -> Option<Config>,
) -> anyhow::Result<()> {
    let directory = &config.outbox.directory;
    let (writer, signals) = Outbox::open(directory, config.outbox.limits())
        .with_context(|| format!("the outbox in {} cannot be opened", directory.display()))?;
    let secret = SharedSecret::new(config.secret.clone());
    let http = http(config);
    let (client, routes) = deliveries(config, http.clone())?;
    let (clock, monitor) = (ApiClock::default(), Monitor::default());
    let stop = Stop::new().context("no file descriptor is left")?;
    let (ended, source_ended) = oneshot::channel();
    let uploads = uploads(config, &writer.outbox(), &secret, &stop)?;
    let sources = start_sources(config, counting, &writer.outbox(), uploads, monitor.clone(), &stop, ended)?;
    let heart = heart(config, &writer.outbox(), http, monitor, &secret, &clock)?;
    let parts = Parts {
        outbox: writer.outbox(),
        reader: Reader::open(directory)?,
        signals,
        client,
        routes,
        secret: secret.clone(),
        clock,
    };
    let delivery = Delivery::new(&config.delivery, parts);

    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), api = config.api.url, outbox = %directory.display(),
        secret = config.secret.origin, rooms = ?config.api.rooms, "reflector-agent runs"
    );
    introduce(&writer.outbox());
    let delivered = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be built")?
        .block_on(async {
            tokio::select! {
                delivered = deliver(delivery, source_ended, stop.clone()) => delivered,
                never = secret.follow() => match never {},
                never = heart.beat() => match never {},
                failed = follow_hangups(&secret, read_again) => failed,
            }
        });
    stop.give();
    for source in sources {
        // A panic was reported when it happened.
        let _ = source.join();
    }
    writer.close();
    tracing::info!("reflector-agent has stopped");
    delivered
}

/// The one HTTP client that everything on this host shares.
pub fn http(config: &Config) -> http::Client {
    http::Client::new(&config.api, &config.proxies, config.delivery.connections)
}

/// What deliveries go through, and the routes of the configured API.
pub fn deliveries(config: &Config, http: http::Client) -> anyhow::Result<(Client, Routes)> {
    let routes = Routes::below(&config.api.url).context("api.url is not an address")?;
    Ok((Client::new(http, config.api.request_timeout()), routes))
}

/// Starts the configured sources and the uploads, each in its thread. `ended` fires when one of them ends, however it ends.
fn start_sources(
    config: &Config,
    counting: &Counting,
    outbox: &Outbox,
    uploads: Option<Uploads>,
    monitor: Monitor,
    stop: &Stop,
    ended: oneshot::Sender<()>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let ended = std::sync::Arc::new(std::sync::Mutex::new(Some(ended)));
    let mut threads = Vec::new();
    let mut start = |name: &str, run: Box<dyn FnOnce() + Send>| -> anyhow::Result<()> {
        let guard = Ended(std::sync::Arc::clone(&ended));
        let body = move || {
            let _guard = guard;
            run();
        };
        threads.push(std::thread::Builder::new().name(name.into()).spawn(body)?);
        Ok(())
    };
    let rooms = Rooms::new(&config.api.rooms);
    if config.spool.enabled {
        let spool = Spool::new(&config.spool, rooms.clone(), outbox.clone(), stop.clone())?;
        start("spool", Box::new(|| spool.run()))?;
    }
    if config.recordings.enabled {
        let finder = Finder::new(&config.recordings, &config.jibri);
        let (settings, asking, asked_until) = (config.jibri.clone(), monitor.clone(), stop.clone());
        start("jibri", Box::new(move || asking.run(&settings, &asked_until)))?;
        let retention = Retention::new(&config.retention, finder.clone(), outbox.clone(), stop.clone());
        start("retention", Box::new(|| retention.run()))?;
        let queue = if config.upload.enabled { outbox.clone().uploading() } else { outbox.clone() };
        let recordings =
            Recordings::new(&config.recordings, finder, monitor, rooms.clone(), queue, stop.clone())?
                .listening(hint(&config.outbox.directory));
        start("recordings", Box::new(|| recordings.run()))?;
        let (log, finder) =
            (DeliveryLog::open(&config.outbox.directory)?, Finder::new(&config.recordings, &config.jibri));
        let until = stop.clone();
        start("kept", Box::new(move || kept::run(&log, || kept_in(&finder), &until)))?;
    }
    if let Some(uploads) = uploads {
        start("uploads", Box::new(|| uploads.run()))?;
    }
    if config.event_sync.enabled {
        let listener = listener(config, counting, outbox, rooms, stop)?;
        start("listener", Box::new(|| listener.run()))?;
    }
    Ok(threads)
}

/// Says in the outbox who runs, for `status`.
fn introduce(outbox: &Outbox) {
    let body = json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() });
    if let Err(error) = outbox.say(fact::AGENT, &Fact { at: now_ms(), body: body.to_string() }) {
        // Delivering does not depend on it, and a full disk is told by whoever needs it.
        tracing::debug!(error = %Chain(&error), "the outbox does not say who runs");
    }
}

/// Where a finalize script may tell us to look; `None` where that directory cannot be made, which costs seconds.
fn hint(outbox: &Path) -> Option<PathBuf> {
    let run = std::env::var_os(hint::VARIABLE);
    let prepared = hint::prepare(run.as_deref(), outbox);
    prepared.inspect_err(|error| tracing::warn!(%error, "finalize scripts cannot wake the agent")).ok()
}

/// The roots in which recordings may be kept from a finalize script.
fn kept_in(finder: &Finder) -> Vec<PathBuf> {
    let roots = finder.find().roots.into_iter();
    roots.filter(|root| root.origin != Origin::Kept).map(|root| root.path).collect()
}

/// What tells the API how this host is.
fn heart(
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
fn uploads(
    config: &Config,
    outbox: &Outbox,
    secret: &SharedSecret,
    stop: &Stop,
) -> anyhow::Result<Option<Uploads>> {
    let reader = Reader::open(&config.outbox.directory)?;
    if !config.recordings.enabled && reader.open_uploads(0)?.is_empty() {
        return Ok(None);
    }
    let route = upload::Route {
        http: http::Client::new(&config.api, &config.proxies, config.upload.parallel_parts),
        api_url: config.api.url.clone(),
        timeout: config.api.request_timeout(),
        secret: secret.clone(),
        backoff: config.delivery.backoff(),
    };
    Ok(Some(Uploads::new(&config.upload, outbox.clone(), reader, route, stop.clone())))
}

/// The local listener, with everything that it serves.
fn listener(
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
    Ok(Listener::new(settings.listen, site, stop.clone()))
}

/// Fires when a source's thread ends, also by a panic.
struct Ended(std::sync::Arc<std::sync::Mutex<Option<oneshot::Sender<()>>>>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Ok(mut ended) = self.0.lock()
            && let Some(ended) = ended.take()
        {
            let _ = ended.send(());
        }
    }
}

/// Takes from the configuration what may change while the agent runs, whenever it is told to.
async fn follow_hangups(
    secret: &SharedSecret,
    read_again: &dyn Fn() -> Option<Config>,
) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        if let Some(config) = read_again() {
            secret.replace(config.secret);
        }
    }
    std::future::pending().await
}

async fn deliver(delivery: Delivery, source_ended: oneshot::Receiver<()>, stop: Stop) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let failed = std::cell::Cell::new(false);
    let told_to_stop = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("told to stop"),
            Ok(()) = source_ended => {
                failed.set(true);
                tracing::error!("a source ended by itself; the agent stops so that its supervisor starts it again");
            }
        }
        stop.give();
    };
    delivery.run(told_to_stop).await.context("delivery ended")?;
    anyhow::ensure!(!failed.get(), "a source ended by itself");
    Ok(())
}
