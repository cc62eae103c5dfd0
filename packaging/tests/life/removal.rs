//! What goes with a removal, what with a purge, and what an installation finds after each.

use packaging::machine::{Machine, Release};

use crate::host::{AGENT, Host, current};

const SECRET: &str = "/etc/reflector-agent/secret";
const STATE: &str = "/var/lib/reflector-agent";

on_each_release! {
    a_removal_that_is_called_off_leaves_the_service_running,
    a_removed_agent_is_put_back_as_it_was,
    a_purge_leaves_nothing_but_the_users,
}

fn a_removed_agent_is_put_back_as_it_was(release: Release) {
    let host = Host::running(release, &current());
    let machine = &host.machine;
    host.api.close().unwrap();
    let mut spool = host.spool(1);
    spool.append(20).unwrap();
    host.has_read(&spool);

    machine.ok("apt-get remove --yes reflector-agent").unwrap();
    assert_eq!(
        machine.run("systemctl is-active reflector-agent.service reflector-agent.path").unwrap().stdout,
        "inactive\ninactive\n"
    );
    assert_eq!(machine.run("command -v reflector-agent").unwrap().code, Some(127));
    machine.ok("test -s /etc/reflector-agent/secret -a -d /var/lib/reflector-agent").unwrap();

    host.api.open().unwrap();
    machine.ok("apt-get install --yes reflector-agent").unwrap();
    machine.eventually("systemctl is-active reflector-agent").unwrap();
    spool.append(5).unwrap();
    host.delivers(&spool);
}

fn a_removal_that_is_called_off_leaves_the_service_running(release: Release) {
    let host = Host::running(release, &current());
    let machine = &host.machine;
    let before = host.pid();
    machine.ok("echo 'exit 1' >>/var/lib/dpkg/info/reflector-agent.prerm").unwrap();
    assert_ne!(machine.run("apt-get remove --yes reflector-agent").unwrap().code, Some(0));
    host.restarted(&before);
    assert_eq!(machine.property("reflector-agent.path", "ActiveState").unwrap(), "active");

    // One that was disabled is not started by it.
    machine.ok("systemctl disable --now reflector-agent.service").unwrap();
    assert_ne!(machine.run("apt-get remove --yes reflector-agent").unwrap().code, Some(0));
    assert_eq!(machine.property(AGENT, "ActiveState").unwrap(), "inactive");
}

fn a_purge_leaves_nothing_but_the_users(release: Release) {
    let host = Host::knowing(release, &current());
    let machine = &host.machine;
    let before = paths(machine);
    machine.ok("apt-get install --yes --no-install-recommends reflector-agent reflector-api").unwrap();
    host.set_up();
    machine.write("/etc/reflector-agent/agent.d/60-mine.toml", "").unwrap();
    machine.write("/etc/reflector-api/api.env", "").unwrap();
    // A secret that cannot be removed is no success.
    machine.ok(&format!("mount --bind {SECRET} {SECRET}")).unwrap();
    assert_ne!(machine.run("apt-get purge --yes reflector-agent").unwrap().code, Some(0));
    machine.ok(&format!("umount {SECRET} && mount -t tmpfs none {STATE} && touch {STATE}/kept")).unwrap();
    // A disk of its own stays, empty.
    machine.ok("apt-get purge --yes reflector-agent reflector-api").unwrap();
    assert_eq!(machine.ok(&format!("ls -A {STATE} && umount {STATE} && rm -r {STATE}")).unwrap(), "");
    let left: Vec<String> = paths(machine).into_iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(machine.ok("systemctl --failed --no-legend").unwrap(), "");
    for user in [AGENT, "reflector-api"] {
        machine.ok(&format!("getent passwd {user} && getent group {user}")).unwrap();
    }

    machine.ok("apt-get install --yes reflector-agent").unwrap();
    assert_eq!(machine.property(AGENT, "ActiveState").unwrap(), "inactive");
    host.set_up();
    let mut spool = host.spool(2);
    spool.append(5).unwrap();
    host.delivers(&spool);
}

/// Everything with our name but what apt downloads and systemd remembers of units while it runs.
fn paths(machine: &Machine) -> Vec<String> {
    let command =
        "find / -xdev -name '*reflector*' ! -path '/proc/*' ! -path '/var/cache/apt/*' ! -path '/sys/*'
        find /run /tmp /var/tmp -name '*reflector*'";
    let found = machine.run(command).unwrap();
    // Other services' files come and go meanwhile.
    assert!(found.stderr.lines().all(|line| line.ends_with("No such file or directory")), "{found}");
    found.stdout.lines().map(str::to_owned).collect()
}
