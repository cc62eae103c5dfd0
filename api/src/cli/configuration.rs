//! The configuration: from this process's environment, and from the file that the service has its settings from.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::EXIT_CONFIG;
use crate::config::{Config, Finding, Surroundings, Variables, environment_file};

/// Where the package's service has its settings from.
pub(super) const SERVICE_FILE: &str = "/etc/reflector-api/api.env";

/// What a command works with.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The environment, and what the file adds to it.
    pub(super) variables: Variables,
    /// Whether there is a file that adds to it.
    pub(super) has_file: bool,
}

/// The environment, which wins, and `file`. Without one the service's own is taken if this user may read it: root works with the
/// service's settings, and everybody else with those of the environment.
pub(super) fn settings(file: Option<&Path>) -> anyhow::Result<Settings> {
    let path = file.unwrap_or(Path::new(SERVICE_FILE));
    let text = match std::fs::read(path) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if file.is_some() => anyhow::bail!("cannot read {}: {error}", path.display()),
        Err(_) => None,
    };
    let mut variables = text.as_deref().map(environment_file::parse).unwrap_or_default();
    variables.extend(environment());
    Ok(Settings { variables, has_file: text.is_some() })
}

/// Reads and checks `variables`.
pub(super) fn read(variables: &Variables) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let surroundings = Surroundings {
        read_file: &|path| std::fs::read(path),
        is_root: nix::unistd::Uid::effective().is_root(),
    };
    Config::read(variables, &surroundings)
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
