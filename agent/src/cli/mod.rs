//! The command line: what operators run.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 all is well · 1 it did not work · 2 the command
//! line is wrong · 3 the agent does not run · 4 warnings, or set up and not delivering yet · 78 the configuration is wrong (so that
//! systemd does not restart the service).
//!
//! `status`, `deliveries` and `drain` read the outbox's file, so they need neither a running agent nor the secret.

mod check;
mod deliveries;
mod doctor;
mod drain;
mod finalize;
mod left;
mod moment;
mod run;
mod send_test;
mod setup;
mod status;
mod view;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use host::journal;
use rusqlite::ErrorCode;
use tracing::Level;

use crate::chain::Chain;
use crate::config::{self, Config, Environment, Finding, Severity};
use crate::supervision::notify;

/// The exit code for a wrong configuration: `EX_CONFIG` of sysexits.h.
const EX_CONFIG: u8 = 78;

/// The least time between two looks.
const FASTEST: Duration = Duration::from_millis(200);

/// The exit code when an agent should run and does not, as in the Linux Standard Base.
const NOT_RUNNING: u8 = 3;

/// Delivers what a Jitsi host wrote down (meeting events, recordings) to the Reflector API, exactly once in effect,
/// whatever crashes in between.
#[derive(Debug, Parser)]
#[command(name = "reflector-agent", version, propagate_version = true, after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configuration file; drop-ins beside it (`agent.d/*.toml` for `agent.toml`) override it
    /// [default: /etc/reflector-agent/agent.toml, if it exists].
    #[arg(long, global = true, value_name = "FILE", env = "REFLECTOR_AGENT_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start with `setup`, then `doctor`. When something does not arrive: `doctor`, `status`, then `deliveries list --state parked`.

Exit codes: 0 all is well, 1 it did not work, 2 the command line is wrong, 3 the agent does not run (status, drain),
4 warnings (doctor), or set up and not delivering yet (setup), 78 the configuration is wrong.";

