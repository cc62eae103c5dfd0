//! The private Postgres that runs when no `DATABASE_URL` is set.
//!
//! It lives in the state directory, listens on a Unix socket that only its owner (and root) can reach, and commits to disk like
//! any other Postgres. It is a process of its own: when this program is killed it lives on, and the next start adopts it; when it
//! dies itself it is started again. A graceful stop of this program stops it, too.
//!
//! - `binaries`: where the installed server is.
//! - `owner`: whom it runs as.
//! - `place`: which directories it uses.
//! - `cluster`: makes the database directory, once.
//! - `postmaster`: starts, finds, watches and stops the server process.
//! - `supervisor`: keeps it running.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::Flock;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep};

mod binaries;
mod cluster;
mod owner;
mod place;
mod postmaster;
mod supervisor;

use place::Place;
use supervisor::Supervisor;

use super::connect::Unreachable;

/// The user and the database that the cluster is made with.
const NAME: &str = "reflector";
/// The port; without TCP it is a part of the socket's file name, and nothing else.
const PORT: u16 = 5432;
/// How long the first connection may take: after a crash the server replays its log first.
const START_PATIENCE: Duration = Duration::from_mins(2);
/// How often the first connection is tried.
const START_PAUSE: Duration = Duration::from_millis(50);

/// A running private Postgres.
pub struct Embedded {
    place: Place,
    supervisor: Supervisor,
    _lock: Flock<std::fs::File>,
}

/// Why the private Postgres does not run. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server is installed, or none of the version that the data was written by.
    #[error("{}", no_server(*.version))]
    NoServer {
        /// The version that the data needs, if there is data.
        version: Option<u32>,
    },
    /// Postgres refuses to run as root, and there is nobody else to run it as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user reflector-api nor a user postgres to run it as"
    )]
    NoOwner,
    /// The owner cannot get into the state directory.
    #[error(
        "the user {user}, who runs the private PostgreSQL, cannot enter {}; choose another REFLECTOR_API_STATE_DIR or allow \
         it with: chmod o+x {}", directory.display(), directory.display()
    )]
    Inaccessible {
        /// The user.
        user: String,
        /// The first directory on the way that is closed.
        directory: PathBuf,
    },
    /// Another user has worked in the state directory.
    #[error(
        "{} is not writable for the user {user}: another user has worked here; hand everything over with: sudo chown -R {user}: {}",
        path.display(), state.display()
    )]
    NotOurs {
        /// What cannot be written.
        path: PathBuf,
        /// The state directory.
        state: PathBuf,
        /// Whom it must belong to.
        user: String,
    },
    /// A second process in the same state directory.
    #[error(
        "another reflector-api uses the state directory {}; stop it, or give this one another REFLECTOR_API_STATE_DIR",
        .0.display()
    )]
    InUse(PathBuf),
    /// `initdb` failed.
    #[error("initdb could not make {}: {output}", directory.display())]
    Initdb {
        /// The directory.
        directory: PathBuf,
        /// What it said.
        output: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It was started and does not answer.
    #[error("the private PostgreSQL does not answer; its log is in {}", log.display())]
    Silent {
        /// The last attempt's error.
        source: Unreachable,
        /// Where to look.
        log: PathBuf,
    },
}

fn no_server(version: Option<u32>) -> String {
    const LOOKED: &str = "looked in /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin and PATH";
    match version {
        None => format!(
            "no PostgreSQL server is installed ({LOOKED}); install it with: apt install postgresql, or set DATABASE_URL"
        ),
        Some(version) => format!(
            "the private database was made by PostgreSQL {version}, whose server is not installed ({LOOKED}); install it with: \
             apt install postgresql-{version}. Where this Debian has it no more, apt.postgresql.org does; \"Another PostgreSQL\" in \
             docs/operations.md says how to move on to a newer one"
        ),
    }
}

/// Whether there is a server that a private Postgres can be made with.
pub fn is_installed() -> Result<(), Error> {
    binaries::find(None).map(drop)
}

/// Whether a private Postgres has data in `state_dir`.
pub fn has_data(state_dir: &Path) -> bool {
    place::has_data(state_dir)
}

impl Embedded {
    /// Starts or adopts the Postgres of `state_dir` and waits until it answers. Makes it if there is none.
    pub async fn start(state_dir: &Path) -> Result<Self, Error> {
        let owner = owner::choose()?;
        let place = Place::prepare(state_dir, &owner)?;
        let lock = place.lock()?;
        let binaries = binaries::find(place.data_version())?;
        cluster::ensure(&place, &owner, &binaries).await?;
        let supervisor = Supervisor::start(place.clone(), owner, binaries);
        let embedded = Self { place, supervisor, _lock: lock };
        match embedded.wait_until_ready().await {
            Ok(()) => Ok(embedded),
            Err(error) => {
                embedded.stop().await;
                Err(error)
            }
        }
    }

    /// How to connect.
    pub fn options(&self) -> PgConnectOptions {
        self.options_of(NAME)
    }

    /// How to connect to the one that another process runs in `state_dir`.
    pub fn options_at(state_dir: &Path) -> Result<PgConnectOptions, Error> {
        Ok(options(&place::socket_of(state_dir)?, NAME))
    }

    /// What somebody types to look into the database.
    pub fn psql_command(&self) -> String {
        let directory = self.place.socket.display();
        format!("psql \"host={directory} port={PORT} dbname={NAME} user={NAME}\"")
    }

    /// Stops the server: sessions are ended, everything is written.
    pub async fn stop(self) {
        self.supervisor.stop().await;
        self.place.tidy();
    }

    fn options_of(&self, database: &str) -> PgConnectOptions {
        options(&self.place.socket, database)
    }

    async fn wait_until_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            match self.ensure_database().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    let source = Unreachable::new(&self.options_of("postgres"), &error);
                    return Err(Error::Silent { source, log: self.place.start_log() });
                }
                Err(_) => sleep(START_PAUSE).await,
            }
        }
    }

    async fn ensure_database(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.options_of("postgres").connect().await?;
        let exists: bool = sqlx::query_scalar(
            "-- embedded.database_exists\nSELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
        )
        .bind(NAME)
        .fetch_one(&mut connection)
        .await?;
        if !exists {
            sqlx::query("-- embedded.create_database\nCREATE DATABASE reflector")
                .execute(&mut connection)
                .await?;
        }
        connection.close().await
    }
}

fn options(socket: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(PORT)
        .username(NAME)
        .database(database)
        .application_name("reflector-api")
        .disable_statement_logging()
}
