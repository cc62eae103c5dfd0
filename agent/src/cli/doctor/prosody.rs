//! Prosody: its version, our module in its configuration, and what comes out of it.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::check::{Check, Trial, trial};
use super::host::{Access, Host, Need, User};
use super::lua::{Section, parse};
use super::scene::Scene;
use crate::config::RUN_AS;
use crate::spool;

/// The module's name, as `modules_enabled` has it.
const MODULE: &str = "reflector_events";

/// Where Prosody's configuration is: Debian's package, then docker-jitsi-meet's old and new images.
const CONFIGURATIONS: [&str; 3] =
    ["/etc/prosody/prosody.cfg.lua", "/config/prosody.cfg.lua", "/run/prosody/config/prosody.cfg.lua"];

/// Where modules are when `plugin_paths` does not say so.
const PLUGINS: [&str; 4] = [
    "/usr/share/jitsi-meet/prosody-plugins",
    "/prosody-plugins-custom",
    "/usr/lib/prosody/modules",
    "/usr/local/lib/prosody/modules",
];

/// What was found of Prosody's configuration.
pub(super) enum Known {
    /// There is none here.
    Nothing,
    /// It is there, and this user may not read it, or it cannot be read.
    Unreadable(String),
    /// It was read.
    Read(Vec<Section>),
}

/// Reads Prosody's configuration with what it includes.
pub(super) fn configuration(host: &Host) -> Known {
    let read = |path: &&str| match host.read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some((PathBuf::from(path), read)),
    };
    match CONFIGURATIONS.iter().find_map(read) {
        None => Known::Nothing,
        Some((path, Err(error))) => Known::Unreadable(format!("{}: {error}; {RUN_AS}", path.display())),
        Some((path, Ok(text))) => {
            let mut trouble = None;
            let directory = path.parent().unwrap_or(Path::new("/")).to_path_buf();
            let sections = parse(&text, &mut |pattern| {
                included(host, &directory, pattern).unwrap_or_else(|error| {
                    trouble = Some(format!("{pattern}: {error}; {RUN_AS}"));
                    String::new()
                })
            });
            match trouble {
                // What could not be read is where Jitsi's hosts stand.
                Some(trouble) if !sections.iter().any(is_muc) => Known::Unreadable(trouble),
                _ => Known::Read(sections),
            }
        }
    }
}

