//! Recordings wherever a host may keep them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use agent::config;
use agent::jibri::health::Monitor;
use agent::watch::Stop;
use serde_json::Value;

use crate::recordings::{Host, METADATA, mp4, write};
use crate::support::eventually;

/// A finished recording in a session directory of this root.
fn record(root: &Path, session: &str) {
    let directory = root.join(session);
    fs::create_dir_all(&directory).unwrap();
    write(&directory, "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    write(&directory, "metadata.json", METADATA);
}

#[test]
fn roots_may_come_later_be_made_anew_be_links_and_have_two_names() {
    let place = tempfile::tempdir().unwrap();
    let [real, other, link, late] = ["real", "other", "link", "a/b/late"].map(|name| place.path().join(name));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let host = Host::start_with(&format!("roots = [{real:?}, {link:?}, {late:?}]"));
    record(&link, "s1");
    let told = host.notice_of("s1");
    assert_eq!(told["recording_file"], real.join("s1/reflector-a_2026-08-05-13-56-46.mp4").to_str().unwrap());
    record(&late, "s2");
    host.notice_of("s2");
    fs::remove_dir_all(&late).unwrap();
    record(&late, "s3");
    host.notice_of("s3");
    record(&other, "s4");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    host.notice_of("s4");
    assert_eq!(host.notices().len(), 4, "each once");
}

#[test]
fn the_root_is_jibris_own_and_follows_its_configuration() {
    let place = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| place.path().join(name));
    let configure = |root: &Path| {
        let text = format!("base = {root:?}\njibri {{ recording {{ recordings-directory = ${{base}} }} }}");
        fs::write(place.path().join("jibri.conf"), text).unwrap();
    };
    let host = Host::start_with(&format!("[jibri]\nconfiguration = [{:?}]", place.path()));
    configure(&first);
    record(&first, "s1");
    host.notice_of("s1");
    configure(&second);
    record(&second, "s2");
    host.notice_of("s2");
    // What Jibri has not finished when it is told to write elsewhere is told all the same.
    record(&first, "s3");
    host.notice_of("s3");
}

#[test]
fn a_recording_does_not_wait_for_a_huge_one() {
    let host = Host::start();
    for name in ["huge-1", "huge-2", "huge-3", "huge-4", "huge-5"] {
        let session = host.session(name);
        // Sparse: nothing on disk, but an hour's reading.
        let path = session.join("reflector-b_2026-08-05-13-56-46.mp4");
        fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
        write(&session, "metadata.json", METADATA);
    }
    record(&host.root(), "small");
    assert_eq!(host.notice_of("small")["recording_status"], "completed");
    assert_eq!(host.notices().len(), 1);
}

#[test]
fn a_file_of_days_ago_that_goes_on_is_told_again() {
    let host = Host::start();
    let session = host.session("s1");
    let path = session.join("reflector-a_2026-08-05-13-56-46.mp4");
    fs::write(&path, &mp4()[..500]).unwrap();
    let long_ago = SystemTime::now() - Duration::from_hours(72);
    for old in [&path, &session] {
        fs::File::open(old).unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(host.notice_of("s1")["recording_status"], "truncated");
    host.look_has_passed();
    fs::File::options().append(true).open(&path).unwrap().write_all(&mp4()[500..]).unwrap();
    eventually("the whole file", || {
        host.notices_of("s1").into_iter().find(|notice| notice["recording_status"] == "orphaned")
    });
}

#[test]
fn the_recording_that_jibri_may_be_busy_with_is_given_more_time() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", server.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = server.accept() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(
                b"HTTP/1.0 200 OK\r\n\r\n{\"status\":{\"busyStatus\":\"BUSY\",\"health\":{\"healthStatus\":\"HEALTHY\"}}}",
            );
        }
    });
    let (monitor, stop) = (Monitor::default(), Stop::new().unwrap());
    let (asking, until) = (monitor.clone(), stop.clone());
    let settings = config::Jibri { health_url: Some(url), ..config::Jibri::default() };
    let thread = std::thread::spawn(move || asking.run(&settings, &until));
    eventually("Jibri's answer", || monitor.health().filter(|health| health.busy));
    let host = Host::start_monitored(monitor);
    let abandoned = |name: &str| write(&host.session(name), "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    abandoned("older");
    abandoned("latest");
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    let older = host.session("older");
    for old in [older.join("reflector-a_2026-08-05-13-56-46.mp4"), older] {
        fs::File::open(old).unwrap().set_modified(long_ago).unwrap();
    }
    host.notice_of("older");
    assert_eq!(host.notices_of("latest"), [] as [Value; 0], "Jibri may be busy with it");
    host.notice_of("latest");
    stop.give();
    thread.join().unwrap();
}
