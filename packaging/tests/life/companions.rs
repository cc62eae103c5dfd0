//! Prosody and Jibri that come after the agent.

use packaging::machine::{Machine, Release};

use crate::host::{Host, current};

const SPOOL: &str = "/var/spool/reflector-agent/prosody";

on_each_release! {
    prosody_and_jibri_may_come_after_the_agent,
}

fn prosody_and_jibri_may_come_after_the_agent(release: Release) {
    let host = Host::running(release, &current());
    let machine = &host.machine;
    assert_eq!(owner(machine), "reflector-agent:reflector-agent 2770\n");
    machine.ok("apt-get install --yes --no-install-recommends prosody").unwrap();
    assert_eq!(owner(machine), "prosody:reflector-agent 2770\n");
    machine.ok("runuser -u prosody -- touch /var/spool/reflector-agent/prosody/as-prosody").unwrap();

    // A group that cannot be joined is no success, and another one whose name begins like Jibri's is not Jibri's.
    let sysusers = "mount --bind /bin/false /usr/bin/systemd-sysusers && groupadd --system jitsi";
    machine
        .ok(&format!("groupadd jibri-x && usermod --append --groups jibri-x reflector-agent && {sysusers}"))
        .unwrap();
    let trigger = "/var/lib/dpkg/info/reflector-agent.postinst triggered /opt/jitsi/jibri";
    assert_ne!(machine.run(trigger).unwrap().code, Some(0));
    machine.ok("umount /usr/bin/systemd-sysusers").unwrap();

    let before = host.pid();
    install_jibri(machine);
    let groups = machine.ok("id -nG reflector-agent").unwrap();
    assert!(
        ["jibri", "jitsi"].iter().all(|group| groups.split_whitespace().any(|of| of == *group)),
        "{groups}"
    );
    // A process has the groups that its user had when it started.
    host.restarted(&before);
    let jibri = machine.ok("getent group jibri | cut -d: -f3").unwrap();
    let of_process = machine.ok(&format!("grep ^Groups: /proc/{}/status", host.pid())).unwrap();
    assert!(of_process.split_whitespace().any(|group| group == jibri.trim()), "{of_process}");

    let mut spool = host.spool(1);
    spool.append(10).unwrap();
    host.delivers(&spool);
}

/// A package that does what Jibri's does to users, groups and files. Jitsi's own archive is not Debian's.
fn install_jibri(machine: &Machine) {
    let control = "Package: jibri\nVersion: 8.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: stand-in\n";
    let scripts = "#!/bin/sh\nset -e\ngetent group jitsi || groupadd --system jitsi\nid jibri || useradd --system --user-group --groups jitsi jibri\n";
    machine.write("/srv/jibri/DEBIAN/control", control).unwrap();
    machine.write("/srv/jibri/DEBIAN/postinst", scripts).unwrap();
    machine.write("/srv/jibri/opt/jitsi/jibri/jibri.jar", "").unwrap();
    machine.ok("chmod -R a+rX /srv/jibri && chmod 755 /srv/jibri/DEBIAN /srv/jibri/DEBIAN/postinst").unwrap();
    machine.ok("dpkg-deb --build /srv/jibri /srv/jibri.deb && apt-get install --yes /srv/jibri.deb").unwrap();
}

fn owner(machine: &Machine) -> String {
    machine.ok(&format!("stat --format='%U:%G %a' {SPOOL}")).unwrap()
}
