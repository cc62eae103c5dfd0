//! The service when it is hurt or misled.

use packaging::machine::{Machine, Network, Options, Release};

use crate::host::{AGENT, Host, current};

const WRONG: &str = "/etc/reflector-agent/agent.d/99-wrong.toml";

on_each_release! {
    an_agent_that_is_killed_or_hangs_is_started_again,
    a_wrong_configuration_stops_the_agent_readably_and_once,
    a_reload_with_a_wrong_configuration_keeps_the_agent_as_it_is,
    an_agent_starts_with_its_host_and_goes_on,
}

fn an_agent_that_is_killed_or_hangs_is_started_again(release: Release) {
    let host = Host::running(release, &current());
    let mut spool = host.spool(1);

    let first = host.pid();
    spool.append(10).unwrap();
    host.machine.ok(&format!("kill -KILL {first}")).unwrap();
    host.restarted(&first);
    host.delivers(&spool);

    // As it is shipped it has two minutes, and a test has less.
    assert_eq!(host.machine.property(AGENT, "WatchdogUSec").unwrap(), "2min");
    let drop_in = "/etc/systemd/system/reflector-agent.service.d/watchdog.conf";
    host.machine.write(drop_in, "[Service]\nWatchdogSec=5s\n").unwrap();
    host.machine.ok("systemctl daemon-reload && systemctl restart reflector-agent").unwrap();
    let second = host.pid();
    assert_ne!(second, first);
    host.machine.ok(&format!("kill -STOP {second}")).unwrap();
    spool.append(10).unwrap();
    host.restarted(&second);
    host.delivers(&spool);
    assert!(host.journal().contains("Watchdog timeout"), "{}", host.journal());
}

fn a_wrong_configuration_stops_the_agent_readably_and_once(release: Release) {
    let host = Host::running(release, &current());
    let machine = &host.machine;
    write_wrong(machine);
    machine.run("systemctl restart reflector-agent").unwrap();
    machine.eventually("systemctl is-failed reflector-agent").unwrap();
    assert_eq!(machine.property(AGENT, "ExecMainStatus").unwrap(), "78");
    let status = machine.run("systemctl status --no-pager reflector-agent").unwrap();
    assert_eq!(status.code, Some(3), "{status}");
    assert!(status.stdout.contains("delivery.colour"), "{status}");
    // A service that is to be started again is never "failed": it waits as "auto-restart".
    assert_eq!(machine.property(AGENT, "SubState").unwrap(), "failed");
    assert_eq!(machine.property(AGENT, "NRestarts").unwrap(), "0");

    machine.ok(&format!("rm {WRONG} && systemctl start reflector-agent")).unwrap();
    let mut spool = host.spool(1);
    spool.append(10).unwrap();
    host.delivers(&spool);
}

fn a_reload_with_a_wrong_configuration_keeps_the_agent_as_it_is(release: Release) {
    let host = Host::running(release, &current());
    let machine = &host.machine;
    let before = host.pid();
    write_wrong(machine);
    let refused = machine.run("systemctl reload reflector-agent").unwrap();
    assert_ne!(refused.code, Some(0));
    assert!(host.journal().contains("delivery.colour"), "{}", host.journal());
    let mut spool = host.spool(1);
    spool.append(10).unwrap();
    host.delivers(&spool);

    let reload = machine.ok(&format!("rm {WRONG} && systemctl reload reflector-agent"));
    reload.unwrap_or_else(|error| panic!("{error}\n{}", host.journal()));
    spool.append(10).unwrap();
    host.delivers(&spool);
    assert_eq!(host.pid(), before);
}

fn an_agent_starts_with_its_host_and_goes_on(release: Release) {
    let network = Network::new().unwrap();
    let machine = Machine::boot(release, "host", &network, Options { lasting: true }).unwrap();
    let mut host = Host::on(machine, &current());
    host.machine.ok("apt-get install --yes reflector-agent").unwrap();
    host.set_up();
    host.api.close().unwrap();
    let mut spool = host.spool(1);
    spool.append(20).unwrap();
    host.has_read(&spool);

    host.machine.reboot().unwrap();
    host.api.open().unwrap();
    host.machine.eventually("systemctl is-active reflector-agent").unwrap();
    host.delivers(&spool);
}

fn write_wrong(machine: &Machine) {
    machine.write(WRONG, "[delivery]\ncolour = \"green\"\n").unwrap();
    machine.ok(&format!("chgrp {AGENT} {WRONG} && chmod 640 {WRONG}")).unwrap();
}
