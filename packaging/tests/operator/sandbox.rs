//! The sandboxes of both units in force, as a hole in the program would find them: a probe runs instead of the program, with
//! everything else as the unit says, and tries what the program has no business with.

use std::collections::BTreeMap;

use packaging::machine::{Machine, Release};

use crate::place::Whole;

const PROBE: &str = include_str!("probe.py");

/// A service, with what the probe is told of it.
struct Service {
    name: &'static str,
    state: &'static str,
    /// A port that the other service listens on.
    port: &'static str,
    /// The file of its secret.
    source: &'static str,
    /// What it needs. Everything else that the probe tries must fail.
    needs: &'static [&'static str],
}

const SERVICES: [Service; 2] = [
    Service {
        name: "reflector-agent",
        state: "/var/lib/reflector-agent",
        port: "1250",
        source: "/etc/reflector-agent/secret",
        needs: &[
            "a connection",
            ITS_SECRET,
            "read a recording of Jibri's group",
            "remove from the spool",
            "state",
            "Unix sockets",
        ],
    },
    Service {
        name: "reflector-api",
        state: "/var/lib/reflector-api",
        port: "9471",
        source: "/etc/reflector-api/api.env",
        needs: &["a connection", "state", "Unix sockets"],
    },
];

/// Tried where systemd hands over a secret.
const ITS_SECRET: &str = "its secret";

type Results = BTreeMap<String, String>;

