//! Upgrades and downgrades under load, with nobody at the keyboard.

use packaging::handbook;
use packaging::machine::{Machine, PATIENCE, Release};
use testbed::load::SpoolWriter;
use testbed::sink::Faults;

use crate::host::{AGENT, Host, NEW, OLD, current, previous};
use crate::unit::{self, version};

const OUTBOX: &str = "/var/lib/reflector-agent/outbox.sqlite3";
const SUM: &str = "sha256sum /var/lib/reflector-agent/outbox.sqlite3";

/// What an operator may have changed.
const EDITED: [(&str, &str); 2] = [
    ("/etc/reflector-agent/agent.toml", "# Ours.\n[delivery]\nbackoff-max-seconds = 2\n"),
    ("/etc/reflector-agent/agent.d/60-site.toml", "[delivery]\nbackoff-min-seconds = 1\n"),
];

on_each_release! {
    apt_upgrades_without_a_terminal_and_loses_nothing,
    an_outbox_of_a_newer_release_is_refused_and_left_as_it_is,
    unattended_upgrades_upgrade_by_themselves,
    an_upgrade_leaves_alone_what_was_stopped_disabled_or_masked,
}

fn apt_upgrades_without_a_terminal_and_loses_nothing(release: Release) {
    let host = Host::running(release, &previous());
    edit(&host);
    let mut spool = fill(&host);
    host.repository.publish(&current()).unwrap();
    let before = host.pid();
    host.machine.ok("apt-get update && apt-get --yes upgrade").unwrap();
    upgraded(&host, &before);
    arrives(&host, &mut spool);

    // And back, with the outbox full again. Both versions read the same outbox, so the older one must go on.
    host.api.close().unwrap();
    spool.append(50).unwrap();
    host.has_read(&spool);
    let before = host.pid();
    host.machine.ok(&format!("apt-get install --yes --allow-downgrades reflector-agent={OLD}")).unwrap();
    assert_eq!(version(&host.machine, AGENT), OLD);
    host.restarted(&before);
    host.api.open().unwrap();
    arrives(&host, &mut spool);
}

fn an_outbox_of_a_newer_release_is_refused_and_left_as_it_is(release: Release) {
    let host = Host::running(release, &previous());
    host.repository.publish(&current()).unwrap();
    let machine = &host.machine;
    machine.ok("apt-get update && apt-get --yes upgrade && apt-get install --yes python3").unwrap();
    let mut spool = host.spool(1);
    host.api.close().unwrap();
    spool.append(50).unwrap();
    host.has_read(&spool);
    machine.ok("systemctl stop reflector-agent").unwrap();
    let own = exchange_version(machine, "999");

    let before = machine.ok(SUM).unwrap();
    machine.ok(&format!("apt-get install --yes --allow-downgrades reflector-agent={OLD}")).unwrap();
    assert_ne!(machine.run("systemctl start reflector-agent").unwrap().code, Some(0));
    for words in ["schema version 999", "install the newer release again"] {
        unit::logs(machine, AGENT, "", words);
    }
    machine.ok("systemctl stop reflector-agent").unwrap();
    assert_eq!(machine.ok(SUM).unwrap(), before);

    assert_eq!(exchange_version(machine, &own), "999");
    machine.ok("apt-get --yes upgrade && systemctl start reflector-agent").unwrap();
    assert_eq!(version(machine, AGENT), NEW);
    host.api.open().unwrap();
    host.delivers(&spool);
}

fn unattended_upgrades_upgrade_by_themselves(release: Release) {
    let host = Host::running(release, &previous());
    host.machine.ok("apt-get install --yes unattended-upgrades needrestart").unwrap();
    host.machine.ok(documented("upgrade by itself")).unwrap();
    edit(&host);
    let mut spool = fill(&host);
    host.repository.publish(&current()).unwrap();
    let before = host.pid();
    let said = host.machine.ok("apt-get update && unattended-upgrade --verbose").unwrap();
    assert!(!said.contains("conffile"), "{said}");
    upgraded(&host, &before);
    arrives(&host, &mut spool);
    // What needs another restart is listed with this prefix.
    let needs = host.machine.ok("needrestart -b -r l").unwrap();
    assert!(!needs.contains("NEEDRESTART-SVC: reflector"), "{needs}");
}

