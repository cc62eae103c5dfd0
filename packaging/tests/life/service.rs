//! The service when it is hurt or misled.

use contract::problem::ProblemCode;
use packaging::machine::{Machine, Network, Options, Release};
use testbed::sink::Faults;

use crate::host::{AGENT, Host, current};
use crate::unit;

const WRONG: &str = "/etc/reflector-agent/agent.d/99-wrong.toml";

on_each_release! {
    an_agent_that_is_killed_or_hangs_is_started_again,
    a_wrong_configuration_stops_the_agent_readably_and_once,
    a_reload_with_a_wrong_configuration_keeps_the_agent_as_it_is,
    an_agent_starts_with_its_host_and_goes_on,
    what_befalls_a_room_is_found_in_the_journal_by_its_name,
}

fn an_agent_that_is_killed_or_hangs_is_started_again(release: Release) {
    let host = Host::running(release, &current());
    let mut spool = host.spool(1);

    spool.append(10).unwrap();
    unit::kill(&host.machine, AGENT);
    host.delivers(&spool);

    assert_eq!(host.machine.property(AGENT, "WatchdogUSec").unwrap(), "2min");
    unit::hang(&host.machine, AGENT);
    spool.append(10).unwrap();
    host.delivers(&spool);
}

fn a_wrong_configuration_stops_the_agent_readably_and_once(release: Release) {
    let host = Host::running(release, &current());
    let machine = &host.machine;
    write_wrong(machine);
    machine.run("systemctl restart reflector-agent").unwrap();
    unit::gives_up(machine, AGENT, "delivery.colour");

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

fn what_befalls_a_room_is_found_in_the_journal_by_its_name(release: Release) {
    let host = Host::running(release, &current());
    host.api.close().unwrap();
    let mut spool = host.spool(1);
    spool.append(20).unwrap();
    host.has_read(&spool);
    let refused: Vec<(&String, &String)> =
        spool.written().iter().map(|(room, ids)| (room, ids.first().unwrap())).collect();
    let poison = refused.iter().map(|(_, id)| ((*id).clone(), ProblemCode::EventInvalid)).collect();
    host.api.set_faults(Faults { poison, ..Faults::default() });
    host.api.open().unwrap();
    let [(first, of_first), (second, of_second)] = refused.as_slice() else { panic!("{refused:?}") };
    for (room, id) in &refused {
        unit::logs(&host.machine, AGENT, &format!("ROOM={room}"), id);
    }
    let others = host.machine.ok(&format!("journalctl --unit={AGENT} --output=cat ROOM={first}")).unwrap();
    assert!(others.contains(*of_first) && !others.contains(*of_second), "{second}: {others}");
}

fn write_wrong(machine: &Machine) {
    machine.write(WRONG, "[delivery]\ncolour = \"green\"\n").unwrap();
    machine.ok(&format!("chgrp {AGENT} {WRONG} && chmod 640 {WRONG}")).unwrap();
}
