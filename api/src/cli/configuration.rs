//! The configuration from this process's environment.

use std::io::Write;
use std::process::ExitCode;

use super::EXIT_CONFIG;
use crate::config::{Config, Finding, Surroundings, Variables};

/// Reads and checks the environment.
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
) -> std::io::Result<Result<Config, ExitCode>> {
    let (result, findings) = match read(variables) {
        Ok((config, warnings)) => (Ok(config), warnings),
        Err(findings) => (Err(ExitCode::from(EXIT_CONFIG)), findings),
    };
    for finding in findings {
        writeln!(err, "{finding}")?;
    }
    Ok(result)
}
