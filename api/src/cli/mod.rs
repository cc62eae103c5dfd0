//! The command line: `reflector-api serve | migrate | check | openapi | agents | token`.
//!
//! Exit codes: 0 all went well; 1 it failed; 2 the command line is wrong; 78 the configuration is wrong.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use time::OffsetDateTime;

mod agents;
mod check;
mod configuration;
mod logging;
mod migrate;
mod openapi;
mod serve;
pub mod token;

/// The exit code for a wrong configuration (`EX_CONFIG` of sysexits.h): a service manager must not try again.
const EXIT_CONFIG: u8 = 78;

/// Receives what Jitsi hosts report about meetings, keeps it in Postgres, and serves rooms and meetings.
///
/// Settings come from the environment. Without `DATABASE_URL` a private Postgres is run in `REFLECTOR_API_STATE_DIR`.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP until SIGTERM or SIGINT.
    Serve(serve::Arguments),
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
    run(arguments.command, &mut out, &mut err)
}

fn run(command: Command, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
    let result = match command {
        Command::Serve(arguments) => serve::run(&arguments, err),
        Command::Migrate => migrate::run(err),
        Command::Check => check::run(out),
        Command::Openapi => openapi::run(out),
        Command::Agents(command) => agents::run(&command, out, err),
        Command::Token(arguments) => make_token(&arguments, out, err),
    };
    result.unwrap_or_else(|error| {
        // With nobody left to read the error there is only the exit code.
        let _ = writeln!(err, "error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The configuration's warnings are left out: they are not about tokens.
fn make_token(
    arguments: &token::TokenArgs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let findings = match configuration::read(&configuration::environment()) {
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
