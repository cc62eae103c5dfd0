//! `reflector-api check`.

use std::io::Write;
use std::process::ExitCode;

use super::{EXIT_CONFIG, configuration};
use crate::config;
use crate::storage::Storage;

/// Writes every finding to `out`; this is the same check that `serve` begins with. Then it uses the object storage, if there is one,
/// as uploads will.
pub(super) fn run(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (storage, findings, code) = match configuration::read(&configuration::environment()) {
        Ok((config, warnings)) => (config.storage, warnings, ExitCode::SUCCESS),
        Err(findings) => (None, findings, ExitCode::from(EXIT_CONFIG)),
    };
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "The configuration is complete.")?;
    }
    match storage {
        Some(settings) => use_storage(settings, out),
        None => Ok(code),
    }
}

fn use_storage(settings: config::Storage, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = format!("the bucket {} at {}", settings.bucket, settings.endpoint);
    let storage = Storage::new(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(storage.rehearse()) {
        Ok(()) => {
            writeln!(out, "The object storage works: an object was written, read and removed in {place}.")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let (variable, advice) = error.advice();
            writeln!(out, "error: {variable}: {place} cannot be used: {error}; {advice}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
