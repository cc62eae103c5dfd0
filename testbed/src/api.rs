//! The real `reflector-api` with its private Postgres, and a client of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::process::{self, Process};
use crate::prosody::DOMAIN;
use crate::secrets::Secrets;
use crate::wait::eventually;

/// The first start makes a database cluster.
const START: Duration = Duration::from_mins(1);
/// How long Postgres may take to end.
const STOP: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A running API. It is stopped, together with its Postgres, when dropped.
#[derive(Debug)]
pub struct Api {
    process: Process,
    directory: PathBuf,
    log: PathBuf,
    port: u16,
    secrets: Secrets,
    storage: Variables,
}

/// Variables of the environment.
type Variables = Vec<(&'static str, String)>;

impl Api {
    /// Starts the API on a loopback port with all its state in `directory`, and waits until it is healthy. `storage` holds the
    /// variables of its object storage; without any it has none.
    pub fn start(
        directory: &Path,
        log: &Path,
        port: u16,
        secrets: &Secrets,
        storage: Variables,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let process = launch(directory, log, port, secrets, &storage)?;
        let (directory, log) = (directory.to_owned(), log.to_owned());
        Ok(Self { process, directory, log, port, secrets: secrets.clone(), storage })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts the API again after it has ended.
    pub fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.directory, &self.log, self.port, &self.secrets, &self.storage)?;
        Ok(())
    }

    /// Starts the API again if it has ended, as a service manager does.
    pub fn revive(&mut self) -> Result<()> {
        if self.process.ended()?.is_some() { self.restart() } else { Ok(()) }
    }

    /// Kills the private Postgres (SIGKILL to its postmaster).
    pub fn kill_postgres(&self) -> Result<()> {
        Ok(kill(self.postgres()?, Signal::SIGKILL)?)
    }

    /// A bearer token for `user`, made by the program's own command.
    pub fn token(&self, user: &str) -> Result<String> {
        self.ask(&["token", "--subject", user])
    }

    /// What the program itself answers to another command line, in the same surroundings.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(process::program("reflector-api")?);
        environment(&mut command, &self.directory, &self.secrets, &self.storage);
        let output = command.args(arguments).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A client that calls as `user`.
    pub fn client(&self, user: &str) -> Result<Client> {
        Ok(Client::new(&self.url(), &self.token(user)?))
    }

    /// Runs SQL in the private Postgres and returns its rows, one a line, columns parted by `|`.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let output = self.psql().args(["-c", statement]).output();
        let output = output.context("psql does not start; `make setup` installs it")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `psql` on the private Postgres: rows only, and it stops at the first error.
    fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        command
            .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "reflector", "-d", "reflector", "-h"])
            .arg(self.directory.join("run"));
        command
    }

    /// The private Postgres, if it runs.
    fn postgres(&self) -> Result<Pid> {
        let path = self.directory.join("postgres/data/postmaster.pid");
        let text = fs::read_to_string(&path).context("the private Postgres does not run")?;
        let pid: i32 = text.lines().next().unwrap_or_default().trim().parse().context("no process id")?;
        // A killed server leaves its file behind, and the number may be another program's by now.
        let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        ensure!(program.trim() == "postgres", "the private Postgres does not run");
        Ok(Pid::from_raw(pid))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // What cannot be stopped is killed when the process is dropped.
        let _ = self.process.stop();
        // A killed API leaves its Postgres to the next one; after the last one, nobody else stops it.
        if let Ok(postgres) = self.postgres() {
            let _ = kill(postgres, Signal::SIGQUIT);
            eventually(STOP, || self.postgres().is_err());
        }
    }
}

fn launch(
    directory: &Path,
    log: &Path,
    port: u16,
    secrets: &Secrets,
    storage: &Variables,
) -> Result<Process> {
    let mut command = Command::new(process::program("reflector-api")?);
    environment(&mut command, directory, secrets, storage);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
    let mut process = Process::spawn("reflector-api", &command, log)?;
    let health = format!("http://127.0.0.1:{port}/v1/jitsi/health");
    process.wait_until(START, || ureq::get(&health).call().is_ok())?;
    Ok(process)
}

