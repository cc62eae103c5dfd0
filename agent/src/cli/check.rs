//! `reflector-agent check`: the code that `run` uses, and every finding it has.

use std::process::ExitCode;

use super::{EX_CONFIG, print, say_findings};
use crate::config::{Config, Finding};

pub(super) fn check(loaded: Result<&(Config, Vec<Finding>), &Vec<Finding>>) -> ExitCode {
    match loaded {
        Ok((config, findings)) => {
            say_findings(findings);
            let summary = format!(
                "The configuration is good: deliveries go to {}, signed with the secret from {}.",
                config.api.url, config.secret.origin
            );
            print(&summary).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        Err(findings) => {
            say_findings(findings);
            ExitCode::from(EX_CONFIG)
        }
    }
}
