//! Networks of machines: a bridge on this host, and a network namespace for each machine.
//!
//! Networks are numbered, 10.77.N.0/24, and a lock file holds a number for as long as the process lives, so that tests of
//! several processes run side by side. Who gets a number first removes what a killed test left under it.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};

/// Where the numbers' locks lie.
const LOCKS: &str = "/run/lock/reflector-machines";

/// The last part of the first machine's address; this host has 1.
const FIRST: u8 = 11;

/// A network of machines and this host.
#[derive(Debug)]
pub struct Network {
    number: u8,
    next: AtomicU8,
    _lock: File,
}

/// Where a machine is.
#[derive(Debug)]
pub(super) struct Place {
    /// A name that no other machine on this host has.
    pub(super) id: String,
    /// Its host name.
    pub(super) host: String,
    /// Its address.
    pub(super) address: Ipv4Addr,
}

impl Place {
    /// The file that stands for its network namespace.
    pub(super) fn namespace(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.id)
    }
}

impl Network {
    /// A network that nobody else uses.
    pub fn new() -> Result<Arc<Self>> {
        fs::create_dir_all(LOCKS).with_context(|| format!("{LOCKS}: run this as root"))?;
        for number in 1..=250 {
            let lock = File::create(format!("{LOCKS}/{number}"))?;
            if lock.try_lock().is_ok() {
                let network = Self { number, next: AtomicU8::new(FIRST), _lock: lock };
                network.remove()?;
                network.make()?;
                return Ok(Arc::new(network));
            }
        }
        anyhow::bail!("all networks are in use: see {LOCKS}")
    }

    /// This host's address in it.
    pub fn host(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// A place for one more machine.
    pub(super) fn place(&self, host: &str) -> Result<Place> {
        let last = self.next.fetch_add(1, Ordering::SeqCst);
        ensure!(last < 250, "this network is full");
        let id = format!("{}-{last}", self.bridge());
        let (address, gateway) = (self.address(last), self.host());
        let port = self.port(&last.to_string());
        ip(&format!("netns add {id}"))?;
        ip(&format!("link add {port} type veth peer name host0 netns {id}"))?;
        ip(&format!("link set {port} master {} up", self.bridge()))?;
        ip(&format!("-netns {id} link set lo up"))?;
        ip(&format!("-netns {id} address add {address}/24 dev host0"))?;
        ip(&format!("-netns {id} link set host0 up"))?;
        ip(&format!("-netns {id} route add default via {gateway}"))?;
        Ok(Place { id, host: host.to_owned(), address })
    }

    fn port(&self, machine: &str) -> String {
        format!("rfv{}x{machine}", self.number)
    }

    fn bridge(&self) -> String {
        format!("rfm{}", self.number)
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, last)
    }

    fn make(&self) -> Result<()> {
        let bridge = self.bridge();
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("address add {}/24 dev {bridge}", self.host()))?;
        ip(&format!("link set {bridge} up"))
    }

    /// Removes the links, the bridge and the namespaces. A namespace is gone a moment later, so its link is not left to it.
    fn remove(&self) -> Result<()> {
        let bridge = self.bridge();
        for link in names("/sys/class/net") {
            if link == bridge || link.starts_with(&self.port("")) {
                ip(&format!("link delete {link}"))?;
            }
        }
        for namespace in names("/run/netns") {
            if namespace.starts_with(&format!("{bridge}-")) {
                ip(&format!("netns delete {namespace}"))?;
            }
        }
        Ok(())
    }
}

/// The names in a directory that need not exist.
fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

impl Drop for Network {
    fn drop(&mut self) {
        // The next one that gets this number tries again.
        let _ = self.remove();
    }
}

/// Runs `ip`, whose arguments hold no spaces.
fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("ip does not start")?;
    ensure!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
