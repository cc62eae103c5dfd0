//! The rest of Jitsi, as far as meetings of Reflector depend on it: services, tokens, moderators, certificates.

use std::io::ErrorKind;

use super::check::{Check, Trial, trial};
use super::hocon;
use super::lua::Section;
use super::prosody::Known;
use super::scene::Scene;
use crate::config::RUN_AS;

/// The services of a Jitsi host.
const SERVICES: [&str; 5] = ["prosody", "jicofo", "jitsi-videobridge2", "jibri", "nginx"];

/// Where jicofo's configuration is: Debian's package, then docker-jitsi-meet's old and new images.
const JICOFO: [&str; 3] =
    ["/etc/jitsi/jicofo/jicofo.conf", "/config/jicofo.conf", "/run/jicofo/config/jicofo.conf"];

/// A certificate that ends sooner is told, in seconds.
const SOON: &str = "1209600";

pub(super) fn checks(scene: &Scene, known: &Known) -> Vec<Check> {
    let tokens = trial("jitsi-tokens", "read the token settings in Prosody's configuration");
    let moderators = trial(
        "moderators",
        "looked whether a token decides who is a moderator: jicofo's enable-auto-owner, Prosody's token_affiliation",
    );
    let ids =
        trial("meeting-ids", "looked for the modules that give recordings a meeting's id and participants");
    let mut checks = vec![services(scene)];
    checks.extend(match known {
        Known::Nothing => {
            let why = "there is no Prosody here";
            [tokens, moderators, ids].map(|trial| trial.skipped(why)).to_vec()
        }
        Known::Unreadable(why) => [tokens, moderators, ids].map(|trial| trial.skipped(why)).to_vec(),
        Known::Read(sections) => {
            vec![
                judge_tokens(tokens, sections),
                judge_moderators(moderators, sections, &auto_owner(scene)),
                judge_ids(ids, sections),
            ]
        }
    });
    checks.push(certificates(scene));
    checks
}

fn services(scene: &Scene) -> Check {
    let trial = trial("services", format!("asked systemd for {}", SERVICES.join(", ")));
    if !scene.host.exists("/run/systemd/system") {
        return trial.skipped("systemd does not run here (a container?)");
    }
    let arguments = [&["show", "--property=Id,LoadState,ActiveState"][..], &SERVICES].concat();
    match scene.ask("systemctl", &arguments) {
        None => trial.skipped("systemctl cannot be run"),
        Some((_, said)) => judge_services(trial, &said),
    }
}

fn judge_services(trial: Trial, said: &str) -> Check {
    let installed = said.split("\n\n").filter_map(|unit| {
        let property = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        (property("LoadState") == Some("loaded")).then_some((property("Id")?, property("ActiveState")?))
    });
    let (well, ill): (Vec<_>, Vec<_>) = installed.partition(|(_, state)| *state == "active");
    match (&well[..], &ill[..]) {
        ([], []) => trial.skipped("none of them is installed here"),
        (_, [(unit, state), ..]) => trial.failure(
            format!("{unit} is {state}"),
            format!("`systemctl status {unit}`, `journalctl -u {unit} -e`"),
        ),
        (well, []) => {
            let names: Vec<&str> = well.iter().map(|(unit, _)| unit.trim_end_matches(".service")).collect();
            trial.ok(format!("active: {}", names.join(", ")))
        }
    }
}

/// Whether the settings that a token needs are there. The secret itself is never shown.
fn judge_tokens(trial: Trial, sections: &[Section]) -> Check {
    let hosts: Vec<&Section> = sections
        .iter()
        .filter(|section| section.is_virtual_host() && section.text("authentication") == Some("token"))
        .collect();
    let Some(host) = hosts.first() else {
        return trial.warning(
            "no virtual host has `authentication = \"token\"`: whoever knows a room's name may enter it, and Reflector's tokens are ignored",
            "install jitsi-meet-tokens, or set authentication, app_id and app_secret in the VirtualHost of the domain",
        );
    };
    let keyed = host.sets("asap_key_server") || host.sets("cache_keys_url");
    let secret = host.text("app_secret").unwrap_or_default();
    if host.text("app_id").is_none() && !host.sets("app_id") {
        return trial.failure(
            format!("{} has no app_id", host.host),
            "set it to the API's JITSI_APP_ID (`reflector`)",
        );
    }
    if !keyed && !host.sets("app_secret") {
        return trial
            .failure(format!("{} has no app_secret", host.host), "set it to the API's JITSI_JWT_SECRET");
    }
    if secret.starts_with("your-") || (!secret.is_empty() && secret.len() < 16) {
        return trial.failure(
            format!("app_secret of {} is a placeholder or shorter than 16 characters: anybody can make tokens", host.host),
            "make one with `openssl rand -hex 32`, set it here and as the API's JITSI_JWT_SECRET, and restart both",
        );
    }
    let issuers = match &host.list("asap_accepted_issuers")[..] {
        [] => host.text("app_id").unwrap_or("?").to_owned(),
        issuers => issuers.join(", "),
    };
    let audiences = match &host.list("asap_accepted_audiences")[..] {
        [] => "any".to_owned(),
        audiences => audiences.join(", "),
    };
    trial.ok(format!(
        "{}: issuer {issuers}, audience {audiences}; the API's JITSI_JWT_ISSUER and JITSI_JWT_AUDIENCE must be among them, and JITSI_JWT_SECRET the same as app_secret",
        host.host
    ))
}

