//! The command line: what operators run.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 all is well · 1 it did not work · 2 the command
//! line is wrong · 78 the configuration is wrong (so that systemd does not restart the service).

mod check;
mod deliveries;
mod run;
mod send_test;
mod status;
mod view;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, Finding, Severity};

/// The exit code for a wrong configuration: `EX_CONFIG` of sysexits.h.
const EX_CONFIG: u8 = 78;

/// Delivers what a Jitsi host wrote down to the Reflector API, exactly once in effect, whatever crashes in between.
#[derive(Debug, Parser)]
#[command(name = "reflector-agent", version, propagate_version = true)]
pub struct Arguments {
    /// The configuration file; `agent.d/*.toml` beside it is read too.
    #[arg(long, global = true, value_name = "FILE", env = "REFLECTOR_AGENT_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent in the foreground until it is told to stop (SIGTERM or Ctrl-C).
    Run,
    /// Check the configuration and say everything that is wrong with it.
    Check,
    /// Show what waits, what is parked, and what went wrong last.
    Status {
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Read the delivery log, and send parked items again.
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Send one signed test event to the API and explain the answer.
    SendTest,
}

/// Runs the subcommand and turns its result into an exit code.
pub fn main(arguments: &Arguments) -> ExitCode {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let loaded = config::load(arguments.config.as_deref(), &environment);
    if matches!(arguments.command, Command::Check) {
        return check::check(loaded.as_ref());
    }
    let (config, findings) = match loaded {
        Ok(loaded) => loaded,
        Err(findings) => {
            say_findings(&findings);
            return ExitCode::from(EX_CONFIG);
        }
    };
    say_findings(&findings);
    match dispatch(&arguments.command, &config) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("reflector-agent: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run => run::run(config),
        Command::Check => Ok(ExitCode::SUCCESS),
        Command::Status { json } => status::status(config, *json),
        Command::Deliveries(command) => deliveries::run(config, command),
        Command::SendTest => send_test::send_test(config),
    }
}

fn say_findings(findings: &[Finding]) {
    for finding in findings {
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        say(&format!("{severity}: {} {}", finding.key, finding.problem));
    }
}

/// Talk goes to standard error; if that is closed, there is nobody to talk to.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Data goes to standard output. A reader that closed the pipe (`| head`) has seen enough.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
