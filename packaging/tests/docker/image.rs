//! The image delivers: built by its Dockerfile, run with what the merged compose file says of users, volumes and rights.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use packaging::machine::target;
use serde_json::Value;
use testbed::api::Api;
use testbed::jibri::{self, Jibri};
use testbed::ports;
use testbed::secrets::Secrets;
use testbed::wait::eventually;
use testbed::xmpp::{Client, Login, display_name};

use crate::engine::{Engine, SOON};
use crate::merged::{Age, BEFORE, SINCE, merge, overlay, stock, whole};

const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";
/// The user of docker-jitsi-meet's containers.
const S6: u32 = 1000;

#[test]
fn the_image_delivers_meetings_and_recordings_of_both_layouts() {
    let engine = Engine::new();
    let at = engine.directory.path();
    let context = at.join("context");
    fs::create_dir(&context).unwrap();
    fs::copy(package(), context.join("reflector-agent_0.1.0_amd64.deb")).unwrap();
    engine.build("reflector-agent", &overlay().join("Dockerfile"), &context);
    engine.build("stock-prosody", &stock().join("prosody/Dockerfile"), &stock().join("prosody"));
    let secrets = Secrets::random().unwrap();
    let port = ports::free().unwrap();
    let api = Api::start(&at.join("api"), &at.join("api.log"), port, &secrets, Vec::new()).unwrap();
    for age in [SINCE, BEFORE] {
        deliver(&engine, &api, &secrets, port, &age);
    }
}

fn deliver(engine: &Engine, api: &Api, secrets: &Secrets, port: u16, age: &Age) {
    let place = engine.directory.path().join(age.name);
    prepare(&place, &secrets.webhook);
    let (secret, url) = (place.join("secret"), format!("http://10.0.2.2:{port}"));
    let variables = [
        ("CONFIG", place.to_str().unwrap()),
        ("REFLECTOR_API_URL", &url),
        ("REFLECTOR_SECRET_FILE", secret.to_str().unwrap()),
        ("REFLECTOR_HOST", age.name),
    ];
    let mut services = merge(&whole(age), &variables).unwrap()["services"].clone();
    for name in ["reflector-init", "prosody", "reflector-agent"] {
        name_volumes_after(&mut services[name], age);
    }
    services["prosody"]["image"] = "stock-prosody".into();

    engine.finish(&services["reflector-init"], &[]);
    let xmpp = ports::free().unwrap();
    let publish = format!("--publish=127.0.0.1:{xmpp}:5222");
    let names = ["prosody", "agent"].map(|it| format!("{}-{it}", age.name));
    let user = format!("--user={}", age.prosody);
    let _prosody = engine.start(&names[0], &services["prosody"], &[&publish, &user]);
    let mount = format!("--volume={}:/run/secrets/reflector:ro", secret.display());
    let _agent = engine.start(&names[1], &services["reflector-agent"], &[&mount]);

    assert_confined(engine.process(&names[1]));
    let client = api.client("demo").unwrap();
    client.ensure_room(age.name).unwrap();
    let meeting = client.create_meeting(age.name).unwrap();
    let room = format!("{}@muc.meet.jitsi", meeting.room_name);
    let alice = enter(xmpp, "meet.jitsi", || engine.log(&names[0]));
    alice.join(&room, "alice", &display_name("Alice")).unwrap();
    let recorder = enter(xmpp, "hidden.meet.jitsi", || engine.log(&names[0]));
    recorder.join(&room, "recorder", &display_name("Recorder")).unwrap();
    record(&place, age, &meeting.room_name);

    let told = || client.meeting(&meeting.id).unwrap();
    // The recorder is told by the hidden domain, which Prosody's module has from the overlay.
    let complete = || {
        let told = told();
        let is = |name, kind| {
            told["participants"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["display_name"] == name && it["kind"] == kind)
        };
        is("Alice", "human")
            && is("Recorder", "recorder")
            && told["recordings"][0]["files"][0]["host"] == age.name
    };
    assert!(eventually(SOON, complete), "{}\n{}\n{}", told(), engine.log(&names[0]), engine.log(&names[1]));
    assert_health(engine, &names);
}

/// What README.md has an operator make.
fn prepare(place: &Path, secret: &str) {
    for directory in
        ["prosody/config", "prosody/prosody-plugins-custom", "storage/prosody", "storage/jibri", "jibri"]
    {
        fs::create_dir_all(place.join(directory)).unwrap();
    }
    chown(place.join("storage/prosody"), Some(S6), Some(S6)).unwrap();
    let file = place.join("secret");
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    chown(&file, Some(S6), Some(S6)).unwrap();
}

/// Both layouts are tried on the same engine.
fn name_volumes_after(service: &mut Value, age: &Age) {
    for volume in service["volumes"].as_array_mut().unwrap() {
        let text = volume.as_str().unwrap();
        if text.starts_with("reflector-") {
            *volume = format!("{}-{text}", age.name).into();
        }
    }
}

/// A client, as soon as Prosody serves clients.
fn enter(port: u16, domain: &str, log: impl Fn() -> String) -> Client {
    let mut client = None;
    eventually(SOON, || {
        client = Client::connect(port, Login::Anonymous { domain }).ok();
        client.is_some()
    });
    client.unwrap_or_else(|| panic!("no way in: {}", log()))
}

/// A recording as the layout's Jibri leaves it: everybody can read it, or its user and group alone.
fn record(place: &Path, age: &Age, room: &str) {
    let directory = place.join(age.recordings);
    fs::create_dir_all(&directory).unwrap();
    let jibri = Jibri::new(&directory, &place.join("ffmpeg.log"));
    let jibri = if age.prosody == SINCE.prosody { jibri.with_owner(S6, S6) } else { jibri };
    let recording = jibri.record(SESSION, room).unwrap();
    let url = format!("https://meet.jitsi/{room}");
    let meeting = jibri::Meeting { url: &url, participants: &[], session_id: "" };
    assert!(recording.stop(meeting).unwrap().is_some());
}

fn assert_confined(pid: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let is = |name: &str, value: &str| {
        status.lines().any(|line| line.split_whitespace().take(2).eq([name, value]))
    };
    assert!(is("Uid:", "1000") && is("CapEff:", "0000000000000000") && is("NoNewPrivs:", "1"), "{status}");
}

/// The image's own check is content with the agent, and not with a container where none runs.
fn assert_health(engine: &Engine, [prosody, agent]: &[String; 2]) {
    let format = ["image", "inspect", "--format", "{{json .HealthCheck.Test}}", "reflector-agent"];
    let test: Vec<String> = serde_json::from_str(engine.run(&format).trim()).unwrap();
    assert_eq!(test[0], "CMD");
    let test: Vec<_> = test[1..].iter().map(String::as_str).collect();
    engine.run(&[&["exec", agent], &test[..]].concat());
    assert!(!engine.attempt(&[&["exec", prosody], &test[..]].concat()).0, "it is always content");
}

/// What `make deb` has packed.
fn package() -> std::path::PathBuf {
    let directory = target().unwrap().join("deb");
    let files = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("reflector-agent_") && name.ends_with("_amd64.deb")
    });
    found.next().unwrap_or_else(|| panic!("{} has no package; run: make deb", directory.display()))
}