/// What jicofo's configuration says about making the first participant a moderator.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AutoOwner {
    /// As it is when nobody says anything, or as it is said.
    On,
    Off,
    /// It cannot be known, and why.
    Unknown(String),
}

fn auto_owner(scene: &Scene) -> AutoOwner {
    for path in JICOFO {
        match hocon::text(&scene.host.at(path), "jicofo.conference.enable-auto-owner") {
            Ok(Some(value)) if value == "false" => return AutoOwner::Off,
            Ok(_) => return AutoOwner::On,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return AutoOwner::Unknown(format!("{path}: {error}; {RUN_AS}")),
        }
    }
    AutoOwner::Unknown("jicofo's configuration is not on this host".to_owned())
}

fn judge_moderators(trial: Trial, sections: &[Section], auto_owner: &AutoOwner) -> Check {
    let tokens = sections.iter().any(|section| section.text("authentication") == Some("token"));
    if !tokens {
        return trial.skipped("tokens are not used: see `jitsi-tokens`");
    }
    let claims = sections
        .iter()
        .any(|section| section.loads("token_affiliation") || section.loads("token_affiliation_legacy"));
    let everybody = sections.iter().any(|section| section.loads("muc_allowners"));
    let next = "add \"token_affiliation\" to modules_enabled of the MUC component and set `jicofo.conference.enable-auto-owner = false` in jicofo.conf (docker: XMPP_MUC_MODULES=token_affiliation, ENABLE_AUTO_OWNER=0)";
    match (claims, everybody, auto_owner) {
        (_, true, _) => trial.warning("muc_allowners makes everybody a moderator", "remove it; then: ".to_owned() + next),
        (true, _, AutoOwner::Off) => trial.ok("the token alone decides"),
        (true, _, AutoOwner::On) => {
            trial.warning("jicofo makes the first participant a moderator, whatever their token says (enable-auto-owner)", next)
        }
        (false, _, AutoOwner::On) => trial.warning(
            "tokens do not decide: Jitsi ignores `moderator` in them, and the first participant becomes a moderator, who may record",
            next,
        ),
        (false, _, AutoOwner::Off) => {
            trial.failure("nobody becomes a moderator: enable-auto-owner is off and token_affiliation is not loaded, so nobody can record", next)
        }
        (true, _, AutoOwner::Unknown(why)) => {
            trial.note(format!("token_affiliation is loaded; jicofo's side is not known: {why}"), "see that enable-auto-owner is false there")
        }
        (false, _, AutoOwner::Unknown(why)) => {
            trial.warning(format!("token_affiliation is not loaded, so tokens do not decide; jicofo's side is not known: {why}"), next)
        }
    }
}

fn judge_ids(trial: Trial, sections: &[Section]) -> Check {
    let loads = |module: &str| sections.iter().any(|section| section.loads(module));
    let missing: Vec<&str> = ["muc_meeting_id", "jibri_session", "presence_identity"]
        .into_iter()
        .filter(|module| !loads(module))
        .collect();
    if missing.is_empty() {
        return trial.ok("muc_meeting_id, jibri_session and presence_identity are loaded");
    }
    trial.note(
        format!("not loaded: {}", missing.join(", ")),
        "recordings are then joined to meetings by room and time, and Jibri's own list of participants stays empty; attendance comes from our module either way",
    )
}

