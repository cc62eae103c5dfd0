//! Bring the layers together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Config, Finding, Severity, secret, validate};

/// The prefix of every variable that sets a key.
const PREFIX: &str = "REFLECTOR_AGENT__";

/// Sections and their names.
const SECTIONS: &[&str] = &["api", "spool", "recordings", "outbox", "delivery", "log"];

/// Loads the configuration. Returns it with the warnings, or every finding if one of them is an error.
///
/// `file` is the operator's choice; without one, [`super::DEFAULT_PATH`] is read if it exists.
pub fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let mut findings = Vec::new();
    let mut tables = Table::new();
    for path in files(file) {
        match read(&path) {
            Ok(table) => merge(&mut tables, table),
            Err(finding) => findings.push(finding),
        }
    }
    apply_environment(&mut tables, environment, &mut findings);
    for key in tables.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
        findings.push(Finding::error(
            key.clone(),
            format!("is not a section: the sections are {}", SECTIONS.join(", ")),
        ));
    }
    let api: super::Api = section(&tables, "api", &mut findings);
    let secret = secret::find(api.secret_file.as_deref(), environment);
    let assembled = (
        section(&tables, "spool", &mut findings),
        section(&tables, "recordings", &mut findings),
        section(&tables, "outbox", &mut findings),
        section(&tables, "delivery", &mut findings),
        section(&tables, "log", &mut findings),
    );
    let (spool, recordings, outbox, delivery, log) = assembled;
    findings.extend(validate::sections(&api, &spool, &recordings, &outbox, &delivery, &log));
    match secret {
        Ok(secret) if findings.iter().all(|finding| finding.severity < Severity::Error) => {
            Ok((Config { api, secret, spool, recordings, outbox, delivery, log }, findings))
        }
        Ok(_) => Err(findings),
        Err(finding) => {
            findings.push(finding);
            Err(findings)
        }
    }
}

/// The file itself, then its drop-ins.
fn files(chosen: Option<&Path>) -> Vec<PathBuf> {
    let main = chosen.map_or_else(|| PathBuf::from(super::DEFAULT_PATH), Path::to_path_buf);
    let drop_ins = main.with_extension("d");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&drop_ins)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    if chosen.is_some() || main.exists() {
        files.insert(0, main);
    }
    files
}

fn read(path: &Path) -> Result<Table, Finding> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Finding::error(&name, format!("cannot be read: {error}")))?;
    text.parse::<Table>()
        .map_err(|error| Finding::error(&name, format!("is not valid TOML: {}", one_line(&error))))
}

fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Later layers win key by key; lists are replaced, not joined.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn apply_environment(
    tables: &mut Table,
    environment: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) {
    if let Some(url) = environment.get("REFLECTOR_API_URL") {
        set(tables, "api", "url", Value::String(url.clone()));
    }
    for (variable, text) in environment {
        let Some(path) = variable.strip_prefix(PREFIX) else { continue };
        let path = path.to_lowercase().replace('_', "-");
        match path.split_once("--") {
            Some((section, key)) if SECTIONS.contains(&section) => set(tables, section, key, value(text)),
            _ => findings.push(Finding::error(
                variable.clone(),
                format!(
                    "names no key: write {PREFIX}SECTION__KEY with one of the sections {}",
                    SECTIONS.join(", ")
                ),
            )),
        }
    }
}

fn set(tables: &mut Table, section: &str, key: &str, value: Value) {
    let entry = tables.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(table) = entry {
        table.insert(key.to_owned(), value);
    }
}

/// A variable's text as TOML where it is TOML (numbers, booleans, lists), else as text.
fn value(text: &str) -> Value {
    let parsed = format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn section<T: DeserializeOwned + Default>(tables: &Table, name: &str, findings: &mut Vec<Finding>) -> T {
    let Some(value) = tables.get(name) else { return T::default() };
    value.clone().try_into().unwrap_or_else(|error: toml::de::Error| {
        findings.push(Finding::error(name, one_line(&error)));
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_guides_two_variables_are_a_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), "agent.toml", "");
        let env = environment(&[
            ("REFLECTOR_API_URL", "http://localhost:1250"),
            ("JITSI_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef"),
        ]);
        let (config, findings) = load(Some(&file), &env).unwrap();
        assert_eq!(config.api.url, "http://localhost:1250");
        assert_eq!(config.secret.origin, "JITSI_WEBHOOK_SECRET");
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn later_layers_win() {
        let directory = tempfile::tempdir().unwrap();
        let file =
            write(directory.path(), "agent.toml", "[api]\nurl = \"http://one.example\"\nrooms = [\"a\"]\n");
        write(directory.path(), "agent.d/20.toml", "[api]\nurl = \"http://three.example\"\n");
        write(
            directory.path(),
            "agent.d/10.toml",
            "[api]\nurl = \"http://two.example\"\n[outbox]\nmax-bytes = 5000000\n",
        );
        let env = environment(&[
            ("REFLECTOR_AGENT__DELIVERY__BATCH_MAX_EVENTS", "1"),
            ("REFLECTOR_AGENT__RECORDINGS__ROOTS", "[\"/srv/a\", \"/srv/b\"]"),
            ("JITSI_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef"),
        ]);
        let (config, _) = load(Some(&file), &env).unwrap();
        assert_eq!(config.api.url, "http://three.example");
        assert_eq!(config.api.rooms, ["a"]);
        assert_eq!(config.outbox.max_bytes, 5_000_000);
        assert_eq!(config.delivery.batch_max_events, 1);
        assert_eq!(config.recordings.roots, [PathBuf::from("/srv/a"), PathBuf::from("/srv/b")]);
    }

    #[test]
    fn every_finding_is_reported_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let text = "[api]\nurl = \"reflector\"\n[spool]\ndirectroy = \"/x\"\n[outbox]\nmax-bytes = 1\n[colour]\nx = 1\n";
        let file = write(directory.path(), "agent.toml", text);
        let env = environment(&[("JITSI_WEBHOOK_SECRET", "short"), ("REFLECTOR_AGENT__NONSENSE", "1")]);
        let findings = load(Some(&file), &env).unwrap_err();
        let keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
        for key in [
            "api.url",
            "spool",
            "outbox.max-bytes",
            "colour",
            "REFLECTOR_AGENT__NONSENSE",
            "JITSI_WEBHOOK_SECRET",
        ] {
            assert!(keys.contains(&key), "{key} is not in {keys:?}");
        }
    }

    #[test]
    fn a_secret_is_refused_when_it_is_a_placeholder_or_missing_and_is_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), "agent.toml", "[api]\nurl = \"http://localhost\"\n");
        for (env, expected) in [
            (environment(&[]), "there is no secret"),
            (environment(&[("JITSI_WEBHOOK_SECRET", "your-webhook-secret-here")]), "placeholder"),
            (environment(&[("JITSI_WEBHOOK_SECRET", "")]), "empty"),
        ] {
            let findings = load(Some(&file), &env).unwrap_err();
            assert!(
                findings.iter().any(|finding| finding.problem.contains(expected)),
                "{expected}: {findings:?}"
            );
        }
        let secret = "0123456789abcdef0123456789abcdef";
        let (config, _) = load(Some(&file), &environment(&[("JITSI_WEBHOOK_SECRET", secret)])).unwrap();
        assert!(!format!("{config:?}").contains(secret));
    }
}