/// The text of the files that a pattern with a `*` in its last part names, in their order.
fn included(host: &Host, directory: &Path, pattern: &str) -> std::io::Result<String> {
    let pattern = directory.join(pattern);
    let name = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((before, after)) = name.split_once('*') else { return host.read(&pattern) };
    let directory = pattern.parent().unwrap_or(directory);
    let mut names: Vec<_> = match std::fs::read_dir(host.at(directory)) {
        Ok(entries) => {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    names.retain(|name| name.starts_with(before) && name.ends_with(after));
    names.sort();
    names.iter().map(|name| host.read(directory.join(name)).map(|text| text + "\n")).collect()
}

fn is_muc(section: &Section) -> bool {
    section.component.as_deref() == Some("muc")
}

/// Whether people meet in this component: focus's brewery and the lobby are no places for meetings.
fn is_meeting_place(section: &Section) -> bool {
    let elsewhere = ["internal.", "lobby.", "breakout."];
    is_muc(section) && !elsewhere.iter().any(|prefix| section.host.starts_with(prefix))
}

pub(super) fn checks(scene: &Scene, known: &Known) -> Vec<Check> {
    let mut checks = vec![version(scene, known), accepted(scene, known)];
    let file =
        trial("prosody-module-file", "looked for mod_reflector_events.lua in Prosody's plugin directories");
    let enabled = trial("prosody-module-enabled", format!("looked for {MODULE} in modules_enabled"));
    let twice = trial("event-sync-double", "looked for the stock mod_event_sync_component beside our module");
    checks.extend(match known {
        _ if !scene.survey.spool.enabled => {
            let why = "`enabled = false` in [spool]: our module is not used here";
            [file, enabled, twice].map(|trial| trial.skipped(why)).to_vec()
        }
        Known::Nothing => {
            let why =
                "there is no Prosody here: on docker-jitsi-meet its configuration is inside its container";
            [file, enabled, twice].map(|trial| trial.skipped(why)).to_vec()
        }
        Known::Unreadable(why) => [file, enabled, twice].map(|trial| trial.skipped(why)).to_vec(),
        Known::Read(sections) => vec![
            judge_file(file, &scene.host, sections),
            judge_enabled(enabled, sections),
            judge_twice(twice, sections),
        ],
    });
    checks.extend(spool(scene));
    checks
}

fn version(scene: &Scene, known: &Known) -> Check {
    let trial = trial("prosody-version", "looked for Prosody's package");
    let package = scene.host.package(|name| {
        name == "prosody"
            || name == "prosody-trunk"
            || name
                .strip_prefix("prosody-")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    match (package, known) {
        (Some((name, version)), _) => judge_version(trial, &name, &version),
        (None, Known::Nothing) => trial.skipped("there is no Prosody here"),
        (None, _) => trial.skipped("Prosody was not installed as a package; 0.12 and 13 are supported"),
    }
}

fn judge_version(trial: Trial, name: &str, version: &str) -> Check {
    let plain = version.split_once(':').map_or(version, |(_, plain)| plain);
    let mut numbers = plain.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    match (numbers.next(), numbers.next()) {
        (Some(0), Some(12)) | (Some(13), _) => trial.ok(format!("{name} {version}")),
        (Some(0), Some(minor)) if minor < 12 => trial.failure(
            format!("{name} {version} is too old for Jitsi of today and for our module"),
            "install Prosody 0.12 or 13 (Debian 12 has 0.12; packages.prosody.im has 13)",
        ),
        _ => trial.note(
            format!("{name} {version} is newer than what was tested: 0.12 and 13"),
            "watch whether events come",
        ),
    }
}

/// What `prosodyctl check config` says: the guide's own advice.
fn accepted(scene: &Scene, known: &Known) -> Check {
    let trial = trial("prosody-config", "ran `prosodyctl check config`");
    if matches!(known, Known::Nothing) {
        return trial.skipped("there is no Prosody here");
    }
    if !scene.am_root() {
        return trial.skipped("only root may run it");
    }
    match scene.ask("prosodyctl", &["check", "config"]) {
        None => trial.skipped("there is no prosodyctl here"),
        Some((true, _)) => trial.ok("it finds nothing wrong"),
        Some((false, said)) => {
            let line =
                said.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("Checking"));
            trial.note(
                format!(
                    "it finds something: {}",
                    super::super::view::printable(line.unwrap_or("no details"))
                ),
                "`prosodyctl check config` says the rest; not all of it matters",
            )
        }
    }
}

fn judge_file(trial: Trial, host: &Host, sections: &[Section]) -> Check {
    let configured = sections.iter().flat_map(|section| section.list("plugin_paths"));
    let mut directories: Vec<&str> = configured.chain(PLUGINS).collect();
    let file = |directory: &&str| Path::new(directory).join("mod_reflector_events.lua");
    if let Some(path) = directories.iter().map(file).find(|path| host.exists(path)) {
        return trial.ok(path.display().to_string());
    }
    let mut seen = std::collections::HashSet::new();
    directories.retain(|directory| seen.insert(directory.trim_end_matches('/')));
    let first = directories[0].trim_end_matches('/');
    trial.failure(
        format!("it is in none of {}", directories.join(", ")),
        format!("copy mod_reflector_events.lua to {first} (the package of reflector-agent does)"),
    )
}

fn judge_enabled(trial: Trial, sections: &[Section]) -> Check {
    let misplaced: Vec<&str> = sections
        .iter()
        .filter(|section| section.loads(MODULE) && !is_muc(section))
        .map(|section| if section.host.is_empty() { "the global section" } else { &section.host })
        .collect();
    if let [first, ..] = misplaced[..] {
        return trial.failure(
            format!("it stands in {first}, where it cannot work or doubles events"),
            "list it in modules_enabled of the MUC component alone (`Component \"conference.…\" \"muc\"`, and breakout)",
        );
    }
    let ghosts = sections.iter().any(|section| section.loads("event_sync"));
    let places: Vec<&Section> = sections.iter().filter(|section| is_meeting_place(section)).collect();
    let silent: Vec<&str> =
        places.iter().filter(|section| !section.loads(MODULE)).map(|section| section.host.as_str()).collect();
    let breakout = sections.iter().find(|section| is_muc(section) && section.host.starts_with("breakout."));
    match (&places[..], &silent[..], breakout) {
        ([], ..) => trial.failure(
            "no MUC component was found in Prosody's configuration",
            "is Jitsi's configuration linked in conf.d? `prosodyctl check config`",
        ),
        (_, [host, ..], _) => trial.failure(
            if ghosts {
                format!("{host} does not load it; it loads \"event_sync\", and there is no module of that name")
            } else {
                format!("{host} does not load it: joins, leaves and recordings are not reported")
            },
            format!(
                "add \"{MODULE}\" to modules_enabled of Component \"{host}\" \"muc\", then `prosodyctl shell module load {MODULE} {host}`, which ends no meeting"
            ),
        ),
        (_, [], Some(breakout)) if !breakout.loads(MODULE) => trial.warning(
            format!("{} does not load it: breakout rooms are not reported", breakout.host),
            format!("add \"{MODULE}\" to its modules_enabled, then `prosodyctl shell module load {MODULE} {}`", breakout.host),
        ),
        ([place, ..], ..) => trial.ok(format!("{} loads it", place.host)),
    }
}

fn judge_twice(trial: Trial, sections: &[Section]) -> Check {
    let ours = sections.iter().any(|section| section.loads(MODULE));
    let stock = sections.iter().find(|section| section.component.as_deref() == Some("event_sync_component"));
    let ghost =
        sections.iter().any(|section| section.sets("event_sync_url") || section.sets("event_sync_secret"));
    match (ours, stock) {
        (true, Some(stock)) => trial.warning(
            format!("{} reports the same rooms through the stock module: joins and leaves arrive twice", stock.host),
            "remove that Component: our module reports more, and loses nothing",
        ),
        (false, Some(stock)) => trial.note(
            format!("{} reports through the stock module alone: without recordings, and what it cannot send is lost", stock.host),
            format!("prefer our module: `prosody-module-enabled` says how; its api_prefix is {}", stock.text("api_prefix").unwrap_or("not set")),
        ),
        (_, None) if ghost => trial.note(
            "event_sync_url and event_sync_secret are set, and no module of Jitsi reads them",
            "remove them: our module writes to the spool, and the agent signs",
        ),
        (_, None) => trial.ok("it is not loaded"),
    }
}

/// The checks of the spool directory, which Prosody writes and the agent reads.
fn spool(scene: &Scene) -> Vec<Check> {
    let directory = &scene.survey.spool.directory;
    let permission = trial("spool-permissions", format!("looked at {}", directory.display()));
    let events = trial("prosody-events", "looked for the newest boot and the newest event in the spool");
    if !scene.survey.spool.enabled {
        let why = "`enabled = false` in [spool]";
        return vec![permission.skipped(why), events.skipped(why)];
    }
    let access = match scene.host.access(directory) {
        Ok(access) => access,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let check = match scene.host.user("prosody") {
                Some(_) => permission.failure(
                    "it does not exist, so Prosody's module has nowhere to write",
                    format!("`install -d -o prosody -g reflector-agent -m 2750 {}`", directory.display()),
                ),
                None => permission
                    .skipped("it does not exist, and neither does a user prosody: this host has no Prosody"),
            };
            return vec![check, events.skipped("there is no spool directory")];
        }
        Err(error) => {
            let why = format!("{error}: {RUN_AS}");
            return vec![permission.skipped(why.clone()), events.skipped(why)];
        }
    };
    let prosody = scene.host.user("prosody");
    let barred = scene.host.barred(&scene.agent, directory);
    let group = scene.host.group(access.gid);
    vec![
        judge_spool(permission, directory, access, &group, prosody.as_ref(), &scene.agent, barred.as_deref()),
        judge_events(events, newest(&scene.host, directory), scene.now),
    ]
}

fn judge_spool(
    trial: Trial,
    directory: &Path,
    access: Access,
    group: &str,
    prosody: Option<&User>,
    agent: &User,
    barred: Option<&Path>,
) -> Check {
    let mode = format!("mode {:o}, group {group}", access.mode);
    let directory = directory.display();
    if let Some(prosody) = prosody
        && !(access.allows(prosody, Need::Write) && access.allows(prosody, Need::Enter))
    {
        return trial.failure(
            format!("{} may not write there ({mode})", prosody.name),
            format!("`chown prosody:reflector-agent {directory} && chmod 2750 {directory}`"),
        );
    }
    if let Some(barred) = barred {
        return trial.failure(
            format!("{} may not enter {}", agent.name, barred.display()),
            "give the agent's user a group that may: `usermod -aG GROUP USER`, then restart the agent",
        );
    }
    if !(access.allows(agent, Need::Read) && access.allows(agent, Need::Enter)) {
        return trial.failure(
            format!("{} may not read it ({mode})", agent.name),
            format!("`chgrp reflector-agent {directory} && chmod 2750 {directory}`"),
        );
    }
    // Prosody makes its files with mode 0640: the group decides whether the agent may read them.
    let by_group = agent.uid != 0 && prosody.is_some_and(|prosody| prosody.uid != agent.uid);
    if by_group && (access.mode & 0o2000 == 0 || !agent.groups.contains(&access.gid)) {
        return trial.failure(
            format!("new files get a group of Prosody, and {} may not read them ({mode})", agent.name),
            format!(
                "`chgrp reflector-agent {directory} && chmod g+s {directory}`: new files then get that group"
            ),
        );
    }
    if access.mode & 0o005 != 0 {
        return trial.warning(
            format!("everybody on this host may read names in it ({mode})"),
            format!("`chmod o= {directory}`"),
        );
    }
    trial.ok(mode)
}

/// The newest segment: when it was written last, in milliseconds since 1970, and its first line.
fn newest(host: &Host, directory: &Path) -> std::io::Result<Option<(i64, String)>> {
    let files = spool::list(&host.at(directory))?.files.into_iter().map(|(_, path)| path);
    let segments: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    let Some(path) = segments.last() else { return Ok(None) };
    let modified = std::fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    // The boot's first segment begins with what the module says of itself.
    let boot = |path: &PathBuf| {
        let mut line = String::new();
        BufReader::new(std::fs::File::open(path)?).read_line(&mut line)?;
        std::io::Result::Ok(line)
    };
    let mut said = String::new();
    for path in segments.iter().rev().take(48) {
        said = boot(path)?;
        if said.contains("\"source-started\"") {
            break;
        }
    }
    Ok(Some((i64::try_from(modified.as_millis()).unwrap_or(i64::MAX), said)))
}

fn judge_events(trial: Trial, newest: std::io::Result<Option<(i64, String)>>, now: i64) -> Check {
    match newest {
        Err(error) => trial.skipped(format!("{error}: {RUN_AS}")),
        Ok(None) => trial.failure(
            "there is no event: the module has not been loaded yet, or writes elsewhere",
            "see `prosody-module-enabled`; then look for mod_reflector_events in /var/log/prosody/prosody.log",
        ),
        Ok(Some((modified, line))) => {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let text = |member: &str| event["data"][member].as_str().unwrap_or("?").to_owned();
            let said = format!(
                "the newest event is {} old; module {} on Prosody {}",
                super::super::view::ago(now.saturating_sub(modified)),
                text("module_version"),
                text("prosody_version"),
            );
            if event["event"] == "source-started" {
                trial.ok(super::super::view::printable(&said))
            } else {
                trial.note(super::super::view::printable(&said), "old segments are gone; that is well if meetings were held lately")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::super::host::tests::tree;
    use super::*;

    fn sections(text: &str) -> Vec<Section> {
        parse(text, &mut |_| String::new())
    }

    #[test]
    fn the_module_belongs_to_where_people_meet_and_nowhere_else() {
        let muc = |modules: &str| {
            format!("Component \"conference.x\" \"muc\"\nmodules_enabled = {{ {modules} }}\n")
        };
        let brewery = "Component \"internal.auth.x\" \"muc\"\n";
        let breakout = "Component \"breakout.x\" \"muc\"\n";
        for (text, outcome, said) in [
            (muc("\"reflector_events\"") + brewery, Outcome::Ok, "conference.x loads it"),
            (muc("\"reflector_events\"") + breakout, Outcome::Warning, "breakout.x"),
            (muc("\"muc_meeting_id\""), Outcome::Failure, "does not load it"),
            (muc("\"event_sync\""), Outcome::Failure, "no module of that name"),
            (brewery.to_owned(), Outcome::Failure, "no MUC component"),
            (
                format!(
                    "VirtualHost \"x\"\nmodules_enabled = {{ \"reflector_events\" }}\n{}",
                    muc("\"reflector_events\"")
                ),
                Outcome::Failure,
                "stands in x",
            ),
            (
                format!("modules_enabled = {{ \"reflector_events\" }}\n{}", muc("")),
                Outcome::Failure,
                "global section",
            ),
        ] {
            let check = judge_enabled(trial("prosody-module-enabled", ""), &sections(&text));
            assert_eq!(check.outcome, outcome, "{text}: {check:?}");
            assert!(check.found.contains(said), "{said} is not in {check:?}");
        }
    }

    #[test]
    fn the_stock_module_beside_ours_is_one_too_many() {
        let stock =
            "Component \"esync.x\" \"event_sync_component\"\napi_prefix = \"http://127.0.0.1:9471\"\n";
        let ours = "Component \"conference.x\" \"muc\"\nmodules_enabled = { \"reflector_events\" }\n";
        for (text, outcome) in [
            (format!("{ours}{stock}"), Outcome::Warning),
            (stock.to_owned(), Outcome::Note),
            (ours.to_owned(), Outcome::Ok),
            (format!("{ours}event_sync_url = \"https://x\"\n"), Outcome::Note),
        ] {
            assert_eq!(
                judge_twice(trial("event-sync-double", ""), &sections(&text)).outcome,
                outcome,
                "{text}"
            );
        }
    }

    #[test]
    fn jitsis_configuration_is_found_through_its_includes() {
        let main = ("/etc/prosody/prosody.cfg.lua", "Include \"conf.d/*.cfg.lua\"\n");
        let jitsi = "plugin_paths = { \"/opt/plugins/\" }\nComponent \"conference.x\" \"muc\"\n";
        let (_directory, host) = tree(&[
            main,
            ("/etc/prosody/conf.d/x.cfg.lua", jitsi),
            ("/etc/prosody/conf.d/notes.txt", "VirtualHost \"nothing\""),
            ("/opt/plugins/mod_reflector_events.lua", ""),
        ]);
        let Known::Read(sections) = configuration(&host) else { panic!("not read") };
        assert_eq!(sections.iter().filter(|section| is_meeting_place(section)).count(), 1);
        let check = judge_file(trial("prosody-module-file", ""), &host, &sections);
        assert_eq!(
            (check.outcome, check.found.as_str()),
            (Outcome::Ok, "/opt/plugins/mod_reflector_events.lua")
        );
        let (_directory, host) = tree(&[]);
        assert!(matches!(configuration(&host), Known::Nothing));
    }

    #[test]
    fn old_prosody_is_told() {
        for (version, outcome) in [
            ("0.12.3-1", Outcome::Ok),
            ("13.0.1-1", Outcome::Ok),
            ("1:0.12.5", Outcome::Ok),
            ("0.11.9-2", Outcome::Failure),
            ("14.0.0", Outcome::Note),
        ] {
            assert_eq!(
                judge_version(trial("prosody-version", ""), "prosody", version).outcome,
                outcome,
                "{version}"
            );
        }
    }

    #[test]
    fn a_spool_is_written_by_prosody_and_read_through_its_group() {
        let user = |uid, groups: &[u32]| User { name: "u".into(), uid, groups: groups.to_vec() };
        let (prosody, agent) = (user(10, &[10]), user(20, &[20, 30]));
        let access = |mode| Access { uid: 10, gid: 30, mode };
        for (access, agent, outcome) in [
            (access(0o2750), &agent, Outcome::Ok),
            (access(0o0750), &agent, Outcome::Failure),
            (access(0o2755), &agent, Outcome::Warning),
            (access(0o2700), &agent, Outcome::Failure),
            (Access { uid: 11, ..access(0o2750) }, &agent, Outcome::Failure),
            (access(0o0700), &user(0, &[]), Outcome::Ok),
            (access(0o0700), &user(10, &[10]), Outcome::Ok),
        ] {
            let check = judge_spool(
                trial("spool-permissions", ""),
                Path::new("/spool"),
                access,
                "g",
                Some(&prosody),
                agent,
                None,
            );
            let next = check.next.as_deref().unwrap_or("/spool");
            assert!(next.contains("/spool"), "{next}");
            assert_eq!(check.outcome, outcome, "{access:?} {agent:?}: {check:?}");
        }
        let barred = Some(Path::new("/var/spool"));
        let check = judge_spool(
            trial("spool-permissions", ""),
            Path::new("/spool"),
            access(0o2750),
            "g",
            None,
            &agent,
            barred,
        );
        assert!(check.found.contains("/var/spool"), "{check:?}");
    }

    #[test]
    fn a_spool_without_events_is_a_module_that_is_not_loaded() {
        let line =
            r#"{"event":"source-started","data":{"prosody_version":"13.0.1","module_version":"0.1.0"}}"#;
        for (newest, outcome) in [
            (Ok(None), Outcome::Failure),
            (Ok(Some((0, line.to_owned()))), Outcome::Ok),
            (Ok(Some((0, "{}".to_owned()))), Outcome::Note),
            (Err(std::io::Error::from(ErrorKind::PermissionDenied)), Outcome::Skipped),
        ] {
            let said = format!("{newest:?}");
            assert_eq!(judge_events(trial("prosody-events", ""), newest, 5000).outcome, outcome, "{said}");
        }
    }
}
