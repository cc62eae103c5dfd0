//! Which Postgres holds the data.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::reader::Reader;
use super::secret::Secret;

/// Which Postgres holds the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// The one at this address, from `DATABASE_URL`. The address may hold a password.
    Server(Secret),
    /// A private one in the state directory, started by this program: `DATABASE_URL` is not set.
    Embedded,
}

impl Database {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let Some(text) = reader.text("DATABASE_URL") else { return Self::Embedded };
        let url = without_driver(&text);
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        // The parser's own message may repeat parts of the address, and with them the password.
        if !is_postgres || PgConnectOptions::from_str(&url).is_err() {
            reader.error(
                "DATABASE_URL",
                "is not a Postgres address; expected postgresql://USER:PASSWORD@HOST:5432/DATABASE, or leave it out to \
                 run a private Postgres",
            );
        }
        Self::Server(Secret::new(url))
    }
}

/// The existing API is configured for `SQLAlchemy`, whose addresses name a driver after the scheme.
fn without_driver(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.split('+').next().unwrap_or_default()),
        None => url.to_owned(),
    }
}

/// Where state of this host is kept: `REFLECTOR_API_STATE_DIR`, else the place that suits the user.
pub(super) fn state_dir(reader: &mut Reader<'_>) -> PathBuf {
    let chosen = reader.text("REFLECTOR_API_STATE_DIR").map(PathBuf::from);
    let by_systemd = reader.text("STATE_DIRECTORY").map(PathBuf::from);
    let xdg = reader.text("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = reader.text("HOME").map(PathBuf::from);
    if let Some(path) = chosen {
        if !path.is_absolute() {
            let message =
                format!("{} must be an absolute path, such as /var/lib/reflector-api", path.display());
            reader.error("REFLECTOR_API_STATE_DIR", message);
        }
        return path;
    }
    if let Some(path) = by_systemd {
        return path;
    }
    if reader.is_root() {
        return PathBuf::from("/var/lib/reflector-api");
    }
    match xdg.or_else(|| home.map(|home| home.join(".local/state"))) {
        Some(base) => base.join("reflector-api"),
        None => PathBuf::from("/var/lib/reflector-api"),
    }
}
