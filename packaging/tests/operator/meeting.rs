//! An operator who follows "Install" in `docs/operations.md` to the letter, and the first meeting after that.

use std::time::Duration;

use packaging::handbook;
use packaging::machine::{Machine, Release};
use serde_json::Value;
use testbed::api::{self, Client};
use testbed::jibri::Jibri;
use testbed::meeting::{Invitation, Meeting};
use testbed::prosody::{AUTH_DOMAIN, DOMAIN, PASSWORD, RECORDER_DOMAIN};
use testbed::wait::eventually;

use crate::manual;
use crate::place::{AGENT, Site, type_in};

/// How long an event may take from Prosody to the API on a busy machine.
const SOON: Duration = Duration::from_mins(1);
/// The most commands from `apt install` to the first event.
const FEW: usize = 5;
const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";
const PROSODY_CONFIGURATION: &str = include_str!("jitsi.cfg.lua");
/// Where Jitsi's packages have their modules.
const MODULES: &str = "/usr/share/jitsi-meet/prosody-plugins";

/// Follows "Install the API"; the enrolment token that the last command prints.
fn install_the_api(site: &Site) -> String {
    let commands = manual::commands("Install the API");
    let [install, setup, enroll] = commands.as_slice() else { panic!("{commands:?}") };
    type_in(&site.api, install, YES);
    type_in(&site.api, setup, SETUP_OF_THE_API);
    assert!(enroll.contains(AGENT), "{enroll}");
    let token = site.api.ok(enroll).unwrap().trim().to_owned();
    let proxy = handbook::block(&manual::section("Install the API"), "nginx").unwrap().to_owned();
    site.api.ok("apt-get install --yes nginx-light").unwrap();
    site.api.write("/etc/nginx/conf.d/reflector.conf", &proxy).unwrap();
    site.api.ok("systemctl reload-or-restart nginx").unwrap();
    token
}

/// What apt asks where it brings recommended packages, too.
const YES: &[(&str, &str)] = &[("[Y/n]", "y")];
/// What `reflector-api setup` asks, and what is typed.
const SETUP_OF_THE_API: &[(&str, &str)] =
    &[("domain of your Jitsi", DOMAIN), ("address at which agents", "https://reflector.example.com")];

/// What an operator of Jitsi has already: Prosody as Jitsi configures it, with the API's secret, and Jibri's user with its
/// directory. Jitsi's own modules for tokens are in no archive, so the testbed's stand in.
fn have_jitsi(site: &Site) {
    let jitsi = &site.jitsi;
    jitsi.ok("apt-get install --yes prosody").unwrap();
    for (name, text) in [
        ("mod_auth_room_token.lua", include_str!("../../../testbed/prosody/mod_auth_room_token.lua")),
        (
            "mod_room_token_affiliation.lua",
            include_str!("../../../testbed/prosody/mod_room_token_affiliation.lua"),
        ),
    ] {
        jitsi.write(&format!("{MODULES}/{name}"), text).unwrap();
    }
    let settings = site.api.read("/etc/reflector-api/api.env").unwrap();
    let secret = settings.lines().find_map(|line| line.strip_prefix("JITSI_JWT_SECRET=")).unwrap();
    let configuration = PROSODY_CONFIGURATION.replace("@SECRET@", secret.trim_matches('"'));
    let file = format!("/etc/prosody/conf.avail/{DOMAIN}.cfg.lua");
    jitsi.write(&file, &configuration).unwrap();
    jitsi
        .ok(&format!(
            "set -e; chmod -R a+rX /usr/share/jitsi-meet; chmod 644 {file}; ln -s ../conf.avail/{DOMAIN}.cfg.lua /etc/prosody/conf.d/
             prosodyctl register focus {AUTH_DOMAIN} {PASSWORD}; prosodyctl register recorder {RECORDER_DOMAIN} {PASSWORD}
             systemctl restart prosody
             groupadd --system jitsi; useradd --system --user-group --groups jitsi --create-home jibri
             install -d -m 2770 -o jibri -g jibri /var/recordings"
        ))
        .unwrap();
    jitsi.eventually("prosodyctl shell host list").unwrap();
}

