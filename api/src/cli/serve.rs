//! `reflector-api serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use host::journal;

use super::{EXIT_CONFIG, configuration, logging, service_user};
use crate::config::{Finding, Log, Severity, Variables};
use crate::{app, supervision};

/// Threads that run requests. The work is waiting; more would only cost memory.
const WORKERS: usize = 2;

/// The command's options.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address and port to serve on, in place of `REFLECTOR_API_LISTEN` [default: 127.0.0.1:1250]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// Serves until told to stop.
pub(super) fn run(
    arguments: &Arguments,
    mut variables: Variables,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    if let Some(listen) = arguments.listen {
        variables.insert("REFLECTOR_API_LISTEN".to_owned(), listen.to_string());
    }
    let (config, findings) = match configuration::read(&variables) {
        Ok(read) => read,
        Err(findings) => {
            if journal::is_stderr() {
                logging::start(&Log::default())?;
            }
            tell(&findings, err)?;
            supervision::say(&wrong(&findings));
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    logging::start(&config.log)?;
    tell(&findings, err)?;
    service_user::serve_as_it(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let served = runtime.block_on(app::serve(config));
    if let Err(error) = &served {
        supervision::say(&format!("failed: {error:#}"));
    }
    served.map(|()| ExitCode::SUCCESS)
}

/// In the journal a finding has its level; elsewhere it is a line as `check` writes it.
fn tell(findings: &[Finding], err: &mut impl Write) -> std::io::Result<()> {
    let is_journal = journal::is_stderr();
    for finding in findings {
        match finding.severity {
            Severity::Error if is_journal => tracing::error!(variable = finding.variable, "{finding}"),
            Severity::Warning if is_journal => tracing::warn!(variable = finding.variable, "{finding}"),
            _ => writeln!(err, "{finding}")?,
        }
    }
    Ok(())
}

/// The first errors, as one line for `systemctl status`.
fn wrong(findings: &[Finding]) -> String {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let more = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
    let first = errors.first().map(|finding| format!(": {}: {}", finding.variable, finding.message));
    format!(
        "the settings are wrong{}{more}; sudo reflector-api check says everything",
        first.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_the_first_error_and_how_many_more_there_are() {
        let finding = |severity, variable: &str| Finding {
            severity,
            variable: variable.to_owned(),
            message: "is wrong".to_owned(),
        };
        let findings =
            [finding(Severity::Warning, "A"), finding(Severity::Error, "B"), finding(Severity::Error, "C")];
        let end = "; sudo reflector-api check says everything";
        assert_eq!(wrong(&findings), format!("the settings are wrong: B: is wrong (and 1 more){end}"));
        assert_eq!(wrong(&findings[..2]), format!("the settings are wrong: B: is wrong{end}"));
    }
}
