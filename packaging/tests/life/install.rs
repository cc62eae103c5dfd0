//! From `apt install` to a running service.

use std::time::{Duration, Instant};

use packaging::machine::{Machine, Release};

use crate::host::{AGENT, Host, current, tell};

/// The longest that it may take from `apt install` to a running agent, the setup included.
const SOON: Duration = Duration::from_secs(10);

/// The most memory that an idle agent may take, in KiB: its proportional set size (PSS), which counts a page that it shares with
/// others in part.
const IDLE: u64 = 15 * 1024;

on_each_release! {
    alone;
    an_agent_waits_for_its_setup_and_then_runs_at_once,
}

on_each_release! {
    an_api_waits_for_its_setup,
}

fn an_agent_waits_for_its_setup_and_then_runs_at_once(release: Release) {
    let host = Host::knowing(release, &current());
    let machine = &host.machine;
    let begin = Instant::now();
    machine.ok("apt-get install --yes reflector-agent").unwrap();
    let installed = begin.elapsed();
    waits(machine, AGENT);

    let begin = Instant::now();
    host.set_up();
    let taken = installed + begin.elapsed();
    tell(&format!("{release:?}: {installed:.1?} for apt install, {taken:.1?} until the agent runs"));
    assert!(taken < SOON, "{taken:?}");
    assert_eq!(machine.property(AGENT, "NRestarts").unwrap(), "0");

    let mut spool = host.spool(1);
    spool.append(10).unwrap();
    host.delivers(&spool);
    let memory =
        machine.ok(&format!("awk '/^Pss:/ {{ print $2 }}' /proc/{}/smaps_rollup", host.pid())).unwrap();
    let memory: u64 = memory.trim().parse().unwrap();
    tell(&format!("{release:?}: the idle agent takes {memory} KiB of memory (PSS)"));
    assert!(memory <= IDLE, "{memory} KiB");
}

fn an_api_waits_for_its_setup(release: Release) {
    let host = Host::knowing(release, &current());
    host.machine.ok("apt-get install --yes --no-install-recommends reflector-api").unwrap();
    waits(&host.machine, "reflector-api");
}

/// An installation leaves nothing that failed, a service that does nothing yet, and what will start it.
fn waits(machine: &Machine, program: &str) {
    assert_eq!(machine.ok("systemctl --failed --no-legend").unwrap(), "");
    assert_eq!(machine.property(program, "ActiveState").unwrap(), "inactive");
    assert_eq!(machine.property(program, "ConditionResult").unwrap(), "no");
    assert_eq!(machine.property(program, "NRestarts").unwrap(), "0");
    assert_eq!(machine.property(&format!("{program}.path"), "SubState").unwrap(), "waiting");
    assert_eq!(machine.ok(&format!("systemctl is-enabled {program}")).unwrap(), "enabled\n");
    let log = machine.ok(&format!("journalctl --unit={program} --output=cat")).unwrap();
    assert!(!log.contains("Failed"), "{log}");
}
