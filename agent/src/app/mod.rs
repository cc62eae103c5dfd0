//! The composition root: the one place that knows every part, and the order in which they start and stop.
//!
//! Start: outbox, sources, delivery. Stop: sources, delivery, outbox. A part that ends by itself ends the agent, because
//! half an agent is worse than one that its supervisor starts again.

mod parts;
mod sources;
mod threads;

use std::cell::Cell;
use std::convert::Infallible;

use anyhow::Context;
use serde_json::json;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use self::threads::Threads;
use crate::chain::Chain;
use crate::clock::{ApiClock, now_ms};
use crate::config::Config;
use crate::delivery::client::Client;
use crate::delivery::request::Routes;
use crate::delivery::{Delivery, Parts};
use crate::http;
use crate::jibri::health::Monitor;
use crate::metrics::Counting;
use crate::outbox::fact::{self, Fact};
use crate::outbox::{Outbox, Reader};
use crate::secret::SharedSecret;
use crate::supervision::{notify, patiently};
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
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be built")?;
    // Before anything that may take long: without a handler, a signal ends the process.
    let signals = {
        let _inside = runtime.enter();
        Signals::new().context("signals cannot be received")?
    };
    let directory = &config.outbox.directory;
    // After a crash, or with another version, the database has much to do before it can be used.
    let (writer, changes) = patiently(|| Outbox::open(directory, config.outbox.limits()))
        .with_context(|| format!("the outbox in {} cannot be opened", directory.display()))?;
    let outbox = writer.outbox();
    introduce(&outbox, &config.api.url);
    let secret = SharedSecret::new(config.secret.clone());
    let http = http(config);
    let (client, routes) = deliveries(config, http.clone())?;
    let (clock, monitor) = (ApiClock::default(), Monitor::default());
    let stop = Stop::new().context("no file descriptor is left")?;
    stop.pulses().feel(writer.pulse());
    let (mut threads, source_ended) = Threads::new();
    sources::start(&mut threads, config, counting, &outbox, &secret, &monitor, &stop)?;
    let heart = parts::heart(config, &outbox, http, monitor, &secret, &clock)?;
    let reader = Reader::open(directory)?;
    let parts = Parts { outbox, reader, signals: changes, client, routes, secret: secret.clone(), clock };
    let delivery = Delivery::new(&config.delivery, parts);

    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), api = config.api.url, outbox = %directory.display(),
        secret = config.secret.origin, rooms = ?config.api.rooms, "reflector-agent runs"
    );
    notify::ready();
    // Afterwards, because it counts what waits.
    sources::start_report(&mut threads, directory, &stop)?;
    let Signals { terminate, interrupt, hangup } = signals;
    let delivered = runtime.block_on(async {
        tokio::select! {
            delivered = deliver(delivery, [terminate, interrupt], source_ended, stop.clone()) => delivered,
            never = secret.follow() => match never {},
            never = heart.beat() => match never {},
            never = follow_hangups(hangup, &secret, read_again) => match never {},
        }
    });
    stop.give();
    threads.join();
    writer.close();
    // Whoever looks up a name or asks a disk that does not answer must not hold up the end.
    runtime.shutdown_background();
    tracing::info!("reflector-agent has stopped");
    notify::stopped();
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

/// Says in the outbox who runs and where it delivers to, for `status`.
fn introduce(outbox: &Outbox, api: &str) {
    let body = json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(), "api": api });
    if let Err(error) = outbox.say(fact::AGENT, &Fact { at: now_ms(), body: body.to_string() }) {
        // Delivering does not depend on it, and a full disk is told by whoever needs it.
        tracing::debug!(error = %Chain(&error), "the outbox does not say who runs");
    }
}

/// What the agent is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Takes from the configuration what may change while the agent runs, whenever it is told to.
async fn follow_hangups(
    mut hangup: Signal,
    secret: &SharedSecret,
    read_again: &dyn Fn() -> Option<Config>,
) -> Infallible {
    while hangup.recv().await.is_some() {
        notify::reloading();
        if let Some(config) = read_again() {
            secret.replace(config.secret);
        }
        notify::ready();
    }
    std::future::pending().await
}

/// Delivers until one of the signals `to_stop` comes, or a source ends.
async fn deliver(
    delivery: Delivery,
    to_stop: [Signal; 2],
    source_ended: oneshot::Receiver<()>,
    stop: Stop,
) -> anyhow::Result<()> {
    let [mut terminate, mut interrupt] = to_stop;
    // Polled with the delivery loop and by it, so it shows that this one gets round.
    let of_loop = stop.for_loop("delivery");
    let failed = Cell::new(false);
    let told_to_stop = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("told to stop"),
            Ok(()) = source_ended => {
                failed.set(true);
                tracing::error!("a source ended by itself; the agent stops so that its supervisor starts it again");
            }
            () = of_loop.given() => {}
        }
        notify::stopping();
        stop.give();
    };
    delivery.run(told_to_stop).await.context("delivery ended")?;
    anyhow::ensure!(!failed.get(), "a source ended by itself");
    Ok(())
}
