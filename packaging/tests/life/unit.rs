//! What systemd knows of one of our services.

use packaging::machine::Machine;

/// The service's process.
pub(crate) fn pid(machine: &Machine, service: &str) -> String {
    machine.property(service, "MainPID").unwrap()
}

/// Waits for another process of the service than this, ready to work.
pub(crate) fn restarted(machine: &Machine, service: &str, before: &str) {
    let state = format!("systemctl show --property=MainPID,SubState {service}");
    let command = format!("{state} | grep -q SubState=running && ! {state} | grep -qx 'MainPID={before}'");
    machine.eventually(&command).unwrap_or_else(|error| panic!("{error}\n{}", journal(machine, service)));
}

/// Kills the service's process, and waits for the next one.
pub(crate) fn kill(machine: &Machine, service: &str) {
    let before = pid(machine, service);
    machine.ok(&format!("kill -KILL {before}")).unwrap();
    restarted(machine, service, &before);
}

/// Lets the service hang, and waits for the next process. Units are shipped with minutes, and a test has seconds.
pub(crate) fn hang(machine: &Machine, service: &str) {
    let drop_in = format!("/etc/systemd/system/{service}.service.d/watchdog.conf");
    machine.write(&drop_in, "[Service]\nWatchdogSec=5s\n").unwrap();
    machine.ok(&format!("systemctl daemon-reload && systemctl restart {service}")).unwrap();
    let before = pid(machine, service);
    machine.ok(&format!("kill -STOP {before}")).unwrap();
    restarted(machine, service, &before);
    assert!(journal(machine, service).contains("Watchdog timeout"), "{}", journal(machine, service));
}

/// Waits until the service has ended over its configuration, once, with `words` where operators look.
pub(crate) fn gives_up(machine: &Machine, service: &str, words: &str) {
    machine.eventually(&format!("systemctl is-failed {service}")).unwrap();
    assert_eq!(machine.property(service, "ExecMainStatus").unwrap(), "78");
    let status = machine.run(&format!("systemctl status --no-pager --full {service}")).unwrap();
    assert_eq!(status.code, Some(3), "{status}");
    assert!(status.stdout.contains(words), "{status}");
    // A service that is to be started again is never "failed": it waits as "auto-restart".
    assert_eq!(machine.property(service, "SubState").unwrap(), "failed");
    assert_eq!(machine.property(service, "NRestarts").unwrap(), "0");
}

/// Waits until the journal has a line of the service that `fields` select and that holds `words`.
pub(crate) fn logs(machine: &Machine, service: &str, fields: &str, words: &str) {
    let command = format!("journalctl --unit={service} --output=cat {fields} | grep -F '{words}'");
    machine.eventually(&command).unwrap_or_else(|error| panic!("{error}\n{}", journal(machine, service)));
}

/// What the service has logged last.
pub(crate) fn journal(machine: &Machine, service: &str) -> String {
    machine.ok(&format!("journalctl --unit={service} --lines=40 --output=cat")).unwrap()
}

/// The version of a package that is installed.
pub(crate) fn version(machine: &Machine, package: &str) -> String {
    machine.ok(&format!("dpkg-query --show --showformat='${{Version}}' {package}")).unwrap()
}
