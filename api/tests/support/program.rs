//! The real program, for tests that kill it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use api::config::Variables;
use sqlx::postgres::PgConnectOptions;

/// `reflector-api serve`, killed when dropped.
pub(crate) struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts it with `variables` on the database of `options`, and waits until it listens.
    pub(crate) fn start(variables: &Variables, options: &PgConnectOptions) -> Self {
        let socket = options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let database = options.get_database().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_reflector-api"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_clear()
            .envs(variables)
            .env("DATABASE_URL", format!("postgresql://reflector@{socket}/{database}"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let before = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "it ended before it listened:\n{said}");
            if let Some((_, url)) = said[before..].split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, url }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
