//! The layers that set keys, merged into one table: file, drop-ins, environment.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::environment::{API_URL, Environment, PREFIX};
use super::finding::Section;
use super::typed::typed;
use super::{Api, Delivery, EventSync, Finding, Jibri, Log, Outbox, Recordings, Retention, Spool, Upload};

/// Every section's name.
const SECTIONS: &[&str] = &[
    Api::NAME,
    Spool::NAME,
    Recordings::NAME,
    Jibri::NAME,
    Retention::NAME,
    EventSync::NAME,
    Upload::NAME,
    Outbox::NAME,
    Delivery::NAME,
    Log::NAME,
];

/// What all layers say together, before it has types.
pub(super) struct Layers {
    tables: Table,
    /// The last layer that set a section or a key (`section.key`), for people.
    origins: BTreeMap<String, String>,
    /// The files that were read, or should have been, and the directory of drop-ins before them.
    pub(super) read: Vec<PathBuf>,
    /// Whether this user may not read one of them.
    pub(super) is_hidden: bool,
    /// Files that nobody could read, so that nobody knows what they say.
    pub(super) files: Vec<Finding>,
    /// Sections and variables that set nothing.
    pub(super) misplaced: Vec<Finding>,
}

impl Layers {
    /// Reads every layer. `chosen` is the operator's file; without one, [`super::DEFAULT_PATH`] is read if it exists.
    pub(super) fn read(chosen: Option<&Path>, environment: &Environment) -> Self {
        let mut layers = Self::none();
        let main = chosen.unwrap_or(Path::new(super::DEFAULT_PATH));
        let paths = layers.paths(main, chosen.is_some());
        for path in &paths {
            layers.add(read(path), path);
        }
        let forbidden = |path: &Path| {
            std::fs::File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        };
        layers.is_hidden = forbidden(main) || paths.iter().any(|path| forbidden(path));
        layers.read =
            Some(main.with_extension("d")).filter(|drop_ins| drop_ins.is_dir()).into_iter().collect();
        layers.read.extend(paths);
        layers.apply(environment);
        layers.find_misplaced();
        layers
    }

    /// Reads the files alone, as they would be with this text in one of the drop-ins of `main`, which need not exist.
    pub(super) fn with_drop_in(main: &Path, drop_in: &Path, text: &str) -> Self {
        let mut layers = Self::none();
        let mut paths = layers.paths(main, false);
        if !paths.iter().any(|path| path == drop_in) {
            paths.push(drop_in.to_owned());
            paths.sort_by_key(|path| (path != main, path.clone()));
        }
        for path in paths {
            let table = if path == drop_in { table(text, &path) } else { read(&path) };
            layers.add(table, &path);
        }
        layers.find_misplaced();
        layers
    }

    fn none() -> Self {
        Self {
            tables: Table::new(),
            origins: BTreeMap::new(),
            read: Vec::new(),
            is_hidden: false,
            files: Vec::new(),
            misplaced: Vec::new(),
        }
    }

    fn add(&mut self, table: Result<Table, Finding>, path: &Path) {
        match table {
            Ok(table) => {
                self.remember(&table, path);
                merge(&mut self.tables, table);
            }
            Err(finding) => self.files.push(finding),
        }
    }

