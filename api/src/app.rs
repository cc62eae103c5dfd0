//! Puts the parts together and runs them: the only place that knows every part.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use host::pulse::Pulses;
use sqlx::PgPool;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::auth::bearer::Authenticator;
use crate::config::{Config, Database};
use crate::db;
use crate::db::connect::{self, Unreachable};
use crate::db::embedded::{self, Embedded};
use crate::enrolment::Enrolment;
use crate::http::timeouts::Patience;
use crate::http::{router, serve, starting};
use crate::ingest::Ingest;
use crate::jitsi::token::TokenIssuer;
use crate::jobs;
use crate::meters::Meters;
use crate::queue::Queue;
use crate::receipts::Receipts;
use crate::recordings::consumer;
use crate::state::State;
use crate::storage::Storage;
use crate::supervision::{self, patiently};
use crate::traces::Traces;
use crate::uploads::Uploads;
use crate::wakes::Wakes;
use crate::webhooks::Webhooks;
use crate::whereby::Whereby;

/// How long a database that does not answer yet is waited for at the start.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);
/// How long the end may wait for the last receipts.
const RECEIPTS_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried.
const DATABASE_PAUSE: Duration = Duration::from_millis(500);
/// How long the loop that accepts connections may be silent. It waits for nothing longer than [`Patience::turn`].
const ACCEPT_LIMIT: Duration = Duration::from_mins(1);

/// Serves HTTP until `SIGTERM` or `SIGINT`, then finishes what is under way.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let Some(store) = open_meanwhile_refusing(&config, &listener, &mut stop).await? else { return Ok(()) };
    let served = serve_from(&store, config, listener, stop).await;
    store.close().await;
    served
}

/// The database, once it is there; until then requests are refused for now. `None` when a stop is asked for first.
///
/// Each part of the opening has a limit of its own, but for what makes or changes a database, which takes the time that it takes.
async fn open_meanwhile_refusing(
    config: &Config,
    listener: &TcpListener,
    stop: &mut Stop,
) -> anyhow::Result<Option<Store>> {
    let (opened, is_opened) = oneshot::channel::<()>();
    let opening = async {
        let store = tokio::select! {
            store = patiently(Store::open(config)) => store.map(Some),
            () = stop.requested() => Ok(None),
        };
        drop(opened);
        store
    };
    let until_opened = async { is_opened.await.unwrap_or_default() };
    let (limits, patience) = (&config.limits, Patience::default());
    // The limit of the start watches over this one.
    let refusing = serve::serve(listener, starting::router(), limits, patience, || {}, until_opened);
    tokio::join!(opening, refusing).0
}

/// Brings the schema up to date and ends.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    Store::open(config).await?.close().await;
    Ok(())
}

/// Does `work` on the database, with the schema up to date, also while the service runs on it.
pub async fn with_database<T>(
    config: &Config,
    work: impl AsyncFnOnce(PgPool) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let store = match Store::open(config).await {
        Err(error) if is_in_use(&error) => {
            // The service runs the private Postgres, and has migrated it.
            let options = Embedded::options_at(&config.state_dir)?;
            Store { pool: db::pool(options.clone()), options, embedded: None }
        }
        opened => opened?,
    };
    let result = work(store.pool.clone()).await;
    store.close().await;
    result
}

fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(embedded::Error::InUse(_)))
}

/// The parts that requests need, put together.
pub fn state(config: Config, pool: PgPool, options: &PgConnectOptions) -> anyhow::Result<State> {
    let authenticator =
        Authenticator::new(&config.auth).context("the key for bearer tokens cannot be used")?;
    let jitsi = match &config.jitsi.meetings {
        Ok(settings) => {
            Some(Arc::new(TokenIssuer::new(settings).context("the key for Jitsi tokens cannot be used")?))
        }
        Err(_) => None,
    };
    let storage = config.storage.clone().map(Storage::new).transpose();
    let storage = storage.context("the object storage cannot be used")?.map(Arc::new);
    let uploads = storage.clone().filter(|storage| storage.settings().takes_uploads);
    let uploads = uploads.map(|storage| Uploads::new(pool.clone(), storage));
    let whereby = match &config.whereby.meetings {
        Ok(settings) => {
            let whereby = Whereby::new(pool.clone(), settings.clone());
            Some(whereby.context("the way to Whereby cannot be used")?)
        }
        Err(_) => None,
    };
    let webhooks = Webhooks::new(pool.clone(), &config.webhooks, storage.clone())
        .context("the client for webhooks cannot be made")?;
    let pulses = Pulses::default();
    Ok(State {
        enrolment: Arc::new(Enrolment::new(pool.clone(), config.agents.secret_key.clone())),
        receipts: Receipts::start(pool.clone()),
        db: pool,
        ingest: Ingest::start(options, &pulses),
        meters: Meters::start(),
        traces: Traces::start(config.log.traces.as_deref())?,
        config: Arc::new(config),
        authenticator: Arc::new(authenticator),
        jitsi,
        pulses,
        storage,
        uploads,
        whereby,
        webhooks,
        wakes: Wakes::default(),
    })
}

