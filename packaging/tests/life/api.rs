//! The API when it is hurt, upgraded and removed, with a private Postgres and something in it.

use std::path::Path;

use packaging::machine::{Machine, Release, Repository};

use crate::host::{NEW, OLD, current, previous};
use crate::unit;

const API: &str = "reflector-api";
const SETTINGS: &str = "/etc/reflector-api/api.env";
const SETUP: &str =
    "reflector-api setup --jitsi-domain meet.example.com --public-url https://reflector.example.com";
const URL: &str = "http://127.0.0.1:1250";

on_each_release! {
    an_api_that_is_killed_or_hangs_is_started_again_with_what_it_had,
    a_wrong_setting_stops_the_api_readably_until_it_is_mended,
    an_upgrade_and_a_downgrade_keep_what_the_api_has,
    a_removed_api_is_put_back_as_it_was,
    an_api_is_set_up_without_a_start_too_many_and_checked_with_its_own_rights,
}

fn an_api_that_is_killed_or_hangs_is_started_again_with_what_it_had(release: Release) {
    let service = Service::running(release, &current());
    let machine = &service.machine;
    unit::kill(machine, API);
    service.has_all();
    unit::hang(machine, API);
    service.has_all();

    // What is logged can be found by its fields.
    machine.ok(&format!("curl --silent --header 'X-Request-Id: req-4711' {URL}/v1/nothing")).unwrap();
    unit::logs(machine, API, "REQUEST_ID=req-4711", "answered GET");
    assert_eq!(machine.run("journalctl --quiet REQUEST_ID=req-4712").unwrap().stdout, "");
}

fn a_wrong_setting_stops_the_api_readably_until_it_is_mended(release: Release) {
    let service = Service::running(release, &current());
    let machine = &service.machine;
    machine.ok(&format!("echo MEETING_EMPTY_GRACE_SECONDS=soon >>{SETTINGS}")).unwrap();
    machine.run("systemctl restart reflector-api").unwrap();
    unit::gives_up(machine, API, "MEETING_EMPTY_GRACE_SECONDS");
    // The path unit sees to the rest.
    machine.ok(&format!("sed -i /MEETING_EMPTY_GRACE_SECONDS/d {SETTINGS}")).unwrap();
    machine.eventually("systemctl is-active reflector-api").unwrap();
    service.has_all();
}

fn an_upgrade_and_a_downgrade_keep_what_the_api_has(release: Release) {
    let service = Service::running(release, &previous());
    let machine = &service.machine;
    machine.ok(&format!("echo '# Ours.' >>{SETTINGS}")).unwrap();
    let settings = machine.read(SETTINGS).unwrap();
    service.repository.publish(&current()).unwrap();
    let downgrade = format!("apt-get install --yes --allow-downgrades reflector-api={OLD}");
    for (command, version) in [("apt-get update && apt-get --yes upgrade", NEW), (&downgrade, OLD)] {
        let before = unit::pid(machine, API);
        machine.ok(command).unwrap();
        assert_eq!(unit::version(machine, API), version);
        unit::restarted(machine, API, &before);
        service.has_all();
        assert_eq!(machine.read(SETTINGS).unwrap(), settings);
    }
}

fn a_removed_api_is_put_back_as_it_was(release: Release) {
    let service = Service::running(release, &current());
    let machine = &service.machine;
    machine.ok("apt-get remove --yes reflector-api").unwrap();
    assert_eq!(
        machine.run("systemctl is-active reflector-api.service reflector-api.path").unwrap().stdout,
        "inactive\ninactive\n"
    );
    // Its Postgres, too, has ended.
    assert_eq!(machine.run("pgrep --euid reflector-api").unwrap().stdout, "");
    machine.ok("apt-get install --yes reflector-api").unwrap();
    service.has_all();
}

fn an_api_is_set_up_without_a_start_too_many_and_checked_with_its_own_rights(release: Release) {
    let service = Service::installed(release, &current());
    let machine = &service.machine;
    machine.ok("systemctl mask reflector-api").unwrap();
    let outcome = machine.run(SETUP).unwrap();
    assert_eq!(outcome.code, Some(4), "{outcome}");
    assert!(outcome.stderr.contains("systemctl unmask reflector-api"), "{outcome}");
    machine.ok(&format!("rm {SETTINGS} && systemctl unmask reflector-api")).unwrap();

    // The path unit starts it as soon as there are settings; what begins then is not ended.
    machine.ok(SETUP).unwrap();
    let started = "journalctl --unit=reflector-api --output=cat | grep --count '^Start[a-z]* reflector-api'";
    let stopped = started.replace("Start[a-z]*", "Stop[a-z]*");
    assert_eq!(machine.ok(started).unwrap(), "2\n", "{}", unit::journal(machine, API));
    assert_eq!(machine.run(&stopped).unwrap().stdout, "0\n", "{}", unit::journal(machine, API));
    let before = unit::pid(machine, API);
    machine.ok(SETUP).unwrap();
    assert_eq!(unit::pid(machine, API), before, "nothing was new");

    // Root may read what the service may not, and sees what is hidden from it.
    machine.ok("reflector-api check").unwrap();
    let key = "JITSI_JWT_PRIVATE_KEY_FILE=/tmp/key.pem\nJITSI_JWT_KEY_ID=one\n";
    machine.ok(&format!("umask 077; echo a key >/tmp/key.pem; printf '{key}' >>{SETTINGS}")).unwrap();
    let outcome = machine.run("reflector-api check").unwrap();
    assert_eq!(outcome.code, Some(78), "{outcome}");
    for words in ["/tmp/key.pem: Permission denied", "/tmp/key.pem is where the service does not see it"] {
        assert!(outcome.stdout.contains(words), "{outcome}");
    }
}

/// A host with the API on it, and the archive that it was installed from.
struct Service {
    machine: Machine,
    repository: Repository,
}

impl Service {
    /// An API that was installed from these packages and set up, and knows a host with Jitsi.
    fn running(release: Release, packages: &Path) -> Self {
        let service = Self::installed(release, packages);
        service.machine.ok(SETUP).unwrap();
        service.machine.ok("reflector-api agents enroll jitsi-1 --token").unwrap();
        service
    }

    /// One that was only installed.
    fn installed(release: Release, packages: &Path) -> Self {
        let machine = Machine::fresh(release).unwrap();
        let repository = Repository::open(machine.network()).unwrap();
        repository.publish(packages).unwrap();
        machine.trust(&repository).unwrap();
        machine.ok("apt-get install --yes reflector-api").unwrap();
        Self { machine, repository }
    }

    /// Waits until it answers, and sees that it has what it had.
    fn has_all(&self) {
        let answered = self.machine.eventually(&format!("curl --fail --silent {URL}/health"));
        answered.unwrap_or_else(|error| panic!("{error}\n{}", unit::journal(&self.machine, API)));
        let agents = self.machine.ok("reflector-api agents list").unwrap();
        assert!(agents.contains("jitsi-1"), "{agents}");
    }
}
