//! What the other tests take for granted of the machines themselves.

use packaging::machine::{Machine, Network, Options, Release};
use testbed::sink::Sink;

use crate::turn;

#[test]
fn machines_of_one_network_reach_each_other_and_this_host() {
    let _turn = turn::shared();
    let network = Network::new().unwrap();
    let boot = |release, name| Machine::boot(release, name, &network, Options::default()).unwrap();
    let (jitsi, api) = (boot(Release::Bookworm, "jitsi"), boot(Release::Trixie, "api"));
    assert_eq!(jitsi.ok("hostname").unwrap().trim(), "jitsi");
    let fetch =
        |machine: &Machine, url: &str| machine.run(&format!("curl --silent --max-time 20 {url}")).unwrap();
    let sink = api.inside(|| Sink::start_with(([0, 0, 0, 0], 0).into(), None)).unwrap().unwrap();
    let port = sink.address().port();
    // 7 is curl's word for a refused connection.
    assert_eq!(fetch(&api, &format!("http://127.0.0.1:{port}/")).code, Some(0));
    assert_eq!(fetch(&jitsi, &format!("http://{}:{port}/", api.address())).code, Some(0));
    assert_eq!(fetch(&jitsi, &format!("http://127.0.0.1:{port}/")).code, Some(7));
}

#[test]
fn a_lasting_machine_keeps_its_files_over_a_reboot_and_no_other_machine_sees_them() {
    let _turn = turn::shared();
    let network = Network::new().unwrap();
    let mut machine = Machine::boot(Release::Bookworm, "host", &network, Options { lasting: true }).unwrap();
    machine.write("/etc/kept", "kept\n").unwrap();
    machine.reboot().unwrap();
    assert_eq!(machine.read("/etc/kept").unwrap(), "kept\n");
    let other = Machine::boot(Release::Bookworm, "other", &network, Options::default()).unwrap();
    assert_eq!(other.run("test -e /etc/kept").unwrap().code, Some(1));
}

#[test]
fn nothing_of_a_machine_is_left_when_it_is_dropped() {
    let _turn = turn::shared();
    let machine = Machine::fresh(Release::Trixie).unwrap();
    let (leader, root) = (machine.leader(), machine.root());
    assert!(root.join("etc").is_dir());
    drop(machine);
    assert!(!std::path::Path::new(&format!("/proc/{leader}")).exists());
}
