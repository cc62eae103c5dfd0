//! The `testbed` program; `testbed --help` lists what it can do.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Jitsi host in a box.
#[derive(Debug, Parser)]
#[command(name = "testbed", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive an agent's deliveries, remember every id, misbehave on demand.
    Sink(testbed::sink::cli::Args),
}

fn main() -> ExitCode {
    let mut out = io::stdout();
    let done = match Cli::parse().command {
        Command::Sink(args) => testbed::sink::cli::run(&args, &mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if the error cannot be shown either.
            let _ = io::Write::write_all(&mut io::stderr(), format!("testbed: {error:#}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