const KEEP_A_SCRIPT: &str = r#"To keep a script that you have already, let Jibri run this one:

    #!/bin/sh
    exec reflector-agent finalize --then /path/to/your-script -- "$@""#;

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a freshly installed agent run: write its configuration and its secret, start the service, say what is left to do.
    ///
    /// On a terminal it asks for what no option says: for the enrolment token that `reflector-api agents enroll NAME --token`
    /// prints, or for the API's address and the secret. Everything is checked and tried at the API first; what is wrong, or what
    /// the API refuses, is not written. An API that does not answer is no hindrance (on a terminal it asks): the agent goes on trying.
    ///
    /// Exits with 0 when the service runs and the API has answered, 4 when it is set up and one of the two has still to
    /// come, 1 when it did not work, 2 when an option is missing, 78 when the configuration is wrong.
    Setup(setup::Arguments),
    /// Run the agent in the foreground until it is told to stop (SIGTERM or Ctrl-C).
    Run,
    /// Check the configuration and say everything that is wrong with it.
    Check,
    /// Show whether the agent runs, what waits, what is uploaded, what is parked, and what went wrong last.
    ///
    /// Exits with 3 when the agent does not run, 1 when this user may not tell. With --watch, shows it again and again until
    /// Ctrl-C: drawn in place on a terminal, elsewhere as a line whenever something has changed.
    Status {
        /// Show it again and again.
        #[arg(long)]
        watch: bool,
        /// How often, with --watch.
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = moment::duration, requires = "watch")]
        interval: Duration,
        /// Print one JSON object, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Read the delivery log: what was sent, what waits, and why; and send parked deliveries again.
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Send the API one signed test event, which changes no meeting, and explain the answer.
    SendTest,
    /// Try everything that may be wrong on this host, and say of each thing what was tried, what came of it and what to do.
    ///
    /// Looks at the agent, the way to the API, Prosody, Jitsi, Jibri and the recordings. Changes nothing, except that the
    /// API gets one signed test event. Run it as root: it says what it could not see. Exits with 0 when nothing is wrong,
    /// 4 when the worst finding is a warning, 1 when it is a failure.
    Doctor {
        /// Print one JSON object, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Wait until everything that this host has written down is at the API: for hosts that an autoscaler is about to end.
    ///
    /// The agent must run and goes on running; it is asked to try everything now. Recordings that are still being written
    /// are waited for. Exits with 0 when nothing is left, 1 when the time is over, 3 when the agent does not run and
    /// something is left. What is parked waits for a person and is not waited for.
    Drain {
        /// How long to wait at most: 90s, 15min, 2h.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = moment::duration)]
        timeout: Duration,
        /// Print one JSON object at the end, for programs.
        #[arg(long)]
        json: bool,
    },
    /// What Jibri may run when a recording is finished (`finalize-script`): tells the agent to look at once.
    ///
    /// The agent finds finished recordings without it. Takes Jibri's argument, the session directory, or a file and a room
    /// as older scripts do. Returns in milliseconds and always exits with 0, because Jibri waits for it.
    #[command(after_long_help = KEEP_A_SCRIPT)]
    Finalize {
        /// Run this script afterwards, with the same arguments, and wait for it. The recording is kept from it in a hidden
        /// directory (a link, no copy), so that it may delete what it has dealt with.
        #[arg(long, value_name = "SCRIPT")]
        then: Option<PathBuf>,
        /// What Jibri passes: the session directory.
        #[arg(value_name = "ARGUMENT", allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Runs the subcommand and turns its result into an exit code.
pub fn main(arguments: &Arguments) -> ExitCode {
    let environment = std::env::vars_os().collect();
    match dispatch(arguments, &environment) {
        Ok(code) => code,
        Err(Failure::Configuration(findings)) => {
            say_findings(&findings);
            if matches!(arguments.command, Command::Run) {
                notify::misconfigured(&findings);
            }
            ExitCode::from(EX_CONFIG)
        }
        Err(Failure::Work(error)) => {
            say(&format!("{}reflector-agent: {}", journal::mark(Level::ERROR), Chain(error.as_ref())));
            if let Some(next) = next_step(&error) {
                say(&format!("Next: {next}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong with the command line, or the help that was asked for.
pub fn misused(error: &clap::Error) -> ExitCode {
    // Standard output may be closed; there is nothing else to do then.
    let _ = error.print();
    // Jibri must not take a recording for failed because of us.
    let for_jibri = std::env::args_os().any(|argument| argument == "finalize");
    if for_jibri { ExitCode::SUCCESS } else { ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)) }
}

/// Why a subcommand did not do its work.
enum Failure {
    /// The configuration is wrong.
    Configuration(Vec<Finding>),
    /// Something else, said by the error.
    Work(anyhow::Error),
}

impl From<Vec<Finding>> for Failure {
    fn from(findings: Vec<Finding>) -> Self {
        Self::Configuration(findings)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Work(error)
    }
}

fn dispatch(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let file = arguments.config.as_deref();
    let whole = || -> Result<Config, Vec<Finding>> { config::load(file, environment).map(warned) };
    let outbox = || config::load_outbox(file, environment).map(warned);
    Ok(match &arguments.command {
        Command::Setup(arguments) => setup::setup(arguments, file)?,
        Command::Run => run::run(&whole()?, &|| config::load(file, environment))?,
        Command::Check => {
            let config = whole()?;
            let hidden = doctor::hidden_from_service(&config::survey(file, environment));
            if !hidden.is_empty() {
                return Err(hidden.into());
            }
            check::check(&config)?
        }
        Command::Status { watch, interval, json } => {
            let (outbox, survey) = (outbox()?, config::survey(file, environment));
            if *watch {
                status::watch(&outbox, &survey, (*interval).max(FASTEST), *json)?
            } else {
                status::status(&outbox, &survey, *json)?
            }
        }
        Command::Deliveries(command) => deliveries::run(&outbox()?.outbox, command)?,
        Command::SendTest => send_test::send_test(&whole()?)?,
        Command::Doctor { json } => doctor::doctor(config::survey(file, environment), *json)?,
        Command::Drain { timeout, json } => {
            drop(outbox()?);
            drain::drain(&config::survey(file, environment), *timeout, *json)?
        }
        Command::Finalize { then, arguments } => {
            let directory = config::survey(file, environment).outbox.directory;
            finalize::finalize(&directory, then.as_deref(), arguments)
        }
    })
}

/// A loaded configuration, once its warnings are said.
fn warned<T>((config, warnings): (T, Vec<Finding>)) -> T {
    say_findings(&warnings);
    config
}

/// What helps against an error that the system's words leave open.
fn next_step(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|layer| {
        let forbidden =
            match (layer.downcast_ref::<std::io::Error>(), layer.downcast_ref::<rusqlite::Error>()) {
                (Some(error), _) => error.kind() == std::io::ErrorKind::PermissionDenied,
                (_, Some(error)) => matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
                ),
                _ => false,
            };
        forbidden.then_some(config::RUN_AS)
    })
}

fn say_findings(findings: &[Finding]) {
    for finding in findings {
        let (severity, level) = match finding.severity {
            Severity::Error => ("error", Level::ERROR),
            Severity::Warning => ("warning", Level::WARN),
        };
        say(&format!("{}{severity}: {}: {}", journal::mark(level), finding.key, finding.problem));
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;

    use rusqlite::ffi;

    use super::*;
    use crate::outbox::OutboxError;
    use crate::outbox::log::DeliveryLog;

    #[test]
    fn what_the_system_forbids_has_a_next_step() {
        let file = |kind: ErrorKind| OutboxError::File { path: "/x".into(), source: kind.into() };
        let sqlite = |code| OutboxError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for (error, expected) in [
            (file(ErrorKind::PermissionDenied), true),
            (sqlite(ffi::SQLITE_CANTOPEN), true),
            (sqlite(ffi::SQLITE_READONLY), true),
            (file(ErrorKind::NotFound), false),
            (sqlite(ffi::SQLITE_FULL), false),
            (OutboxError::Locked, false),
        ] {
            let error = anyhow::Error::from(error);
            assert_eq!(next_step(&error).is_some(), expected, "{error:#}");
        }
    }

    #[test]
    fn an_outbox_that_was_never_made_is_not_a_matter_of_permission() {
        let directory = tempfile::tempdir().unwrap();
        let open = |path: &Path| DeliveryLog::open(path).err().map(anyhow::Error::from).unwrap();
        let said = Chain(open(directory.path()).as_ref()).to_string();
        assert!(said.contains("there is no outbox here"), "{said}");
        assert_eq!(next_step(&open(directory.path())), None);
    }
}
