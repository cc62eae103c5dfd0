//! The commented examples of the settings say what the programs and the operators' manual say.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use packaging::settings::Settings;

const SECRET: (&str, &str) = ("JITSI_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef");
const URL: (&str, &str) = ("REFLECTOR_API_URL", "http://localhost:1250");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn agent() -> Settings {
    Settings::read(&read("examples/reflector-agent/agent.toml")).unwrap()
}

fn api() -> Settings {
    Settings::read(&read("examples/reflector-api/api.env")).unwrap()
}

/// The names in the first column of the table below `heading` in the operators' manual.
fn documented(heading: &str) -> BTreeSet<String> {
    let manual = read("../docs/operations.md");
    let (_, below) = manual.split_once(heading).unwrap();
    let rows =
        below.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).map(str::to_owned))
        .collect()
}

/// The agent's configuration from `text`, as it shows itself.
fn loaded(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    fs::write(&file, text).unwrap();
    let (config, warnings) =
        agent::config::load(Some(&file), &agent::config::Environment::from_iter([SECRET, URL])).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    format!("{config:?}")
}

/// The API's configuration from `variables`, as it shows itself.
fn configured(variables: &BTreeMap<String, String>) -> String {
    let surroundings =
        api::config::Surroundings { read_file: &|_| Err(std::io::ErrorKind::NotFound.into()), is_root: true };
    let (config, _) = api::config::Config::read(variables, &surroundings).unwrap();
    format!("{config:?}")
}

#[test]
fn the_agents_example_has_exactly_the_keys_of_the_manual() {
    let settings = agent();
    let found = settings.all().map(|(section, setting)| format!("{section}.{}", setting.key));
    assert_eq!(found.collect::<BTreeSet<_>>(), documented("### Settings"));
}

#[test]
fn what_the_agents_example_calls_a_default_is_one() {
    let example = read("examples/reflector-agent/agent.toml");
    let defaults: Vec<&str> = example
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.ends_with("# for example"))
        .map(|line| line.trim_start_matches('#'))
        .collect();
    let with_defaults = loaded(&defaults.join("\n"));
    assert_eq!(with_defaults, loaded(""));
    let changed = defaults.join("\n").replace("keep-settled-days = 7", "keep-settled-days = 8");
    assert_ne!(loaded(&changed), with_defaults, "the values are read");
}

#[test]
fn the_agents_example_is_in_force_as_little_as_an_empty_file() {
    assert_eq!(loaded(&read("examples/reflector-agent/agent.toml")), loaded(""));
}

#[test]
fn the_agents_examples_of_other_values_are_taken() {
    let settings = agent();
    for (section, setting) in settings.all().filter(|(_, setting)| !setting.is_default) {
        // The environment overrides the address, and files that the examples name are not there.
        if setting.key == "url" || setting.key.ends_with("-file") {
            continue;
        }
        let text = format!("[{section}]\n{} = {}\n", setting.key, setting.value);
        assert_ne!(loaded(&text), loaded(""), "{text}");
    }
}

#[test]
fn the_apis_example_has_exactly_the_variables_of_the_manual() {
    let settings = api();
    let found: BTreeSet<&str> = settings.all().map(|(_, setting)| setting.key.as_str()).collect();
    let documented = documented("\n## The API\n");
    // The manual shortens names that begin like the one before them.
    let ends: Vec<&str> = documented.iter().filter_map(|name| name.strip_prefix('…')).collect();
    for name in documented.iter().filter(|name| !name.starts_with('…')) {
        assert!(found.contains(name.as_str()), "the example lacks {name}");
    }
    for end in &ends {
        assert!(found.iter().any(|name| name.ends_with(end)), "the example lacks …{end}");
    }
    for name in &found {
        let known = documented.contains(*name) || ends.iter().any(|end| name.ends_with(end));
        assert!(known, "the manual lacks {name}");
    }
}

#[test]
fn what_the_apis_example_calls_a_default_is_one() {
    let settings = api();
    let defaults: BTreeMap<String, String> =
        settings.all().map(|(_, setting)| (setting.key.clone(), setting.value.clone())).collect();
    let with_defaults = configured(&defaults);
    assert_eq!(with_defaults, configured(&BTreeMap::new()));
    let changed = defaults.into_iter().map(|(name, value)| {
        let value = if name == "MEETING_EMPTY_GRACE_SECONDS" { "61".to_owned() } else { value };
        (name, value)
    });
    assert_ne!(configured(&changed.collect()), with_defaults, "the values are read");
}
