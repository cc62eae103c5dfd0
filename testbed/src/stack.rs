//! Everything at once: a Jitsi host in a box, the agent on it, and the API with its Postgres and its object storage.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::agent::{Agent, Settings};
use crate::api::{self, Api};
use crate::jibri::Jibri;
use crate::ports;
use crate::prosody::Prosody;
use crate::s3::S3;
use crate::secrets::Secrets;

/// The user whom the testbed calls the API as.
pub const USER: &str = "demo";

/// A running stack. Dropping it ends all of it, the sources first.
#[derive(Debug)]
pub struct Stack {
    /// The conference server.
    pub prosody: Prosody,
    /// The recorder.
    pub jibri: Jibri,
    /// What carries events to the API.
    pub agent: Agent,
    /// What they are carried to.
    pub api: Api,
    /// The API's client.
    pub client: api::Client,
    /// Where recordings of rooms in the cloud go.
    pub s3: S3,
    /// What the parts share.
    pub secrets: Secrets,
    directory: PathBuf,
    /// The API's state directory if it had to go somewhere else.
    _elsewhere: Option<TempDir>,
}

impl Stack {
    /// Starts everything in `directory`; the API listens on `port`, and the agent reaches it at `url` or there.
    pub fn start(directory: &Path, port: u16, url: Option<&str>) -> Result<Self> {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        let directory = directory.canonicalize()?;
        let secrets = Secrets::random()?;
        let (spool, recordings) = (directory.join("spool"), directory.join("recordings"));
        fs::create_dir_all(&spool)?;
        let elsewhere = (!open_to_all(&directory)?).then(open_directory).transpose()?;
        let state = elsewhere.as_ref().map_or(directory.as_path(), TempDir::path).join("api");
        let s3 = S3::start(&directory.join("s3"))?;
        let api = Api::start(&state, &directory.join("api.log"), port, &secrets, s3.environment())?;
        let prosody = Prosody::start(&directory.join("prosody"), &spool, &secrets.rooms)?;
        let own = api.url();
        let settings = Settings {
            url: url.unwrap_or(&own),
            secret: &secrets.webhook,
            spool: &spool,
            recordings: &recordings,
            orphan_after_seconds: 5,
        };
        let agent = Agent::start(&directory.join("agent"), settings)?;
        let jibri = Jibri::new(&recordings, &directory.join("ffmpeg.log"));
        let client = api.client(USER)?;
        Ok(Self { prosody, jibri, agent, api, client, s3, secrets, directory, _elsewhere: elsewhere })
    }

    /// Starts everything in `directory` on a free port.
    pub fn start_anywhere(directory: &Path) -> Result<Self> {
        Self::start(directory, ports::free()?, None)
    }

    /// Starts the agent and the API again if they have ended, as a service manager does.
    pub fn revive(&mut self) -> Result<()> {
        self.api.revive()?;
        self.agent.revive()
    }

    /// The directory that the event module writes.
    pub fn spool(&self) -> PathBuf {
        self.directory.join("spool")
    }
}

/// Whether every user can enter this directory. Postgres refuses to run as root, and its own user must get there.
fn open_to_all(directory: &Path) -> Result<bool> {
    for ancestor in directory.ancestors() {
        if ancestor.metadata()?.permissions().mode() & 0o001 == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A new temporary directory that every user can enter.
fn open_directory() -> Result<TempDir> {
    let directory = TempDir::with_prefix("reflector-")?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}