/// Follows "Install the agent".
fn install_the_agent(jitsi: &Machine, token: &str) {
    let commands = manual::commands("Install the agent");
    assert!(commands.len() <= FEW, "{} commands", commands.len());
    assert!(commands[0].starts_with("apt install "), "{}", commands[0]);
    for command in &commands {
        let answers: &[_] = match command.as_str() {
            "reflector-agent setup" => &[("Enrolment token", token)],
            command if command.starts_with("apt install ") => YES,
            _ => &[],
        };
        let screen = type_in(jitsi, command, answers);
        assert!(!screen.contains(token), "the token stands on the screen:\n{screen}");
    }
}

/// What the API has taken from this host, as the manual has an operator look.
fn delivered(jitsi: &Machine) -> String {
    jitsi.ok("reflector-agent deliveries list --state settled").unwrap()
}

fn user_and_group(machine: &Machine, name: &str) -> (u32, u32) {
    let id = |option: &str| machine.ok(&format!("id {option} {name}")).unwrap().trim().parse().unwrap();
    (id("-u"), id("-g"))
}

/// Holds the testbed's meeting with its recording in this site's Prosody, with the tokens of this site's API.
fn hold(site: &Site, meeting: &api::Meeting, guest: &api::Meeting) {
    let (uid, gid) = user_and_group(&site.jitsi, "jibri");
    let log = tempfile::NamedTempFile::new().unwrap();
    let jibri = Jibri::new(&site.jitsi.root().join("var/recordings"), log.path()).with_owner(uid, gid);
    let invitation = Invitation {
        room: &meeting.room_name,
        alice: &meeting.host_room_url,
        bob: &guest.room_url,
        session_id: SESSION,
    };
    site.jitsi
        .inside(|| {
            let held = Meeting::begin_at(5222, &jibri, invitation, &mut |_| Ok(())).unwrap();
            held.record(20_000).unwrap();
            assert!(held.end(&mut |_| Ok(())).unwrap().is_some());
        })
        .unwrap();
}

fn from_nothing_to_a_meeting(release: Release) {
    let site = Site::prepare(release);
    let token = install_the_api(&site);
    have_jitsi(&site);
    install_the_agent(&site.jitsi, &token);
    assert!(
        eventually(SOON, || delivered(&site.jitsi).contains("source-started")),
        "{}",
        site.jitsi.run("reflector-agent doctor").unwrap()
    );

    let caller = |user: &str| {
        let token = site.api.ok(&format!("reflector-api token --subject {user}")).unwrap();
        Client::new("http://127.0.0.1:1250", token.trim())
    };
    let (owner, guest) = (caller("alice"), caller("bob"));
    let meeting = site
        .api
        .inside(|| owner.ensure_room("daily").and_then(|()| owner.create_meeting("daily")))
        .unwrap()
        .unwrap();
    let invited = site.api.inside(|| guest.create_meeting("daily")).unwrap().unwrap();
    hold(&site, &meeting, &invited);

    let mut seen = Value::Null;
    let arrived = eventually(SOON, || {
        seen = site.api.inside(|| owner.meeting(&meeting.id)).unwrap().unwrap();
        let has = |name: &str| {
            seen["events"].as_array().is_some_and(|events| events.iter().any(|event| event["type"] == name))
        };
        has("recording_completed") && has("muc-room-destroyed")
    });
    assert!(
        arrived,
        "{seen:#}\n{}",
        site.jitsi.run("reflector-agent doctor; reflector-agent status").unwrap()
    );
    let names: Vec<&str> = seen["participants"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["display_name"].as_str())
        .collect();
    for name in ["Alice Liddell", "Bob", "Carol"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let recording = &seen["recordings"][0];
    assert_eq!(recording["session_id"], SESSION, "{seen:#}");
    let notice = seen["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["type"] == "recording_completed")
        .unwrap();
    let file = notice["data"]["recording_file"].as_str().unwrap();
    assert!(file.starts_with(&format!("/var/recordings/{SESSION}/")), "{file}");
    let doctor = site.jitsi.run("reflector-agent doctor").unwrap();
    assert_ne!(doctor.code, Some(1), "{doctor}");
}

#[test]
fn five_commands_bring_a_meeting_and_its_recording_to_the_api_on_debian_12() {
    from_nothing_to_a_meeting(Release::Bookworm);
}

#[test]
fn five_commands_bring_a_meeting_and_its_recording_to_the_api_on_debian_13() {
    from_nothing_to_a_meeting(Release::Trixie);
}
