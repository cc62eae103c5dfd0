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
        let (url, unknown) = with_known_parameters(&without_driver(&text));
        for parameter in unknown {
            reader.warning(
                "DATABASE_URL",
                format!("has a parameter {parameter:?}, which is not known here and is left out"),
            );
        }
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

/// What may stand after the question mark of an address, besides settings of the server: `options[…]`.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The address without the parameters that nobody here knows, and those parameters' names. What `asyncpg` calls `ssl` is `sslmode`
/// everywhere else.
fn with_known_parameters(url: &str) -> (String, Vec<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), Vec::new()) };
    let mut kept = Vec::new();
    let mut unknown = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name == "ssl" {
            kept.push(format!("sslmode={value}"));
        } else if PARAMETERS.contains(&name) || name.starts_with("options[") {
            kept.push(parameter.to_owned());
        } else {
            unknown.push(name.to_owned());
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    (url, unknown)
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
    if let Some(path) = chosen {
        if !path.is_absolute() {
            let message =
                format!("{} must be an absolute path, such as /var/lib/reflector-api", path.display());
            reader.error("REFLECTOR_API_STATE_DIR", message);
        }
        return path;
    }
    if let Some(path) = reader.text("STATE_DIRECTORY").map(PathBuf::from) {
        return path;
    }
    if reader.is_root() {
        return PathBuf::from("/var/lib/reflector-api");
    }
    let xdg = reader.text("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    match xdg.or_else(|| Some(PathBuf::from(reader.text("HOME")?).join(".local/state"))) {
        Some(base) => base.join("reflector-api"),
        None => PathBuf::from("/var/lib/reflector-api"),
    }
}
