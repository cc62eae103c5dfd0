//! What every check may need: the host, the configuration, who looks and as whom the agent runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::host::{Host, User};
use crate::config::Survey;
use crate::jibri::configuration::Configuration;
use crate::jibri::roots::{Finder, Origin, Root};
use crate::outbox::log::DeliveryLog;
use crate::outbox::{DATABASE, LOCK};

/// How long a program that is asked something may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that is known before the first check.
pub(super) struct Scene {
    pub(super) host: Host,
    pub(super) survey: Survey,
    /// Whoever runs this.
    pub(super) me: User,
    /// As whom the agent runs, or would.
    pub(super) agent: User,
    /// The running agent's process.
    pub(super) pid: Option<u32>,
    pub(super) jibri: Configuration,
    pub(super) roots: Vec<Root>,
    /// Milliseconds since 1970.
    pub(super) now: i64,
}

impl Scene {
    pub(super) fn look(host: Host, survey: Survey, now: i64) -> Self {
        let me = host.user_with(rustix::process::getuid().as_raw());
        let pid = holder(&host, &survey.outbox.directory.join(LOCK));
        let owner = pid.and_then(|pid| {
            let status = host.read(format!("/proc/{pid}/status")).ok()?;
            let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
            uid.split_whitespace().next()?.parse().ok()
        });
        let agent = match owner {
            Some(uid) => host.user_with(uid),
            None => host.user("reflector-agent").unwrap_or_else(|| me.clone()),
        };
        let found = Finder::new(&survey.recordings, &survey.jibri).find();
        let roots = found.roots.into_iter().filter(|root| root.origin != Origin::Kept).collect();
        Self { host, survey, me, agent, pid, jibri: found.jibri, roots, now }
    }

    pub(super) fn am_root(&self) -> bool {
        self.me.uid == 0
    }

    /// Whether anything of a Jibri is here.
    pub(super) fn has_jibri(&self) -> bool {
        !self.jibri.files.is_empty() || self.host.exists("/opt/jitsi/jibri")
    }

    /// The delivery log; a word about why there is none.
    pub(super) fn log(&self) -> Result<DeliveryLog, String> {
        DeliveryLog::open(&self.survey.outbox.directory)
            .map_err(|error| crate::chain::Chain(&error).to_string())
    }

    /// The outbox's database file.
    pub(super) fn database(&self) -> PathBuf {
        self.survey.outbox.directory.join(DATABASE)
    }

    /// Runs a program of this system and returns whether it was content, and what it said; `None` if it cannot be asked.
    pub(super) fn ask(&self, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
        if !self.host.is_this() {
            return None;
        }
        let mut child = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .ok()?;
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().ok()?.is_none() {
            if Instant::now() >= deadline {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }
}

/// The process that holds a lock on this file, as the kernel lists it.
fn holder(host: &Host, lock: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(lock).ok()?.ino();
    let locks = host.read("/proc/locks").ok()?;
    holder_of(&locks, inode)
}

fn holder_of(locks: &str, inode: u64) -> Option<u32> {
    let suffix = format!(":{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let pid = fields.iter().position(|field| *field == "WRITE").and_then(|at| fields.get(at + 1))?;
        (fields.contains(&"FLOCK") && fields.iter().any(|field| field.ends_with(&suffix)))
            .then(|| pid.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_who_holds_a_lock() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 00:2e:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 08:01:42 0 EOF\n3: FLOCK  ADVISORY  WRITE 13 08:01:142 0 EOF\n";
        assert_eq!(holder_of(locks, 42), Some(12));
        assert_eq!(holder_of(locks, 7), None);
    }
}