fn certificates(scene: &Scene) -> Check {
    let trial =
        trial("web-certificates", "asked openssl whether the certificates of this host end within two weeks");
    let mut files = Vec::new();
    let directories = [("/etc/letsencrypt/live", "fullchain.pem"), ("/etc/jitsi/meet", "")];
    for (directory, name) in directories {
        let Ok(entries) = std::fs::read_dir(scene.host.at(directory)) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if !name.is_empty() && path.join(name).exists() {
                files.push(path.join(name));
            } else if path.extension().is_some_and(|extension| extension == "crt") {
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        return trial
            .skipped("there is none in /etc/letsencrypt or /etc/jitsi/meet, or this user may not look");
    }
    for file in &files {
        let name = file.display().to_string();
        match scene.ask("openssl", &["x509", "-in", &name, "-noout", "-checkend", SOON]) {
            None => return trial.skipped("there is no openssl here"),
            Some((true, _)) => {}
            Some((false, said)) if said.contains("will expire") => {
                return trial.warning(
                    format!("{name} ends within two weeks"),
                    "`certbot certificates`, `certbot renew --dry-run`",
                );
            }
            Some((false, _)) => return trial.skipped(format!("{name} cannot be read: {RUN_AS}")),
        }
    }
    trial
        .ok(super::super::view::count(files.len() as u64, "certificate", "certificates") + ", none ends soon")
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::super::lua::parse;
    use super::*;

    fn sections(text: &str) -> Vec<Section> {
        parse(text, &mut |_| String::new())
    }

    #[test]
    fn a_service_that_is_installed_should_run() {
        let unit = |id: &str, load: &str, active: &str| {
            format!("Id={id}.service\nLoadState={load}\nActiveState={active}\n")
        };
        for (said, outcome) in [
            (
                [unit("prosody", "loaded", "active"), unit("jibri", "not-found", "inactive")].join("\n"),
                Outcome::Ok,
            ),
            (
                [unit("prosody", "loaded", "active"), unit("jibri", "loaded", "failed")].join("\n"),
                Outcome::Failure,
            ),
            (unit("jibri", "not-found", "inactive"), Outcome::Skipped),
        ] {
            assert_eq!(judge_services(trial("services", ""), &said).outcome, outcome, "{said}");
        }
    }

    #[test]
    fn a_token_needs_its_settings_and_its_secret_is_not_shown() {
        let host = |more: &str| format!("VirtualHost \"x\"\nauthentication = \"token\"\n{more}");
        for (text, outcome) in [
            (host("app_id = \"reflector\"\napp_secret = \"0123456789abcdef0123\""), Outcome::Ok),
            (host("app_id = \"reflector\"\nasap_key_server = \"https://k\""), Outcome::Ok),
            (host("app_id = \"reflector\"\napp_secret = os.getenv(\"S\")"), Outcome::Ok),
            (host("app_id = \"reflector\""), Outcome::Failure),
            (host("app_secret = \"0123456789abcdef0123\""), Outcome::Failure),
            (host("app_id = \"reflector\"\napp_secret = \"your-jwt-secret-here\""), Outcome::Failure),
            ("VirtualHost \"x\"\nauthentication = \"anonymous\"".to_owned(), Outcome::Warning),
        ] {
            let check = judge_tokens(trial("jitsi-tokens", ""), &sections(&text));
            assert_eq!(check.outcome, outcome, "{text}");
            assert!(!format!("{check:?}").contains("0123456789"), "{check:?}");
        }
    }

    #[test]
    fn the_token_decides_when_jicofo_does_not() {
        let with = |modules: &str| {
            format!(
                "VirtualHost \"x\"\nauthentication = \"token\"\nComponent \"conference.x\" \"muc\"\nmodules_enabled = {{ {modules} }}"
            )
        };
        let unknown = AutoOwner::Unknown("elsewhere".into());
        for (modules, owner, outcome) in [
            ("\"token_affiliation\"", &AutoOwner::Off, Outcome::Ok),
            ("\"token_affiliation\"", &AutoOwner::On, Outcome::Warning),
            ("", &AutoOwner::On, Outcome::Warning),
            ("", &AutoOwner::Off, Outcome::Failure),
            ("\"token_affiliation\"", &unknown, Outcome::Note),
            ("", &unknown, Outcome::Warning),
            ("\"muc_allowners\"", &AutoOwner::Off, Outcome::Warning),
        ] {
            let check = judge_moderators(trial("moderators", ""), &sections(&with(modules)), owner);
            assert_eq!(check.outcome, outcome, "{modules} {owner:?}");
        }
        let check = judge_moderators(trial("moderators", ""), &sections("VirtualHost \"x\""), &AutoOwner::On);
        assert_eq!(check.outcome, Outcome::Skipped);
    }
}
