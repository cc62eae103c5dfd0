//! The configuration: from this process's environment, and from the file that the service has its settings from.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{EXIT_CONFIG, standing};
use crate::config::{Config, Finding, Severity, Surroundings, Variables, environment_file};

/// Where the package's service has its settings from.
pub(super) const SERVICE_FILE: &str = "/etc/reflector-api/api.env";

/// What a command works with.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The environment, and what the file adds to it.
    pub(super) variables: Variables,
    /// Whether there is a file that adds to it.
    pub(super) has_file: bool,
    /// Whether that is the file of the package's service.
    pub(super) are_the_services: bool,
    /// What is wrong with the file itself.
    pub(super) findings: Vec<Finding>,
    /// What is odd about it, each as a line.
    pub(super) oddities: Vec<String>,
}

/// The environment, which wins, and `file`. Without one it is the service's own: root works with the service's settings, and so does
/// everybody else where there is such a service, unless the environment has one of `own`.
pub(super) fn settings(file: Option<&Path>, own: &[&str]) -> anyhow::Result<Settings> {
    let path = file.unwrap_or(Path::new(SERVICE_FILE));
    let environment = environment();
    let text = match std::fs::read(path) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if file.is_some() => anyhow::bail!("cannot read {}: {error}", path.display()),
        Err(error) => {
            standing::without_settings(&error, &environment, own)?;
            None
        }
    };
    let (has_file, text) = (text.is_some(), text.unwrap_or_default());
    let mut variables = environment_file::parse(&text);
    variables.extend(environment);
    let are_the_services = has_file && file.is_none();
    let oddities = if has_file { oddities(&text, path) } else { Vec::new() };
    Ok(Settings { variables, has_file, are_the_services, findings: ambiguities(&text), oddities })
}

/// What somebody has probably meant otherwise.
fn oddities(text: &str, path: &Path) -> Vec<String> {
    let place = path.display();
    let ignored = environment_file::ignored(text).into_iter();
    let ignored = ignored.map(|start| {
        format!("{place}: the line that begins with {start:?} is passed over: it is not NAME=value")
    });
    let commented = environment_file::commented(text).into_iter();
    let commented = commented
        .map(|name| format!("{place}: {name} has a # in its value: a comment stands on a line of its own"));
    let open = mode_for_everybody(path).map(|mode| {
        format!("{place}: everybody on this host may read it (mode {mode:o}), and it holds secrets; run: chmod 600 {place}")
    });
    ignored.chain(commented).chain(open).collect()
}

/// The mode of a file that others than its owner and its group may read.
pub(super) fn mode_for_everybody(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o004 != 0).then_some(mode)
}

/// What some systemd reads otherwise than commands here do.
pub(super) fn ambiguities(text: &str) -> Vec<Finding> {
    let names = environment_file::swallowed(text).into_iter();
    let finding = |variable| {
        Finding {
        severity: Severity::Error,
        variable,
        message:
            "stands below a comment that ends in a backslash, and systemd before 254 takes it for a part of that comment; remove the \
             backslash"
                .to_owned(),
    }
    };
    names.map(finding).collect()
}

/// Reads and checks `variables`.
pub(super) fn read(variables: &Variables) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    read_by(variables, &|path| std::fs::read(path))
}

/// The same, with `read_file` for the files that variables name.
pub(super) fn read_by(
    variables: &Variables,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let is_root = nix::unistd::Uid::effective().is_root();
    Config::read(variables, &Surroundings { read_file, is_root })
}

/// This process's environment.
pub(super) fn environment() -> Variables {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// The configuration, with its warnings written to `err`; the exit code when it cannot be used, with all findings written.
pub(super) fn read_or_explain(
    variables: &Variables,
    err: &mut impl Write,
) -> io::Result<Result<Config, ExitCode>> {
    let (result, findings) = match read(variables) {
        Ok((config, warnings)) => (Ok(config), warnings),
        Err(findings) => (Err(ExitCode::from(EXIT_CONFIG)), findings),
    };
    for finding in findings {
        writeln!(err, "{finding}")?;
    }
    Ok(result)
}

/// The argument that names the file.
#[derive(Debug, clap::Args)]
pub(super) struct EnvFile {
    /// Take settings from this file, too, which is read like an environment file of systemd; the environment wins. All commands
    /// but `serve` take those of the service [default: /etc/reflector-api/api.env]
    #[arg(long = "env-file", value_name = "FILE", global = true)]
    path: Option<PathBuf>,
}

impl EnvFile {
    /// The file that was named.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}
