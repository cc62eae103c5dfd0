//! The first connection to a database: what stands in its way, said so that an operator can act on it.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

/// How long one attempt may take. A server behind a firewall says nothing at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a database cannot be connected to: where it was looked for, what happened, and what to do. Never holds a password.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {place}: {reason}; {advice}")]
pub struct Unreachable {
    place: String,
    reason: String,
    advice: &'static str,
    may_pass: bool,
}

/// Connects once and hangs up.
pub async fn probe(options: &PgConnectOptions) -> Result<(), Unreachable> {
    let attempt = async { options.connect().await?.close().await };
    let silence = || sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
    let result = tokio::time::timeout(PATIENCE, attempt).await.unwrap_or_else(|_| Err(silence()));
    result.map_err(|error| Unreachable::new(options, &error))
}

/// The same for an address, when nothing else is known.
pub fn probe_address(url: &str) -> anyhow::Result<()> {
    let options = super::options(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(probe(&options))?)
}

/// Whether `url` leads to a socket of this host, where a server may know its callers by their users.
pub fn is_by_socket(url: &str) -> bool {
    super::options(url).is_ok_and(|options| options.get_socket().is_some())
}

impl Unreachable {
    /// What `error` means for somebody who connects as `options` say.
    pub fn new(options: &PgConnectOptions, error: &sqlx::Error) -> Self {
        let may_pass = super::is_outage(error) && !matches!(error, sqlx::Error::Tls(_));
        Self { place: place(options), reason: reason(error), advice: advice(error), may_pass }
    }

    /// Whether waiting may help: the server may still be starting.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }
}

fn place(options: &PgConnectOptions) -> String {
    let (user, port) = (options.get_username(), options.get_port());
    let database = options.get_database().unwrap_or(user);
    match options.get_socket() {
        Some(directory) => format!("database {database} on {}:{port} as {user}", directory.display()),
        None => format!("database {database} on {}:{port} as {user}", options.get_host()),
    }
}

/// The innermost reason alone; [`sqlx::Error`] says the same in several layers.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

fn advice(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(error) if error.to_string().contains("lookup") => "check the host's name",
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            "check the host and the firewalls on the way"
        }
        sqlx::Error::Io(_) => "check that PostgreSQL runs there and takes connections",
        sqlx::Error::Tls(_) => "check sslmode and sslrootcert, and the server's certificate",
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => "check the user and the password, and the server's pg_hba.conf",
            Some("3D000") => "make it with createdb, or name another",
            _ => "the server's log may say more",
        },
        _ => "check DATABASE_URL",
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn options(url: &str) -> PgConnectOptions {
        PgConnectOptions::from_str(url).unwrap()
    }

    #[test]
    fn what_stands_in_the_way_is_said_once_with_its_place_and_without_the_password() {
        let io = |kind, text: &str| sqlx::Error::Io(io::Error::new(kind, text.to_owned()));
        let refused = io(io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)");
        let lookup =
            io(io::ErrorKind::Other, "failed to lookup address information: Name or service not known");
        let tls = sqlx::Error::Tls("server does not support TLS".into());
        for (url, error, may_pass, expected) in [
            (
                "postgres://ann:hunter2@db.example.com:5433/meetings",
                refused,
                true,
                "cannot connect to database meetings on db.example.com:5433 as ann: Connection refused (os error 111); \
                 check that PostgreSQL runs there and takes connections",
            ),
            (
                "postgres://ann:hunter2@nowhere/meetings",
                lookup,
                true,
                "cannot connect to database meetings on nowhere:5432 as ann: failed to lookup address information: Name or \
                 service not known; check the host's name",
            ),
            (
                "postgres://ann@%2Frun%2Fpostgresql/meetings",
                tls,
                false,
                "cannot connect to database meetings on /run/postgresql:5432 as ann: TLS: server does not support TLS; check \
                 sslmode and sslrootcert, and the server's certificate",
            ),
        ] {
            let unreachable = Unreachable::new(&options(url), &error);
            assert_eq!((unreachable.to_string().as_str(), unreachable.may_pass()), (expected, may_pass));
        }
    }

    #[test]
    fn an_address_with_a_directory_is_a_sockets() {
        for (url, expected) in [
            ("postgres://ann@db.example.com/meetings", false),
            ("postgres://ann@%2Frun%2Fpostgresql/meetings", true),
            ("postgres:///meetings?host=/run/postgresql", true),
        ] {
            assert_eq!(is_by_socket(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://ann@{}/meetings", listener.local_addr().unwrap());
        drop(listener);
        let error = probe(&options(&url)).await.unwrap_err();
        assert!(error.may_pass() && error.to_string().contains("Connection refused"), "{error}");
    }
}
