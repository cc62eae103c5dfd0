//! The command line: `reflector-api serve | setup | migrate | check | openapi | agents | token`.
//!
//! Exit codes: 0 all went well; 1 it failed; 2 the command line is wrong; 4 it is set up, and the service was left alone;
//! 78 the configuration is wrong.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use time::OffsetDateTime;

use self::patient::Patient;
use crate::config::Variables;

mod agents;
mod check;
mod configuration;
mod logging;
mod migrate;
mod openapi;
mod patient;
mod serve;
mod service_user;
mod setup;
mod standing;
pub mod token;

/// The exit code for a wrong configuration (`EX_CONFIG` of sysexits.h): a service manager must not try again.
const EXIT_CONFIG: u8 = 78;

/// Receives what Jitsi hosts report about meetings, keeps it in Postgres, and serves rooms and meetings.
///
/// Settings come from the environment. Without `DATABASE_URL` a private Postgres is run in `REFLECTOR_API_STATE_DIR`.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    env_file: configuration::EnvFile,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP until SIGTERM or SIGINT.
    Serve(serve::Arguments),
    /// Set the service up after its installation: write what its settings lack, make secrets, start it
    Setup(setup::Arguments),
    /// Bring the database's schema up to date, and end. `serve` does so, too.
    Migrate,
    /// Check the configuration and say everything that is wrong with it; use the object storage, if there is one, as uploads will.
    Check,
    /// Print the OpenAPI document, as `GET /openapi.json` answers it.
    Openapi,
    /// Say who may deliver with a secret of its own.
    #[command(subcommand)]
    Agents(agents::Command),
    /// Print a bearer token for local use, signed with `AUTH_JWT_SECRET`.
    Token(token::TokenArgs),
}

/// The command line, for what is made from it: manuals and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let mut err = std::io::stderr();
    run(&arguments, &mut out, &mut err).unwrap_or_else(|error| {
        // With nobody left to read the error there is only the exit code.
        let _ = writeln!(err, "error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    let file = arguments.env_file.path();
    let settings = || configuration::settings(file, &standing::DATABASE);
    match &arguments.command {
        // The service manager has put the settings into the environment.
        Command::Serve(arguments) if file.is_none() => {
            serve::run(arguments, configuration::environment(), err)
        }
        Command::Serve(arguments) => serve::run(arguments, settings()?.variables, err),
        Command::Setup(arguments) => setup::run(arguments, file, &mut Patient(out), &mut Patient(err)),
        Command::Migrate => migrate::run(&settings()?, err),
        Command::Check => check::run(&settings()?, out),
        Command::Openapi => openapi::run(out),
        Command::Agents(command) => agents::run(command, &settings()?, out, err),
        Command::Token(arguments) => {
            let settings = configuration::settings(file, &standing::KEY)?;
            make_token(arguments, &settings.variables, out, err)
        }
    }
}

/// The configuration's warnings are left out: they are not about tokens.
fn make_token(
    arguments: &token::TokenArgs,
    variables: &Variables,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let findings = match configuration::read(variables) {
        Ok((config, _)) => {
            token::run(arguments, &config.auth, OffsetDateTime::now_utc(), out)?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(findings) => findings,
    };
    for finding in findings {
        writeln!(err, "{finding}")?;
    }
    Ok(ExitCode::from(EXIT_CONFIG))
}
