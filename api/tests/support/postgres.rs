//! One private Postgres for the test binary, one database for each test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User, chown};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};
use std::os::unix::process::CommandExt as _;

const TEMPLATE: &str = "migrated";

/// Starts the server named by `$1` with the remaining arguments, and stops it and removes `$0` when standard input ends: when
/// the test binary is gone, whichever way it went.
const WATCHED: &str = r#""$@" & server=$!; cat; kill -QUIT $server; wait $server; rm -rf "$0""#;

struct Server {
    options: PgConnectOptions,
    /// Its standard input keeps the server alive.
    _watch: Child,
}

/// A database with the current schema, and how to connect to it.
pub(crate) async fn database() -> (PgPool, PgConnectOptions) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = tokio::task::spawn_blocking(server).await.unwrap();
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    create(&server.options, &name, &format!("TEMPLATE {TEMPLATE}")).await;
    let options = server.options.clone().database(&name);
    (api::db::pool(options.clone()), options)
}

/// An empty database and how to connect to it.
pub(crate) async fn empty_database(name: &str) -> PgConnectOptions {
    let server = tokio::task::spawn_blocking(server).await.unwrap();
    create(&server.options, name, "").await;
    server.options.clone().database(name)
}

async fn create(options: &PgConnectOptions, name: &str, clause: &str) {
    let mut connection = options.clone().connect().await.unwrap();
    let statement = format!("CREATE DATABASE {name} {clause}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Server {
    let home = tempfile::Builder::new().prefix("api-pg-").tempdir_in("/tmp").unwrap().keep();
    let data = home.join("data");
    let bin = newest_server();
    if let Some(user) = other_user() {
        chown(&home, Some(user.uid), Some(user.gid)).unwrap();
    }
    let initdb = as_owner(bin.join("initdb").as_path())
        .args(["--no-sync", "-A", "trust", "-U", "reflector", "-E", "UTF8", "--locale", "C.UTF-8", "-D"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
    let watch = as_owner(Path::new("/bin/sh"))
        .args(["-c", WATCHED])
        .arg(&home)
        .arg(bin.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"])
        .arg("-c")
        .arg(format!("unix_socket_directories={}", home.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let options =
        PgConnectOptions::new_without_pgpass().socket(&home).username("reflector").database("postgres");
    prepare(&options);
    Server { options, _watch: watch }
}

/// Waits for the server and makes the template, in a runtime that ends with this function: connections belong to the runtime that
/// made them.
fn prepare(options: &PgConnectOptions) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_mins(1);
        while let Err(error) = options.clone().connect().await {
            assert!(Instant::now() < deadline, "the tests' Postgres does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        create(options, TEMPLATE, "").await;
        let pool = api::db::pool(options.clone().database(TEMPLATE));
        api::db::migrate(&pool).await.unwrap();
        pool.close().await;
    });
}

fn newest_server() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed").flatten();
    let newest = versions.max_by_key(|entry| {
        entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()).unwrap_or_default()
    });
    newest.expect("PostgreSQL is installed").path().join("bin")
}

/// Postgres refuses to run as root.
fn other_user() -> Option<User> {
    Uid::effective()
        .is_root()
        .then(|| User::from_name("postgres").unwrap().expect("there is a user postgres"))
}

fn as_owner(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some(user) = other_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}
