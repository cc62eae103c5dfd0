//! `reflector-api migrate`.

use std::io::Write;
use std::process::ExitCode;

use super::configuration::{self, Settings};
use super::{logging, service_user};
use crate::app;

/// Brings the schema up to date.
pub(super) fn run(settings: &Settings, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = match configuration::read_or_explain(&settings.variables, err)? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    logging::start(&config.log)?;
    service_user::become_it(settings, &config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(app::migrate(&config))?;
    Ok(ExitCode::SUCCESS)
}
