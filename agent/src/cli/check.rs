//! `reflector-agent check`: the code that `run` uses, and every finding it has.

use std::process::ExitCode;

use super::print;
use crate::config::Config;

pub(super) fn check(config: &Config) -> anyhow::Result<ExitCode> {
    print(&format!(
        "The configuration is good: deliveries go to {}, signed with the secret from {}.",
        config.api.url, config.secret.origin
    ))?;
    Ok(ExitCode::SUCCESS)
}