    fn find_misplaced(&mut self) {
        for key in self.tables.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
            let problem = format!("is not a section: the sections are {}", SECTIONS.join(", "));
            self.misplaced.push(Finding::error(key.clone(), problem));
        }
    }

    /// One section with its types. Everything that is wrong with it is added to `findings`; defaults stand in for keys whose
    /// types are wrong.
    pub(super) fn section<S: Section>(&self, findings: &mut Vec<Finding>) -> S {
        let none = Table::new();
        let keys = match self.tables.get(S::NAME) {
            None => &none,
            Some(Value::Table(keys)) => keys,
            Some(_) => {
                let problem = format!("is a section: write [{}], and its keys below", S::NAME);
                findings.push(Finding::error(S::NAME, problem));
                return S::default();
            }
        };
        let mut found = Vec::new();
        let section: S = typed(keys, &mut found);
        // Of a key that was refused only its default could be spoken of.
        let of_good_keys =
            |finding: &Finding| found.iter().all(|refused: &Finding| refused.key != finding.key);
        let of_values: Vec<Finding> = section.findings().into_iter().filter(of_good_keys).collect();
        findings.extend(found.into_iter().chain(of_values));
        section
    }

    /// Remembers which sections and keys `path` sets.
    fn remember(&mut self, table: &Table, path: &Path) {
        let origin = format!("set in {}", path.display());
        for (section, value) in table {
            for key in value.as_table().into_iter().flat_map(Table::keys) {
                self.origins.insert(format!("{section}.{key}"), origin.clone());
            }
            self.origins.insert(section.clone(), origin.clone());
        }
    }

    /// Adds to each finding the layer that set its key, if one did. To be called once, when all are found.
    pub(super) fn name_origins(&self, findings: &mut [Finding]) {
        for finding in findings {
            if let Some(origin) = self.origins.get(&finding.key) {
                finding.problem = format!("{} ({origin})", finding.problem);
            }
        }
    }

    /// The text of one key, if it is set to a text, whatever is wrong elsewhere.
    pub(super) fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.tables.get(section)?.get(key)?.as_str()
    }

    /// The keys of a section, without types.
    pub(super) fn keys(&self, section: &str) -> Option<&Table> {
        self.tables.get(section)?.as_table()
    }

    /// The file itself, which need not exist unless it is `chosen`, then its drop-ins.
    fn paths(&mut self, main: &Path, chosen: bool) -> Vec<PathBuf> {
        let drop_ins = main.with_extension("d");
        let mut paths = toml_files(&drop_ins).unwrap_or_else(|error| {
            self.files.push(unreadable(&drop_ins, &error));
            Vec::new()
        });
        // A file that may not even be asked for is there as far as we know.
        if chosen || main.try_exists().unwrap_or(true) {
            paths.insert(0, main.to_owned());
        }
        paths
    }

    fn apply(&mut self, environment: &Environment) {
        if let Some(url) = environment.get(API_URL) {
            set(&mut self.tables, "api", "url", Value::String(url.to_owned()));
            self.origins.insert("api.url".into(), format!("set by {API_URL}"));
        }
        for (name, text) in environment.keys() {
            let path = name.to_lowercase().replace('_', "-");
            match path.split_once("--") {
                Some((section, key)) if SECTIONS.contains(&section) => {
                    set(&mut self.tables, section, key, value(text));
                    self.origins.insert(format!("{section}.{key}"), format!("set by {PREFIX}{name}"));
                }
                _ => self.misplaced.push(Finding::error(
                    format!("{PREFIX}{name}"),
                    format!(
                        "names no key: write {PREFIX}SECTION__KEY with one of the sections {}",
                        SECTIONS.join(", ")
                    ),
                )),
            }
        }
    }
}

/// The `*.toml` of a directory in lexical order; none if there is no directory.
fn toml_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension() == Some(OsStr::new("toml")));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Table, Finding> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    table(&text, path)
}

fn table(text: &str, path: &Path) -> Result<Table, Finding> {
    text.parse::<Table>().map_err(|error| {
        // Not the error's own display: that shows the line, and somebody may have written a secret there.
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or(text).split('\n').count());
        let problem = format!("is not valid TOML: line {line}: {}", one_line(error.message()));
        Finding::error(path.display().to_string(), problem)
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    let next = match error.kind() {
        ErrorKind::PermissionDenied => forbidden(path, host::notify::is_managed()),
        _ => String::new(),
    };
    Finding::error(path.display().to_string(), format!("cannot be read: {error}{next}"))
}

/// What to do when this may not be read: a person asks as somebody else, a service cannot.
fn forbidden(path: &Path, in_service: bool) -> String {
    let shown = path.display();
    let mode = if path.extension() == Some(OsStr::new("d")) { "2750" } else { "640" };
    if in_service {
        format!(": `chgrp reflector-agent {shown} && chmod {mode} {shown}`")
    } else {
        format!("; {}", super::RUN_AS)
    }
}

/// A message of the parser, without its line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_may_not_read_its_configuration_is_told_to_nobody_as_root() {
        for (path, in_service, expected) in [
            ("/c/agent.d", true, ": `chgrp reflector-agent /c/agent.d && chmod 2750 /c/agent.d`"),
            (
                "/c/agent.d/1.toml",
                true,
                ": `chgrp reflector-agent /c/agent.d/1.toml && chmod 640 /c/agent.d/1.toml`",
            ),
            ("/c/agent.d/1.toml", false, "; run this as root or as the agent's user"),
        ] {
            assert_eq!(forbidden(Path::new(path), in_service), expected);
        }
    }
}
