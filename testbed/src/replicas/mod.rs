//! Several `reflector-api` on one Postgres, behind a balancer: what an operator runs when one is not enough.

mod balancer;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

pub use balancer::Balancer;

use crate::home;
use crate::ports;
use crate::postgres::Postgres;
use crate::process::{self, Process};
use crate::prosody::DOMAIN;
use crate::s3::S3;
use crate::secrets::Secrets;
use crate::whereby::Whereby;

/// How long a start may take.
const START: Duration = Duration::from_mins(1);

/// The replicas, and all that they share. They end when dropped, before their Postgres does.
#[derive(Debug)]
pub struct Replicas {
    members: Vec<Replica>,
    balancer: Balancer,
    /// Their database.
    pub postgres: Postgres,
    /// Where recordings go.
    pub s3: S3,
    /// The other platform.
    pub whereby: Whereby,
    /// What they are configured with.
    pub secrets: Secrets,
    home: TempDir,
}

#[derive(Debug)]
struct Replica {
    port: u16,
    process: Process,
}

impl Replicas {
    /// Starts so many. `prepare` gets the database with its schema up to date, before the first replica runs.
    pub fn start(count: usize, prepare: impl FnOnce(&Postgres) -> Result<()>) -> Result<Self> {
        let (postgres, home, secrets) = (Postgres::start()?, home::directory()?, Secrets::random()?);
        let s3 = S3::start(&home.path().join("s3"))?;
        let whereby = Whereby::start()?;
        let parts =
            Parts { postgres: &postgres, home: home.path(), secrets: &secrets, s3: &s3, whereby: &whereby };
        let migrated = parts.command()?.arg("migrate").output()?;
        ensure!(migrated.status.success(), "migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        prepare(&postgres)?;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let port = ports::free()?;
            members.push(Replica { port, process: parts.launch(port)? });
        }
        let balancer = Balancer::start(members.iter().map(|replica| replica.port).collect())?;
        Ok(Self { members, balancer, postgres, s3, whereby, secrets, home })
    }

    /// Where clients go.
    pub fn url(&self) -> String {
        self.balancer.url()
    }

    /// Where one replica listens.
    pub fn url_of(&self, replica: usize) -> String {
        format!("http://127.0.0.1:{}", self.members[replica].port)
    }

    /// Ends one replica without warning.
    pub fn kill(&mut self, replica: usize) -> Result<()> {
        self.members[replica].process.kill()
    }

    /// Starts a replica again that has ended.
    pub fn revive(&mut self, replica: usize) -> Result<()> {
        let port = self.members[replica].port;
        self.members[replica].process = self.parts().launch(port)?;
        Ok(())
    }

    /// Whether every replica is still the process that it was started as.
    pub fn all_run(&mut self) -> Result<bool> {
        for replica in &mut self.members {
            if replica.process.ended()?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A bearer token for `user`.
    pub fn token(&self, user: &str) -> Result<String> {
        let output = self.parts().command()?.args(["token", "--subject", user]).output()?;
        ensure!(output.status.success(), "reflector-api token: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn parts(&self) -> Parts<'_> {
        let Self { postgres, s3, whereby, secrets, home, .. } = self;
        Parts { postgres, home: home.path(), secrets, s3, whereby }
    }
}

/// What every replica is told.
#[derive(Clone, Copy)]
struct Parts<'a> {
    postgres: &'a Postgres,
    home: &'a Path,
    secrets: &'a Secrets,
    s3: &'a S3,
    whereby: &'a Whereby,
}

impl Parts<'_> {
    fn launch(self, port: u16) -> Result<Process> {
        let mut command = self.command()?;
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        let log = self.home.join(format!("api-{port}.log"));
        let mut process = Process::spawn("reflector-api", &command, &log)?;
        let health = format!("http://127.0.0.1:{port}/v1/jitsi/health");
        process.wait_until(START, || ureq::get(&health).call().is_ok())?;
        Ok(process)
    }

    fn command(self) -> Result<Command> {
        let mut command = Command::new(process::program("reflector-api")?);
        process::isolate(&mut command)
            .env("DATABASE_URL", self.postgres.url())
            .env("REFLECTOR_API_STATE_DIR", self.home)
            .env("JITSI_DOMAIN", DOMAIN)
            .env("JITSI_JWT_SECRET", &self.secrets.rooms)
            .env("JITSI_WEBHOOK_SECRET", &self.secrets.webhook)
            .env("AUTH_BACKEND", "jwt")
            .env("AUTH_JWT_SECRET", &self.secrets.callers)
            // Receivers of the tests are on this host.
            .env("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
            .envs(self.s3.environment())
            .envs(self.whereby.environment());
        Ok(command)
    }
}
