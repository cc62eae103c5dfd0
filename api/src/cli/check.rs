//! `reflector-api check`.

use std::io::Write;
use std::process::ExitCode;

use super::{EXIT_CONFIG, configuration};

/// Writes every finding to `out`; this is the same check that `serve` begins with.
pub(super) fn run(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (findings, code) = match configuration::read(&configuration::environment()) {
        Ok((_, warnings)) => (warnings, ExitCode::SUCCESS),
        Err(findings) => (findings, ExitCode::from(EXIT_CONFIG)),
    };
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "The configuration is complete.")?;
    }
    Ok(code)
}
