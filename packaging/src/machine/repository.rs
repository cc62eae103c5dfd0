//! The archive that our packages are installed from, as the internet would serve it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::process::Process;

use super::Network;
use super::boot;
use super::release::target;

const PORT: u16 = 8080;
const START: Duration = Duration::from_mins(1);

/// A signed archive that the machines of a network reach. It ends when it is dropped.
#[derive(Debug)]
pub struct Repository {
    address: SocketAddr,
    directory: PathBuf,
    _process: Process,
    _network: Arc<Network>,
}

impl Repository {
    /// Opens an empty archive: the only one of its network.
    pub fn open(network: &Arc<Network>) -> Result<Self> {
        let directory = boot::directory(&format!("archive-{}", network.host()))?;
        let served = directory.join("served");
        fs::create_dir(&served)?;
        let host = network.host();
        let address = SocketAddr::from((host, PORT));
        let mut command = Command::new("python3");
        command.args(["-m", "http.server", "--bind", &host.to_string(), "--directory"]).arg(&served);
        command.arg(PORT.to_string());
        let mut process = Process::spawn("python3", &command, &directory.join("server.log"))?;
        process.wait_until(START, || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())?;
        Ok(Self { address, directory, _process: process, _network: Arc::clone(network) })
    }

    /// An archive with the packages that `make deb` has built.
    pub fn of_what_is_built(network: &Arc<Network>) -> Result<Self> {
        let repository = Self::open(network)?;
        repository.publish(&target()?.join("deb"))?;
        Ok(repository)
    }

    /// Puts the packages of a directory into it, beside what it holds already, as `make apt-repo` does.
    pub fn publish(&self, packages: &Path) -> Result<()> {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("apt/build");
        let output = Command::new(&build)
            .arg(packages)
            .arg(self.directory.join("served"))
            .env_remove("APT_SIGNING_KEY")
            .env("APT_URL", self.url())
            .output()
            .with_context(|| build.display().to_string())?;
        ensure!(output.status.success(), "{}: {}", build.display(), String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Its address for machines.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // What is left is removed by the next one.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
