//! Hosts with the packages on them.

use std::thread;

use packaging::machine::{Machine, Network, Options, Release, Repository};

use crate::manual;
use crate::terminal::Terminal;

/// The name by which the API's host has enrolled the other one.
pub(crate) const AGENT: &str = "jitsi-1";
/// What the API is called in the manual.
pub(crate) const API: &str = "reflector.example.com";

/// One host that has everything.
pub(crate) struct Whole {
    pub(crate) machine: Machine,
    _repository: Repository,
}

impl Whole {
    /// A host as it is before: with Postgres, with the repository, and with the users and groups of Prosody, Jibri and Jitsi.
    pub(crate) fn prepare(release: Release) -> Self {
        let machine = Machine::fresh(release).unwrap();
        let repository = Repository::of_what_is_built(machine.network()).unwrap();
        add(&repository, &machine);
        machine.ok("apt-get install --yes postgresql").unwrap();
        machine.ok("systemctl disable --now postgresql").unwrap();
        machine.ok("groupadd --system jitsi && useradd --system --user-group --groups jitsi jibri").unwrap();
        machine.ok("useradd --system --user-group prosody").unwrap();
        Self { machine, _repository: repository }
    }

    /// Installs the packages and sets both programs up, the agent with the API on the same host.
    pub(crate) fn install(&self) {
        let machine = &self.machine;
        machine.ok("apt-get install --yes reflector-agent reflector-api reflector-archive-keyring").unwrap();
        machine
            .ok("reflector-api setup --jitsi-domain meet.test --public-url http://127.0.0.1:1250")
            .unwrap();
        machine.ok(&format!("reflector-api agents enroll {AGENT} --token >/srv/token")).unwrap();
        machine.ok("reflector-agent setup --token-file - </srv/token").unwrap();
        machine.eventually("systemctl is-active reflector-agent reflector-api").unwrap();
    }
}

/// Two hosts: one for the API, with a proxy that adds TLS, and one with Jitsi.
pub(crate) struct Site {
    pub(crate) api: Machine,
    pub(crate) jitsi: Machine,
    _repository: Repository,
}

impl Site {
    /// The two hosts with the repository, and nothing of ours on them. They know each other's names, and Jitsi's host trusts
    /// the authority that the API's certificate is from.
    pub(crate) fn prepare(release: Release) -> Self {
        let network = Network::new().unwrap();
        let repository = Repository::of_what_is_built(&network).unwrap();
        let (api, jitsi) = thread::scope(|scope| {
            let boot = |name| Machine::boot(release, name, &network, Options::default()).unwrap();
            let api = scope.spawn(move || boot("api"));
            (boot("jitsi"), api.join().unwrap())
        });
        let names = format!("{} {API}\n{} {}\n", api.address(), jitsi.address(), testbed::prosody::DOMAIN);
        for machine in [&api, &jitsi] {
            machine.run_with("cat >>/etc/hosts", &names).unwrap().succeeded("cat").unwrap();
            add(&repository, machine);
        }
        certify(&api, &jitsi);
        Self { api, jitsi, _repository: repository }
    }
}

/// Follows "The package repository", with the address that this one has.
fn add(repository: &Repository, machine: &Machine) {
    for command in manual::commands("The package repository") {
        machine.ok(&command.replace("https://apt.example.com", &repository.url())).unwrap();
    }
}

/// An authority of the site's own: its certificate among those that Jitsi's host trusts, and one from it on the API's host.
fn certify(api: &Machine, jitsi: &Machine) {
    api.ok(&format!(
        "umask 077; mkdir -p /etc/ssl/reflector; cd /etc/ssl/reflector; \
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=An authority' \
             -keyout authority.pem -out authority.crt; \
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={API} -keyout privkey.pem -out request; \
         printf 'subjectAltName=DNS:{API}\\nbasicConstraints=CA:FALSE\\n' >extensions; \
         openssl x509 -req -in request -CA authority.crt -CAkey authority.pem -CAcreateserial -days 2 \
             -extfile extensions -out fullchain.pem"
    ))
    .unwrap();
    let authority = api.read("/etc/ssl/reflector/authority.crt").unwrap();
    let path = "/usr/local/share/ca-certificates/authority.crt";
    jitsi.write(path, &authority).unwrap();
    jitsi.ok(&format!("chmod 644 {path} && update-ca-certificates")).unwrap();
}

/// Types a command as an operator does, and answers its questions.
pub(crate) fn type_in(machine: &Machine, command: &str, answers: &[(&str, &str)]) -> String {
    let mut terminal = Terminal::open(machine, command);
    for (question, answer) in answers {
        terminal.answer(question, answer);
    }
    let (screen, code) = terminal.end();
    assert_eq!(code, Some(0), "{command}\n{screen}");
    screen
}