/// The guide's variables, what operators and receivers of webhooks need, and nothing of this process's own surroundings but the search path.
fn environment(command: &mut Command, directory: &Path, secrets: &Secrets, storage: &Variables) {
    process::isolate(command)
        .env("REFLECTOR_API_STATE_DIR", directory)
        .env("JITSI_DOMAIN", DOMAIN)
        .env("JITSI_JWT_SECRET", &secrets.rooms)
        .env("JITSI_WEBHOOK_SECRET", &secrets.webhook)
        .env("AUTH_BACKEND", "jwt")
        .env("AUTH_JWT_SECRET", &secrets.callers)
        .env("OPS_PASSWORD", &secrets.operators)
        // Whoever takes webhooks here is on this host.
        .env("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
        .envs(storage.iter().map(|(name, value)| (name, value)));
}

/// A caller of the API with a bearer token.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: String,
}

/// What the API answers when a meeting is created.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Meeting {
    /// The meeting's id.
    pub id: String,
    /// The name of its room at Jitsi.
    pub room_name: String,
    /// Where participants go.
    pub room_url: String,
    /// Where the owner goes; empty for others.
    pub host_room_url: String,
}

impl Client {
    /// A caller of the API at an address.
    pub fn new(url: &str, token: &str) -> Self {
        let agent =
            ureq::Agent::config_builder().timeout_global(Some(ANSWER)).http_status_as_error(false).build();
        Self { agent: agent.into(), url: url.to_owned(), token: token.to_owned() }
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Makes sure that a room of this name exists, in which recordings are started by hand.
    pub fn ensure_room(&self, name: &str) -> Result<()> {
        self.ensure_room_with(name, "local", "none")
    }

    /// Makes sure that a room of this name exists, whose recordings are started by hand and go into the object storage.
    pub fn ensure_cloud_room(&self, name: &str) -> Result<()> {
        self.ensure_room_with(name, "cloud", "none")
    }

    /// Makes sure that a room of this name exists; if it is new, `trigger` starts its recordings.
    pub fn ensure_recorded_room(&self, name: &str, trigger: &str) -> Result<()> {
        self.ensure_room_with(name, "local", trigger)
    }

    /// Makes sure that a room of this name exists; if it is new, `recording_type` says where its recordings go, and `trigger`
    /// what starts them.
    pub fn ensure_room_with(&self, name: &str, recording_type: &str, trigger: &str) -> Result<()> {
        let room = json!({
            "name": name, "platform": "jitsi", "recording_type": recording_type, "recording_trigger": trigger,
            "is_locked": false, "room_mode": "normal",
        });
        let request = self.agent.post(format!("{}/v1/rooms", self.url));
        let mut answer = request.header("Authorization", self.bearer()).send_json(room)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_string()?;
        if status != 200 && !body.contains("not unique") {
            bail!("POST /v1/rooms answered {status}: {body}");
        }
        Ok(())
    }

    /// Begins a meeting in a room, or returns the one that is under way.
    pub fn create_meeting(&self, room: &str) -> Result<Meeting> {
        let path = format!("{}/v1/rooms/{room}/meeting", self.url);
        let answer = self.agent.post(&path).header("Authorization", self.bearer()).send_empty()?;
        Ok(serde_json::from_value(read(answer, &path)?)?)
    }

    /// `GET /v1/meetings/{id}`.
    pub fn meeting(&self, id: &str) -> Result<Value> {
        let path = format!("{}/v1/meetings/{id}", self.url);
        read(self.agent.get(&path).header("Authorization", self.bearer()).call()?, &path)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>, path: &str) -> Result<Value> {
    let status = answer.status();
    let body = answer.body_mut().read_to_string()?;
    ensure!(status.is_success(), "{path} answered {status}: {body}");
    Ok(serde_json::from_str(&body)?)
}