fn an_upgrade_leaves_alone_what_was_stopped_disabled_or_masked(release: Release) {
    for (order, enabled) in [("stop", "enabled"), ("disable --now", "disabled"), ("mask --now", "masked")] {
        let host = Host::running(release, &previous());
        host.machine.ok(&format!("systemctl {order} reflector-agent.service")).unwrap();
        host.repository.publish(&current()).unwrap();
        host.machine.ok("apt-get update && apt-get --yes upgrade").unwrap();
        assert_eq!(version(&host.machine, AGENT), NEW);
        let state = host.machine.run("systemctl is-enabled reflector-agent.service").unwrap().stdout;
        assert_eq!(state.trim(), enabled, "{order}");
        assert_eq!(host.machine.property(AGENT, "ActiveState").unwrap(), "inactive", "{order}");
    }
}

/// The command that the operators' manual gives for what one wants to do.
fn documented(wish: &str) -> &'static str {
    let section = handbook::section(handbook::OPERATIONS, "What comes with time").unwrap();
    let row = handbook::rows(section).into_iter().find(|row| row[0] == wish).unwrap();
    handbook::quoted(row[1])[0]
}

/// Gives the outbox another version of its schema, as another release would; the one that it had.
fn exchange_version(machine: &Machine, version: &str) -> String {
    let script = format!(
        "import sqlite3; outbox = sqlite3.connect('{OUTBOX}')
print(outbox.execute('PRAGMA user_version').fetchone()[0]); outbox.execute('PRAGMA user_version = {version}')"
    );
    machine
        .run_with("runuser -u reflector-agent -- python3 -", &script)
        .unwrap()
        .succeeded("python3")
        .unwrap()
        .trim()
        .to_owned()
}

/// Writes what an operator may have written.
fn edit(host: &Host) {
    for (path, text) in EDITED {
        host.machine.write(path, text).unwrap();
        host.machine.ok(&format!("chgrp {AGENT} {path} && chmod 640 {path}")).unwrap();
    }
    host.machine.ok("systemctl restart reflector-agent").unwrap();
}

/// Fills the outbox while the API is away, then lets a delivery begin whose answer takes longer than the upgrade.
fn fill(host: &Host) -> SpoolWriter {
    let mut spool = host.spool(1);
    host.api.close().unwrap();
    spool.append(50).unwrap();
    host.has_read(&spool);
    let requests = host.api.ledger(testbed::sink::Ledger::requests);
    host.api.set_faults(Faults { delay_ms: 60_000, ..Faults::default() });
    host.api.open().unwrap();
    assert!(host.api.wait_until(PATIENCE, |ledger| ledger.requests() > requests), "{}", host.journal());
    spool
}

/// The new version runs, nobody was asked anything, and what was edited is as it was.
fn upgraded(host: &Host, before: &str) {
    assert_eq!(version(&host.machine, AGENT), NEW);
    host.restarted(before);
    assert_eq!(host.machine.ok("dpkg --audit").unwrap(), "");
    for (path, text) in EDITED {
        assert_eq!(host.machine.read(path).unwrap(), text);
    }
}

/// Everything arrives: what waited, what was on its way, and what comes now.
fn arrives(host: &Host, spool: &mut SpoolWriter) {
    host.api.set_faults(Faults::default());
    spool.append(10).unwrap();
    host.delivers(spool);
    let written = spool.count();
    let rooms: Vec<&String> = spool.written().keys().collect();
    let arrived: usize = host.api.ledger(|ledger| rooms.iter().map(|room| ledger.order(room).len()).sum());
    assert_eq!(arrived, written);
}
