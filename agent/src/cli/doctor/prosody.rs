//! Prosody: its version, our module in its configuration, and what comes out of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::check::{Check, Trial, trial};
use super::host::Host;
use super::lua::{Section, parse};
use super::scene::Scene;
use super::spool;
use crate::config::RUN_AS;

/// The module's name, as `modules_enabled` has it.
const MODULE: &str = "reflector_events";

/// Where Prosody's configuration is: Debian's package, then docker-jitsi-meet's old and new images.
const CONFIGURATIONS: [&str; 3] =
    ["/etc/prosody/prosody.cfg.lua", "/config/prosody.cfg.lua", "/run/prosody/config/prosody.cfg.lua"];

/// Where Prosody looks for modules beside its `plugin_paths`.
const OWN_PLUGINS: [&str; 2] = ["/usr/lib/prosody/modules", "/usr/local/lib/prosody/modules"];

/// Where the package puts the module: Jitsi's Prosody configuration has it in `plugin_paths`.
const PACKAGED: &str = "/usr/share/jitsi-meet/prosody-plugins";

/// Where the module is meant to be on a Jitsi host, and in docker-jitsi-meet.
const JITSIS_PLUGINS: [&str; 2] = [PACKAGED, "/prosody-plugins-custom"];

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

/// The file in which a component is configured, as links lead to it: Jitsi's is linked from `conf.avail`.
fn component_file(host: &Host, component: &str) -> String {
    let root = std::fs::canonicalize(host.at("/")).unwrap_or_default();
    let opens = [format!("Component \"{component}\""), format!("Component '{component}'")];
    let has_it = |path: &PathBuf| {
        host.read(path).is_ok_and(|text| {
            text.lines().any(|line| opens.iter().any(|open| line.trim_start().starts_with(open)))
        })
    };
    let found = CONFIGURATIONS.iter().flat_map(|main| files(host, Path::new(main))).find(has_it);
    let real = found.and_then(|path| std::fs::canonicalize(host.at(path)).ok());
    match real.as_deref().and_then(|real| real.strip_prefix(&root).ok()) {
        Some(path) => format!("/{}", path.display()),
        None => "Prosody's configuration".to_owned(),
    }
}

/// A configuration's file and what may stand in `conf.d` beside it.
fn files(host: &Host, main: &Path) -> Vec<PathBuf> {
    let directory = main.with_file_name("conf.d");
    let entries = std::fs::read_dir(host.at(&directory)).into_iter().flatten().flatten();
    let beside = entries.map(|entry| directory.join(entry.file_name()));
    std::iter::once(main.to_owned())
        .chain(beside.filter(|path| path.to_string_lossy().ends_with(".lua")))
        .collect()
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
            judge_enabled(enabled, sections, &|component| component_file(&scene.host, component)),
            judge_twice(twice, sections),
        ],
    });
    checks.extend(spool::checks(scene, !matches!(known, Known::Nothing)));
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
    let configured: Vec<&str> = sections.iter().flat_map(|section| section.list("plugin_paths")).collect();
    let plain = |directory: &str| directory.trim_end_matches('/').to_owned();
    let searched: Vec<String> =
        configured.iter().chain(&OWN_PLUGINS).map(|directory| plain(directory)).collect();
    let file = |directory: &String| Path::new(directory).join("mod_reflector_events.lua");
    if let Some(path) = searched.iter().map(file).find(|path| host.exists(path)) {
        return trial.ok(path.display().to_string());
    }
    if let Some(directory) = JITSIS_PLUGINS.map(plain).iter().find(|directory| host.exists(file(directory))) {
        return trial.failure(
            format!("it is in {directory}, where Prosody does not look: no plugin_paths names that directory"),
            format!("write `plugin_paths = {{ \"{directory}/\" }}` above the first host in Prosody's configuration, and restart Prosody"),
        );
    }
    trial.failure(
        format!("it is in none of {}", searched.join(", ")),
        format!(
            "`apt install --reinstall reflector-agent` puts it into {PACKAGED}; elsewhere copy it and reflector_triggers.lib.lua to one of these directories"
        ),
    )
}