async fn serve_from(
    store: &Store,
    config: Config,
    listener: TcpListener,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let mut state = state(config, store.pool.clone(), &store.options)?;
    let periodic = jobs::list(&state);
    state.wakes = Wakes::new(periodic.iter().map(|job| job.name));
    if let Some(uploads) = &state.uploads {
        tracing::info!("recordings of rooms in the cloud go to {}", uploads.storage());
    } else if let Some(storage) = &state.storage {
        tracing::info!("recordings by Whereby are read from {storage}; those of Jitsi stay on their hosts");
    }
    let periodic = jobs::runner::start(&state, periodic);
    let webhooks = state.webhooks.start();
    let notifications = listen_to_storage(&state)?;
    let receipts = state.receipts.clone();
    tokio::spawn(state.meters.clone().keep_up());
    let pulses = state.pulses.clone();
    let accepting = pulses.pulse("http.accept", ACCEPT_LIMIT);
    let (limits, traces) = (state.config.limits.clone(), state.traces.clone());
    let router = router::router(state);
    let address = listener.local_addr()?;
    tracing::info!("listening on http://{address}");
    supervision::ready(&format!("serving on http://{address}"));
    let feeding = tokio::spawn(supervision::feed(pulses));
    let stop = async {
        stop.requested().await;
        // From here on the unit's limit for a stop holds.
        feeding.abort();
        supervision::stopping();
    };
    serve::serve(listener, router, &limits, Patience::default(), || accepting.beat(), stop).await;
    traces.stop().await;
    receipts.flush(RECEIPTS_PATIENCE).await;
    tokio::join!(periodic.stop(), webhooks.stop(), consumer::stop(notifications));
    tracing::info!("stopped");
    Ok(())
}

/// Takes what the storage tells of its objects, where there is a queue for it.
fn listen_to_storage(state: &State) -> anyhow::Result<Option<consumer::Running>> {
    let Some(settings) = &state.config.queue else { return Ok(None) };
    let queue = Queue::new(settings.clone()).context("the queue cannot be used")?;
    tracing::info!("the storage's notifications come from {queue}");
    Ok(Some(consumer::start(state.db.clone(), queue)))
}

/// The database, with the schema up to date.
struct Store {
    options: PgConnectOptions,
    pool: PgPool,
    embedded: Option<Embedded>,
}

impl Store {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let (options, embedded) = match &config.database {
            Database::Server(url) => (db::options(url.expose())?, None),
            Database::Embedded => {
                let embedded = Embedded::start(&config.state_dir).await?;
                tracing::info!(
                    "running a private PostgreSQL; look into it with: {}",
                    embedded.psql_command()
                );
                (embedded.options(), Some(embedded))
            }
        };
        let store = Self { pool: db::pool(options.clone()), options, embedded };
        match store.prepare().await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        self.reach().await?;
        supervision::say("bringing the database's schema up to date");
        let migrated = db::migrate(&self.pool).await;
        migrated.map_err(|error| match error {
            MigrateError::VersionMissing(version) => anyhow::anyhow!(
                "a newer release has changed the database (migration {version}); run that release, or restore a backup from before it"
            ),
            // The error repeats its causes, which a context would print once more.
            error => anyhow::anyhow!("cannot bring the database's schema up to date: {error}"),
        })
    }

    /// Waits for a database that is still starting. Whatever else is wrong will not pass by waiting.
    async fn reach(&self) -> Result<(), Unreachable> {
        let deadline = Instant::now() + DATABASE_PATIENCE;
        let mut said = String::new();
        loop {
            match connect::probe(&self.options).await {
                Err(error) if error.may_pass() && Instant::now() < deadline => {
                    let reason = error.to_string();
                    if reason != said {
                        tracing::warn!("waiting for the database: {reason}");
                        supervision::say(&format!("waiting for the database: {reason}"));
                        said = reason;
                    }
                    sleep(DATABASE_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    async fn close(self) {
        self.pool.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// The wish of whoever runs this that it ends.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