/// Puts what is to be found where everybody may go who is not confined.
fn lay_bait(machine: &Machine) {
    machine.ok("apt-get install --yes --no-install-recommends python3").unwrap();
    machine.write("/srv/public/probe.py", PROBE).unwrap();
    machine
        .ok("set -e; chmod -R a+rX /srv; chmod 1777 /srv/public
            install -m 4755 /usr/bin/id /srv/public/id-as-root
            mkdir -p /home/alice /var/lib/open; chmod 755 /root /home /home/alice; chmod 777 /var/lib/open
            echo x | tee /home/alice/notes /root/notes /tmp/note >/dev/null; chmod 644 /home/alice/notes /root/notes /tmp/note
            install -d -m 2777 -o jibri -g jibri /var/recordings; install -d -m 2750 -o jibri -g jibri /var/recordings/session
            install -d -m 755 /root/.jitsi-meet-cfg/storage/jibri/recordings
            chmod -R a+rX /root/.jitsi-meet-cfg; echo x >/root/.jitsi-meet-cfg/storage/jibri/recordings/recording.mp4
            echo x >/var/recordings/session/recording.mp4
            chown jibri:jibri /var/recordings/session/recording.mp4; chmod 640 /var/recordings/session/recording.mp4")
        .unwrap();
}

fn put_into_the_spool(machine: &Machine) {
    machine
        .ok("cd /var/spool/reflector-agent/prosody && : >probe.jsonl && chown prosody:reflector-agent probe.jsonl && chmod 640 probe.jsonl")
        .unwrap();
}

/// Runs the probe as the service, and leaves the service as it was.
fn confined(machine: &Machine, service: &Service) -> Results {
    let Service { name, state, port, source, .. } = service;
    let result = format!("{state}/probe.json");
    machine
        .write(
            &format!("/run/systemd/system/{name}.service.d/probe.conf"),
            &format!(
                "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecReload=\nExecStart=\n\
                 ExecStart=/usr/bin/python3 /srv/public/probe.py {result} {state} {port} {source}\n"
            ),
        )
        .unwrap();
    machine.ok("systemctl daemon-reload").unwrap();
    machine.ok(&format!("systemctl stop {name}.service")).unwrap();
    let ran = machine.run(&format!("systemctl start {name}.service")).unwrap();
    assert_eq!(ran.code, Some(0), "{ran}{}", machine.ok(&format!("journalctl -n 30 -u {name}")).unwrap());
    let results = serde_json::from_str(&machine.read(&result).unwrap()).unwrap();
    machine
        .ok(&format!(
            "rm -r {result} /run/systemd/system/{name}.service.d && systemctl daemon-reload && systemctl start {name}.service"
        ))
        .unwrap();
    results
}

/// Runs the probe as root in no sandbox.
fn free(machine: &Machine, service: &Service) -> Results {
    let Service { state, port, source, .. } = service;
    let command = format!("cd / && python3 /srv/public/probe.py - {state} {port} {source}");
    serde_json::from_str(&machine.ok(&command).unwrap()).unwrap()
}

/// What the kernel says of every process of a service.
fn processes_are_bound(machine: &Machine, name: &str) {
    let group = machine.property(name, "ControlGroup").unwrap();
    let command =
        format!("for pid in $(cat /sys/fs/cgroup{group}/cgroup.procs); do cat /proc/$pid/status; done");
    let status = machine.ok(&command).unwrap();
    let values = |key: &str| -> Vec<&str> {
        status.lines().filter_map(|line| line.strip_prefix(key)).map(str::trim).collect()
    };
    let processes = values("Name:").len();
    assert!(processes > 0, "{name} does not run");
    for (key, value) in [
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
        ("CapBnd:", "0000000000000000"),
        ("CapEff:", "0000000000000000"),
    ] {
        assert_eq!(values(key), vec![value; processes], "{key} of {name}'s processes");
    }
}

/// Drop-ins that the package has as examples, and what each lets the agent do: that, and nothing else.
const DROP_INS: &[(&str, &[&str])] = &[
    ("delete-recordings.conf", &["see others' processes", "see the first process", "write in recordings"]),
    ("recordings-below-tmp.conf", &["see files in /tmp"]),
    ("recordings-below-home.conf", &["read a recording below /root"]),
];

/// Follows what a drop-in says of how it is installed, and takes it away again after the probe.
fn drop_in_opens(machine: &Machine, file: &str, opened: &[&str]) {
    let agent = &SERVICES[0];
    let examples = "/usr/share/doc/reflector-agent/examples";
    let text = machine.read(&format!("{examples}/{file}")).unwrap();
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    assert_eq!(commands.len(), 2, "{text}");
    machine.ok(&format!("cd {examples} && {}", commands.join(" && "))).unwrap();
    machine.eventually("systemctl is-active reflector-agent").unwrap();
    put_into_the_spool(machine);
    let results = confined(machine, agent);
    for (tried, came) in &results {
        let allowed = agent.needs.iter().chain(opened).any(|allowed| allowed == tried);
        assert_eq!(came == "done", allowed, "with {file}: {tried}: {came}");
    }
    machine
        .ok(&format!("rm /etc/systemd/system/reflector-agent.service.d/{file} && systemctl daemon-reload"))
        .unwrap();
}

fn is_in_force(release: Release) {
    let whole = Whole::prepare(release);
    whole.install();
    let machine = &whole.machine;
    lay_bait(machine);
    for service in &SERVICES {
        processes_are_bound(machine, service.name);
        put_into_the_spool(machine);
        let results = confined(machine, service);
        for (tried, came) in &results {
            let needed = service.needs.contains(&tried.as_str());
            assert_eq!(came == "done", needed, "{}: {tried}: {came}", service.name);
        }
        assert!(service.needs.iter().all(|needed| results.contains_key(*needed)), "{results:?}");

        // The probe can tell: without the sandbox nothing stands in its way.
        put_into_the_spool(machine);
        let without = free(machine, service);
        let refused: Vec<_> = without.iter().filter(|(_, came)| *came != "done").collect();
        assert!(refused.is_empty(), "the probe of {} proves nothing about {refused:?}", service.name);
        assert!(results.keys().all(|tried| without.contains_key(tried) || tried == ITS_SECRET));
        machine.eventually(&format!("systemctl is-active {}", service.name)).unwrap();
    }
    for (file, opened) in DROP_INS {
        drop_in_opens(machine, file, opened);
    }
}

#[test]
fn the_sandboxes_are_in_force_on_debian_12() {
    is_in_force(Release::Bookworm);
}

#[test]
fn the_sandboxes_are_in_force_on_debian_13() {
    is_in_force(Release::Trixie);
}
