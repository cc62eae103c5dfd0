//! A host that gets the agent, and an API that is a [`Sink`] on the host's own loopback.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use contract::enrolment_token::EnrolmentToken;
use contract::signature::Secrets;
use packaging::machine::{Machine, PATIENCE, Release, Repository, target};
use testbed::load::{Lines, SpoolWriter};
use testbed::sink::{Ledger, Sink};

use crate::unit;

pub(crate) const AGENT: &str = "reflector-agent";
/// The version of the packages in [`previous`].
pub(crate) const OLD: &str = "0.0.9";
/// The version of those in [`current`].
pub(crate) const NEW: &str = env!("CARGO_PKG_VERSION");
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SPOOL: &str = "var/spool/reflector-agent/prosody";

/// The packages that `make package-test` has packed under an older version.
pub(crate) fn previous() -> PathBuf {
    target().unwrap().join("package-test/previous/deb")
}

/// Those that `make deb` has built.
pub(crate) fn current() -> PathBuf {
    target().unwrap().join("deb")
}

/// Tells something that was measured, whether tests show what they say or not.
pub(crate) fn tell(text: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "measured: {text}").unwrap();
}

/// A host, the archive that it installs from, and the API that it delivers to.
pub(crate) struct Host {
    pub(crate) machine: Machine,
    pub(crate) repository: Repository,
    pub(crate) api: Sink,
}

impl Host {
    /// A fresh host that knows an archive with these packages.
    pub(crate) fn knowing(release: Release, packages: &Path) -> Self {
        Self::on(Machine::fresh(release).unwrap(), packages)
    }

    /// The same for a machine that is there already.
    pub(crate) fn on(machine: Machine, packages: &Path) -> Self {
        let repository = Repository::open(machine.network()).unwrap();
        repository.publish(packages).unwrap();
        machine.trust(&repository).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let api = machine.inside(|| Sink::start_with(any, Some(Secrets::one(SECRET)))).unwrap().unwrap();
        Self { machine, repository, api }
    }

    /// A host whose agent was installed from these packages and set up, and runs.
    pub(crate) fn running(release: Release, packages: &Path) -> Self {
        let host = Self::knowing(release, packages);
        host.machine.ok("apt-get install --yes reflector-agent").unwrap();
        host.set_up();
        host
    }

    /// What an operator does after the installation; returns once the service runs.
    pub(crate) fn set_up(&self) {
        let token = EnrolmentToken { url: self.api.url(), agent_id: "jitsi-1".into(), secret: SECRET.into() };
        let outcome = self.machine.run_with("reflector-agent setup --token-file -", &token.encode()).unwrap();
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(!outcome.text().contains(SECRET), "{outcome}");
        self.machine.eventually("systemctl is-active reflector-agent").unwrap();
    }

    /// Lets Prosody write: a file of the spool, where it lies for this process.
    pub(crate) fn spool(&self, seed: u64) -> SpoolWriter {
        SpoolWriter::create(&self.machine.root().join(SPOOL), Lines::in_rooms(seed, 2)).unwrap()
    }

    /// Waits until the API has all that was written to the spool, and nothing else.
    pub(crate) fn delivers(&self, spool: &SpoolWriter) {
        let ids = || spool.written().values().flatten();
        let all = |ledger: &Ledger| ids().all(|id| ledger.find(id).is_some());
        let arrived = self.api.wait_until(PATIENCE, all);
        let missing = self.api.ledger(|ledger| ids().filter(|id| ledger.find(id).is_none()).count());
        assert!(arrived, "{missing} of {} are missing\n{}", spool.count(), self.journal());
        for (room, expected) in spool.written() {
            let order = self.api.ledger(|ledger| ledger.order(room).to_vec());
            assert!(order.iter().map(AsRef::as_ref).eq(expected), "{room}: {order:?}");
        }
    }

    /// Waits until the agent has read all that was written to the spool, wherever it is by then.
    pub(crate) fn has_read(&self, spool: &SpoolWriter) {
        let command =
            format!("reflector-agent deliveries list --limit 1000 --json | grep -q {}", spool.last_id());
        self.machine.eventually(&command).unwrap();
    }

    /// The service's process.
    pub(crate) fn pid(&self) -> String {
        unit::pid(&self.machine, AGENT)
    }

    /// Waits for another process of the service than this, ready to work.
    pub(crate) fn restarted(&self, before: &str) {
        unit::restarted(&self.machine, AGENT, before);
    }

    /// What the agent's unit has logged.
    pub(crate) fn journal(&self) -> String {
        unit::journal(&self.machine, AGENT)
    }
}