/// `file`: the file in which a component is configured.
fn judge_enabled(trial: Trial, sections: &[Section], file: &dyn Fn(&str) -> String) -> Check {
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
    let forgotten = breakout.filter(|section| !section.loads(MODULE)).map(|section| section.host.as_str());
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
            let_it_load(&file(host), &[*host].into_iter().chain(forgotten).collect::<Vec<_>>()),
        ),
        (_, [], Some(breakout)) if !breakout.loads(MODULE) => trial.warning(
            format!("{} does not load it: breakout rooms are not reported", breakout.host),
            format!(
                "in {}, add \"{MODULE}\" to its modules_enabled, then `prosodyctl shell module load {MODULE} {}`",
                file(&breakout.host),
                breakout.host
            ),
        ),
        ([place, ..], ..) => trial.ok(format!("{} loads it", place.host)),
    }
}

/// What to do where components of `file` do not load the module.
fn let_it_load(file: &str, hosts: &[&str]) -> String {
    let each = |say: &dyn Fn(&str) -> String, between: &str| {
        hosts.iter().map(|host| say(host)).collect::<Vec<_>>().join(between)
    };
    let components = each(&|host| format!("Component \"{host}\" \"muc\""), " and of ");
    let commands = each(&|host| format!("`prosodyctl shell module load {MODULE} {host}`"), " and ");
    format!(
        "in {file}, add \"{MODULE}\" to modules_enabled of {components}, then {commands}, which ends no meeting"
    )
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

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::super::host::tests::tree;
    use super::*;

    fn sections(text: &str) -> Vec<Section> {
        parse(text, &mut |_| String::new())
    }

    #[test]
    fn the_next_step_names_breakout_rooms_with_the_others() {
        let text = "Component \"conference.x\" \"muc\"\nComponent \"breakout.x\" \"muc\"\n";
        let file = |_: &str| "x.cfg.lua".to_owned();
        let next = judge_enabled(trial("prosody-module-enabled", ""), &sections(text), &file).next;
        let next = next.unwrap_or_default();
        for said in [
            "of Component \"conference.x\" \"muc\" and of Component \"breakout.x\" \"muc\"",
            "load reflector_events breakout.x`",
        ] {
            assert!(next.contains(said), "{next}");
        }
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
            let file = |component: &str| format!("/file/of/{component}");
            let check = judge_enabled(trial("prosody-module-enabled", ""), &sections(&text), &file);
            if let Some((host, _)) = check.found.split_once(" does not load it") {
                assert!(check.next.as_ref().unwrap().contains(&format!("in /file/of/{host}, ")), "{check:?}");
            }
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
    fn a_module_helps_only_where_prosody_looks_for_it() {
        let module = "mod_reflector_events.lua";
        let packaged = format!("{PACKAGED}/{module}");
        let (of_prosody, elsewhere) =
            (format!("/usr/lib/prosody/modules/{module}"), format!("/srv/{module}"));
        let jitsi = format!("plugin_paths = {{ \"{PACKAGED}/\" }}\n");
        for (configuration, file, outcome, next) in [
            (jitsi.as_str(), &packaged, Outcome::Ok, ""),
            ("", &of_prosody, Outcome::Ok, ""),
            (
                "",
                &packaged,
                Outcome::Failure,
                "write `plugin_paths = { \"/usr/share/jitsi-meet/prosody-plugins/\" }`",
            ),
            (&jitsi, &elsewhere, Outcome::Failure, "`apt install --reinstall reflector-agent`"),
        ] {
            let (_directory, host) = tree(&[(file, "")]);
            let check = judge_file(trial("prosody-module-file", ""), &host, &sections(configuration));
            assert_eq!(check.outcome, outcome, "{configuration} {file}: {check:?}");
            assert!(check.next.unwrap_or_default().contains(next), "{configuration} {file}");
        }
    }

    #[test]
    fn the_file_to_edit_is_named_where_its_link_leads() {
        let muc = "VirtualHost \"x\"\n\nComponent \"conference.x\" \"muc\"\n";
        let (_directory, host) = tree(&[
            ("/etc/prosody/prosody.cfg.lua", "-- Component \"conference.x\" \"muc\"\n"),
            ("/etc/prosody/conf.avail/x.cfg.lua", muc),
            ("/etc/prosody/conf.d/README", muc),
        ]);
        std::os::unix::fs::symlink("../conf.avail/x.cfg.lua", host.at("/etc/prosody/conf.d/x.cfg.lua"))
            .unwrap();
        assert_eq!(component_file(&host, "conference.x"), "/etc/prosody/conf.avail/x.cfg.lua");
        assert_eq!(component_file(&host, "conference.y"), "Prosody's configuration");
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
}
