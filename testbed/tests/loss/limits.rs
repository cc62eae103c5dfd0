//! The host's limits, and an operator who changes things while the agent runs.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use contract::problem::ProblemCode;
use contract::signature::Secrets;
use testbed::load::Rotation;
use testbed::sink::{Faults, Ledger, Refusal, Sink};
use testbed::wait::eventually;

use crate::stand::{DEADLINE, SECRET, Stand};

#[test]
fn without_inotify_directories_are_looked_at_and_with_it_again_it_is_taken_back() {
    let mut stand = Stand::prepare(None);
    let blind = "echo 0 > /proc/sys/user/max_inotify_instances; exec \"$@\"";
    stand.agent.start_under(&["unshare", "--user", "--map-root-user", "sh", "-c", blind, "sh"]).unwrap();
    let mut writer = stand.writer();
    for _ in 0..3 {
        writer.append(10).unwrap();
        stand.arrived(writer.count());
    }
    let times = said(&stand, "fs.inotify.max_user_instances");
    assert!(
        (1..=2).contains(&times),
        "{times} times, where the spool and the recordings may say it once each"
    );
    let pid = stand.agent.pid().unwrap().to_string();
    run(Command::new("nsenter")
        .args(["--user", "--preserve-credentials", "--target", &pid, "sh", "-c"])
        .arg("echo 100 > /proc/sys/user/max_inotify_instances"));
    until_said(&stand, "the kernel reports changes again");
    writer.append(10).unwrap();
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn without_a_file_descriptor_everything_waits_and_a_line_in_the_making_stays_one() {
    let stand = Stand::start(None);
    let mut writer = stand.writer();
    writer.append(100).unwrap();
    stand.arrived(100);
    let mut growing = open_line(&stand);
    let limit = |soft: &str| {
        let pid = stand.agent.pid().unwrap().to_string();
        run(Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]));
    };
    limit("3");
    // The connections end, and the directory has something new: both need a descriptor.
    stand.sink.close().unwrap();
    stand.sink.open().unwrap();
    writer.append(100).unwrap();
    writer.rotate(Rotation::Rename).unwrap();
    writer.append(100).unwrap();
    until_said(&stand, "Too many open files");
    until_said(&stand, "no file descriptor left for a connection");
    growing.write_all(b"\"id\":\"evt_made_in_two\",\"data\":{}}\n").unwrap();
    limit("1024");
    stand.arrived(writer.count() + 1);
    assert_eq!(
        stand.sink.ledger(|ledger| ledger.order("reflector-slow").to_vec()),
        ["evt_made_in_two".into()]
    );
    assert!(stand.agent.deliveries("parked").unwrap().is_empty());
}

#[test]
fn a_name_that_moves_is_followed() {
    let mut stand = Stand::prepare(None);
    let (home, port) = (stand.agent.home().to_owned(), stand.sink.address().port());
    let file = home.join("agent.toml");
    let named = fs::read_to_string(&file).unwrap().replace("http://127.0.0.1:", "http://reflector.test:");
    fs::write(&file, named).unwrap();
    let hosts = home.join("hosts");
    fs::write(&hosts, "127.0.0.1 reflector.test\n").unwrap();
    let own_hosts = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    stand.agent.start_under(&["unshare", "--mount", "sh", "-c", &own_hosts, "sh"]).unwrap();
    let mut writer = stand.writer();
    writer.append(10).unwrap();
    stand.arrived(10);

    let secrets = Secrets::parse(SECRET).unwrap();
    let elsewhere = Sink::start_with(SocketAddr::from(([127, 0, 0, 2], port)), Some(secrets)).unwrap();
    stand.sink.close().unwrap();
    fs::write(&hosts, "127.0.0.2 reflector.test\n").unwrap();
    writer.append(10).unwrap();
    let moved = elsewhere.wait_until(DEADLINE, |ledger| ledger.distinct() == 10);
    assert!(moved, "the log:\n{}", stand.agent.log_end());
}

#[test]
fn another_secret_in_the_file_opens_the_door_at_once() {
    let mut stand = Stand::prepare(None);
    fs::write(stand.agent.home().join("secret"), "the-secret-of-before-0123456789abcdef").unwrap();
    stand.agent.start().unwrap();
    let mut writer = stand.writer();
    writer.append(500).unwrap();
    stand.until("the old secret was refused", |ledger| ledger.bad_signatures() > 0);
    until_said(&stand, "the secrets differ");
    fs::write(stand.agent.home().join("secret"), SECRET).unwrap();
    let changed = Instant::now();
    stand.arrived(writer.count());
    let waited = changed.elapsed();
    assert!(
        waited < Duration::from_secs(20),
        "{waited:?}: a refused signature alone would wait half a minute or more"
    );
    fs::write(stand.agent.home().join("secret"), "").unwrap();
    until_said(&stand, "the secret that it held before stays in use");
    writer.append(10).unwrap();
    stand.arrived(writer.count());
}

#[test]
fn a_hangup_makes_the_log_speak_more_and_a_broken_configuration_changes_nothing() {
    let stand = Stand::start(None);
    let file = stand.agent.home().join("agent.toml");
    let good = fs::read_to_string(&file).unwrap();
    let hang_up = || run(Command::new("kill").args(["-HUP", &stand.agent.pid().unwrap().to_string()]));
    until_said(&stand, "reflector-agent runs");
    fs::write(&file, format!("{good}[log]\nfilter = \"debug\"\n")).unwrap();
    hang_up();
    until_said(&stand, "the configuration was read again");
    let mut writer = stand.writer();
    writer.append(10).unwrap();
    until_said(&stand, "a turn ended");
    fs::write(&file, format!("{good}[colour]\n")).unwrap();
    hang_up();
    until_said(&stand, "colour: is not a section");
    until_said(&stand, "everything stays as it was");
    writer.append(10).unwrap();
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn at_its_size_cap_the_outbox_makes_the_spool_wait_and_nothing_is_dropped() {
    let mut stand = Stand::prepare(None);
    let file = stand.agent.home().join("agent.toml");
    let small = fs::read_to_string(&file).unwrap().replace("[outbox]\n", "[outbox]\nmax-bytes = 4194304\n");
    fs::write(&file, small).unwrap();
    stand.sink.set_faults(Faults {
        refuse_all: Some(Refusal::problem(ProblemCode::Unavailable)),
        ..Faults::default()
    });
    stand.agent.start().unwrap();
    let mut writer = stand.writer();
    writer.append(10_000).unwrap();
    until_said(&stand, "at its size cap");
    stand.sink.set_faults(Faults::default());
    stand.all_arrived(&writer, &HashSet::new());
    assert_eq!(stand.sink.ledger(Ledger::duplicates), 0);
}

/// A file of its own with the first half of a line.
fn open_line(stand: &Stand) -> fs::File {
    let path: PathBuf = stand.agent.spool().join("slow.jsonl");
    let mut file = fs::File::create(path).unwrap();
    file.write_all(b"{\"event\":\"muc-room-created\",\"room\":\"reflector-slow\",\"timestamp\":1,").unwrap();
    file
}

fn said(stand: &Stand, what: &str) -> usize {
    stand.agent.log().matches(what).count()
}

fn until_said(stand: &Stand, what: &str) {
    assert!(
        eventually(DEADLINE, || said(stand, what) > 0),
        "waited for {what:?}; the log:\n{}",
        stand.agent.log_end()
    );
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
